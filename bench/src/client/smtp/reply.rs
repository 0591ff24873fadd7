//! Replies out of a stream, without an allocation each (RFC 5321 §4.2, RFC 2034).

use crate::client::tls::Stream;
use crate::measure::answer::Answer;
use engine::reactor::clock::monotonic_micros;
use std::io::{self, ErrorKind};

/// What was received and not yet read.
pub(crate) struct Replies {
    buffer: Vec<u8>,
    at: usize,
    /// When the last octets came.
    pub(crate) heard_micros: u64,
}

/// The longest reply line that is read; RFC 5321 §4.5.3.1.5 allows 512 octets.
const LINE_BYTES_MAX: usize = 4 << 10;

/// What the replies to a message need; it grows for those that need more.
const BUFFER_BYTES: usize = 512;

impl Replies {
    pub(crate) fn new() -> Replies {
        Replies {
            buffer: Vec::with_capacity(BUFFER_BYTES),
            at: 0,
            heard_micros: monotonic_micros(),
        }
    }

    /// Reads one whole reply.
    pub(crate) async fn next(&mut self, stream: &mut Stream) -> io::Result<Answer> {
        self.next_with(stream, |_| ()).await
    }

    /// As [`Replies::next`], and shows the text of each line.
    pub(crate) async fn next_with(
        &mut self,
        stream: &mut Stream,
        mut show: impl FnMut(&[u8]),
    ) -> io::Result<Answer> {
        loop {
            while let Some(line) = next_line(&self.buffer, &mut self.at) {
                let (answer, is_last, text) = read_line(line).ok_or(ErrorKind::InvalidData)?;
                show(text);
                if is_last {
                    return Ok(answer);
                }
            }
            self.fill(stream).await?;
        }
    }

    /// Forgets what came before TLS began (RFC 3207 §4.2).
    pub(crate) fn forget(&mut self) {
        self.buffer.clear();
        self.at = 0;
    }

    async fn fill(&mut self, stream: &mut Stream) -> io::Result<()> {
        self.buffer.drain(..self.at);
        self.at = 0;
        if self.buffer.len() >= LINE_BYTES_MAX {
            return Err(ErrorKind::InvalidData.into());
        }
        if self.buffer.len() == self.buffer.capacity() {
            self.buffer.reserve(BUFFER_BYTES);
        }
        let received = stream.recv(&mut self.buffer).await?;
        if received == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.heard_micros = monotonic_micros();
        Ok(())
    }
}

/// The next line without its end; `at` moves behind it.
fn next_line<'a>(buffer: &'a [u8], at: &mut usize) -> Option<&'a [u8]> {
    let rest = buffer.get(*at..)?;
    let end = memchr::memchr(b'\n', rest)?;
    *at += end + 1;
    let line = rest.get(..end)?;
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

/// Code and status, whether it is the last line of its reply, and the text behind the code.
fn read_line(line: &[u8]) -> Option<(Answer, bool, &[u8])> {
    let (code, rest) = line.split_at_checked(3)?;
    let digit = |digit: &u8| digit.is_ascii_digit().then(|| u16::from(digit - b'0'));
    let mut number = 0;
    for octet in code {
        number = number * 10 + digit(octet)?;
    }
    let (is_last, text) = match rest {
        [] => (true, rest),
        [b' ', text @ ..] => (true, text),
        [b'-', text @ ..] => (false, text),
        _ => return None,
    };
    Some((Answer::Reply(number, status(number, text)), is_last, text))
}

/// The enhanced status code at the beginning of the text, if it is of the class of the reply.
fn status(code: u16, text: &[u8]) -> [u16; 3] {
    let mut parts = [0u16; 3];
    let word = text
        .split(|octet| *octet == b' ')
        .next()
        .unwrap_or_default();
    let mut fields = word.split(|octet| *octet == b'.');
    for part in &mut parts {
        let field = fields.next().filter(|field| (1..=3).contains(&field.len()));
        let number = field
            .and_then(|field| std::str::from_utf8(field).ok())
            .and_then(|field| field.parse().ok());
        match number {
            Some(number) => *part = number,
            None => return [0; 3],
        }
    }
    match fields.next().is_none() && parts.first() == Some(&(code / 100)) {
        true => parts,
        false => [0; 3],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_apart() {
        let ok = |code, status| Some((Answer::Reply(code, status), true));
        for (line, expected) in [
            (&b"250 2.1.0 fine"[..], ok(250, [2, 1, 0])),
            (b"250", ok(250, [0; 3])),
            (b"354 go on", ok(354, [0; 3])),
            (b"452 4.3.1 full", ok(452, [4, 3, 1])),
            (b"550 2.1.0 odd", ok(550, [0; 3])),
            (b"220 1.2.3.4 ESMTP", ok(220, [0; 3])),
            (b"25x no", None),
            (b"250_no", None),
            (b"", None),
        ] {
            let read = read_line(line).map(|(answer, last, _)| (answer, last));
            assert_eq!(read, expected, "{:?}", String::from_utf8_lossy(line));
        }
        assert!(!read_line(b"250-SIZE 9").unwrap().1);
    }

    #[test]
    fn lines_end_with_lf_and_lose_a_cr() {
        let mut at = 0;
        let buffer = b"a\r\nb\nc";
        assert_eq!(next_line(buffer, &mut at), Some(&b"a"[..]));
        assert_eq!(next_line(buffer, &mut at), Some(&b"b"[..]));
        assert_eq!(next_line(buffer, &mut at), None);
        assert_eq!(at, 5);
    }
}
