//! The ARC set of a message that is relayed: what we saw, sealed for later hosts (RFC 8617).
//!
//! ```text
//! ARC-Seal                     covers all sets up to its own, or its own alone behind a failure
//! ARC-Message-Signature        covers the message, as a DKIM signature does
//! ARC-Authentication-Results   what was found out when the message came
//! ```
//!
//! Whether the sets that are there hold is the verifier's word, [`Chain`]. What is no chain by its
//! form, with a set that is missing or there twice, has failed whatever the verifier said, and a
//! chain that an earlier host gave up is not taken up again (§5.1).

use super::Signer;
use super::field::{Chosen, Kind, algorithm, signature, signed_field};
use super::signing::Unsigned;
use crate::config::DkimCanon;
use crate::wire::mime::header::{Field, fields, unfold};
use aws_lc_rs::digest::Digest;

/// RFC 8617 §4.2.1.
pub const INSTANCE_MAX: u8 = 50;

/// What we say of a message.
const RESULTS_CHARS_MAX: usize = 4_096;

/// A longer word of it is cut, so that lines stay below 998 octets whatever the alphabet.
const WORD_CHARS_MAX: usize = 200;

const COLUMNS: usize = 70;

/// What the verifier said of the chain that a message brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Chain {
    Pass,
    Fail,
}

/// What was found out about a message when it came.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Our name in Authentication-Results (RFC 8601 §2.5).
    pub authserv_id: &'a str,
    /// The results behind the name, `spf=pass smtp.mailfrom=…; dkim=…`.
    pub results: &'a str,
    /// Without meaning where the message brought none.
    pub chain: Chain,
}

/// The three fields, line ends included.
pub(super) fn set(
    signer: &Signer,
    header: &[u8],
    chosen: &Chosen<'_>,
    body: &Digest,
    seen: &Seen<'_>,
    now: i64,
) -> Result<String, Unsigned> {
    let before = Sets::of(header)?;
    let validation = match (before.count, before.is_chain, seen.chain) {
        (0, true, _) => "none",
        (_, true, Chain::Pass) => "pass",
        _ => "fail",
    };
    let instance = before.count + 1;
    let results = results(instance, seen);
    let message = signature(Kind::Arc(instance), signer, header, chosen, body, now)
        .map_err(|_| Unsigned::Failed)?;
    let value = format!(
        " i={instance}; a={}; t={}; cv={validation};\r\n\td={};\r\n\ts={};\r\n\tb=",
        algorithm(signer),
        now.max(0),
        signer.says.domain,
        signer.says.selector
    );
    let mut hashed = Vec::new();
    if validation == "pass" {
        before.push(header, &mut hashed);
    }
    for own in [&results, &message] {
        push_relaxed(own.as_bytes(), &mut hashed);
    }
    DkimCanon::Relaxed.push_own(SEAL, &value, &mut hashed);
    let seal = signed_field(SEAL, value, &hashed, signer).map_err(|_| Unsigned::Failed)?;
    Ok(seal + &message + &results)
}

/// The sets that a message brought.
struct Sets<'h> {
    /// The highest instance.
    count: u8,
    /// Whether each instance from the first to the highest is there whole and once.
    is_chain: bool,
    /// By instance, then in the order in which a seal covers them.
    fields: Vec<(u8, usize, Field<'h>)>,
}

const SEAL: &str = "ARC-Seal";

const RESULTS: &str = "ARC-Authentication-Results";

/// In the order of RFC 8617 §5.1.1.
const NAMES: [&str; 3] = [RESULTS, "ARC-Message-Signature", SEAL];

impl<'h> Sets<'h> {
    /// An error when nothing may be added.
    fn of(header: &'h [u8]) -> Result<Sets<'h>, Unsigned> {
        let mut found = Vec::new();
        let mut is_chain = true;
        for field in fields(header) {
            let Some(place) = NAMES.iter().position(|name| field.is(name)) else {
                continue;
            };
            match instance(&field) {
                Some(instance) => found.push((instance, place, field)),
                None => is_chain = false,
            }
            if found.len() > usize::from(INSTANCE_MAX) * NAMES.len() {
                return Err(Unsigned::ChainEnded);
            }
        }
        found.sort_by_key(|(instance, place, _)| (*instance, *place));
        let count = found.last().map_or(0, |(instance, ..)| *instance);
        let expected =
            (1..=count).flat_map(|instance| (0..NAMES.len()).map(move |p| (instance, p)));
        let there = found.iter().map(|(instance, place, _)| (*instance, *place));
        is_chain &= expected.eq(there);
        let given_up = found.iter().any(|(instance, place, field)| {
            *instance == count
                && NAMES.get(*place) == Some(&SEAL)
                && tag(field, "cv").as_deref() == Some("fail")
        });
        match given_up || count >= INSTANCE_MAX {
            true => Err(Unsigned::ChainEnded),
            false => Ok(Sets {
                count,
                is_chain,
                fields: found,
            }),
        }
    }

    fn push(&self, header: &[u8], out: &mut Vec<u8>) {
        for (_, _, field) in &self.fields {
            DkimCanon::Relaxed.push_field(header, field, out);
        }
    }
}

fn instance(field: &Field<'_>) -> Option<u8> {
    let text = tag(field, "i")?;
    let instance: u8 = text.parse().ok()?;
    (1..=INSTANCE_MAX).contains(&instance).then_some(instance)
}

/// The value of the first tag of this name.
fn tag(field: &Field<'_>, name: &str) -> Option<String> {
    let value = String::from_utf8(unfold(field.value)).ok()?;
    value.split(';').find_map(|tag| {
        let (found, value) = tag.split_once('=')?;
        (found.trim() == name).then(|| value.trim().to_ascii_lowercase())
    })
}

fn results(instance: u8, seen: &Seen<'_>) -> String {
    let id = clean(seen.authserv_id, WORD_CHARS_MAX);
    let mut out = format!("{RESULTS}: i={instance}; {id}");
    for result in clean(seen.results, RESULTS_CHARS_MAX).split(';') {
        out.push_str(";\r\n\t");
        let mut column = 0;
        for word in result.split_ascii_whitespace() {
            if column > 0 {
                out.push_str(if column + word.len() > COLUMNS {
                    "\r\n\t "
                } else {
                    " "
                });
                column = if column + word.len() > COLUMNS {
                    0
                } else {
                    column
                };
            }
            out.push_str(&clean(word, WORD_CHARS_MAX));
            column += word.len() + 1;
        }
    }
    out.push_str("\r\n");
    out
}

/// Without control characters, and not longer than it may be.
fn clean(text: &str, chars_max: usize) -> String {
    let harmless = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(chars_max).map(harmless).collect()
}

fn push_relaxed(whole: &[u8], out: &mut Vec<u8>) {
    for field in fields(whole) {
        DkimCanon::Relaxed.push_field(whole, &field, out);
    }
}
