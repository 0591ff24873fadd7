//! Reading the tokens of a structured field: comments, quoted strings, runs (RFC 5322 §3.2).
//!
//! Nothing backtracks, so that reading a field is linear even when a quote or a comment is never
//! closed: it then reaches to the end of the field.

use super::work::spend;

/// A position in the value of a field.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    pub(super) fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        spend(0);
        Some(*first)
    }

    /// Takes that many octets, or all that are left.
    pub(super) fn advance(&mut self, octets: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(octets.min(self.rest.len()));
        self.rest = rest;
        spend(taken.len());
        taken
    }

    /// Takes `octet` if it is next.
    pub(super) fn take(&mut self, octet: u8) -> bool {
        let found = self.peek() == Some(octet);
        if found {
            self.next();
        }
        found
    }

    /// The longest run of octets that `belongs` accepts.
    pub(super) fn run(&mut self, belongs: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|o| !belongs(*o));
        let (run, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        spend(run.len());
        run
    }

    /// Skips white space and comments.
    pub(super) fn skip_cfws(&mut self) {
        loop {
            self.run(is_space);
            if !self.take(b'(') {
                return;
            }
            self.comment();
        }
    }

    /// The text of a comment whose `(` was taken; comments inside it keep their parentheses.
    pub(super) fn comment(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        let mut depth = 1_usize;
        while let Some(octet) = self.next() {
            match octet {
                b'\\' => text.extend(self.next()),
                b'(' => {
                    depth += 1;
                    text.push(octet);
                }
                b')' if depth == 1 => break,
                b')' => {
                    depth -= 1;
                    text.push(octet);
                }
                b'\r' | b'\n' => {}
                _ => text.push(octet),
            }
        }
        text
    }

    /// The text of a quoted string whose opening quote was taken, unquoted and unfolded.
    pub(super) fn quoted(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        while let Some(octet) = self.next() {
            match octet {
                b'\\' => text.extend(self.next()),
                b'"' => break,
                b'\r' | b'\n' => {}
                _ => text.push(octet),
            }
        }
        text
    }
}

/// White space of a folded field.
pub(super) fn is_space(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_nest_and_quotes_unquote() {
        let mut cursor = Cursor::new(b" (a (b) \\) c) \"x\\\"y\r\n z\" rest");
        cursor.skip_cfws();
        assert!(cursor.take(b'"'));
        assert_eq!(cursor.quoted(), b"x\"y z");
        assert_eq!(cursor.rest(), b" rest");
    }

    #[test]
    fn an_open_comment_reaches_to_the_end() {
        let mut cursor = Cursor::new(b"(never (closed)");
        cursor.skip_cfws();
        assert_eq!(cursor.peek(), None);
    }
}
