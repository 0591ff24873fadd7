//! How a file reads: its length, its functions, its columns, its first line, its names.

use super::Offence;
use super::source::{Source, has_word};

/// Every breach of shape.
pub fn shape(sources: &[Source]) -> Vec<Offence> {
    let rules = [files, functions, columns, first_lines, names, leftovers];
    sources
        .iter()
        .flat_map(|source| rules.iter().flat_map(|rule| rule(source)))
        .collect()
}

fn files(source: &Source) -> Vec<Offence> {
    let count = source.lines.len();
    let long = count > FILE_LINES_MAX;
    let why = format!("{count} lines: this file is too long, split it by noun");
    if long {
        vec![Offence::new(&source.path, count, why)]
    } else {
        Vec::new()
    }
}

fn functions(source: &Source) -> Vec<Offence> {
    let mut offences = Vec::new();
    for (number, line) in source.numbered() {
        let Some(name) = function(&line.code) else {
            continue;
        };
        let length = source.item_end(number - 1) + 2 - number;
        if length > FUNCTION_LINES_MAX {
            let why = format!("`{name}` has {length} lines, more than {FUNCTION_LINES_MAX}");
            offences.push(Offence::new(&source.path, number, why));
        }
    }
    offences
}

fn columns(source: &Source) -> Vec<Offence> {
    let long = source
        .numbered()
        .filter(|(_, line)| line.text.chars().count() > COLUMNS_MAX);
    long.map(|(number, _)| Offence::new(&source.path, number, "more than 100 columns"))
        .collect()
}

fn first_lines(source: &Source) -> Vec<Offence> {
    let first = source.lines.first().map_or("", |line| line.text.as_str());
    let good = first.starts_with("//! ") && !first.contains("placeholder");
    let why = "the first line is not `//!` and one sentence of purpose";
    if good {
        Vec::new()
    } else {
        vec![Offence::new(&source.path, 1, why)]
    }
}

fn names(source: &Source) -> Vec<Offence> {
    let mut offences = Vec::new();
    for part in source.path.iter().filter_map(|part| part.to_str()) {
        let name = part.trim_end_matches(".rs");
        if BANNED_ROOMS.contains(&name) {
            let why = format!("`{name}` says nothing: name the room for its noun");
            offences.push(Offence::new(&source.path, 1, why));
        }
    }
    for (number, line) in source.numbered() {
        let function = function(&line.code).unwrap_or("");
        let module = behind_word(&line.code, "mod").unwrap_or("");
        let start = BANNED_STARTS
            .iter()
            .find(|start| function.starts_with(**start));
        if let Some(start) = start {
            let why = format!("`{function}`: `{start}` is not a verb of any standard");
            offences.push(Offence::new(&source.path, number, why));
        }
        if BANNED_ROOMS.contains(&module) {
            let why = format!("`mod {module}` says nothing: name the room for its noun");
            offences.push(Offence::new(&source.path, number, why));
        }
    }
    offences
}

/// Work that was left: a mark in a comment, a debugging aid, a body that is not there.
fn leftovers(source: &Source) -> Vec<Offence> {
    let mut offences = Vec::new();
    for (number, line) in source.numbered() {
        let marks = ["TODO", "FIXME", "XXX"];
        if let Some(mark) = marks.iter().find(|mark| has_word(&line.comment, mark)) {
            offences.push(Offence::new(
                &source.path,
                number,
                format!("{mark} is not done work"),
            ));
        }
        let calls = ["dbg!", "todo!", "unimplemented!"];
        if let Some(call) = calls.iter().find(|call| line.code.contains(**call)) {
            offences.push(Offence::new(
                &source.path,
                number,
                format!("`{call}` was left"),
            ));
        }
        if source.is_test() || line.test {
            let sleeps = has_word(&line.code, "sleep") && line.code.contains("sleep(");
            if sleeps {
                let why = "a test sleeps: wait for the event instead";
                offences.push(Offence::new(&source.path, number, why));
            }
        }
    }
    offences
}

/// The name of the function that a line begins.
fn function(code: &str) -> Option<&str> {
    let name = behind_word(code, "fn")?;
    (!name.is_empty()).then_some(name)
}

fn behind_word<'a>(code: &'a str, word: &str) -> Option<&'a str> {
    let mut starts = code.match_indices(word).map(|(at, _)| at);
    let at = starts.find(|at| {
        let before = code[..*at].chars().next_back();
        let behind = code[at + word.len()..].starts_with(' ');
        behind && before.is_none_or(char::is_whitespace)
    })?;
    let rest = &code[at + word.len() + 1..];
    let end = rest
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(rest.len());
    Some(&rest[..end])
}

const FILE_LINES_MAX: usize = 700;
const FUNCTION_LINES_MAX: usize = 70;
const COLUMNS_MAX: usize = 100;
const BANNED_ROOMS: [&str; 8] = [
    "util", "utils", "common", "helper", "helpers", "manager", "managers", "misc",
];
const BANNED_STARTS: [&str; 3] = ["get_", "process_", "do_"];

#[cfg(test)]
mod tests {
    use super::*;

    fn offences(path: &str, text: &str) -> Vec<String> {
        let found = shape(&[Source::new(path, &format!("//! Why it is.\n{text}"))]);
        found.into_iter().map(|offence| offence.why).collect()
    }

    fn one(path: &str, text: &str, why: &str) {
        let found = offences(path, text);
        assert!(
            found.len() == 1 && found[0].contains(why),
            "{found:?} is not one {why:?}"
        );
    }

    #[test]
    fn every_rule_finds_its_offender() {
        one("a.rs", &"x();\n".repeat(700), "too long");
        one(
            "a.rs",
            &format!("fn a() {{\n{}}}\n", "x();\n".repeat(69)),
            "`a` has 71 lines",
        );
        one("a.rs", &"x".repeat(101), "100 columns");
        one("src/util/a.rs", "", "says nothing");
        one("a.rs", "mod helpers {}", "says nothing");
        one("a.rs", "pub(crate) async fn get_name() {}", "not a verb");
        one("a.rs", "// TODO later", "TODO");
        one("a.rs", "fn a() { dbg!(x) }", "dbg!");
        one("tests/a.rs", "fn a() { std::thread::sleep(x) }", "sleeps");
        assert_eq!(shape(&[Source::new("a.rs", "// no\n")]).len(), 1);
    }

    #[test]
    fn good_files_pass() {
        let long = format!("fn a() {{\n{}}}\n", "x();\n".repeat(68));
        assert_eq!(offences("a.rs", &long), Vec::<String>::new());
        assert_eq!(offences("a.rs", "fn do_not() {}").len(), 1);
        assert_eq!(
            offences("a.rs", "fn undo_it() {} let a = \"TODO\";"),
            Vec::<String>::new()
        );
    }
}
