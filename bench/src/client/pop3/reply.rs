//! Replies out of a stream, and the lines behind them, in bounded memory (RFC 1939 §3).

use crate::client::tls::Stream;
use crate::measure::answer::{Answer, Code, Word};
use engine::reactor::clock::monotonic_micros;
use std::io::{self, ErrorKind};

/// What was received and not yet read, and the last status line.
pub(crate) struct Replies {
    buffer: Vec<u8>,
    at: usize,
    line: Vec<u8>,
    /// When the last octets came.
    pub(crate) heard_micros: u64,
}

/// RFC 2449 §4 allows 512 octets.
const LINE_BYTES_MAX: usize = 4 << 10;

const BUFFER_BYTES: usize = 8 << 10;

/// More behind one reply is a server that has lost its mind.
const LINES_BYTES_MAX: u64 = 1 << 30;

impl Replies {
    pub(crate) fn new() -> Replies {
        Replies {
            buffer: Vec::with_capacity(BUFFER_BYTES),
            at: 0,
            line: Vec::new(),
            heard_micros: monotonic_micros(),
        }
    }

    /// Reads one status line.
    pub(crate) async fn next(&mut self, stream: &mut Stream) -> io::Result<Answer> {
        self.line.clear();
        loop {
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            let end = memchr::memchr(b'\n', rest);
            let part = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            self.line.extend_from_slice(part);
            self.at += part.len() + usize::from(end.is_some());
            if self.line.len() > LINE_BYTES_MAX {
                return Err(ErrorKind::InvalidData.into());
            }
            if end.is_some() {
                return status(self.text()).ok_or_else(|| ErrorKind::InvalidData.into());
            }
            self.fill(stream).await?;
        }
    }

    /// The last status line, without its end.
    pub(crate) fn text(&self) -> &[u8] {
        self.line.strip_suffix(b"\r").unwrap_or(&self.line)
    }

    /// Reads lines up to the dot; how many octets they had.
    pub(crate) async fn lines(&mut self, stream: &mut Stream) -> io::Result<u64> {
        let mut end = Ending::new();
        let mut octets = 0;
        loop {
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            let (read, is_over) = end.read(rest);
            self.at += read;
            octets += read as u64;
            if is_over {
                return Ok(octets.saturating_sub(DOT.len() as u64));
            }
            if octets > LINES_BYTES_MAX {
                return Err(ErrorKind::InvalidData.into());
            }
            self.fill(stream).await?;
        }
    }

    /// Forgets what came before TLS began (RFC 2595 §4).
    pub(crate) fn forget(&mut self) {
        self.buffer.clear();
        self.at = 0;
    }

    /// Receives behind what was read already; all of it was.
    async fn fill(&mut self, stream: &mut Stream) -> io::Result<()> {
        self.buffer.clear();
        self.at = 0;
        self.buffer.reserve(BUFFER_BYTES);
        let received = stream.recv(&mut self.buffer).await?;
        if received == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.heard_micros = monotonic_micros();
        Ok(())
    }
}

/// Looks for `CRLF . CRLF`, however it is cut; the CRLF before the dot may be that of the reply.
struct Ending {
    /// Octets of [`DOT`] that the end of what was read may be the beginning of.
    seen: usize,
}

const DOT: &[u8] = b".\r\n";

impl Ending {
    fn new() -> Ending {
        Ending { seen: 0 }
    }

    /// How many octets are of the lines and their end, and whether that was it.
    fn read(&mut self, octets: &[u8]) -> (usize, bool) {
        let mut read = 0;
        while let Some((octet, rest)) = octets.get(read..).and_then(<[u8]>::split_first) {
            read += 1;
            self.seen = match (self.seen, octet) {
                (seen, octet) if DOT.get(seen) == Some(octet) => seen + 1,
                (_, b'\n') => 0,
                // Only at the beginning of a line may it be the end.
                _ => match memchr::memchr(b'\n', rest) {
                    Some(at) => {
                        read += at + 1;
                        0
                    }
                    None => {
                        read = octets.len();
                        usize::MAX
                    }
                },
            };
            if self.seen == DOT.len() {
                return (read, true);
            }
        }
        (octets.len(), false)
    }
}

/// `+OK …`, `-ERR [CODE] …`.
fn status(line: &[u8]) -> Option<Answer> {
    let end = line.iter().position(|octet| *octet == b' ');
    let (word, rest) = line.split_at(end.unwrap_or(line.len()));
    let word = match word {
        b"+OK" | b"+" => Word::Ok,
        b"-ERR" => Word::Error,
        _ => return None,
    };
    let code = Code::of(rest.strip_prefix(b" ").unwrap_or_default());
    Some(Answer::Word(word, code))
}

/// `+OK 12 34567`.
pub(super) fn first_number(line: &[u8]) -> Option<u32> {
    let mut words = line.split(|octet| *octet == b' ');
    std::str::from_utf8(words.nth(1)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_lines_are_told_apart() {
        let told = |line: &[u8]| status(line).map(|answer| answer.to_string());
        assert_eq!(told(b"+OK 3 400").as_deref(), Some("OK"));
        assert_eq!(
            told(b"-ERR [IN-USE] busy").as_deref(),
            Some("-ERR [IN-USE]")
        );
        assert_eq!(told(b"-ERR").as_deref(), Some("-ERR"));
        for wrong in [&b"220 smtp"[..], b"", b"OK", b"* OK"] {
            assert_eq!(told(wrong), None);
        }
        assert_eq!(first_number(b"+OK 12 34567"), Some(12));
        assert_eq!(first_number(b"+OK many"), None);
    }

    #[test]
    fn the_end_of_lines_is_found_however_they_are_cut() {
        for text in [
            &b".\r\n"[..],
            b"a\r\n.\r\n",
            b"..\r\n.x\r\n. \r\na.\r\n.\r\n",
        ] {
            let more = [text, b"+OK next"].concat();
            for cut in 1..more.len() {
                let mut end = Ending::new();
                let (mut read, mut is_over) = (0, false);
                for part in more.chunks(cut) {
                    if !is_over {
                        let (here, over) = end.read(part);
                        (read, is_over) = (read + here, over);
                    }
                }
                assert!(is_over, "{cut}");
                assert_eq!(read, text.len(), "{cut}");
            }
        }
    }
}
