//! A Rust file taken apart as far as the rules need it: code without its strings and comments.

use std::path::{Path, PathBuf};

/// One file.
#[derive(Debug)]
pub struct Source {
    pub path: PathBuf,
    pub lines: Vec<Line>,
    /// Another file declares this one, or a folder above it, under `#[cfg(test)]`.
    pub declared_test: bool,
}

/// One line, twice: what the compiler acts on, and what is said about it.
#[derive(Debug, Default)]
pub struct Line {
    pub text: String,
    /// Comments are gone and the contents of strings are blank.
    pub code: String,
    pub comment: String,
    /// Inside `#[cfg(test)]`.
    pub test: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Code,
    Line,
    /// Nested so deep.
    Block(usize),
    Text,
    /// A raw string with so many `#`.
    Raw(usize),
}

impl Source {
    pub fn new(path: impl Into<PathBuf>, text: &str) -> Source {
        let mut source = Source {
            path: path.into(),
            lines: Vec::new(),
            declared_test: false,
        };
        let mut state = State::Code;
        for line in text.lines() {
            source.lines.push(taken_apart(line, &mut state));
        }
        source.mark_tests();
        source
    }

    /// `store/src/log/frame.rs` → (`store`, `["log", "frame.rs"]`); `None` outside of crates.
    pub fn place(&self) -> Option<(&str, Vec<&str>)> {
        let mut parts = self.path.iter().filter_map(|part| part.to_str());
        let name = parts.next()?;
        (parts.next()? == "src").then(|| (name, parts.collect()))
    }

    /// The room of the file: the first folder or file below `src`, without ending.
    pub fn room(&self) -> Option<(&str, String)> {
        let (name, parts) = self.place()?;
        Some((name, parts.first()?.trim_end_matches(".rs").to_string()))
    }

    /// Whether the whole file is only for tests.
    pub fn is_test(&self) -> bool {
        let stem = self
            .path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or("");
        let name = self.declared_test
            || stem == "tests"
            || stem.ends_with("_test")
            || stem.ends_with("_fuzz");
        name || self.path.starts_with("tests") || self.path.iter().any(|part| part == "tests")
    }

    /// Lines of code that run in production, with their numbers.
    pub fn production(&self) -> impl Iterator<Item = (usize, &Line)> {
        let whole = self.is_test();
        self.numbered()
            .filter(move |(_, line)| !whole && !line.test)
    }

    pub fn numbered(&self) -> impl Iterator<Item = (usize, &Line)> {
        self.lines
            .iter()
            .enumerate()
            .map(|(at, line)| (at + 1, line))
    }

    /// Modules declared here under `#[cfg(test)]`: files or folders, without ending.
    pub fn test_modules(&self) -> Vec<PathBuf> {
        let folder = match self.path.file_stem().and_then(|stem| stem.to_str()) {
            Some("mod" | "lib" | "main") => self.path.parent().map(Path::to_path_buf),
            _ => Some(self.path.with_extension("")),
        };
        let folder = folder.unwrap_or_default();
        let tests = self
            .lines
            .iter()
            .filter(|line| line.test)
            .map(|line| line.code.trim());
        let names = tests.filter_map(|code| {
            code.trim_start_matches("pub(crate) ")
                .strip_prefix("mod ")?
                .strip_suffix(';')
        });
        names.map(|name| folder.join(name)).collect()
    }

    /// From `#[cfg(test)]` to the end of the item behind it.
    fn mark_tests(&mut self) {
        let mut at = 0;
        while at < self.lines.len() {
            if self.lines[at].code.trim_start().starts_with("#[cfg(test)]") {
                let end = self.item_end(at);
                for line in &mut self.lines[at..=end] {
                    line.test = true;
                }
                at = end;
            }
            at += 1;
        }
    }

    /// The last line of the item that starts at this line: its closing brace or semicolon.
    pub fn item_end(&self, from: usize) -> usize {
        let (mut depth, mut opened) = (0usize, false);
        for (at, line) in self.lines.iter().enumerate().skip(from) {
            for octet in line.code.bytes() {
                match octet {
                    b'{' => (depth, opened) = (depth + 1, true),
                    b'}' => depth = depth.saturating_sub(1),
                    b';' if !opened => return at,
                    _ => {}
                }
            }
            if opened && depth == 0 {
                return at;
            }
        }
        self.lines.len() - 1
    }
}

fn taken_apart(text: &str, state: &mut State) -> Line {
    let mut line = Line {
        text: text.to_string(),
        ..Line::default()
    };
    let octets: Vec<char> = text.chars().collect();
    let mut at = 0;
    while at < octets.len() {
        at += match *state {
            State::Code => code(&octets, at, state, &mut line),
            State::Line => {
                line.comment.push(octets[at]);
                1
            }
            State::Block(depth) => block(&octets, at, depth, state, &mut line),
            State::Text => string(&octets, at, state, &mut line),
            State::Raw(hashes) => raw(&octets, at, hashes, state, &mut line),
        };
    }
    if *state == State::Line {
        *state = State::Code;
    }
    line
}

/// Takes what begins at `at` in code; gives how many characters that was.
fn code(octets: &[char], at: usize, state: &mut State, line: &mut Line) -> usize {
    let next = |ahead: usize| octets.get(at + ahead).copied().unwrap_or('\0');
    match octets[at] {
        '/' if next(1) == '/' => {
            *state = State::Line;
            2
        }
        '/' if next(1) == '*' => {
            *state = State::Block(1);
            2
        }
        '"' => {
            line.code.push('"');
            *state = State::Text;
            1
        }
        'r' if !ends_in_word(&line.code) && matches!(next(1), '"' | '#') => {
            let hashes = octets[at + 1..].iter().take_while(|c| **c == '#').count();
            if next(1 + hashes) != '"' {
                line.code.push('r');
                return 1;
            }
            line.code.push('"');
            *state = State::Raw(hashes);
            hashes + 2
        }
        '\'' => character(octets, at, line),
        other => {
            line.code.push(other);
            1
        }
    }
}

/// A character literal is dropped; a lifetime is code.
fn character(octets: &[char], at: usize, line: &mut Line) -> usize {
    let next = |ahead: usize| octets.get(at + ahead).copied().unwrap_or('\0');
    if next(1) == '\\' {
        let end = octets.iter().skip(at + 3).position(|c| *c == '\'');
        return end.map_or(1, |end| end + 4);
    }
    if next(2) == '\'' {
        return 3;
    }
    line.code.push('\'');
    1
}

fn block(octets: &[char], at: usize, depth: usize, state: &mut State, line: &mut Line) -> usize {
    let pair = (octets[at], octets.get(at + 1).copied().unwrap_or('\0'));
    match pair {
        ('*', '/') => {
            *state = if depth == 1 {
                State::Code
            } else {
                State::Block(depth - 1)
            }
        }
        ('/', '*') => *state = State::Block(depth + 1),
        (other, _) => {
            line.comment.push(other);
            return 1;
        }
    }
    2
}

fn string(octets: &[char], at: usize, state: &mut State, line: &mut Line) -> usize {
    match octets[at] {
        '\\' => 2,
        '"' => {
            line.code.push('"');
            *state = State::Code;
            1
        }
        _ => 1,
    }
}

fn raw(octets: &[char], at: usize, hashes: usize, state: &mut State, line: &mut Line) -> usize {
    let closes =
        octets[at] == '"' && octets[at + 1..].iter().take_while(|c| **c == '#').count() >= hashes;
    if closes {
        line.code.push('"');
        *state = State::Code;
        return 1 + hashes;
    }
    1
}

/// Whether the code so far ends in a word of which the next character would be a part; `b` alone
/// before a raw string is its prefix.
fn ends_in_word(code: &str) -> bool {
    let word = code
        .rsplit(|c: char| !c.is_alphanumeric() && c != '_')
        .next()
        .unwrap_or("");
    !word.is_empty() && word != "b"
}

/// Whether `word` stands in `code` alone, not as a part of a longer word.
pub fn has_word(code: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, found)| {
        let before = code[..at].chars().next_back();
        let behind = code[at + found.len()..].chars().next();
        !before.is_some_and(part) && !behind.is_some_and(part)
    })
}

/// Whether the path lies in one of these places: a folder, or a file itself.
pub fn lies_in(path: &Path, places: &[&str]) -> bool {
    places.iter().any(|place| path.starts_with(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_comments_are_not_code() {
        let text =
            "let a = \"unsafe // {\"; // note\nlet b = r#\"x \" }\"#; /* c\nd */ e('{', '\\'');";
        let source = Source::new("a.rs", text);
        let code: Vec<&str> = source.lines.iter().map(|line| line.code.as_str()).collect();
        assert_eq!(code, ["let a = \"\"; ", "let b = \"\"; ", " e(, );"]);
        assert_eq!(source.lines[0].comment, " note");
        assert_eq!(source.lines[2].comment, "d ");
    }

    #[test]
    fn test_code_is_marked_to_its_end() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() {}\n}\nfn c() {}\n";
        let source = Source::new("engine/src/wire/a.rs", text);
        let numbers: Vec<usize> = source.production().map(|(number, _)| number).collect();
        assert_eq!(numbers, [1, 6]);
        assert_eq!(source.room(), Some(("engine", "wire".to_string())));
    }

    #[test]
    fn test_modules_are_found_by_their_declaration() {
        let source = Source::new(
            "engine/src/wire/mod.rs",
            "mod a;\n#[cfg(test)]\nmod oracle;\n",
        );
        assert_eq!(
            source.test_modules(),
            [PathBuf::from("engine/src/wire/oracle")]
        );
        let source = Source::new("engine/src/wire/a.rs", "#[cfg(test)]\nmod b;\n");
        assert_eq!(
            source.test_modules(),
            [PathBuf::from("engine/src/wire/a/b")]
        );
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("x unsafe {", "unsafe"));
        assert!(!has_word("deny(unsafe_code)", "unsafe"));
    }
}
