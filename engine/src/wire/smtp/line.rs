//! Command lines out of a byte stream: they end with CRLF, and a long one costs no memory.
//!
//! A line is cut at LF, so that a client with bare LFs gets its answer at once, but only CRLF makes
//! it a line that is obeyed (RFC 5321 §2.3.8). What comes out does not depend on how the stream was
//! cut into pieces.

use memchr::memchr;

/// A command line, CRLF included: 512 octets and what the extensions add, the longest being MAIL
/// with AUTH= (500), ENVID= (107), SIZE= (26), BODY= (17), SMTPUTF8 (10) and RET= (9) (RFC 5321
/// §4.5.3.1.4, RFC 4954 §3, RFC 3461 §5).
pub const COMMAND_BYTES_MAX: usize = 2048;

/// Any line: an authentication response, CRLF included.
pub const LINE_BYTES_MAX: usize = crate::wire::sasl::RESPONSE_BYTES_MAX + 64;

/// Octets of one line that are thrown away before the connection is given up.
pub const DISCARD_BYTES_MAX: usize = 1 << 20;

/// A buffer bigger than this is not kept between lines: idle sessions stay small.
const KEPT_BYTES_MAX: usize = 256;

/// Why a line is not obeyed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadLine {
    /// More than [`LINE_BYTES_MAX`]; the rest was thrown away.
    TooLong,
    /// A CR or LF that is not part of CRLF.
    BareLineEnd,
    /// [`DISCARD_BYTES_MAX`] octets without a line end.
    Endless,
}

/// Collects one line at a time.
#[derive(Default, Debug)]
pub struct LineReceiver {
    partial: Vec<u8>,
    /// Octets of the present line so far, kept or not.
    seen: usize,
    /// The line in `partial` was given out.
    taken: bool,
}

impl LineReceiver {
    /// Takes octets up to the first line end: how many, and the line without its CRLF if there was
    /// one.
    pub fn feed<'a>(&'a mut self, bytes: &'a [u8]) -> (usize, Option<Result<&'a [u8], BadLine>>) {
        self.forget_taken();
        let allowed = DISCARD_BYTES_MAX - self.seen;
        let window = bytes.get(..allowed).unwrap_or(bytes);
        let Some(end) = memchr(b'\n', window) else {
            self.keep(window);
            let endless = self.seen >= DISCARD_BYTES_MAX;
            return (window.len(), endless.then_some(Err(BadLine::Endless)));
        };
        let consumed = end + 1;
        let piece = window.get(..consumed).unwrap_or_default();
        if self.seen == 0 {
            // The common case: the whole line is here and nothing is copied.
            return (consumed, Some(judge(piece, piece.len())));
        }
        self.keep(piece);
        self.taken = true;
        (consumed, Some(judge(&self.partial, self.seen)))
    }

    fn keep(&mut self, piece: &[u8]) {
        self.seen += piece.len();
        if self.seen <= LINE_BYTES_MAX {
            self.make_room();
            self.partial.extend_from_slice(piece);
        } else {
            self.partial = Vec::new();
        }
        self.taken = self.seen >= DISCARD_BYTES_MAX;
    }

    /// For `seen` octets: doubled, but never beyond the longest line.
    fn make_room(&mut self) {
        if self.partial.capacity() < self.seen {
            let room = (2 * self.seen).min(LINE_BYTES_MAX);
            self.partial.reserve_exact(room - self.partial.len());
        }
    }

    /// Lets go of a line that was given out. The next [`LineReceiver::feed`] does it anyway; done
    /// at once, an idle session holds no big buffer and no password.
    pub fn forget_taken(&mut self) {
        if self.taken {
            self.taken = false;
            self.seen = 0;
            self.partial.clear();
            if self.partial.capacity() > KEPT_BYTES_MAX {
                self.partial = Vec::new();
            }
        }
    }
}

fn judge(line: &[u8], octets: usize) -> Result<&[u8], BadLine> {
    if octets > LINE_BYTES_MAX {
        return Err(BadLine::TooLong);
    }
    match line.strip_suffix(b"\r\n") {
        Some(content) if memchr(b'\r', content).is_none() => Ok(content),
        _ => Err(BadLine::BareLineEnd),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of `stream` when it comes in pieces of `step` octets.
    fn lines(stream: &[u8], step: usize) -> Vec<Result<Vec<u8>, BadLine>> {
        let mut receiver = LineReceiver::default();
        let mut lines = Vec::new();
        for mut piece in stream.chunks(step) {
            while !piece.is_empty() {
                let (consumed, line) = receiver.feed(piece);
                lines.extend(line.map(|line| line.map(<[u8]>::to_vec)));
                piece = piece.split_at(consumed).1;
            }
        }
        lines
    }

    #[test]
    fn gives_the_same_lines_however_the_stream_is_cut() {
        let long = [vec![b'x'; LINE_BYTES_MAX - 1], b"\r\n".to_vec()].concat();
        let fits = [vec![b'y'; LINE_BYTES_MAX - 2], b"\r\n".to_vec()].concat();
        let stream = [
            b"NOOP\r\n\r\nA\nB\rC\r\n\r\r\n\n",
            &long[..],
            &fits,
            b"QUIT\r\nrest",
        ]
        .concat();
        let whole = lines(&stream, stream.len());
        assert_eq!(whole.len(), 9);
        assert_eq!(
            whole
                .iter()
                .map(|line| line.as_ref().err().copied())
                .collect::<Vec<_>>(),
            [
                None,
                None,
                Some(BadLine::BareLineEnd),
                Some(BadLine::BareLineEnd),
                Some(BadLine::BareLineEnd),
                Some(BadLine::BareLineEnd),
                Some(BadLine::TooLong),
                None,
                None,
            ]
        );
        for step in [1, 2, 3, 7, 100, 4096] {
            assert_eq!(lines(&stream, step), whole, "in steps of {step}");
        }
    }

    #[test]
    fn gives_up_a_line_without_end_at_the_same_octet() {
        let stream = vec![b'x'; DISCARD_BYTES_MAX];
        assert_eq!(lines(&stream, stream.len()), [Err(BadLine::Endless)]);
        assert_eq!(lines(&stream, 1000), [Err(BadLine::Endless)]);
        let almost = [vec![b'x'; DISCARD_BYTES_MAX - 1], b"\n".to_vec()].concat();
        assert_eq!(lines(&almost, almost.len()), [Err(BadLine::TooLong)]);
        assert_eq!(lines(&almost, 1000), [Err(BadLine::TooLong)]);
    }

    #[test]
    fn keeps_no_memory_for_what_it_throws_away() {
        let mut receiver = LineReceiver::default();
        for _ in 0..LINE_BYTES_MAX {
            receiver.feed(b"x");
            assert!(receiver.partial.capacity() <= LINE_BYTES_MAX);
        }
        receiver.feed(b"x");
        assert_eq!(receiver.partial.capacity(), 0);
    }
}
