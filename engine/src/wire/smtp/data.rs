//! The octets of a message out of DATA or BDAT, checked and unstuffed on their way.
//!
//! ```text
//! LineStart ─ "." ─▶ Dot ─ CR ─▶ DotCr ─ LF ─▶ the end
//!  ▲   │ other        │ other      │ other: the CR was bare
//!  │   ▼              ▼            ▼
//!  │  Middle ◀────────┴────────────┘
//!  │   │ CR
//!  │   ▼
//!  LF─ Cr ─ other: the CR was bare ─▶ Middle
//! ```
//!
//! A message ends at CRLF.CRLF and nowhere else (RFC 5321 §4.1.1.4; the CRLF of the DATA command
//! counts as the first). A bare CR or LF (RFC 5321 §2.3.8) and a NUL (RFC 2045 §2.7, §2.8; no IMAP
//! literal may hold one) make a message that other servers may cut differently: it is read to its
//! true end, nothing more of it is stored, and it is refused. BODY=BINARYMIME has no such rules
//! (RFC 3030 §3).
//!
//! What comes out does not depend on how the stream was cut into pieces.

use super::reply::{self, Reply};
use memchr::memchr3;

/// How the octets are framed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// DATA: lines, dots stuffed, ended by a dot.
    Stuffed,
    /// BDAT with text: lines, counted by the session.
    Lines,
    /// BDAT with BODY=BINARYMIME: any octets, counted by the session.
    Octets,
}

/// What becomes of a bare CR or LF.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BareLineEnds {
    /// The message is refused: the sender learns of it and nothing is smuggled.
    #[default]
    Reject,
    /// Each becomes a CRLF in what is stored, and never a part of the end of data. For networks
    /// with old devices; signatures over such a message break.
    Normalise,
}

/// Takes one message.
#[derive(Debug)]
pub struct BodyReceiver {
    framing: Framing,
    bare_line_ends: BareLineEnds,
    place: Place,
    octets: u64,
    octets_max: u64,
    fault: Option<Reply>,
}

/// Where in a line the next octet stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    LineStart,
    Dot,
    DotCr,
    Middle,
    Cr,
}

impl BodyReceiver {
    #[must_use]
    pub fn new(framing: Framing, bare_line_ends: BareLineEnds, octets_max: u64) -> BodyReceiver {
        BodyReceiver {
            framing,
            bare_line_ends,
            place: match framing {
                Framing::Stuffed => Place::LineStart,
                Framing::Lines | Framing::Octets => Place::Middle,
            },
            octets: 0,
            octets_max,
            fault: None,
        }
    }

    /// Takes octets and adds what is to be stored to `body`: how many were taken, and whether the
    /// end of data was among them, behind which nothing is taken.
    pub fn feed(&mut self, bytes: &[u8], body: &mut Vec<u8>) -> (usize, bool) {
        if self.framing == Framing::Octets {
            self.store(bytes, body);
            return (bytes.len(), false);
        }
        let mut at = 0;
        while let Some((rest, &octet)) = bytes.get(at..).and_then(|r| Some((r, r.first()?))) {
            match (self.place, octet) {
                (Place::LineStart, b'.') => (self.place, at) = (Place::Dot, at + 1),
                (Place::Dot, b'\r') => (self.place, at) = (Place::DotCr, at + 1),
                (Place::DotCr, b'\n') => return (at + 1, true),
                (Place::Cr, b'\n') => {
                    self.store(b"\r\n", body);
                    (self.place, at) = (self.after_line(), at + 1);
                }
                // RFC 5321 §4.5.2: the first dot of a longer line is not part of the message.
                (Place::LineStart | Place::Dot, _) => self.place = Place::Middle,
                (Place::DotCr | Place::Cr, _) => self.bare(reply::BARE_CR, body),
                (Place::Middle, _) => at += self.run(rest, body),
            }
        }
        (bytes.len(), false)
    }

    /// The last chunk is complete: octets of the message, or why it is refused.
    pub fn finish(&mut self) -> Result<u64, Reply> {
        if self.place == Place::Cr {
            self.fault.get_or_insert(reply::BARE_CR);
        }
        match self.fault {
            None => Ok(self.octets),
            Some(fault) => Err(fault),
        }
    }

    /// Why the message is going to be refused, as far as is known.
    #[must_use]
    pub fn fault(&self) -> Option<Reply> {
        self.fault
    }

    /// Octets stored so far.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// Takes octets as far as nothing has to be left out, in one piece: the hot path.
    fn run(&mut self, bytes: &[u8], body: &mut Vec<u8>) -> usize {
        let mut searched = plain_run(bytes, self.framing == Framing::Stuffed);
        loop {
            let unsearched = bytes.get(searched..).unwrap_or_default();
            let Some(found) = memchr3(b'\r', b'\n', 0, unsearched) else {
                self.store(bytes, body);
                return bytes.len();
            };
            let at = searched + found;
            let (before, from) = bytes.split_at(at);
            match from {
                [b'\r', b'\n', next, ..] if !self.ends_by(*next) => searched = at + 2,
                [b'\r', b'\n', ..] => {
                    self.store(bytes.get(..at + 2).unwrap_or_default(), body);
                    self.place = self.after_line();
                    return at + 2;
                }
                [octet, ..] => {
                    self.store(before, body);
                    match octet {
                        b'\r' => self.place = Place::Cr,
                        b'\n' => self.bare(reply::BARE_LF, body),
                        _ => _ = self.fault.get_or_insert(reply::NUL_OCTET),
                    }
                    return at + 1;
                }
                [] => return at,
            }
        }
    }

    /// Whether an octet behind CRLF has to be looked at.
    fn ends_by(&self, next: u8) -> bool {
        next == b'.' && self.framing == Framing::Stuffed
    }

    fn after_line(&self) -> Place {
        match self.framing {
            Framing::Stuffed => Place::LineStart,
            Framing::Lines | Framing::Octets => Place::Middle,
        }
    }

    fn bare(&mut self, fault: Reply, body: &mut Vec<u8>) {
        match self.bare_line_ends {
            BareLineEnds::Reject => _ = self.fault.get_or_insert(fault),
            BareLineEnds::Normalise => self.store(b"\r\n", body),
        }
        self.place = Place::Middle;
    }

    fn store(&mut self, bytes: &[u8], body: &mut Vec<u8>) {
        if self.fault.is_some() {
            return;
        }
        let room = usize::try_from(self.octets_max - self.octets).unwrap_or(usize::MAX);
        let fits = match bytes.get(..room) {
            Some(fits) if fits.len() < bytes.len() => {
                self.fault = Some(reply::TOO_LARGE);
                fits
            }
            _ => bytes,
        };
        body.extend_from_slice(fits);
        self.octets += fits.len() as u64;
    }
}

/// How many of the first octets are whole lines or parts of one, and nothing that needs a look: no
/// NUL, no bare CR or LF, and where dots are stuffed none behind a line end. Looked at in blocks
/// without a branch, which the compiler turns into vector instructions; the block in which
/// something is found is left to the caller.
fn plain_run(bytes: &[u8], has_dots: bool) -> usize {
    // Nothing is known of what stands before.
    if bytes.first() == Some(&b'\n') {
        return 0;
    }
    let dot = u8::from(has_dots);
    let nexts = bytes.get(1..).unwrap_or_default();
    let blocks = bytes.chunks_exact(PLAIN_BYTES);
    let is_plain = |(these, nexts): &(&[u8], &[u8])| {
        let pairs = these.iter().zip(*nexts);
        let found = pairs.fold(0, |found, (&this, &next)| {
            let is_bare = (this == b'\r') ^ (next == b'\n');
            let is_dot = u8::from(this == b'\n') & u8::from(next == b'.') & dot;
            found | u8::from(is_bare) | u8::from(this == 0) | is_dot
        });
        found == 0
    };
    let pairs = blocks.zip(nexts.chunks_exact(PLAIN_BYTES));
    let plain = PLAIN_BYTES * pairs.take_while(is_plain).count();
    // A CR stays with its LF.
    match plain.checked_sub(1).and_then(|last| bytes.get(last)) {
        Some(b'\r') => plain - 1,
        _ => plain,
    }
}

/// Octets of a block of [`plain_run`].
const PLAIN_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `stream` in steps: octets taken when the end came, the body, the outcome.
    fn receive(
        mut receiver: BodyReceiver,
        stream: &[u8],
        step: usize,
    ) -> (Option<usize>, Vec<u8>, Result<u64, Reply>) {
        let mut body = Vec::new();
        let mut taken = 0;
        for piece in stream.chunks(step) {
            let (consumed, ended) = receiver.feed(piece, &mut body);
            taken += consumed;
            if ended {
                return (Some(taken), body, receiver.finish());
            }
            assert_eq!(consumed, piece.len(), "all is taken before the end");
        }
        (None, body, receiver.finish())
    }

    fn stuffed(stream: &[u8], step: usize) -> (Option<usize>, Vec<u8>, Result<u64, Reply>) {
        let receiver = BodyReceiver::new(Framing::Stuffed, BareLineEnds::Reject, 1 << 20);
        receive(receiver, stream, step)
    }

    #[test]
    fn unstuffs_and_ends_at_every_cut() {
        for (stream, body) in [
            (&b".\r\n"[..], &b""[..]),
            (b"a\r\n.\r\n", b"a\r\n"),
            (b"..a\r\n.\r\n", b".a\r\n"),
            (b"..\r\n.\r\n", b".\r\n"),
            (b".a\r\n...\r\n.\r\n", b"a\r\n..\r\n"),
            (b"\r\n\r\n.\r\n", b"\r\n\r\n"),
            (b"a.\r\nb .\r\n.\r\n", b"a.\r\nb .\r\n"),
        ] {
            let octets = Ok(body.len() as u64);
            let expected = (Some(stream.len()), body.to_vec(), octets);
            let followed = [stream, b"NOOP\r\n.\r\n"].concat();
            for step in 1..=followed.len() {
                assert_eq!(stuffed(&followed, step), expected, "{stream:?} by {step}");
            }
        }
    }

    #[test]
    fn no_other_ending_ends_and_every_one_is_refused() {
        for ending in [
            "\n.\n",
            "\n.\r\n",
            "\r\n.\n",
            "\r.\r",
            "\r.\r\n",
            "\r\n.\r",
            "\n.\r",
            "\r.\n",
            "\r\n.\r\r\n",
            "\r\n.\r\r\r\n",
            "\r\r\n.\r\r\n",
            "\n\r.\r\n",
            "\n\r\n.\n",
            "\r\n\0.\r\n",
            "\r\n.\0\r\n",
            "\r\r\n.\r\n\r",
        ] {
            let stream = format!("a{ending}b\r\n.\r\n");
            let whole = stuffed(stream.as_bytes(), stream.len());
            let inner_end = ending.contains("\n.\r\n") && ending.starts_with("\r\r\n");
            let end = if inner_end {
                stream.find("\r\n.\r\n").map(|at| at + 5)
            } else {
                Some(stream.len())
            };
            assert_eq!(whole.0, end, "{ending:?}");
            let fault = whole.2.expect_err("refused");
            assert_eq!((fault.code(), fault.status()), (550, "5.6.0"), "{ending:?}");
            for step in 1..=stream.len() {
                assert_eq!(
                    stuffed(stream.as_bytes(), step),
                    whole,
                    "{ending:?} by {step}"
                );
            }
        }
    }

    #[test]
    fn what_stands_in_a_long_run_is_seen_wherever_it_stands() {
        let specials = [
            "\r\n.", "\r\n..", "\r\n", "\r\r\n", "\r", "\n", "\0", "\n.", "\r.",
        ];
        for special in specials {
            for before in 0..3 * PLAIN_BYTES {
                let stream = [
                    "x".repeat(before),
                    special.into(),
                    "y".repeat(2 * PLAIN_BYTES),
                ];
                let stream = [&stream.concat(), "\r\n.\r\n"].concat();
                let whole = stuffed(stream.as_bytes(), stream.len());
                let by_octets = stuffed(stream.as_bytes(), 1);
                assert_eq!(whole, by_octets, "{special:?} behind {before} octets");
            }
        }
    }

    #[test]
    fn normalised_line_ends_never_end_the_data() {
        let stream = b"a\n.\nb\r.\r\nc\r\n.\r\r\n.\n\r\n.\r\n";
        for step in 1..=stream.len() {
            let receiver = BodyReceiver::new(Framing::Stuffed, BareLineEnds::Normalise, 1 << 20);
            let (end, body, octets) = receive(receiver, stream, step);
            assert_eq!(end, Some(stream.len()));
            let stored = b"a\r\n.\r\nb\r\n.\r\nc\r\n\r\n\r\n\r\n\r\n";
            assert_eq!(body.len() as u64, octets.expect("accepted"));
            assert_eq!(body, stored, "by {step}");
        }
    }

    #[test]
    fn stores_no_more_than_the_limit_and_reads_on() {
        let stream = b"12345678\r\n12\r\n.\r\n";
        for (octets_max, outcome) in [
            (14, Ok(14)),
            (13, Err(reply::TOO_LARGE)),
            (9, Err(reply::TOO_LARGE)),
        ] {
            for step in 1..=stream.len() {
                let receiver =
                    BodyReceiver::new(Framing::Stuffed, BareLineEnds::Reject, octets_max);
                let (end, body, result) = receive(receiver, stream, step);
                assert_eq!((end, result), (Some(stream.len()), outcome));
                assert_eq!(body.len() as u64, octets_max);
            }
        }
    }

    #[test]
    fn chunks_keep_dots_and_judge_line_ends() {
        let lines = |stream: &[u8], step| {
            receive(
                BodyReceiver::new(Framing::Lines, BareLineEnds::Reject, 99),
                stream,
                step,
            )
        };
        for step in 1..12 {
            let (end, body, result) = lines(b".a\r\n.\r\n..b", step);
            assert_eq!((end, result), (None, Ok(10)));
            assert_eq!(body, b".a\r\n.\r\n..b");
            assert_eq!(lines(b"a\r\n.\nb", step).2, Err(reply::BARE_LF));
            assert_eq!(lines(b"a\rb\n", step).2, Err(reply::BARE_CR));
            assert_eq!(lines(b"a\r", step).2, Err(reply::BARE_CR));
            assert_eq!(lines(b"a\0", step).2, Err(reply::NUL_OCTET));
        }
    }

    #[test]
    fn binary_is_left_alone() {
        let all: Vec<u8> = (0..=255).chain(*b"\r\n.\r\n\n.\n").collect();
        let receiver = BodyReceiver::new(Framing::Octets, BareLineEnds::Reject, 300);
        assert_eq!(
            receive(receiver, &all, 7),
            (None, all.clone(), Ok(all.len() as u64))
        );
    }
}
