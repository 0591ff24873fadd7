//! Replies of a server out of a byte stream (RFC 5321 §4.2, RFC 2034, RFC 3463).
//!
//! ```text
//! reply = *( code "-" [text] (CRLF / LF) )  code [ SP [text] ] (CRLF / LF)
//! ```
//!
//! All lines of a reply have the same code, from 200 to 599. Anything else is [`Nonsense`], from
//! which there is no way back into step: the connection ends. A line has at most
//! [`LINE_BYTES_MAX`] octets and a reply [`LINES_MAX`] lines; text beyond [`TEXT_BYTES_MAX`] is
//! left out. Text is printable ASCII; every other octet becomes `?`. What comes out does not depend
//! on how the stream was cut into pieces.

use memchr::{memchr, memchr2};
use std::fmt;
use std::rc::Rc;

/// One line with its end. RFC 5321 §4.5.3.1.5 allows 512 octets.
pub const LINE_BYTES_MAX: usize = 4096;

/// Lines of one reply; answers to EHLO have some 20.
pub const LINES_MAX: u32 = 128;

/// Text of one reply that is kept, line ends included.
pub const TEXT_BYTES_MAX: usize = 8192;

/// Text of a reply that is kept for a log line or a DSN.
pub const QUOTED_BYTES_MAX: usize = 1000;

/// A buffer bigger than this is not kept between replies.
const KEPT_BYTES_MAX: usize = 512;

/// An enhanced status code: class, subject, detail (RFC 3463 §2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Status(pub u8, pub u16, pub u16);

/// What a server answered, or what stands for an answer that it did not give.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// 200 to 599.
    pub code: u16,
    /// Of the class of the code; `None` where the reply has none that fits.
    pub status: Option<Status>,
    /// Printable ASCII in one line, without code and status; at most [`QUOTED_BYTES_MAX`].
    pub text: Box<str>,
}

/// A whole reply, as long as the next octets are not fed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heard<'a> {
    pub code: u16,
    pub status: Option<Status>,
    text: &'a str,
}

/// Why what came is no reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Nonsense {
    /// A line that does not begin with a code from 200 to 599 and a separator.
    NoCode,
    /// Lines of one reply with different codes.
    CodesDiffer,
    /// More than [`LINE_BYTES_MAX`] octets without a line end.
    LineTooLong,
    /// More than [`LINES_MAX`] lines.
    TooManyLines,
}

/// Collects one reply at a time.
#[derive(Default, Debug)]
pub struct ReplyReceiver {
    /// A line that has not ended.
    partial: Vec<u8>,
    code: u16,
    status: Option<Status>,
    lines: u32,
    /// Texts of the lines so far, each ended by LF.
    text: String,
    /// The reply in `text` was given out.
    is_taken: bool,
}

impl ReplyReceiver {
    /// Takes octets up to the end of the first reply: how many, and the reply if it is whole.
    pub fn feed(&mut self, octets: &[u8]) -> (usize, Option<Result<Heard<'_>, Nonsense>>) {
        self.forget_taken();
        let mut taken = 0;
        while let Some(rest) = octets.get(taken..).filter(|rest| !rest.is_empty()) {
            let (count, line) = self.line(rest);
            taken += count;
            match line {
                Ok(false) => {}
                Ok(true) => {
                    self.is_taken = true;
                    let heard = Heard {
                        code: self.code,
                        status: self.status,
                        text: &self.text,
                    };
                    return (taken, Some(Ok(heard)));
                }
                Err(nonsense) => return (taken, Some(Err(nonsense))),
            }
        }
        (taken, None)
    }

    /// Forgets everything: what came before TLS does not count (RFC 3207 §4.2).
    pub fn reset(&mut self) {
        *self = ReplyReceiver::default();
    }

    /// Whether a reply has begun and not ended.
    #[must_use]
    pub fn is_within(&self) -> bool {
        !self.is_taken && (self.lines > 0 || !self.partial.is_empty())
    }

    /// Lets go of a reply that was given out, and of big buffers.
    pub fn forget_taken(&mut self) {
        if self.is_taken {
            self.is_taken = false;
            self.lines = 0;
            self.text.clear();
            if self.text.capacity() > KEPT_BYTES_MAX {
                self.text = String::new();
            }
        }
    }

    /// Takes octets up to a line end; `true`: the line was the last of its reply.
    fn line(&mut self, octets: &[u8]) -> (usize, Result<bool, Nonsense>) {
        let Some(end) = memchr(b'\n', octets) else {
            if self.partial.len() + octets.len() >= LINE_BYTES_MAX {
                return (octets.len(), Err(Nonsense::LineTooLong));
            }
            self.partial.extend_from_slice(octets);
            return (octets.len(), Ok(false));
        };
        let (line, _) = octets.split_at(end);
        if self.partial.len() + line.len() >= LINE_BYTES_MAX {
            return (end + 1, Err(Nonsense::LineTooLong));
        }
        if self.partial.is_empty() {
            return (end + 1, self.note(line));
        }
        let mut whole = std::mem::take(&mut self.partial);
        whole.extend_from_slice(line);
        let noted = self.note(&whole);
        if whole.capacity() <= KEPT_BYTES_MAX {
            whole.clear();
            self.partial = whole;
        }
        (end + 1, noted)
    }

    fn note(&mut self, line: &[u8]) -> Result<bool, Nonsense> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (code, is_last, text) = split(line).ok_or(Nonsense::NoCode)?;
        if self.lines == 0 {
            self.code = code;
            self.status = status(code, text).map(|(status, _)| status);
        } else if code != self.code {
            return Err(Nonsense::CodesDiffer);
        }
        self.lines += 1;
        if self.lines > LINES_MAX {
            return Err(Nonsense::TooManyLines);
        }
        if self.text.len() + text.len() < TEXT_BYTES_MAX {
            push_printable(text, &mut self.text);
            self.text.push('\n');
        }
        Ok(is_last)
    }
}

impl Heard<'_> {
    /// The first digit.
    #[must_use]
    pub fn class(&self) -> u16 {
        self.code / 100
    }

    /// The texts behind the codes, line by line.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.lines()
    }

    /// The reply to keep.
    #[must_use]
    pub fn keep(&self) -> Rc<Reply> {
        let mut text = String::with_capacity(self.text.len().min(QUOTED_BYTES_MAX));
        for line in self.lines() {
            // RFC 2034 §4: each line repeats the status; once is enough.
            let (found, line) = match status(self.code, line.as_bytes()) {
                Some((found, length)) => (Some(found), line.get(length..).unwrap_or_default()),
                None => (None, line),
            };
            debug_assert!(found.is_none_or(|found| u16::from(found.0) == self.class()));
            let words = line.trim();
            if !words.is_empty() && !text.is_empty() {
                text.push(' ');
            }
            text.push_str(words);
        }
        // ASCII: every octet is a character.
        text.truncate(QUOTED_BYTES_MAX);
        Rc::new(Reply {
            code: self.code,
            status: self.status,
            text: text.into_boxed_str(),
        })
    }
}

impl Reply {
    /// A reply in our own words.
    #[must_use]
    pub fn own(code: u16, status: Status, text: &str) -> Rc<Reply> {
        let mut safe = String::with_capacity(text.len().min(QUOTED_BYTES_MAX));
        push_printable(text.as_bytes(), &mut safe);
        safe.truncate(QUOTED_BYTES_MAX);
        Rc::new(Reply {
            code,
            status: Some(status),
            text: safe.into_boxed_str(),
        })
    }

    /// The first digit.
    #[must_use]
    pub fn class(&self) -> u16 {
        self.code / 100
    }

    /// For a DSN: the status, or `x.0.0` of the class of the code.
    #[must_use]
    pub fn status_or_class(&self) -> Status {
        let class = u8::try_from(self.class()).unwrap_or(4);
        self.status.unwrap_or(Status(class, 0, 0))
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(status) = self.status {
            write!(f, " {status}")?;
        }
        if !self.text.is_empty() {
            write!(f, " {}", self.text)?;
        }
        Ok(())
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl fmt::Display for Nonsense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Nonsense::NoCode => "a line without a reply code",
            Nonsense::CodesDiffer => "a reply with two codes",
            Nonsense::LineTooLong => "a reply line without an end",
            Nonsense::TooManyLines => "a reply without an end",
        })
    }
}

/// Code, whether it is the last line, and the text of a line.
fn split(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (&[a @ b'2'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9'], rest) = line.split_first_chunk()?
    else {
        return None;
    };
    let digit = |octet: u8| u16::from(octet - b'0');
    let code = digit(a) * 100 + digit(b) * 10 + digit(c);
    match rest {
        [] => Some((code, true, rest)),
        [b' ' | b'\t', text @ ..] => Some((code, true, text)),
        [b'-', text @ ..] => Some((code, false, text)),
        _ => None,
    }
}

/// The enhanced status code at the beginning of a text and its length, if it is of the class of the
/// code.
fn status(code: u16, text: &[u8]) -> Option<(Status, usize)> {
    let length = memchr2(b' ', b'\t', text).unwrap_or(text.len());
    let word = text.get(..length.min(STATUS_BYTES_MAX + 1))?;
    let word = str::from_utf8(word).ok()?;
    let mut fields = word.split('.').map(|field| {
        let is_number = (1..=3).contains(&field.len()) && field.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| field.parse::<u16>().ok()).flatten()
    });
    let (class, subject, detail) = (fields.next()??, fields.next()??, fields.next()??);
    if fields.next().is_some() || class != code / 100 {
        return None;
    }
    Some((Status(u8::try_from(class).ok()?, subject, detail), length))
}

/// `2.999.999`.
const STATUS_BYTES_MAX: usize = 9;

fn push_printable(text: &[u8], into: &mut String) {
    let printable = |octet: u8| matches!(octet, b' '..=b'~');
    match str::from_utf8(text) {
        Ok(text) if text.bytes().all(printable) => into.push_str(text),
        _ => into.extend(text.iter().map(|&octet| match octet {
            b'\t' => ' ',
            octet if printable(octet) => char::from(octet),
            _ => '?',
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Judged = Result<Reply, Nonsense>;

    /// The replies in `stream` when it comes in the given pieces, up to the first nonsense.
    fn replies<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Judged> {
        let mut receiver = ReplyReceiver::default();
        let mut heard = Vec::new();
        for mut piece in pieces {
            while !piece.is_empty() {
                let (taken, reply) = receiver.feed(piece);
                assert!(taken > 0, "it takes something");
                let reply = reply.map(|reply| reply.map(|heard| (*heard.keep()).clone()));
                let is_over = matches!(reply, Some(Err(_)));
                heard.extend(reply);
                if is_over {
                    return heard;
                }
                piece = &piece[taken..];
            }
        }
        heard
    }

    fn one(stream: &[u8]) -> Judged {
        let heard = replies([stream]);
        assert_eq!(heard.len(), 1, "{heard:?}");
        heard.into_iter().next().unwrap()
    }

    #[test]
    fn replies_are_taken_apart() {
        for (stream, shown) in [
            (&b"250 2.1.0 fine\r\n"[..], "250 2.1.0 fine"),
            (b"550\r\n", "550"),
            (b"550 \n", "550"),
            (b"354 go on\n", "354 go on"),
            (b"550 2.1.0 odd class\r\n", "550 2.1.0 odd class"),
            (b"220 1.2.3.4 ESMTP\r\n", "220 1.2.3.4 ESMTP"),
            (
                b"550-5.7.1 no\r\n550-\r\n550 5.7.1 never\r\n",
                "550 5.7.1 no never",
            ),
            (b"421 4.3.2\tdown\r\n", "421 4.3.2 down"),
            (b"550 a\0b\x1b[2Jc\xff\r\n", "550 a?b?[2Jc?"),
            (b"550 \xe4\xbd\xa0\r\n", "550 ???"),
            (b"450 a\rb\r\n", "450 a?b"),
        ] {
            let reply = one(stream).unwrap();
            assert_eq!(reply.to_string(), shown);
        }
        assert_eq!(one(b"550 2.1.0 odd\r\n").unwrap().status, None);
        assert_eq!(
            one(b"452 4.5.3 many\r\n").unwrap().status,
            Some(Status(4, 5, 3))
        );
        assert_eq!(
            one(b"450 x\r\n").unwrap().status_or_class(),
            Status(4, 0, 0)
        );
    }

    #[test]
    fn nonsense_is_called_so() {
        for (stream, why) in [
            (&b"\r\n"[..], Nonsense::NoCode),
            (b"25\r\n", Nonsense::NoCode),
            (b"25x no\r\n", Nonsense::NoCode),
            (b"250_no\r\n", Nonsense::NoCode),
            (b"2500 no\r\n", Nonsense::NoCode),
            (b"150 no\r\n", Nonsense::NoCode),
            (b"600 no\r\n", Nonsense::NoCode),
            (b"HTTP/1.1 400 Bad Request\r\n", Nonsense::NoCode),
            (b"250-a\r\n251 b\r\n", Nonsense::CodesDiffer),
        ] {
            assert_eq!(
                one(stream),
                Err(why),
                "{:?}",
                String::from_utf8_lossy(stream)
            );
        }
        let long = [b"250 ".to_vec(), vec![b'x'; LINE_BYTES_MAX]].concat();
        assert_eq!(one(&long), Err(Nonsense::LineTooLong));
        let many = b"250-x\r\n".repeat(LINES_MAX as usize + 1);
        assert_eq!(one(&many), Err(Nonsense::TooManyLines));
    }

    #[test]
    fn a_line_without_end_costs_no_memory() {
        let mut receiver = ReplyReceiver::default();
        let piece = vec![b'5'; 1000];
        let mut octets = 0;
        while let (taken, None) = receiver.feed(&piece) {
            octets += taken;
            assert!(octets <= LINE_BYTES_MAX);
        }
        assert!(receiver.partial.capacity() <= 2 * LINE_BYTES_MAX);
    }

    #[test]
    fn text_is_bounded_and_buffers_are_let_go() {
        let mut receiver = ReplyReceiver::default();
        let stream = [
            b"250-".to_vec(),
            vec![b'x'; 4000],
            b"\r\n250-".to_vec(),
            vec![b'y'; 4000],
            b"\r\n250-".to_vec(),
            vec![b'z'; 4000],
            b"\r\n250 end\r\n".to_vec(),
        ]
        .concat();
        let (taken, heard) = receiver.feed(&stream);
        let heard = heard.unwrap().unwrap();
        assert_eq!(taken, stream.len());
        assert!(heard.text.len() <= TEXT_BYTES_MAX);
        assert_eq!(heard.keep().text.len(), QUOTED_BYTES_MAX);
        assert!(!receiver.is_within());
        receiver.forget_taken();
        assert!(receiver.text.capacity() + receiver.partial.capacity() <= 2 * KEPT_BYTES_MAX);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(
            stream in proptest::collection::vec(
                prop_oneof![
                    Just(b"250 ok\r\n".to_vec()),
                    Just(b"250-2.0.0 a\r\n".to_vec()),
                    Just(b"421 4.3.2 bye\n".to_vec()),
                    Just(b"550-5.1.1 x\r\n550 5.1.1 y\r\n".to_vec()),
                    Just(b"250".to_vec()),
                    Just(b"\r\n".to_vec()),
                    proptest::collection::vec(any::<u8>(), 0..8),
                ],
                0..12,
            ).prop_map(|pieces| pieces.concat()),
            cuts in proptest::collection::vec(1usize..9, 1..20),
        ) {
            let whole = replies([&stream[..]]);
            let mut pieces = Vec::new();
            let mut rest = &stream[..];
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (piece, behind) = rest.split_at((*cut).min(rest.len()));
                pieces.push(piece);
                rest = behind;
            }
            prop_assert_eq!(&replies(pieces), &whole);
            for reply in whole.into_iter().flatten() {
                prop_assert!((200..600).contains(&reply.code));
                prop_assert!(reply.text.bytes().all(|b| matches!(b, b' '..=b'~')));
            }
        }
    }
}
