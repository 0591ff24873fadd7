//! The small pieces of the formal syntax: atoms, strings, numbers, lists (RFC 9051 §9).
//!
//! The cursor runs over one whole command, literals in place behind their announcements. Strict as
//! RFC 9051 §2.2.1 asks: one space is one space. Nothing is copied but quoted strings with escapes.

use std::borrow::Cow;

use super::fault::{Fault, Parse};
use super::literal::{Marker, number63};

/// What of a command is not yet read.
#[derive(Clone)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    /// RFC 9051 §4.3, RFC 6855 §3: UTF-8 is allowed in quoted strings and mailbox names.
    pub utf8: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(rest: &'a [u8], utf8: bool) -> Cursor<'a> {
        Cursor { rest, utf8 }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Steps over `octet` if it is the next one.
    pub(super) fn eat(&mut self, octet: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == octet => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    pub(super) fn want(&mut self, octet: u8, expected: &'static str) -> Parse<()> {
        if self.eat(octet) {
            return Ok(());
        }
        Err(Fault::Syntax(expected))
    }

    pub(super) fn space(&mut self) -> Parse<()> {
        self.want(b' ', "Expected a space and an argument")
    }

    pub(super) fn open(&mut self) -> Parse<()> {
        self.want(b'(', "Expected an opening parenthesis")
    }

    pub(super) fn close(&mut self) -> Parse<()> {
        self.want(b')', "Expected a closing parenthesis")
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Nothing may be left of the command.
    pub(super) fn end(&self) -> Parse<()> {
        if self.is_at_end() {
            return Ok(());
        }
        Err(Fault::Syntax("Too many arguments"))
    }

    pub(super) fn take_while(&mut self, belongs: impl Fn(u8) -> bool) -> &'a [u8] {
        let count = self.rest.iter().take_while(|b| belongs(**b)).count();
        self.take(count).unwrap_or_default()
    }

    /// The next `count` octets, if there are that many.
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    /// `1*<char of the class>`, always ASCII.
    fn run(&mut self, belongs: impl Fn(u8) -> bool, expected: &'static str) -> Parse<&'a str> {
        let run = self.take_while(|b| b.is_ascii() && belongs(b));
        if run.is_empty() {
            return Err(Fault::Syntax(expected));
        }
        std::str::from_utf8(run).map_err(|_| Fault::Syntax(expected))
    }

    pub(super) fn atom(&mut self) -> Parse<&'a str> {
        self.run(is_atom_char, "Expected an atom")
    }

    pub(super) fn tag(&mut self) -> Parse<&'a str> {
        self.run(|b| is_astring_char(b) && b != b'+', "Expected a tag")
    }

    /// A word of the protocol in upper case; one that is too long to be any is empty.
    pub(super) fn word(&mut self) -> Word {
        Word::new(self.take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.')))
    }

    pub(super) fn astring(&mut self) -> Parse<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            _ => {
                let atom = self.run(is_astring_char, "Expected a string")?;
                Ok(Cow::Borrowed(atom.as_bytes()))
            }
        }
    }

    /// list-mailbox: an astring that may hold wildcards.
    pub(super) fn list_mailbox(&mut self) -> Parse<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            _ => {
                let run = self.run(is_list_char, "Expected a mailbox pattern")?;
                Ok(Cow::Borrowed(run.as_bytes()))
            }
        }
    }

    pub(super) fn string(&mut self) -> Parse<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal().map(Cow::Borrowed),
            _ => Err(Fault::Syntax("Expected a quoted string or a literal")),
        }
    }

    /// `None` is `NIL`.
    pub(super) fn nstring(&mut self) -> Parse<Option<Cow<'a, [u8]>>> {
        match self.peek() {
            Some(b'"' | b'{') => self.string().map(Some),
            _ if self.word().is("NIL") => Ok(None),
            _ => Err(Fault::Syntax("Expected a string or NIL")),
        }
    }

    fn quoted(&mut self) -> Parse<Cow<'a, [u8]>> {
        const UNTERMINATED: Fault = Fault::Syntax("Unterminated quoted string");
        self.want(b'"', "Expected a quoted string")?;
        let mut text: Cow<'a, [u8]> = Cow::Borrowed(&[]);
        loop {
            let stop = memchr::memchr2(b'"', b'\\', self.rest).ok_or(UNTERMINATED)?;
            let piece = self.take(stop).ok_or(UNTERMINATED)?;
            match &mut text {
                Cow::Borrowed([]) => text = Cow::Borrowed(piece),
                text => text.to_mut().extend_from_slice(piece),
            }
            if self.eat(b'"') {
                break;
            }
            self.want(b'\\', "Expected a quoted string")?;
            match self.take(1) {
                Some(&[escaped @ (b'"' | b'\\')]) => text.to_mut().push(escaped),
                _ => return Err(Fault::Syntax("Only \\ and \" can be escaped")),
            }
        }
        self.check_quoted(&text)?;
        Ok(text)
    }

    /// TEXT-CHAR, and UTF-8 where it was enabled (RFC 9051 §4.3).
    fn check_quoted(&self, text: &[u8]) -> Parse<()> {
        if text.iter().any(|b| matches!(b, 0 | b'\r' | b'\n')) {
            return Err(Fault::Syntax("NUL, CR or LF in a quoted string"));
        }
        if text.is_ascii() || (self.utf8 && std::str::from_utf8(text).is_ok()) {
            return Ok(());
        }
        Err(Fault::Syntax("Octets above 127 belong in a literal"))
    }

    fn literal(&mut self) -> Parse<&'a [u8]> {
        let marker = self.marker()?;
        let octets = marker.octets.and_then(|n| usize::try_from(n).ok());
        let octets = octets.ok_or(Fault::LiteralTooLarge)?;
        let text = self.take(octets).ok_or(Fault::Unfinished)?;
        // CHAR8 is 1 to 255 (RFC 9051 §9); NUL belongs in a literal8.
        if memchr::memchr(0, text).is_some() {
            return Err(Fault::Syntax("NUL in a literal"));
        }
        Ok(text)
    }

    /// `{n}` or `{n+}` and its CRLF; the `~` of a literal8 is the caller's.
    pub(super) fn marker(&mut self) -> Parse<Marker> {
        self.want(b'{', "Expected a literal")?;
        let digits = self.take_while(|b| b.is_ascii_digit());
        if digits.is_empty() {
            return Err(Fault::Syntax("Expected the size of a literal"));
        }
        let non_synchronizing = self.eat(b'+');
        self.want(b'}', "Expected the end of a literal's size")?;
        if self.take(2) != Some(b"\r\n") {
            return Err(Fault::Unfinished);
        }
        Ok(Marker {
            octets: number63(digits),
            non_synchronizing,
            binary: false,
        })
    }

    /// number64: up to 63 bits.
    pub(super) fn number64(&mut self) -> Parse<u64> {
        let digits = self.take_while(|b| b.is_ascii_digit());
        if digits.is_empty() {
            return Err(Fault::Syntax("Expected a number"));
        }
        number63(digits).ok_or(Fault::Syntax("Number too large"))
    }

    /// nz-number: 32 bits, not zero, no zero in front.
    pub(super) fn nz_number(&mut self) -> Parse<u32> {
        const NOT_NZ: Fault = Fault::Syntax("Expected a number from 1 to 4294967295");
        if self.peek() == Some(b'0') {
            return Err(NOT_NZ);
        }
        u32::try_from(self.number64()?).map_err(|_| NOT_NZ)
    }

    /// `"(" [item *(SP item)] ")"` with at most `max` items.
    pub(super) fn list<T>(
        &mut self,
        max: usize,
        too_many: &'static str,
        mut item: impl FnMut(&mut Cursor<'a>) -> Parse<T>,
    ) -> Parse<Vec<T>> {
        self.open()?;
        let mut items = Vec::new();
        if self.eat(b')') {
            return Ok(items);
        }
        loop {
            if items.len() == max {
                return Err(Fault::TooMany(too_many));
            }
            items.push(item(self)?);
            if self.eat(b')') {
                return Ok(items);
            }
            self.want(b' ', "Expected a space or a closing parenthesis")?;
        }
    }
}

/// A word of the protocol in upper case, without a trip to the heap.
#[derive(Clone, Copy)]
pub(super) struct Word {
    octets: [u8; Word::BYTES_MAX],
    length: usize,
}

impl Word {
    /// `HEADER.FIELDS.NOT` has 17.
    const BYTES_MAX: usize = 24;

    fn new(text: &[u8]) -> Word {
        let mut octets = [0; Word::BYTES_MAX];
        let mut length = 0;
        if let Some(place) = octets.get_mut(..text.len()) {
            place.copy_from_slice(text);
            place.make_ascii_uppercase();
            length = text.len();
        }
        Word { octets, length }
    }

    pub(super) fn as_str(&self) -> &str {
        let octets = self.octets.get(..self.length).unwrap_or_default();
        std::str::from_utf8(octets).unwrap_or_default()
    }

    pub(super) fn is(&self, word: &str) -> bool {
        self.as_str() == word
    }
}

/// ATOM-CHAR: any CHAR except atom-specials.
pub(super) fn is_atom_char(octet: u8) -> bool {
    octet.is_ascii_graphic()
        && !matches!(
            octet,
            b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']'
        )
}

/// ASTRING-CHAR: ATOM-CHAR and `]`.
pub(super) fn is_astring_char(octet: u8) -> bool {
    is_atom_char(octet) || octet == b']'
}

/// list-char: ASTRING-CHAR and the wildcards.
fn is_list_char(octet: u8) -> bool {
    is_astring_char(octet) || matches!(octet, b'%' | b'*')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn quoted(text: &[u8], utf8: bool) -> Parse<Vec<u8>> {
        Cursor::new(text, utf8).string().map(Cow::into_owned)
    }

    #[test]
    fn quoted_strings() {
        assert_eq!(quoted(br#""""#, false).unwrap(), b"");
        assert_eq!(quoted(br#""a b""#, false).unwrap(), b"a b");
        assert_eq!(quoted(br#""\"a\\b\"""#, false).unwrap(), br#""a\b""#);
        assert!(quoted(br#""a"#, false).is_err());
        assert!(quoted(br#""a\"#, false).is_err());
        assert!(quoted(br#""a\n""#, false).is_err());
        assert!(quoted(b"\"a\0\"", true).is_err());
        assert!(quoted(b"\"a\rb\"", true).is_err());
    }

    #[test]
    fn utf8_in_quotes_only_where_it_was_enabled() {
        assert_eq!(quoted("\"é\"".as_bytes(), true).unwrap(), "é".as_bytes());
        assert!(quoted("\"é\"".as_bytes(), false).is_err());
        assert!(quoted(b"\"\xe9\"", true).is_err());
    }

    #[test]
    fn literals_stand_in_place() {
        assert_eq!(quoted(b"{3}\r\na\"b", false).unwrap(), b"a\"b");
        assert_eq!(quoted(b"{0+}\r\n", false).unwrap(), b"");
        assert_eq!(quoted(b"{3}\r\nab", false), Err(Fault::Unfinished));
        assert_eq!(quoted(b"{3}ab", false), Err(Fault::Unfinished));
        assert!(quoted(b"{3}\r\na\0b", false).is_err());
        assert!(quoted(b"{}\r\n", false).is_err());
        assert_eq!(
            quoted(b"{99999999999999999999}\r\n", false),
            Err(Fault::LiteralTooLarge)
        );
    }

    #[test]
    fn numbers_have_their_width() {
        let nz = |text: &[u8]| Cursor::new(text, false).nz_number().ok();
        assert_eq!(nz(b"4294967295"), Some(u32::MAX));
        assert_eq!(nz(b"4294967296"), None);
        assert_eq!(nz(b"0"), None);
        assert_eq!(nz(b"01"), None);
        assert_eq!(nz(b""), None);
    }

    #[test]
    fn a_word_too_long_is_none() {
        assert!(
            Cursor::new(b"header.fields.not", false)
                .word()
                .is("HEADER.FIELDS.NOT")
        );
        assert!(Cursor::new(&[b'A'; 25], false).word().is(""));
    }
}
