//! One log line: what a peer sends can fill a value, never forge a key or a line (attack class 12).
//!
//! ```text
//! 2026-11-22T04:00:00.123Z info delivered queue_id=00000080 from=<a@b.c> note="two words"
//! {"time":"2026-11-22T04:00:00.123Z","level":"info","event":"delivered","queue_id":"00000080",…}
//! ```
//!
//! In text, a value without spaces, quotes, `=` and `\` stands bare; any other stands in quotes,
//! with control characters, line ends of Unicode and marks that turn the direction of text escaped.

use super::Level;
use std::fmt::{self, Write};
use std::time::{Duration, SystemTime};
use store::mail::calendar::{date_of, two_digits};

/// A longer value is cut, and ends in `…`.
pub const VALUE_BYTES_MAX: usize = 1024;

/// Keys beyond this are left out.
pub const FIELDS_MAX: usize = 32;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    Text,
    Json,
}

/// What can stand behind a key.
pub trait Value {
    /// Writes the value as text, not escaped.
    fn show(&self, out: &mut dyn Write) -> fmt::Result;

    /// May it stand without quotes in JSON?
    fn is_number(&self) -> bool {
        false
    }

    /// Is there anything to say? An absent value leaves out its key.
    fn is_some(&self) -> bool {
        true
    }
}

/// Everything of one line but its moment.
#[derive(Clone, Copy)]
pub struct Event<'a> {
    pub level: Level,
    /// Ours, never a peer's: it stands bare.
    pub name: &'static str,
    pub fields: &'a [(&'a str, &'a dyn Value)],
}

/// Appends the line with its end to `out`; `scratch` is emptied and used.
pub(super) fn write(
    out: &mut String,
    scratch: &mut String,
    format: Format,
    now: SystemTime,
    event: Event<'_>,
) {
    let written = match format {
        Format::Text => text(out, scratch, now, event),
        Format::Json => json(out, scratch, now, event),
    };
    // Only a value's own Display can fail; what it wrote so far stands.
    let _ = written;
    out.push('\n');
}

fn text(out: &mut String, scratch: &mut String, now: SystemTime, event: Event<'_>) -> fmt::Result {
    time(out, now);
    for word in [event.level.name(), event.name] {
        out.push(' ');
        out.push_str(word);
    }
    for (key, value) in shown(event.fields) {
        out.push(' ');
        out.push_str(key);
        out.push('=');
        let from = out.len();
        fill(out, *value);
        let bare = out.get(from..).unwrap_or_default();
        if bare.is_empty() || needs_quotes(bare) {
            scratch.clear();
            scratch.push_str(bare);
            out.truncate(from);
            out.push('"');
            escape(out, scratch, Format::Text)?;
            out.push('"');
        }
    }
    Ok(())
}

fn json(out: &mut String, scratch: &mut String, now: SystemTime, event: Event<'_>) -> fmt::Result {
    out.push_str("{\"time\":\"");
    time(out, now);
    write!(
        out,
        "\",\"level\":\"{}\",\"event\":\"{}\"",
        event.level.name(),
        event.name
    )?;
    for (key, value) in shown(event.fields) {
        scratch.clear();
        fill(scratch, *value);
        write!(out, ",\"{key}\":")?;
        if value.is_number() {
            out.push_str(scratch);
        } else {
            out.push('"');
            escape(out, scratch, Format::Json)?;
            out.push('"');
        }
    }
    out.push('}');
    Ok(())
}

fn shown<'a>(
    fields: &'a [(&'a str, &'a dyn Value)],
) -> impl Iterator<Item = &'a (&'a str, &'a dyn Value)> {
    fields
        .iter()
        .filter(|(_, value)| value.is_some())
        .take(FIELDS_MAX)
}

/// Appends a value, not escaped.
fn fill(text: &mut String, value: &dyn Value) {
    let from = text.len();
    let mut bounded = Bounded { text, from };
    // An error says that the value was cut, which shows in the value.
    let _ = value.show(&mut bounded);
}

/// Stops a value at [`VALUE_BYTES_MAX`], before it costs memory.
struct Bounded<'a> {
    text: &'a mut String,
    /// Where the value begins.
    from: usize,
}

impl Write for Bounded<'_> {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = (self.from + VALUE_BYTES_MAX).saturating_sub(self.text.len());
        if more.len() <= room {
            self.text.push_str(more);
            return Ok(());
        }
        self.text.push_str(
            more.get(..more.floor_char_boundary(room))
                .unwrap_or_default(),
        );
        self.text.push('…');
        Err(fmt::Error)
    }
}

fn escape(out: &mut String, value: &str, format: Format) -> fmt::Result {
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if !is_treacherous(c) => out.push(c),
            c if format == Format::Json => write!(out, "\\u{:04x}", u32::from(c))?,
            c => write!(out, "\\u{{{:x}}}", u32::from(c))?,
        }
    }
    Ok(())
}

fn needs_quotes(value: &str) -> bool {
    let is_plain = |octet: u8| octet.is_ascii_graphic() && !matches!(octet, b'"' | b'=' | b'\\');
    let is_bare = |c: char| match u8::try_from(c).ok().filter(u8::is_ascii) {
        Some(octet) => is_plain(octet),
        None => !is_treacherous(c) && !c.is_whitespace(),
    };
    !(value.bytes().all(is_plain) || value.chars().all(is_bare))
}

/// Controls of ASCII and Latin 1, line and paragraph separators, and the marks that make text read
/// in another order than it stands (CVE-2021-42574). All are below U+10000, so JSON needs no pairs.
fn is_treacherous(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{feff}'
        )
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// RFC 3339 in UTC, to the millisecond.
fn time(out: &mut String, now: SystemTime) {
    let since_1970 = now.duration_since(SystemTime::UNIX_EPOCH);
    let since_1970 = since_1970.unwrap_or(Duration::ZERO);
    let (secs, millis) = (since_1970.as_secs(), since_1970.subsec_millis());
    let (year, month, day) = date_of((secs / 86_400) as i64);
    let pair = |number: i64| two_digits(number.unsigned_abs());
    let ([y0, y1], [y2, y3]) = (pair(year / 100), pair(year));
    let ([m0, m1], [d0, d1]) = (pair(month), pair(day));
    let [[h0, h1], [n0, n1], [s0, s1]] =
        [secs / 3600 % 24, secs / 60 % 60, secs % 60].map(two_digits);
    let ([_, t0], [t1, t2]) = (two_digits((millis / 100).into()), two_digits(millis.into()));
    let date = [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1];
    let clock = [
        b'T', h0, h1, b':', n0, n1, b':', s0, s1, b'.', t0, t1, t2, b'Z',
    ];
    for part in [&date[..], &clock] {
        out.push_str(str::from_utf8(part).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn line(format: Format, fields: &[(&str, &dyn Value)]) -> String {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_320_000_123);
        let (mut out, mut scratch) = (String::new(), String::new());
        let event = Event {
            level: Level::Info,
            name: "delivered",
            fields,
        };
        write(&mut out, &mut scratch, format, now, event);
        out
    }

    #[test]
    fn a_line_of_text() {
        assert_eq!(
            line(
                Format::Text,
                &[("from", &"a@b.c"), ("size", &7u64), ("note", &"two words")]
            ),
            "2026-11-22T04:00:00.123Z info delivered from=a@b.c size=7 note=\"two words\"\n"
        );
    }

    #[test]
    fn a_line_of_json() {
        assert_eq!(
            line(
                Format::Json,
                &[("from", &"a\"b"), ("size", &7u64), ("none", &None::<u64>)]
            ),
            "{\"time\":\"2026-11-22T04:00:00.123Z\",\"level\":\"info\",\"event\":\"delivered\",\
             \"from\":\"a\\\"b\",\"size\":7}\n"
        );
    }

    #[test]
    fn no_line_is_forged() {
        let evil = "x\n2026-11-22T04:00:00.123Z info delivered to=me\r\x1b[2J\u{2028}\u{202e}\0";
        assert_eq!(
            line(Format::Text, &[("from", &evil)]),
            "2026-11-22T04:00:00.123Z info delivered from=\"x\\n2026-11-22T04:00:00.123Z info \
             delivered to=me\\r\\u{1b}[2J\\u{2028}\\u{202e}\\u{0}\"\n"
        );
    }

    #[test]
    fn long_values_are_cut() {
        let long = "\u{e9}".repeat(VALUE_BYTES_MAX);
        let shown = line(Format::Text, &[("from", &long), ("size", &1u64)]);
        assert!(shown.ends_with("\u{e9}… size=1\n"));
        assert!(shown.len() < VALUE_BYTES_MAX + 100);
    }

    proptest! {
        /// Whatever the value, it is one line, and JSON gives it back.
        #[test]
        fn every_value_is_one_line_and_comes_back(value in ".{0,60}|\\PC{0,20}[\0-\u{a0}]{0,9}") {
            for format in [Format::Text, Format::Json] {
                let shown = line(format, &[("v", &value.as_str()), ("w", &1u64)]);
                prop_assert_eq!(shown.matches('\n').count(), 1);
                prop_assert!(!shown.trim_end_matches('\n').contains(|c: char| c.is_control()));
            }
            let shown = line(Format::Json, &[("v", &value.as_str())]);
            let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
            prop_assert_eq!(read.get("v").and_then(|v| v.as_str()), Some(value.as_str()));
        }
    }
}
