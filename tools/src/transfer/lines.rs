//! Runs of octets: lines in bounded pieces, CRLF for LF, and the quoting of From_ lines.
//!
//! Each of the filters takes octets cut anywhere and keeps a few of them at most.

use memchr::memchr;
use std::io::{self, BufRead};

/// A line, or a piece of a long one.
pub(crate) struct Piece<'a> {
    /// With its LF, if it has one.
    pub(crate) octets: &'a [u8],
    /// Where it begins in the file.
    pub(crate) offset: u64,
    /// It begins a line.
    pub(crate) begins: bool,
}

/// Cuts a file into lines, and lines into pieces of at most `PIECE_BYTES_MAX`. A piece does not end
/// between CR and LF.
pub(crate) struct Lines<R> {
    reader: R,
    piece: Vec<u8>,
    next: u64,
    /// A CR that was read and belongs to the next piece.
    owes_cr: bool,
    begins: bool,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(reader: R) -> Lines<R> {
        Lines {
            reader,
            piece: Vec::new(),
            next: 0,
            owes_cr: false,
            begins: true,
        }
    }

    /// Where the next piece begins.
    pub(crate) fn offset(&self) -> u64 {
        self.next
    }

    pub(crate) fn next(&mut self) -> io::Result<Option<Piece<'_>>> {
        self.piece.clear();
        if std::mem::take(&mut self.owes_cr) {
            self.piece.push(b'\r');
        }
        while self.piece.last() != Some(&b'\n') && self.piece.len() < PIECE_BYTES_MAX {
            let buffer = match self.reader.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if buffer.is_empty() {
                break;
            }
            let room = (PIECE_BYTES_MAX - self.piece.len()).min(buffer.len());
            let line = buffer.get(..room).unwrap_or_default();
            let taken = memchr(b'\n', line).map_or(line.len(), |at| at + 1);
            self.piece
                .extend_from_slice(line.get(..taken).unwrap_or_default());
            self.reader.consume(taken);
        }
        if self.piece.len() > 1 && self.piece.last() == Some(&b'\r') {
            self.piece.pop();
            self.owes_cr = true;
        }
        if self.piece.is_empty() {
            return Ok(None);
        }
        let offset = self.next;
        self.next += self.piece.len() as u64;
        let ends = self.piece.last() == Some(&b'\n');
        let begins = std::mem::replace(&mut self.begins, ends);
        Ok(Some(Piece {
            octets: &self.piece,
            offset,
            begins,
        }))
    }
}

/// Makes every LF without a CR before it a CRLF.
#[derive(Default)]
pub(crate) struct Crlf {
    after_cr: bool,
}

impl Crlf {
    pub(crate) fn push(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        let mut rest = octets;
        while let Some(at) = memchr(b'\n', rest) {
            let (line, tail) = rest.split_at(at);
            out.extend_from_slice(line);
            let has_cr = line.last().map_or(self.after_cr, |last| *last == b'\r');
            if !has_cr {
                out.push(b'\r');
            }
            out.push(b'\n');
            self.after_cr = false;
            rest = tail.get(1..).unwrap_or_default();
        }
        out.extend_from_slice(rest);
        if let Some(last) = rest.last() {
            self.after_cr = *last == b'\r';
        }
    }
}

/// Whether octets are lines that end with CRLF, with neither octet anywhere else: only those come
/// back when LF stands for CRLF.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cleanness {
    after_cr: bool,
    is_broken: bool,
}

impl Cleanness {
    pub(crate) fn push(&mut self, octets: &[u8]) {
        for octet in octets {
            self.is_broken |= self.after_cr != (*octet == b'\n');
            self.after_cr = *octet == b'\r';
        }
    }

    pub(crate) fn is_clean(self) -> bool {
        !self.is_broken && !self.after_cr
    }
}

/// mboxrd: a line of `>`s and `From ` gets one more `>`, or loses one.
pub(crate) struct Quoting {
    adds: bool,
    at: At,
}

/// ```text
/// Start ──'>'──→ Start        Start ──other──→ From(0)
/// From(n) ─next of "From "─→ From(n+1) ─…─→ Inside ──LF──→ Start
/// ```
#[derive(Clone, Copy)]
enum At {
    /// At the start of a line, or behind `>`s; one of them is held back when reading.
    Start {
        held: bool,
    },
    From {
        held: bool,
        matched: usize,
    },
    Inside,
}

impl Quoting {
    pub(crate) fn adding() -> Quoting {
        Quoting {
            adds: true,
            at: At::Start { held: false },
        }
    }

    pub(crate) fn removing() -> Quoting {
        Quoting {
            adds: false,
            at: At::Start { held: false },
        }
    }

    pub(crate) fn push(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        let mut rest = octets;
        while let Some(&octet) = rest.first() {
            match self.at {
                At::Inside => {
                    let end = memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
                    let (line, tail) = rest.split_at(end);
                    out.extend_from_slice(line);
                    rest = tail;
                    if line.last() == Some(&b'\n') {
                        self.at = At::Start { held: false };
                    }
                    continue;
                }
                At::Start { held } if octet == b'>' => {
                    if self.adds || held {
                        out.push(b'>');
                    }
                    self.at = At::Start { held: !self.adds };
                }
                At::Start { held } => {
                    self.at = At::From { held, matched: 0 };
                    continue;
                }
                At::From { held, matched } if FROM.get(matched) == Some(&octet) => {
                    self.at = At::From {
                        held,
                        matched: matched + 1,
                    };
                    if matched + 1 == FROM.len() {
                        if self.adds {
                            out.push(b'>');
                        }
                        out.extend_from_slice(FROM);
                        self.at = At::Inside;
                    }
                }
                At::From { .. } => {
                    self.finish(out);
                    continue;
                }
            }
            rest = rest.get(1..).unwrap_or_default();
        }
    }

    /// Gives out what was held back: the line is no From_ line.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        let (held, matched) = match self.at {
            At::Inside => (false, 0),
            At::Start { held } => (held, 0),
            At::From { held, matched } => (held, matched),
        };
        if held {
            out.push(b'>');
        }
        out.extend_from_slice(FROM.get(..matched).unwrap_or_default());
        self.at = At::Inside;
    }
}

const FROM: &[u8] = b"From ";

/// A longer line comes in pieces, in bytes.
pub(crate) const PIECE_BYTES_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filtered(cuts: usize, octets: &[u8], mut push: impl FnMut(&[u8], &mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        octets.chunks(cuts).for_each(|chunk| push(chunk, &mut out));
        out
    }

    fn quoted(cuts: usize, octets: &[u8], mut quoting: Quoting) -> Vec<u8> {
        let mut out = filtered(cuts, octets, |chunk, out| quoting.push(chunk, out));
        quoting.finish(&mut out);
        out
    }

    #[test]
    fn line_ends_become_crlf_wherever_they_are_cut() {
        for cuts in 1..6 {
            let mut crlf = Crlf::default();
            let out = filtered(cuts, b"\na\r\nb\n\nc\rd\r", |c, out| crlf.push(c, out));
            assert_eq!(out, b"\r\na\r\nb\r\n\r\nc\rd\r", "{cuts}");
        }
    }

    #[test]
    fn only_clean_lines_are_clean() {
        for (octets, clean) in [
            (&b"a\r\nb\r\n"[..], true),
            (b"", true),
            (b"a\n", false),
            (b"a\rb\r\n", false),
            (b"a\r", false),
            (b"\r\r\n", false),
        ] {
            let mut cleanness = Cleanness::default();
            octets.chunks(1).for_each(|chunk| cleanness.push(chunk));
            assert_eq!(cleanness.is_clean(), clean, "{octets:?}");
        }
    }

    #[test]
    fn quotes_from_lines_and_nothing_else() {
        let text = b"From a\n>From b\n>>x\nFrom\n From c\nx From d\n>";
        let quoted_text = quoted(3, text, Quoting::adding());
        let wanted = b">From a\n>>From b\n>>x\nFrom\n From c\nx From d\n>";
        assert_eq!(quoted_text, wanted);
    }

    #[test]
    fn long_lines_come_in_pieces() {
        let text = [vec![b'x'; PIECE_BYTES_MAX - 1], b"\r\nshort\n".to_vec()].concat();
        let mut lines = Lines::new(text.as_slice());
        let mut pieces = Vec::new();
        while let Some(piece) = lines.next().unwrap() {
            pieces.push((piece.offset, piece.octets.len(), piece.begins));
        }
        let long = PIECE_BYTES_MAX - 1;
        let at = long as u64;
        assert_eq!(pieces, [(0, long, true), (at, 2, false), (at + 2, 6, true)]);
    }

    proptest! {
        #[test]
        fn what_is_quoted_comes_back(text in "(>{0,3}|From |Fro|\n|x){0,20}", cuts in 1..9_usize) {
            let there = quoted(cuts, text.as_bytes(), Quoting::adding());
            let back = quoted(cuts, &there, Quoting::removing());
            prop_assert_eq!(back, text.as_bytes());
            let lines = there.split(|octet| *octet == b'\n');
            prop_assert!(lines.into_iter().all(|line| !line.starts_with(FROM)));
        }
    }
}
