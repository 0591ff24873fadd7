//! The body of a request as it arrives: counted octets or chunks (RFC 9112 §6, §7.1).
//!
//! ```text
//! Counted(n) ─────────────────────────────────────────▶ Over
//! Size ─ n ─▶ Data(n) ─▶ DataEnd ─▶ Size …  Size ─ 0 ─▶ Trailer ─ empty line ─▶ Over
//! ```

use super::head::Framing;

/// Receives one body, which may have so many octets and no more.
#[derive(Debug)]
pub struct BodyReceiver {
    state: State,
    /// A line of the chunked coding so far.
    line: Vec<u8>,
    taken: u64,
    octets_max: u64,
    trailer_octets: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Counted(u64),
    Size,
    Data(u64),
    DataEnd,
    Trailer,
    Over,
}

/// Why a body is refused. What follows it cannot be told from it: the connection ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodyFault {
    TooLarge,
    Malformed,
}

impl BodyReceiver {
    /// Refuses at once what is declared too large.
    pub fn new(framing: Framing, octets_max: u64) -> Result<BodyReceiver, BodyFault> {
        let state = match framing {
            Framing::Length(0) => State::Over,
            Framing::Length(octets) if octets > octets_max => return Err(BodyFault::TooLarge),
            Framing::Length(octets) => State::Counted(octets),
            Framing::Chunked => State::Size,
        };
        Ok(BodyReceiver {
            state,
            line: Vec::new(),
            taken: 0,
            octets_max,
            trailer_octets: 0,
        })
    }

    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Takes octets of the body, appends what they carry to `out`, and says how many it took: less
    /// than all when the body is over.
    pub fn feed(&mut self, octets: &[u8], out: &mut Vec<u8>) -> Result<usize, BodyFault> {
        let mut at = 0;
        while !self.is_over() && at < octets.len() {
            let rest = octets.get(at..).unwrap_or_default();
            at += match self.state {
                State::Counted(left) => {
                    let taken = self.data(left, rest, out)?;
                    self.state = match left - taken as u64 {
                        0 => State::Over,
                        left => State::Counted(left),
                    };
                    taken
                }
                State::Data(left) => {
                    let taken = self.data(left, rest, out)?;
                    self.state = match left - taken as u64 {
                        0 => State::DataEnd,
                        left => State::Data(left),
                    };
                    taken
                }
                State::Size | State::DataEnd | State::Trailer | State::Over => self.line(rest)?,
            };
        }
        Ok(at)
    }

    fn data(&mut self, left: u64, rest: &[u8], out: &mut Vec<u8>) -> Result<usize, BodyFault> {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
        self.taken += most as u64;
        if self.taken > self.octets_max {
            return Err(BodyFault::TooLarge);
        }
        out.extend_from_slice(rest.get(..most).unwrap_or_default());
        Ok(most)
    }

    /// Takes up to the end of a line, and obeys it when it is whole.
    fn line(&mut self, rest: &[u8]) -> Result<usize, BodyFault> {
        let end = memchr::memchr(b'\n', rest);
        let taken = end.map_or(rest.len(), |at| at + 1);
        self.line
            .extend_from_slice(rest.get(..taken).unwrap_or_default());
        if self.line.len() > LINE_BYTES_MAX {
            return Err(BodyFault::Malformed);
        }
        if end.is_some() {
            let line = std::mem::take(&mut self.line);
            let text = line.strip_suffix(b"\r\n").ok_or(BodyFault::Malformed)?;
            self.obey(text)?;
        }
        Ok(taken)
    }

    fn obey(&mut self, line: &[u8]) -> Result<(), BodyFault> {
        if line.contains(&b'\r') {
            return Err(BodyFault::Malformed);
        }
        self.state = match self.state {
            State::Size => match chunk_size(line)? {
                0 => State::Trailer,
                octets if octets > self.octets_max - self.taken => {
                    return Err(BodyFault::TooLarge);
                }
                octets => State::Data(octets),
            },
            State::DataEnd if line.is_empty() => State::Size,
            State::DataEnd => return Err(BodyFault::Malformed),
            // Fields behind the body are read and forgotten.
            State::Trailer if line.is_empty() => State::Over,
            State::Trailer => {
                self.trailer_octets += line.len();
                if self.trailer_octets > TRAILER_BYTES_MAX {
                    return Err(BodyFault::Malformed);
                }
                State::Trailer
            }
            other => other,
        };
        Ok(())
    }
}

/// Hexadecimal digits, and perhaps an extension, which is ignored.
fn chunk_size(line: &[u8]) -> Result<u64, BodyFault> {
    let size = line
        .split(|octet| *octet == b';')
        .next()
        .unwrap_or_default();
    let size = match size.len() < line.len() {
        true => size.trim_ascii_end(),
        false => size,
    };
    if size.is_empty() || size.len() > 15 || !size.iter().all(u8::is_ascii_hexdigit) {
        return Err(BodyFault::Malformed);
    }
    let text = str::from_utf8(size).map_err(|_| BodyFault::Malformed)?;
    u64::from_str_radix(text, 16).map_err(|_| BodyFault::Malformed)
}

/// A size with its extension, or a field behind the body.
const LINE_BYTES_MAX: usize = 1 << 10;

/// All fields behind the body.
const TRAILER_BYTES_MAX: usize = 8 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(text: &str, step: usize) -> Result<(String, usize, bool), BodyFault> {
        let mut body = BodyReceiver::new(Framing::Chunked, 100)?;
        let (mut out, mut taken) = (Vec::new(), 0);
        for piece in text.as_bytes().chunks(step) {
            taken += body.feed(piece, &mut out)?;
        }
        Ok((String::from_utf8(out).unwrap(), taken, body.is_over()))
    }

    #[test]
    fn chunks_come_together_however_they_are_cut() {
        let text = "5\r\nhello\r\n6;x=\"y\"\r\n world\r\n0\r\nA: b\r\n\r\nGET";
        for step in 1..text.len() {
            let (body, taken, is_over) = receive(text, step).unwrap();
            assert_eq!(
                (body.as_str(), taken, is_over),
                ("hello world", text.len() - 3, true)
            );
        }
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        for text in [
            "5\nhello",
            "\r\n",
            "-1\r\n",
            "0x5\r\nhello\r\n",
            "5 \r\nhello\r\n",
            "5\r\nhelloX\r\n",
            "1\rx\r\n",
            "fffffffffffffffff\r\n",
        ] {
            assert_eq!(receive(text, 3), Err(BodyFault::Malformed), "{text:?}");
        }
        assert_eq!(receive("65\r\n", 9), Err(BodyFault::TooLarge));
        assert_eq!(receive("ffffffffffff\r\n", 9), Err(BodyFault::TooLarge));
        let trailers = format!("0\r\n{}", "A: b\r\n".repeat(3_000));
        assert_eq!(receive(&trailers, 7), Err(BodyFault::Malformed));
    }

    #[test]
    fn a_counted_body_ends_where_it_says() {
        let mut body = BodyReceiver::new(Framing::Length(3), 3).unwrap();
        let mut out = Vec::new();
        assert_eq!(body.feed(b"ab", &mut out), Ok(2));
        assert_eq!(body.feed(b"cGET", &mut out), Ok(1));
        assert!(body.is_over());
        assert_eq!(out, b"abc");
        assert!(BodyReceiver::new(Framing::Length(4), 3).is_err());
    }
}
