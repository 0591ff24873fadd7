//! One event as one line of JSON.

use crate::config::EventKind;
use serde_json::{Map, Value};
use std::fmt::Write;

/// What happened.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    pub kind: EventKind,
    /// The same for the same event, however often it is told: what it is about and which time.
    pub id: String,
    /// Milliseconds since 1970.
    pub at_millis: u64,
    pub fields: &'a Fields,
}

/// What is told of it, in the order in which it is put; what is empty is left out.
#[derive(Clone, Debug, Default)]
pub struct Fields(Map<String, Value>);

impl Fields {
    #[must_use]
    pub fn new() -> Fields {
        Fields::default()
    }

    #[must_use]
    pub fn text(mut self, name: &str, value: &str) -> Fields {
        if !value.is_empty() {
            self.0.insert(name.to_owned(), Value::from(value));
        }
        self
    }

    #[must_use]
    pub fn number(mut self, name: &str, value: impl Into<i64>) -> Fields {
        self.0.insert(name.to_owned(), Value::from(value.into()));
        self
    }

    #[must_use]
    pub fn value(mut self, name: &str, value: Value) -> Fields {
        if !value.is_null() {
            self.0.insert(name.to_owned(), value);
        }
        self
    }
}

impl Event<'_> {
    /// Appends the line. The kind comes first: readers look for it there.
    pub(super) fn write(&self, out: &mut String) {
        let _ = write!(out, "{}{}{TYPE_END}", TYPE_BEGIN, self.kind.name());
        let id = Value::from(self.id.as_str());
        let _ = write!(
            out,
            ",\"id\":{id},\"at\":{}.{:03}",
            self.at_millis / 1_000,
            self.at_millis % 1_000
        );
        for (name, value) in &self.fields.0 {
            let _ = write!(out, ",{}:{value}", Value::from(name.as_str()));
        }
        out.push_str("}\n");
    }
}

/// The kind of a line that was written by [`Event::write`].
pub(super) fn kind_of(line: &[u8]) -> Option<EventKind> {
    let rest = line.strip_prefix(TYPE_BEGIN.as_bytes())?;
    let end = rest.iter().position(|octet| *octet == b'"')?;
    let name = rest.get(..end)?;
    EventKind::ALL
        .into_iter()
        .find(|kind| kind.name().as_bytes() == name)
}

const TYPE_BEGIN: &str = "{\"type\":\"";
const TYPE_END: char = '"';
