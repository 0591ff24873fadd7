//! A header as fields, octet-exact (RFC 5322 §2.2), and choosing among them (RFC 9051 §6.4.5.1).
//!
//! A field is a line with a name and a colon and the lines behind it that begin with white space.
//! A line without a name, as in an mbox `From ` line or a header that runs into its body, is a
//! field with an empty name: it stays where it is and means nothing. The header ends behind its
//! first empty line; a line of white space only is not empty (RFC 5322 §4.2 obs-FWS).

use std::collections::HashSet;
use std::ops::Range;

use super::limit::LINE_START_BYTES;
use super::work::spend;

/// One field of a header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field<'a> {
    /// Without the colon and white space before it; empty for a broken line.
    pub name: &'a [u8],
    /// Raw: folded, with the white space behind the colon, without the last line end.
    pub value: &'a [u8],
    /// Where the field lies in the header, last line end included.
    pub whole: Range<usize>,
}

impl Field<'_> {
    /// Whether the field bears this name, whatever its case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// The fields of `header` in order, broken lines included.
pub fn fields(header: &[u8]) -> Fields<'_> {
    Fields { header, at: 0 }
}

/// The value of the last field with this name. Where a field that may stand once stands twice,
/// the last one counts: relays and attackers write above what was there, and a DKIM signature
/// covers the last one first (RFC 6376 §5.4.2).
pub fn last<'a>(header: &'a [u8], name: &str) -> Option<&'a [u8]> {
    fields(header)
        .filter(|f| f.is(name))
        .last()
        .map(|f| f.value)
}

#[derive(Clone, Debug)]
pub struct Fields<'a> {
    header: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let rest = self.header.get(self.at..)?;
        if rest.is_empty() || is_blank(rest) {
            return None;
        }
        let octets = field_len(rest);
        spend(octets);
        let whole = self.at..self.at + octets;
        self.at = whole.end;
        let field = rest.get(..octets)?;
        let name = field_name(field);
        let value = match name {
            [] => field,
            _ => after_colon(field),
        };
        Some(Field {
            name,
            value: without_line_end(value),
            whole,
        })
    }
}

/// Unfolds a value and removes the white space round it (RFC 5322 §2.2.3).
pub fn unfold(value: &[u8]) -> Vec<u8> {
    unfold_inside(value.trim_ascii())
}

/// Removes line ends. A tab behind one is a space: it was one before a mailer folded the line.
pub(super) fn unfold_inside(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut folded = false;
    for octet in value {
        match octet {
            b'\r' | b'\n' => {}
            b'\t' if folded => out.push(b' '),
            _ => out.push(*octet),
        }
        folded = matches!(octet, b'\r' | b'\n');
    }
    out
}

/// Writes the fields of `header` that are among `names` (or, with `not`, that are not), as they
/// stand, and the empty line behind them, whether it is there or was left out of `header`.
pub fn select(header: &[u8], names: &[Vec<u8>], not: bool, out: &mut Vec<u8>) {
    let mut selection = Selection::new(names, not);
    selection.feed(header, out);
    selection.judge_rest(out);
    if !selection.line_ended {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// `HEADER.FIELDS` and `HEADER.FIELDS.NOT` of a header that passes in pieces.
#[derive(Clone, Debug)]
pub struct Selection {
    names: HashSet<Vec<u8>>,
    not: bool,
    /// The line so far, while it does not yet show its name.
    start: Vec<u8>,
    state: SelectState,
    chosen: bool,
    /// Whether the last octet written ended a line.
    line_ended: bool,
}

/// ```text
/// AwaitLine ── name known ──▶ InLine ── LF ──▶ AwaitLine ── empty line ──▶ Ended
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum SelectState {
    AwaitLine,
    InLine,
    Ended,
}

impl Selection {
    pub fn new(names: &[Vec<u8>], not: bool) -> Self {
        Self {
            names: names.iter().map(|n| n.to_ascii_lowercase()).collect(),
            not,
            start: Vec::new(),
            state: SelectState::AwaitLine,
            chosen: false,
            line_ended: true,
        }
    }

    /// Writes what is chosen of this piece. What follows the header is ignored.
    pub fn feed(&mut self, mut piece: &[u8], out: &mut Vec<u8>) {
        while !piece.is_empty() && self.state != SelectState::Ended {
            let end = memchr::memchr(b'\n', piece).map_or(piece.len(), |at| at + 1);
            let (line, rest) = piece.split_at(end);
            spend(line.len());
            match self.state {
                SelectState::InLine => self.put(line, out),
                _ => self.gather(line, out),
            }
            piece = rest;
        }
    }

    /// Writes the empty line, if the header has one: a message that ends in its header has none
    /// (RFC 9051 §6.4.5.1).
    pub fn finish(mut self, out: &mut Vec<u8>) {
        self.judge_rest(out);
        if self.state == SelectState::Ended {
            out.extend_from_slice(b"\r\n");
        }
    }

    /// A last line without a line end.
    fn judge_rest(&mut self, out: &mut Vec<u8>) {
        if self.state == SelectState::AwaitLine && !self.start.is_empty() {
            self.judge(out);
        }
    }

    fn gather(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        let room = LINE_START_BYTES.saturating_sub(self.start.len());
        let (head, tail) = octets.split_at(octets.len().min(room));
        self.start.extend_from_slice(head);
        if self.start.ends_with(b"\n") || self.start.len() == LINE_START_BYTES {
            self.judge(out);
            if !tail.is_empty() {
                self.put(tail, out);
            }
        }
    }

    fn judge(&mut self, out: &mut Vec<u8>) {
        let start = std::mem::take(&mut self.start);
        if is_blank(&start) {
            self.state = SelectState::Ended;
            return;
        }
        if !matches!(start.first(), Some(b' ' | b'\t')) {
            let name = field_name(&start).to_ascii_lowercase();
            self.chosen = self.names.contains(&name) != self.not;
        }
        self.put(&start, out);
    }

    fn put(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        let ended = octets.ends_with(b"\n");
        if self.chosen {
            out.extend_from_slice(octets);
            self.line_ended = ended;
        }
        self.state = if ended {
            SelectState::AwaitLine
        } else {
            SelectState::InLine
        };
    }
}

/// Whether an empty line stands here.
pub fn is_blank(line: &[u8]) -> bool {
    line.starts_with(b"\n") || line.starts_with(b"\r\n")
}

/// The name at the start of a field's first line; empty if there is none. Printable ASCII without
/// a colon (RFC 5322 §3.6.8), white space before the colon is obsolete but taken (§4.5).
pub(super) fn field_name(line: &[u8]) -> &[u8] {
    let Some(colon) = memchr::memchr2(b':', b'\n', line) else {
        return &[];
    };
    let (name, rest) = line.split_at(colon);
    let name = name.trim_ascii_end();
    let printable = name.iter().all(|o| (33..=126).contains(o));
    if rest.starts_with(b":") && printable {
        name
    } else {
        &[]
    }
}

/// Octets of the field at the start of `rest`, with the lines that continue it.
fn field_len(rest: &[u8]) -> usize {
    for at in memchr::memchr_iter(b'\n', rest) {
        if !matches!(rest.get(at + 1), Some(b' ' | b'\t')) {
            return at + 1;
        }
    }
    rest.len()
}

fn after_colon(field: &[u8]) -> &[u8] {
    let colon = memchr::memchr(b':', field).map_or(field.len(), |at| at + 1);
    field.get(colon..).unwrap_or_default()
}

fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] =
        b"From x@y Fri May 4\r\nSubject : a\r\n  b\r\nX: 1\nto:c\r\n\r\nBody: no\r\n";

    #[test]
    fn fields_end_at_the_empty_line_and_keep_their_octets() {
        let found: Vec<_> = fields(HEADER).collect();
        let names: Vec<_> = found.iter().map(|f| f.name).collect();
        assert_eq!(names, [&b""[..], b"Subject", b"X", b"to"]);
        assert_eq!(found[1].value, b" a\r\n  b");
        assert_eq!(unfold(found[1].value), b"a  b");
        assert_eq!(unfold(b" a\tb\r\n\t\tc\n"), b"a\tb \tc");
        let end = memchr::memmem::find(HEADER, b"\r\n\r\n").unwrap() + 2;
        assert_eq!(found.iter().map(|f| f.whole.len()).sum::<usize>(), end);
        assert_eq!(last(HEADER, "TO"), Some(&b"c"[..]));
    }

    #[test]
    fn selection_is_exact_at_every_split() {
        let names = vec![b"SUBJECT".to_vec(), b"to".to_vec()];
        for (not, expected) in [
            (false, &b"Subject : a\r\n  b\r\nto:c\r\n\r\n"[..]),
            (true, b"From x@y Fri May 4\r\nX: 1\n\r\n"),
        ] {
            for step in 1..HEADER.len() {
                let mut out = Vec::new();
                let mut selection = Selection::new(&names, not);
                HEADER
                    .chunks(step)
                    .for_each(|c| selection.feed(c, &mut out));
                selection.finish(&mut out);
                assert_eq!(out, expected, "pieces of {step}");
            }
        }
    }

    #[test]
    fn a_header_without_its_last_line_end_is_completed() {
        let mut out = Vec::new();
        select(b"A: 1\r\nB: 2", &[b"b".to_vec()], false, &mut out);
        assert_eq!(out, b"B: 2\r\n\r\n");
    }

    /// Dovecot agrees: nothing stands behind a header that is the whole message.
    #[test]
    fn a_message_without_an_empty_line_is_given_none() {
        for (header, expected) in [
            (&b"A: 1\r\nB: 2\r\n"[..], &b"B: 2\r\n"[..]),
            (b"A: 1\r\nB: 2", b"B: 2"),
            (b"A: 1\r\n", b""),
            (b"A: 1\r\n\r\n", b"\r\n"),
        ] {
            let mut out = Vec::new();
            let mut selection = Selection::new(&[b"b".to_vec()], false);
            selection.feed(header, &mut out);
            selection.finish(&mut out);
            assert_eq!(out, expected);
        }
    }
}
