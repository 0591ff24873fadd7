//! Which fields a signature covers, and the field that it is (RFC 6376 §3.5, §5.4; RFC 8617 §4.1).
//!
//! Every instance of a field in [`SIGNED`] is signed, from the last upwards (RFC 6376 §5.4.2), and
//! one more that is not there: whoever adds such a field on the way breaks the signature. Fields
//! that a relay may rightly add to mail without them are oversigned only when they are there. `l=`
//! is never written: what it leaves open is everybody's.

use super::Signer;
use crate::config::DkimAlgorithm;
use crate::wire::mime::header::{Field, fields};
use aws_lc_rs::digest::{self, Digest, SHA256};
use aws_lc_rs::error::Unspecified;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// A message with more fields to sign is not signed: the list of their names would be longer than
/// what receivers take.
pub(super) const FIELDS_MAX: usize = 256;

/// When the instance that is not there is signed too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Over {
    Always,
    IfThere,
    Never,
}

/// RFC 6376 §5.4.1, and what has been made since: List-Unsubscribe-Post (RFC 8058 §4 demands it).
const SIGNED: [(&str, Over); 33] = [
    ("From", Over::Always),
    ("To", Over::Always),
    ("Cc", Over::Always),
    ("Subject", Over::Always),
    ("Reply-To", Over::Always),
    ("Date", Over::IfThere),
    ("Message-ID", Over::IfThere),
    ("Sender", Over::IfThere),
    ("In-Reply-To", Over::IfThere),
    ("References", Over::IfThere),
    ("MIME-Version", Over::IfThere),
    ("Content-Type", Over::IfThere),
    ("Content-Transfer-Encoding", Over::IfThere),
    ("Content-Disposition", Over::IfThere),
    ("Content-Description", Over::IfThere),
    ("Content-ID", Over::IfThere),
    ("Content-Language", Over::IfThere),
    ("Auto-Submitted", Over::IfThere),
    ("Feedback-ID", Over::IfThere),
    ("List-Id", Over::IfThere),
    ("List-Help", Over::IfThere),
    ("List-Unsubscribe", Over::IfThere),
    ("List-Unsubscribe-Post", Over::IfThere),
    ("List-Subscribe", Over::IfThere),
    ("List-Post", Over::IfThere),
    ("List-Owner", Over::IfThere),
    ("List-Archive", Over::IfThere),
    // Each resending puts another set on top (RFC 5322 §3.6.6).
    ("Resent-Date", Over::Never),
    ("Resent-From", Over::Never),
    ("Resent-To", Over::Never),
    ("Resent-Cc", Over::Never),
    ("Resent-Sender", Over::Never),
    ("Resent-Message-ID", Over::Never),
];

/// The fields of one header that are signed, in the order of `h=`.
pub(super) struct Chosen<'h> {
    /// `None` is the instance that is not there.
    list: Vec<(&'static str, Option<Field<'h>>)>,
}

impl<'h> Chosen<'h> {
    /// `None` when there are too many.
    pub(super) fn of(header: &'h [u8]) -> Option<Chosen<'h>> {
        let mut found: Vec<(usize, Field<'h>)> = Vec::new();
        for field in fields(header) {
            let place = SIGNED.iter().position(|(name, _)| field.is(name));
            found.extend(place.map(|place| (place, field)));
            if found.len() > FIELDS_MAX {
                return None;
            }
        }
        let mut list = Vec::with_capacity(found.len() + SIGNED.len());
        for (place, (name, over)) in SIGNED.into_iter().enumerate() {
            let before = list.len();
            let here = found.iter().rev().filter(|(at, _)| *at == place);
            list.extend(here.map(|(_, field)| (name, Some(field.clone()))));
            if over == Over::Always || (over == Over::IfThere && list.len() > before) {
                list.push((name, None));
            }
        }
        Some(Chosen { list })
    }
}

/// The two fields that cover a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Dkim,
    /// The message's part of an ARC set, with its instance.
    Arc(u8),
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Dkim => "DKIM-Signature",
            Kind::Arc(_) => "ARC-Message-Signature",
        }
    }

    fn first_tag(self) -> String {
        match self {
            Kind::Dkim => "v=1".to_owned(),
            Kind::Arc(instance) => format!("i={instance}"),
        }
    }
}

/// The whole field, line end included.
pub(super) fn signature(
    kind: Kind,
    signer: &Signer,
    header: &[u8],
    chosen: &Chosen<'_>,
    body: &Digest,
    now: i64,
) -> Result<String, Unspecified> {
    let value = unsigned_value(kind, signer, chosen, body, now);
    let canon = signer.says.header_canon;
    let mut hashed = Vec::with_capacity(header.len() + value.len() + kind.name().len() + 2);
    for (_, field) in &chosen.list {
        if let Some(field) = field {
            canon.push_field(header, field, &mut hashed);
        }
    }
    canon.push_own(kind.name(), &value, &mut hashed);
    signed_field(kind.name(), value, &hashed, signer)
}

/// A field whose value ends in an empty `b=`, with the signature over what was put together.
pub(super) fn signed_field(
    name: &str,
    value: String,
    hashed: &[u8],
    signer: &Signer,
) -> Result<String, Unspecified> {
    let signature = signer.key.sign(&digest::digest(&SHA256, hashed))?;
    let mut field = format!("{name}:{value}");
    push_folded(&mut field, BASE64_STANDARD.encode(signature).as_bytes());
    field.push_str("\r\n");
    Ok(field)
}

/// The value with an empty `b=` at its end (RFC 6376 §3.5).
fn unsigned_value(
    kind: Kind,
    signer: &Signer,
    chosen: &Chosen<'_>,
    body: &Digest,
    now: i64,
) -> String {
    let says = &signer.says;
    let (first, algorithm) = (kind.first_tag(), algorithm(signer));
    let (header, of_body) = (says.header_canon.name(), says.body_canon.name());
    let now = now.max(0);
    let mut value = format!(
        " {first}; a={algorithm}; c={header}/{of_body};\r\n\td={};\r\n\ts={}; t={now};",
        says.domain, says.selector
    );
    // RFC 8617 §4.1.2: the tags of DKIM, but no end of validity is spoken of.
    if let (Kind::Dkim, Ok(days @ 1..)) = (kind, i64::try_from(says.signature_days)) {
        let expires = now.saturating_add(days.saturating_mul(DAY_SECS));
        value.push_str(&format!(" x={expires};"));
    }
    value.push_str("\r\n\th=");
    push_names(chosen, &mut value);
    value.push_str(";\r\n\tbh=");
    value.push_str(&BASE64_STANDARD.encode(body.as_ref()));
    value.push_str(";\r\n\tb=");
    value
}

/// As it stands in `a=`.
pub(super) fn algorithm(signer: &Signer) -> &'static str {
    match signer.says.algorithm {
        DkimAlgorithm::Rsa => "rsa-sha256",
        DkimAlgorithm::Ed25519 => "ed25519-sha256",
    }
}

fn push_names(chosen: &Chosen<'_>, value: &mut String) {
    let mut column = TAB_COLUMNS + 2;
    for (place, (name, _)) in chosen.list.iter().enumerate() {
        if place > 0 {
            value.push(':');
            if column + name.len() + 1 > COLUMNS_MAX {
                value.push_str("\r\n\t ");
                column = TAB_COLUMNS;
            }
        }
        value.push_str(name);
        column += name.len() + 1;
    }
}

fn push_folded(field: &mut String, base64: &[u8]) {
    for (place, line) in base64.chunks(BASE64_COLUMNS).enumerate() {
        if place > 0 {
            field.push_str("\r\n\t ");
        }
        field.extend(line.iter().map(|octet| char::from(*octet)));
    }
}

const DAY_SECS: i64 = 86_400;

/// RFC 5322 §2.1.1: lines should not be longer.
const COLUMNS_MAX: usize = 78;

const TAB_COLUMNS: usize = 8;

const BASE64_COLUMNS: usize = 64;
