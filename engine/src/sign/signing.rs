//! One message on its way to its signatures.
//!
//! ```text
//! AwaitEnd ── empty line: the author is known, keys are chosen ──▶ Body ── finish ──▶ fields
//!    └── more than HEADER_BYTES_MAX, no author, no key ──▶ Never
//! ```

use super::arc::{self, Seen};
use super::body::BodyHash;
use super::field::{Chosen, Kind, signature};
use super::{Signer, Signers};
use crate::config::DkimCanon;
use crate::wire::mime::address::{self, Entry};
use crate::wire::mime::header::{fields, is_blank};
use aws_lc_rs::digest::Digest;
use std::fmt;

/// A header that is longer is not signed, in octets.
pub const HEADER_BYTES_MAX: usize = 1 << 20;

/// A header is looked for its end in steps of so many octets.
const STEP_BYTES: usize = 4 << 10;

/// A message that is being signed.
pub struct Signing<'a> {
    signers: &'a Signers,
    answering: &'a str,
    now: i64,
    /// What is sealed; nothing where mail of our own is signed.
    seen: Option<Seen<'a>>,
    header: Vec<u8>,
    stage: Stage<'a>,
}

enum Stage<'a> {
    AwaitEnd,
    Body {
        keys: Vec<&'a Signer>,
        /// One for each canonicalisation that a key asks for.
        hashes: Vec<(DkimCanon, BodyHash)>,
    },
    Never(Unsigned),
}

/// Why a message goes out without a signature.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unsigned {
    /// RFC 6376 §5.4: a signature without From is none.
    NoAuthor,
    NoKey,
    HeaderTooLarge,
    /// More than [`super::field::FIELDS_MAX`] fields would have to be signed.
    TooManyFields,
    /// Its ARC chain failed before or is as long as may be (RFC 8617 §5.1).
    ChainEnded,
    /// The library refused to sign.
    Failed,
}

impl<'a> Signing<'a> {
    pub(super) fn new(signers: &'a Signers, answering: &'a str, now: i64) -> Signing<'a> {
        Signing {
            signers,
            answering,
            now,
            seen: None,
            header: Vec::new(),
            stage: Stage::AwaitEnd,
        }
    }

    pub(super) fn sealing(mut self, seen: Seen<'a>) -> Signing<'a> {
        self.seen = Some(seen);
        self
    }

    /// Takes the next piece of the message, as it will be sent but without dot-stuffing.
    pub fn feed(&mut self, mut piece: &[u8]) {
        while matches!(self.stage, Stage::AwaitEnd) && !piece.is_empty() {
            piece = self.gather(piece);
        }
        if let Stage::Body { hashes, .. } = &mut self.stage {
            hashes.iter_mut().for_each(|(_, hash)| hash.feed(piece));
        }
    }

    /// The signatures: whole fields, to be put before the message.
    pub fn finish(mut self) -> Result<Vec<u8>, Unsigned> {
        if let Stage::AwaitEnd = self.stage {
            self.choose();
        }
        let (keys, hashes) = match self.stage {
            Stage::Body { keys, hashes } => (keys, hashes),
            Stage::Never(why) => return Err(why),
            Stage::AwaitEnd => return Err(Unsigned::NoAuthor),
        };
        let chosen = Chosen::of(&self.header).ok_or(Unsigned::TooManyFields)?;
        let finished = hashes
            .into_iter()
            .map(|(canon, hash)| (canon, hash.finish()));
        let bodies: Vec<(DkimCanon, Digest)> = finished.collect();
        let mut out = String::new();
        for signer in keys {
            let body = bodies
                .iter()
                .find(|(canon, _)| *canon == signer.says.body_canon)
                .map(|(_, body)| body)
                .ok_or(Unsigned::Failed)?;
            out += &match &self.seen {
                None => signature(Kind::Dkim, signer, &self.header, &chosen, body, self.now)
                    .map_err(|_| Unsigned::Failed)?,
                Some(seen) => arc::set(signer, &self.header, &chosen, body, seen, self.now)?,
            };
        }
        Ok(out.into_bytes())
    }

    /// Takes what belongs to the header, and gives back what follows.
    fn gather<'p>(&mut self, piece: &'p [u8]) -> &'p [u8] {
        let before = self.header.len();
        // In steps, so that of a piece that holds the body too only little is copied.
        let (step, rest) = piece.split_at(piece.len().min(STEP_BYTES));
        self.header.extend_from_slice(step);
        // The end may have begun in the piece before: LF CR.
        if let Some((end, body)) = header_end(&self.header, before.saturating_sub(2)) {
            self.header.truncate(end);
            self.choose();
            return piece.get(body - before..).unwrap_or_default();
        }
        if self.header.len() > HEADER_BYTES_MAX {
            self.stage = Stage::Never(Unsigned::HeaderTooLarge);
            self.header = Vec::new();
        }
        rest
    }

    /// The header is whole: who signs?
    fn choose(&mut self) {
        self.stage = match self.keys() {
            Err(why) => Stage::Never(why),
            Ok(keys) => {
                let canons = [DkimCanon::Simple, DkimCanon::Relaxed].into_iter();
                let hashes = canons
                    .filter(|canon| keys.iter().any(|signer| signer.says.body_canon == *canon))
                    .map(|canon| (canon, BodyHash::new(canon)))
                    .collect();
                Stage::Body { keys, hashes }
            }
        };
    }

    fn keys(&self) -> Result<Vec<&'a Signer>, Unsigned> {
        if self.seen.is_some() {
            return self.sealer().map(|signer| vec![signer]);
        }
        if fields(&self.header).all(|field| !field.is("From")) {
            return Err(Unsigned::NoAuthor);
        }
        let signers: &'a Signers = self.signers;
        let author = author_domain(&self.header);
        let domain = author
            .and_then(|author| signers.covering(&author, self.now))
            .filter(|domain| lies_in(self.answering, domain))
            .or_else(|| signers.covering(self.answering, self.now))
            .ok_or(Unsigned::NoKey)?;
        Ok(signers.active(domain, self.now))
    }

    /// A set has one seal; RSA is what every verifier knows.
    fn sealer(&self) -> Result<&'a Signer, Unsigned> {
        let signers: &'a Signers = self.signers;
        let domain = signers.covering(self.answering, self.now);
        let domain = domain.ok_or(Unsigned::NoKey)?;
        let keys = signers.active(domain, self.now);
        keys.into_iter().next().ok_or(Unsigned::NoKey)
    }
}

/// The domain of the first mailbox of From. Of several From fields the last one counts: it is the
/// first that a signature covers.
fn author_domain(header: &[u8]) -> Option<String> {
    let from = fields(header).filter(|field| field.is("From")).last()?;
    let mailbox = address::parse(from.value)
        .into_iter()
        .find_map(|entry| match entry {
            Entry::Mailbox(mailbox) if !mailbox.domain.is_empty() => Some(mailbox),
            _ => None,
        })?;
    let domain = String::from_utf8(mailbox.domain).ok()?;
    crate::config::domain_name(&domain)
}

/// Whether a name is the domain itself or below it.
fn lies_in(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Where the header ends, and where the body begins behind the empty line.
fn header_end(octets: &[u8], from: usize) -> Option<(usize, usize)> {
    let line_starts = memchr::memchr_iter(b'\n', octets.get(from..)?).map(|at| from + at + 1);
    let starts = (from == 0).then_some(0).into_iter().chain(line_starts);
    for start in starts {
        let rest = octets.get(start..)?;
        if is_blank(rest) {
            let blank = if rest.starts_with(b"\n") { 1 } else { 2 };
            return Some((start, start + blank));
        }
    }
    None
}

impl fmt::Display for Unsigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unsigned::NoAuthor => "there is no From",
            Unsigned::NoKey => "no key covers its domain at this time",
            Unsigned::HeaderTooLarge => "its header is too large",
            Unsigned::TooManyFields => "it has too many fields that would have to be signed",
            Unsigned::ChainEnded => "its ARC chain has ended",
            Unsigned::Failed => "the key could not sign",
        })
    }
}

impl std::error::Error for Unsigned {}
