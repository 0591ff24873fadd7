//! One message on its way to its signatures.
//!
//! ```text
//! AwaitEnd ── empty line: the author is known, keys are chosen ──▶ Body ── finish ──▶ fields
//!    └── more than HEADER_BYTES_MAX, no author, no key ──▶ Never
//! ```

use super::body::BodyHash;
use super::field::{Chosen, signature};
use super::{Signer, Signers};
use crate::config::DkimCanon;
use crate::wire::mime::address::{self, Entry};
use crate::wire::mime::header::{fields, is_blank};
use std::fmt;

/// A header that is longer is not signed, in octets.
pub const HEADER_BYTES_MAX: usize = 1 << 20;

/// A message that is being signed.
pub struct Signing<'a> {
    signers: &'a Signers,
    answering: &'a str,
    now: i64,
    header: Vec<u8>,
    stage: Stage<'a>,
}

enum Stage<'a> {
    AwaitEnd,
    Body {
        keys: Vec<&'a Signer>,
        simple: Option<BodyHash>,
        relaxed: Option<BodyHash>,
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
    /// The library refused to sign.
    Failed,
}

impl<'a> Signing<'a> {
    pub(super) fn new(signers: &'a Signers, answering: &'a str, now: i64) -> Signing<'a> {
        Signing {
            signers,
            answering,
            now,
            header: Vec::new(),
            stage: Stage::AwaitEnd,
        }
    }

    /// Takes the next piece of the message, as it will be sent but without dot-stuffing.
    pub fn feed(&mut self, piece: &[u8]) {
        match &mut self.stage {
            Stage::AwaitEnd => self.gather(piece),
            Stage::Body {
                simple, relaxed, ..
            } => {
                let hashes = simple.iter_mut().chain(relaxed);
                hashes.for_each(|hash| hash.feed(piece));
            }
            Stage::Never(_) => {}
        }
    }

    /// The signatures: whole fields, to be put before the message.
    pub fn finish(mut self) -> Result<Vec<u8>, Unsigned> {
        if let Stage::AwaitEnd = self.stage {
            self.choose();
        }
        let (keys, simple, relaxed) = match self.stage {
            Stage::Body {
                keys,
                simple,
                relaxed,
            } => (keys, simple, relaxed),
            Stage::Never(why) => return Err(why),
            Stage::AwaitEnd => return Err(Unsigned::NoAuthor),
        };
        let chosen = Chosen::of(&self.header).ok_or(Unsigned::TooManyFields)?;
        let (simple, relaxed) = (simple.map(BodyHash::finish), relaxed.map(BodyHash::finish));
        let mut out = Vec::new();
        for signer in keys {
            let body = match signer.says.body_canon {
                DkimCanon::Simple => simple.as_ref(),
                DkimCanon::Relaxed => relaxed.as_ref(),
            };
            let body = body.ok_or(Unsigned::Failed)?;
            let field = signature(signer, &self.header, &chosen, body, self.now);
            out.extend_from_slice(&field.map_err(|_| Unsigned::Failed)?);
        }
        Ok(out)
    }

    fn gather(&mut self, piece: &[u8]) {
        // The end may have begun in the piece before: LF CR.
        let from = self.header.len().saturating_sub(2);
        let room = (HEADER_BYTES_MAX + 4).saturating_sub(self.header.len());
        let (taken, _) = piece.split_at(piece.len().min(room));
        let before = self.header.len();
        self.header.extend_from_slice(taken);
        let Some((end, body)) = header_end(&self.header, from) else {
            if self.header.len() > HEADER_BYTES_MAX {
                self.stage = Stage::Never(Unsigned::HeaderTooLarge);
                self.header = Vec::new();
            }
            return;
        };
        self.header.truncate(end);
        self.choose();
        self.feed(piece.get(body - before..).unwrap_or_default());
    }

    /// The header is whole: who signs?
    fn choose(&mut self) {
        self.stage = match self.keys() {
            Err(why) => Stage::Never(why),
            Ok(keys) => {
                let hash = |canon| {
                    let wanted = keys.iter().any(|signer| signer.says.body_canon == canon);
                    wanted.then(|| BodyHash::new(canon))
                };
                Stage::Body {
                    simple: hash(DkimCanon::Simple),
                    relaxed: hash(DkimCanon::Relaxed),
                    keys,
                }
            }
        };
    }

    fn keys(&self) -> Result<Vec<&'a Signer>, Unsigned> {
        let author = author_domain(&self.header).ok_or(Unsigned::NoAuthor)?;
        let signers: &'a Signers = self.signers;
        let own = signers.covering(self.answering, self.now);
        let domain = signers
            .covering(&author, self.now)
            .filter(|domain| lies_in(self.answering, domain))
            .or(own)
            .ok_or(Unsigned::NoKey)?;
        Ok(signers.active(domain, self.now))
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
            Unsigned::NoAuthor => "there is no From with a domain",
            Unsigned::NoKey => "no key covers its domain at this time",
            Unsigned::HeaderTooLarge => "its header is too large",
            Unsigned::TooManyFields => "it has too many fields that would have to be signed",
            Unsigned::Failed => "the key could not sign",
        })
    }
}

impl std::error::Error for Unsigned {}
