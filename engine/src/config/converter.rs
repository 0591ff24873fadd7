//! `[[converter]]`: programs that make text of attachments, so that SEARCH finds what is in them.
//!
//! ```toml
//! [[converter]]
//! types      = ["application/pdf"]      # type/subtype; type/* for all of a type
//! extensions = ["pdf"]                  # of file names, where the type says nothing
//! command    = ["/usr/bin/pdftotext", "-q", "-enc", "UTF-8", "-", "-"]
//! timeout    = "10s"                    # for one attachment
//! ```
//!
//! The program gets the attachment, decoded, as its input and writes UTF-8. The first table that
//! fits an attachment reads it. Text and messages are read without a program.

use super::raw::{At, Notes, Section};
use std::fmt::{self, Write};

/// One table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Converter {
    /// In lower case: `type/subtype`, or `type/*`.
    pub types: Vec<String>,
    /// In lower case, without a dot: of attachments whose type is `application/octet-stream`.
    pub extensions: Vec<String>,
    /// The program, with its path, and its arguments.
    pub command: Vec<String>,
    pub timeout_secs: u32,
}

pub(super) fn converters(top: &mut Section<'_, '_>, notes: &mut Notes) -> Vec<Converter> {
    let tables = top.sections(notes, "converter", "[[converter]]");
    if tables.len() > CONVERTERS_MAX {
        let what = format!("[[converter]]: at most {CONVERTERS_MAX} are asked");
        notes.problem(top.line, what);
    }
    let mut read = Vec::new();
    for mut table in tables {
        read.extend(converter(&mut table, notes));
        table.finish(notes);
    }
    read
}

fn converter(table: &mut Section<'_, '_>, notes: &mut Notes) -> Option<Converter> {
    let types = table.texts(notes, "types");
    let extensions = table.texts(notes, "extensions");
    let command = table.texts(notes, "command");
    let timeout = table.seconds(notes, "timeout", 1, TIMEOUT_SECS_MAX);
    let line = table.line;
    if types.is_empty() && extensions.is_empty() {
        let what = "[[converter]] needs types = [\"application/pdf\"], or extensions = [\"pdf\"]";
        notes.problem(line, what);
        return None;
    }
    let command = read_command(&command, line, notes);
    let types: Vec<_> = types.iter().map(|text| read_type(text, notes)).collect();
    let names = extensions.iter().map(|text| read_extension(text, notes));
    let extensions: Vec<_> = names.collect();
    Some(Converter {
        types: types.into_iter().collect::<Option<_>>()?,
        extensions: extensions.into_iter().collect::<Option<_>>()?,
        command: command?,
        timeout_secs: timeout.map_or(TIMEOUT_SECS, |found| found.value),
    })
}

fn read_command(command: &[At<&str>], line: usize, notes: &mut Notes) -> Option<Vec<String>> {
    let program = command.first().map(|text| text.value);
    if program.is_some_and(|program| program.starts_with('/')) {
        return Some(command.iter().map(|text| text.value.to_owned()).collect());
    }
    let what = "[[converter]] needs command = [\"/path/of/program\", \"argument\", …]";
    notes.problem(command.first().map_or(line, |text| text.line), what);
    None
}

fn read_type(text: &At<&str>, notes: &mut Notes) -> Option<String> {
    let name = text.value.to_ascii_lowercase();
    let what = match name.split_once('/') {
        Some(("text" | "message" | "multipart", _)) => {
            format!("types: \"{name}\" is read without a program")
        }
        Some((kind, subtype)) if is_token(kind) && (subtype == "*" || is_token(subtype)) => {
            return Some(name);
        }
        _ => format!("types: expected \"type/subtype\" or \"type/*\", not \"{name}\""),
    };
    notes.problem(text.line, what);
    None
}

fn read_extension(text: &At<&str>, notes: &mut Notes) -> Option<String> {
    let name = text.value.to_ascii_lowercase();
    if !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_alphanumeric()) {
        return Some(name);
    }
    let what = format!("extensions: expected letters and digits, like \"pdf\", not \"{name}\"");
    notes.problem(text.line, what);
    None
}

/// A name as they are registered, as far as such are in use.
fn is_token(name: &str) -> bool {
    let known = |octet: u8| octet.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&octet);
    !name.is_empty() && name.bytes().all(known)
}

/// Says what reads attachments.
pub(super) fn explain(converters: &[Converter], out: &mut String) -> fmt::Result {
    for Converter {
        types,
        extensions,
        command,
        timeout_secs,
    } in converters
    {
        let program = command.first().map_or("", String::as_str);
        let mut what = types.clone();
        what.extend(extensions.iter().map(|name| format!("*.{name}")));
        writeln!(
            out,
            "search: {program} reads {}, each for {timeout_secs} s at most",
            what.join(", ")
        )?;
    }
    Ok(())
}

/// Tables.
const CONVERTERS_MAX: usize = 64;

const TIMEOUT_SECS: u32 = 10;
const TIMEOUT_SECS_MAX: u32 = 60;

#[cfg(test)]
mod tests {
    use super::super::raw;
    use super::*;

    fn read(text: &str) -> (Vec<Converter>, Vec<String>) {
        let mut notes = Notes::new(text);
        let document = raw::document(text, &mut notes);
        let mut top = Section::top(document.get_ref());
        let tables = converters(&mut top, &mut notes);
        let told = notes.problems.iter();
        let told = told.map(|problem| format!("{}: {}", problem.line, problem.what));
        (tables, told.collect())
    }

    #[test]
    fn a_table_says_which_program_reads_what() {
        let (tables, told) = read(
            "[[converter]]\ntypes = [\"Application/PDF\", \"application/vnd.oasis.*\", \"x/*\"]\n\
             extensions = [\"PDF\"]\ncommand = [\"/usr/bin/pdftotext\", \"-\", \"-\"]\n",
        );
        assert_eq!(
            told,
            ["2: types: expected \"type/subtype\" or \"type/*\", not \"application/vnd.oasis.*\""]
        );
        assert_eq!(tables, []);
        let (tables, told) = read(
            "[[converter]]\ntypes = [\"Application/PDF\", \"x/*\"]\nextensions = [\"PDF\"]\n\
             command = [\"/usr/bin/pdftotext\", \"-\", \"-\"]\n",
        );
        assert_eq!(told, [""; 0]);
        let expected = Converter {
            types: vec!["application/pdf".into(), "x/*".into()],
            extensions: vec!["pdf".into()],
            command: vec!["/usr/bin/pdftotext".into(), "-".into(), "-".into()],
            timeout_secs: 10,
        };
        assert_eq!(tables, [expected]);
        let mut out = String::new();
        explain(&tables, &mut out).unwrap();
        assert_eq!(
            out,
            "search: /usr/bin/pdftotext reads application/pdf, x/*, *.pdf, each for 10 s at most\n"
        );
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        for (text, expected) in [
            ("command = [\"/bin/cat\"]", "1: [[converter]] needs types"),
            ("types = [\"a/b\"]", "1: [[converter]] needs command"),
            (
                "types = [\"a/b\"]\ncommand = [\"cat\"]",
                "3: [[converter]] needs command",
            ),
            (
                "types = [\"text/html\"]\ncommand = [\"/bin/cat\"]",
                "2: types: \"text/html\" is read without a program",
            ),
            (
                "extensions = [\".pdf\"]\ncommand = [\"/bin/cat\"]",
                "2: extensions: expected letters and digits",
            ),
            (
                "types = [\"a/b\"]\ncommand = [\"/bin/cat\"]\ntimeout = \"2m\"",
                "4: timeout",
            ),
            (
                "types = [\"a/b\"]\ncommand = [\"/bin/cat\"]\nshell = true",
                "4: ",
            ),
        ] {
            let (_, told) = read(&format!("[[converter]]\n{text}\n"));
            assert!(
                told.len() == 1 && told[0].starts_with(expected),
                "{text}: {told:?}"
            );
        }
    }

    #[test]
    fn all_that_is_wrong_in_a_table_is_named_at_once() {
        let table =
            "[[converter]]\ntypes = [\"a\", \"b\"]\nextensions = [\".\"]\ncommand = [\"cat\"]\n";
        let (tables, told) = read(table);
        assert_eq!((tables.len(), told.len()), (0, 4), "{told:?}");
    }
}
