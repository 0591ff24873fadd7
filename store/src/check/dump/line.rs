//! One line of a dump: what it is about, and named values.

use std::fmt;

/// Prints as `kind name=value name="with spaces"`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    pub kind: &'static str,
    pub fields: Vec<(&'static str, String)>,
}

impl Line {
    pub(super) fn new(kind: &'static str) -> Line {
        Line {
            kind,
            fields: Vec::new(),
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl ToString) -> Line {
        self.fields.push((name, value.to_string()));
        self
    }

    /// A field that is often not there.
    pub(super) fn with_some(self, name: &'static str, value: Option<impl ToString>) -> Line {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub(super) fn with_all(mut self, fields: Vec<(&'static str, String)>) -> Line {
        self.fields.extend(fields);
        self
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)?;
        for (name, value) in &self.fields {
            let is_plain = |octet: char| octet.is_ascii_graphic() && !"\"\\".contains(octet);
            match !value.is_empty() && value.chars().all(is_plain) {
                true => write!(f, " {name}={value}")?,
                false => write!(f, " {name}={value:?}")?,
            }
        }
        Ok(())
    }
}

/// The beginning of some octets, as text, and how many there are.
pub(super) fn abbreviated(octets: &[u8]) -> String {
    let shown = octets.get(..SHOWN_OCTETS_MAX).unwrap_or(octets);
    let more = octets.len() - shown.len();
    let text = String::from_utf8_lossy(shown);
    match more {
        0 => text.into_owned(),
        more => format!("{text}… and {more} octets"),
    }
}

/// Octets of a body or prefix that are shown.
const SHOWN_OCTETS_MAX: usize = 60;
