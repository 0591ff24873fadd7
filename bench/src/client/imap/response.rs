//! Responses out of a stream, of any length in bounded memory (RFC 3501 §7, RFC 9051 §7).
//!
//! ```text
//! text {n} CRLF  n octets  text {m} CRLF  m octets … text CRLF
//! ```
//!
//! The text is kept without the literals, and without its middle where it is long: what the tool
//! reads of a response stands at its beginning. Literals are shown as they come and never kept.

use crate::client::tls::Stream;
use crate::measure::answer::{Answer, Code, Word};
use engine::reactor::clock::monotonic_micros;
use std::io::{self, ErrorKind};

/// Told of what is read.
pub(crate) trait Listener {
    /// The next octets of a literal.
    fn piece(&mut self, _octets: &[u8]) {}

    /// The text of a whole untagged response, and when its end came.
    fn untagged(&mut self, _text: &[u8], _heard_micros: u64) {}
}

/// Listens to nothing.
pub(crate) struct Nobody;

impl Listener for Nobody {}

/// What was received and not yet read, and the text of the last response.
pub(crate) struct Responses {
    buffer: Vec<u8>,
    at: usize,
    text: Vec<u8>,
    /// Of the last response, literals included.
    pub(crate) octets: u64,
    /// When the last octets came.
    pub(crate) heard_micros: u64,
}

/// What a response is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Tagged(Answer),
    Continue,
    Untagged,
}

/// A buffer that a silent connection keeps, and one through which long responses flow.
const BUFFER_BYTES: usize = 512;
const FLOW_BYTES: usize = 64 << 10;

/// A text longer than this loses its middle; so much of its beginning stays.
const TEXT_BYTES_MAX: usize = 4 << 10;
const TEXT_BYTES_KEPT: usize = 2 << 10;

/// Longer ones are a server that has lost its mind.
const RESPONSE_BYTES_MAX: u64 = 1 << 30;

const _: () = assert!(TEXT_BYTES_KEPT + TAIL_BYTES < TEXT_BYTES_MAX);

impl Responses {
    pub(crate) fn new() -> Responses {
        Responses {
            buffer: Vec::with_capacity(BUFFER_BYTES),
            at: 0,
            text: Vec::new(),
            octets: 0,
            heard_micros: monotonic_micros(),
        }
    }

    /// Reads one whole response.
    pub(crate) async fn next(
        &mut self,
        stream: &mut Stream,
        listener: &mut impl Listener,
    ) -> io::Result<()> {
        self.text.clear();
        self.octets = 0;
        loop {
            self.read_line(stream).await?;
            match literal(&self.text) {
                Some(octets) => self.read_literal(stream, octets, listener).await?,
                None => return Ok(()),
            }
        }
    }

    /// The text of the last response.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Forgets what came before TLS began (RFC 9051 §6.2.1).
    pub(crate) fn forget(&mut self) {
        self.buffer.clear();
        self.at = 0;
    }

    /// Gives memory back before a long silence.
    pub(crate) fn shrink(&mut self) {
        self.text = Vec::new();
        if self.buffer.len() == self.at && self.buffer.capacity() > BUFFER_BYTES {
            self.buffer = Vec::with_capacity(BUFFER_BYTES);
            self.at = 0;
        }
    }

    async fn read_line(&mut self, stream: &mut Stream) -> io::Result<()> {
        loop {
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            let end = memchr::memchr(b'\n', rest);
            let part = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            keep(&mut self.text, part);
            let read = part.len() + usize::from(end.is_some());
            self.at += read;
            self.count(read)?;
            if end.is_some() {
                if self.text.last() == Some(&b'\r') {
                    self.text.pop();
                }
                return Ok(());
            }
            self.fill(stream, BUFFER_BYTES).await?;
        }
    }

    async fn read_literal(
        &mut self,
        stream: &mut Stream,
        octets: u64,
        listener: &mut impl Listener,
    ) -> io::Result<()> {
        let mut left = octets;
        while left > 0 {
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            let most = usize::try_from(left).unwrap_or(usize::MAX);
            let part = rest.get(..most).unwrap_or(rest);
            listener.piece(part);
            let read = part.len();
            self.at += read;
            left -= read as u64;
            self.count(read)?;
            if left > 0 {
                self.fill(stream, FLOW_BYTES).await?;
            }
        }
        // In the literal's place, so that its size is not read again.
        self.text.push(b' ');
        Ok(())
    }

    fn count(&mut self, octets: usize) -> io::Result<()> {
        self.octets += octets as u64;
        match self.octets > RESPONSE_BYTES_MAX {
            true => Err(ErrorKind::InvalidData.into()),
            false => Ok(()),
        }
    }

    /// Receives behind what was read already; all of it was.
    async fn fill(&mut self, stream: &mut Stream, room_bytes: usize) -> io::Result<()> {
        let was_full = self.buffer.len() == self.buffer.capacity();
        let room_bytes = if was_full { FLOW_BYTES } else { room_bytes };
        self.buffer.clear();
        self.at = 0;
        self.buffer.reserve(room_bytes);
        let received = stream.recv(&mut self.buffer).await?;
        if received == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.heard_micros = monotonic_micros();
        Ok(())
    }
}

/// What a text is to a client whose last command had `tag`.
pub(crate) fn kind(text: &[u8], tag: u32) -> io::Result<Kind> {
    if text.starts_with(b"* ") {
        return Ok(Kind::Untagged);
    }
    if text.starts_with(b"+") {
        return Ok(Kind::Continue);
    }
    let mut digits = itoa::Buffer::new();
    let rest = text
        .strip_prefix(b"a")
        .and_then(|rest| rest.strip_prefix(digits.format(tag).as_bytes()))
        .and_then(|rest| rest.strip_prefix(b" "));
    let answer = rest.and_then(status);
    let answer = answer.ok_or(ErrorKind::InvalidData)?;
    Ok(Kind::Tagged(answer))
}

/// `OK …`, `NO [CODE] …`, `BAD …`, `BYE …`.
pub(crate) fn status(text: &[u8]) -> Option<Answer> {
    let end = text.iter().position(|octet| *octet == b' ');
    let (word, rest) = text.split_at(end.unwrap_or(text.len()));
    let word = match word.to_ascii_uppercase().as_slice() {
        b"OK" | b"PREAUTH" => Word::Ok,
        b"NO" => Word::No,
        b"BAD" => Word::Bad,
        b"BYE" => Word::Bye,
        _ => return None,
    };
    let code = Code::of(rest.strip_prefix(b" ").unwrap_or_default());
    Some(Answer::Word(word, code))
}

/// `* 12 EXISTS`: the number and what it is of.
pub(crate) fn numbered(text: &[u8]) -> Option<(u32, &[u8])> {
    let mut rest = text.strip_prefix(b"* ")?;
    let mut number: Option<u32> = None;
    while let Some((digit, behind)) = rest
        .split_first()
        .filter(|(octet, _)| octet.is_ascii_digit())
    {
        let digit = u32::from(digit - b'0');
        number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(digit)?);
        rest = behind;
    }
    Some((number?, rest.strip_prefix(b" ")?))
}

/// The number behind `name`, as in `* 3 FETCH (UID 17 …`.
pub(crate) fn number_behind(text: &[u8], name: &[u8]) -> Option<u32> {
    let at = memchr::memmem::find(text, name)?;
    let rest = text.get(at + name.len()..)?;
    let end = rest.iter().position(|octet| !octet.is_ascii_digit());
    let digits = rest.get(..end.unwrap_or(rest.len()))?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn keep(text: &mut Vec<u8>, part: &[u8]) {
    text.extend_from_slice(part);
    if text.len() > TEXT_BYTES_MAX {
        text.drain(TEXT_BYTES_KEPT..text.len() - TAIL_BYTES);
    }
}

/// `{n}` at the end of a line with its CR fits.
const TAIL_BYTES: usize = 32;

/// The size of the literal that a line announces at its end.
fn literal(text: &[u8]) -> Option<u64> {
    let text = text.strip_suffix(b"}")?;
    let start = memchr::memrchr(b'{', text)?;
    let digits = text.get(start + 1..)?;
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits)
        .ok()
        .filter(|_| plain)?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_told_apart() {
        let tagged = |text: &[u8]| kind(text, 7).ok();
        assert_eq!(tagged(b"* 3 EXISTS"), Some(Kind::Untagged));
        assert_eq!(tagged(b"+ idling"), Some(Kind::Continue));
        let full = Answer::Word(Word::No, Code::of(b"[OVERQUOTA]"));
        assert_eq!(tagged(b"a7 NO [OVERQUOTA] no"), Some(Kind::Tagged(full)));
        let fine = Answer::Word(Word::Ok, Code::default());
        assert_eq!(tagged(b"a7 ok"), Some(Kind::Tagged(fine)));
        for wrong in [
            &b"a8 OK"[..],
            b"a7",
            b"a7 WHAT",
            b"220 smtp",
            b"",
            b"a77 OK",
        ] {
            assert!(kind(wrong, 7).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn numbers_are_found() {
        assert_eq!(numbered(b"* 12 EXISTS"), Some((12, &b"EXISTS"[..])));
        assert_eq!(numbered(b"* OK done"), None);
        assert_eq!(numbered(b"* 99999999999 EXISTS"), None);
        assert_eq!(number_behind(b"* 1 FETCH (UID 17 X", b"(UID "), Some(17));
        assert_eq!(number_behind(b"* 1 FETCH (FLAGS ())", b"UID "), None);
    }

    #[test]
    fn literals_are_announced_at_the_end_of_a_line_only() {
        assert_eq!(literal(b"* 1 FETCH (BODY[] {310}"), Some(310));
        for none in [
            &b"* {3} x"[..],
            b"{}",
            b"{a}",
            b"{-1}",
            b"{99999999999999999999}",
        ] {
            assert_eq!(literal(none), None, "{none:?}");
        }
    }

    #[test]
    fn a_long_text_keeps_its_ends() {
        let mut text = b"* SEARCH 1 2".to_vec();
        for _ in 0..10_000 {
            keep(&mut text, b" 123456");
        }
        keep(&mut text, b" {12}");
        assert!(text.len() <= TEXT_BYTES_MAX && text.starts_with(b"* SEARCH 1 2 1234"));
        assert_eq!(literal(&text), Some(12));
    }
}
