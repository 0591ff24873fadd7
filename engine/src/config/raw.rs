//! TOML text → tables whose keys are asked for one by one, every fault noted with its line.
//!
//! Not serde: serde stops at the first fault, and an operator wants to see all of them at once. A
//! key that nobody asked for is a fault too; the nearest known key is proposed.

use super::problem::Problem;
use super::quantity;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and the line where it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) line: usize,
}

impl<T> At<T> {
    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> At<U> {
        At {
            value: change(self.value),
            line: self.line,
        }
    }
}

/// The faults found so far and the means to name a line.
pub(super) struct Notes {
    line_starts: Vec<usize>,
    pub(super) problems: Vec<Problem>,
}

impl Notes {
    pub(super) fn new(text: &str) -> Notes {
        let after_newline = text.match_indices('\n').map(|(at, _)| at + 1);
        Notes {
            line_starts: std::iter::once(0).chain(after_newline).collect(),
            problems: Vec::new(),
        }
    }

    pub(super) fn problem(&mut self, line: usize, what: impl Into<String>) {
        self.problems.push(Problem::new(line, what));
    }

    pub(super) fn line_of(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }
}

/// Reads the grammar of the whole text; faults of the grammar are noted.
pub(super) fn document<'t>(text: &'t str, notes: &mut Notes) -> Spanned<DeTable<'t>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let line = error.span().map_or(1, |span| notes.line_of(span.start));
        notes.problem(line, error.message().trim());
    }
    table
}

/// One table, named as the operator knows it, e.g. `[[listener]]`.
pub(super) struct Section<'d, 't> {
    pub(super) name: &'static str,
    pub(super) line: usize,
    table: &'d DeTable<'t>,
    asked: Vec<&'static str>,
}

impl<'d, 't> Section<'d, 't> {
    pub(super) fn top(table: &'d DeTable<'t>) -> Section<'d, 't> {
        Section {
            name: "the file",
            line: 1,
            table,
            asked: Vec::new(),
        }
    }

    /// Text under `key`, if it is there.
    pub(super) fn text(&mut self, notes: &mut Notes, key: &'static str) -> Option<At<&'d str>> {
        let value = self.find(key)?;
        self.as_text(notes, key, value)
    }

    /// Text under `key`; its absence is a fault that says what `expected` means.
    pub(super) fn text_required(
        &mut self,
        notes: &mut Notes,
        key: &'static str,
        expected: &str,
    ) -> Option<At<&'d str>> {
        if self.find(key).is_none() {
            let what = format!("{} needs {key} = {expected}", self.name);
            notes.problem(self.line, what);
        }
        self.text(notes, key)
    }

    pub(super) fn bool(&mut self, notes: &mut Notes, key: &'static str) -> Option<At<bool>> {
        let value = self.find(key)?;
        let line = notes.line_of(value.span().start);
        let found = value.get_ref().as_bool();
        if found.is_none() {
            notes.problem(line, format!("{key}: expected true or false"));
        }
        found.map(|value| At { value, line })
    }

    /// A whole number in `from..=to`.
    pub(super) fn number(
        &mut self,
        notes: &mut Notes,
        key: &'static str,
        from: u64,
        to: u64,
    ) -> Option<At<u64>> {
        let value = self.find(key)?;
        let line = notes.line_of(value.span().start);
        let found = integer(value.get_ref()).filter(|n| (from..=to).contains(n));
        if found.is_none() {
            let what = format!("{key}: expected a whole number from {from} to {to}");
            notes.problem(line, what);
        }
        found.map(|value| At { value, line })
    }

    /// A list of whole numbers in `from..=to`.
    pub(super) fn numbers(
        &mut self,
        notes: &mut Notes,
        key: &'static str,
        from: u64,
        to: u64,
    ) -> Vec<u64> {
        let Some(value) = self.find(key) else {
            return Vec::new();
        };
        let line = notes.line_of(value.span().start);
        let read = |entry: &Spanned<DeValue<'_>>| {
            integer(entry.get_ref()).filter(|n| (from..=to).contains(n))
        };
        let list = value.get_ref().as_array();
        let found: Option<Vec<u64>> = list.and_then(|list| list.iter().map(read).collect());
        if found.is_none() {
            let what = format!("{key}: expected a list of whole numbers from {from} to {to}");
            notes.problem(line, what);
        }
        found.unwrap_or_default()
    }

    /// A size such as `"10 GiB"` in `from..=to` octets.
    pub(super) fn size(
        &mut self,
        notes: &mut Notes,
        key: &'static str,
        from: u64,
        to: u64,
    ) -> Option<At<u64>> {
        let value = self.find(key)?;
        let line = notes.line_of(value.span().start);
        let written = match value.get_ref() {
            DeValue::String(text) => quantity::size(text),
            other => integer(other),
        };
        let found = written.filter(|octets| (from..=to).contains(octets));
        if found.is_none() {
            let (from, to) = (quantity::show_size(from), quantity::show_size(to));
            let what = format!("{key}: expected a size from {from} to {to}, e.g. \"10 MiB\"");
            notes.problem(line, what);
        }
        found.map(|value| At { value, line })
    }

    /// A time such as `"5m"` in `from..=to` seconds.
    pub(super) fn seconds(
        &mut self,
        notes: &mut Notes,
        key: &'static str,
        from: u32,
        to: u32,
    ) -> Option<At<u32>> {
        let value = self.find(key)?;
        let line = notes.line_of(value.span().start);
        let written = match value.get_ref() {
            DeValue::String(text) => quantity::seconds(text),
            other => integer(other).and_then(|secs| u32::try_from(secs).ok()),
        };
        let found = written.filter(|secs| (from..=to).contains(secs));
        if found.is_none() {
            let (from, to) = (quantity::show_seconds(from), quantity::show_seconds(to));
            let what = format!("{key}: expected a time from {from} to {to}, e.g. \"5m\"");
            notes.problem(line, what);
        }
        found.map(|value| At { value, line })
    }

    /// One text or a list of them.
    pub(super) fn texts(&mut self, notes: &mut Notes, key: &'static str) -> Vec<At<&'d str>> {
        let Some(value) = self.find(key) else {
            return Vec::new();
        };
        match value.get_ref().as_array() {
            None => self.as_text(notes, key, value).into_iter().collect(),
            Some(list) => list
                .iter()
                .filter_map(|entry| self.as_text(notes, key, entry))
                .collect(),
        }
    }

    /// The table `[key]`, if it is there.
    pub(super) fn section(
        &mut self,
        notes: &mut Notes,
        key: &'static str,
        name: &'static str,
    ) -> Option<Section<'d, 't>> {
        let value = self.find(key)?;
        let section = as_section(notes, value, name);
        if section.is_none() {
            let line = notes.line_of(value.span().start);
            notes.problem(line, format!("expected {name}, a table"));
        }
        section
    }

    /// The tables `[[key]]`.
    pub(super) fn sections(
        &mut self,
        notes: &mut Notes,
        key: &'static str,
        name: &'static str,
    ) -> Vec<Section<'d, 't>> {
        let Some(value) = self.find(key) else {
            return Vec::new();
        };
        let Some(list) = value.get_ref().as_array() else {
            let line = notes.line_of(value.span().start);
            notes.problem(line, format!("expected {name} with double brackets"));
            return Vec::new();
        };
        let mut found = Vec::with_capacity(list.len());
        for entry in list.iter() {
            match as_section(notes, entry, name) {
                Some(section) => found.push(section),
                None => {
                    let line = notes.line_of(entry.span().start);
                    notes.problem(line, format!("expected {name}, a table"));
                }
            }
        }
        found
    }

    /// Every key that was never asked for is a fault.
    pub(super) fn finish(self, notes: &mut Notes) {
        for key in self.table.keys() {
            let name = key.get_ref().as_ref();
            if self.asked.contains(&name) {
                continue;
            }
            let line = notes.line_of(key.span().start);
            let hint = match nearest(name, &self.asked) {
                Some(known) => format!("did you mean {known}?"),
                None => format!("known are {}", self.asked.join(", ")),
            };
            notes.problem(line, format!("unknown key {name} in {}; {hint}", self.name));
        }
    }

    fn find(&mut self, key: &'static str) -> Option<&'d Spanned<DeValue<'t>>> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.table.get(key)
    }

    fn as_text(
        &self,
        notes: &mut Notes,
        key: &str,
        value: &'d Spanned<DeValue<'t>>,
    ) -> Option<At<&'d str>> {
        let line = notes.line_of(value.span().start);
        let found = value.get_ref().as_str();
        if found.is_none() {
            notes.problem(line, format!("{key}: expected text in quotes"));
        }
        found.map(|value| At { value, line })
    }
}

fn as_section<'d, 't>(
    notes: &Notes,
    value: &'d Spanned<DeValue<'t>>,
    name: &'static str,
) -> Option<Section<'d, 't>> {
    Some(Section {
        name,
        line: notes.line_of(value.span().start),
        table: value.get_ref().as_table()?,
        asked: Vec::new(),
    })
}

fn integer(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// The known key that is at most two slips away, or a third of the word.
fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let reach = (name.len() / 3).max(2);
    known
        .iter()
        .map(|key| (slips(name, key), *key))
        .filter(|(distance, _)| *distance <= reach)
        .min()
        .map(|(_, key)| key)
}

/// Levenshtein's distance.
fn slips(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row, vec![i + 1])
            .into_iter()
            .peekable();
        for right in b.chars() {
            let above_left = diagonal.next().unwrap_or(0);
            let above = diagonal.peek().copied().unwrap_or(0);
            let before = row.last().copied().unwrap_or(0);
            let change = above_left + usize::from(left != right);
            row.push(change.min(above + 1).min(before + 1));
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn counts_slips() {
        assert_eq!(slips("kitten", "sitting"), 3);
        assert_eq!(slips("", "abc"), 3);
        assert_eq!(slips("abc", ""), 3);
        assert_eq!(slips("same", "same"), 0);
    }

    #[test]
    fn proposes_the_nearest_key() {
        assert_eq!(nearest("adress", &["protocol", "address"]), Some("address"));
        assert_eq!(nearest("colour", &["protocol", "address"]), None);
    }

    #[test]
    fn names_the_line_of_an_offset() {
        let notes = Notes::new("a\nbc\n\nd");
        let lines: Vec<usize> = (0..8).map(|at| notes.line_of(at)).collect();
        assert_eq!(lines, [1, 1, 2, 2, 2, 3, 4, 4]);
    }

    #[test]
    fn finds_every_fault_of_the_grammar() {
        let text = "a = \nb = 1\nc = nonsense\n";
        let mut notes = Notes::new(text);
        let _ = document(text, &mut notes);
        let lines: Vec<usize> = notes.problems.iter().map(|problem| problem.line).collect();
        assert!(lines.contains(&1) && lines.contains(&3), "{lines:?}");
    }
}
