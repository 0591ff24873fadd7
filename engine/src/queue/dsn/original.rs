//! The part that returns the message or its header (RFC 3461 §4.3, §6.3; RFC 6522 §4).
//!
//! The whole message is returned only of failures, when the sender asked for it, when it is not
//! large, and when its lines are such that SMTP carries them; else its header, in quoted-printable
//! where that is needed, so that eight bits and NUL come back as they were sent.

use super::{Event, Facts, Original};
use crate::wire::mime::downgrade::is_lines;
use crate::wire::mime::encode::quoted_printable;
use crate::wire::mime::header::{fields, last, unfold};
use store::mail::envelope::{BodyKind, Ret};

/// One part: its own header, an empty line, its content.
pub(super) struct Part {
    pub(super) octets: Vec<u8>,
    /// What the part needs of the next host.
    pub(super) body: BodyKind,
}

/// A larger message is not returned whole, in octets.
pub const RETURNED_BYTES_MAX: usize = 128 << 10;

/// What is returned of a header, in octets, at most; whole fields.
const HEADER_BYTES_MAX: usize = 64 << 10;

/// The longest Message-ID that is repeated.
const MESSAGE_ID_BYTES_MAX: usize = 250;

pub(super) fn part(facts: &Facts<'_>) -> Part {
    let original = &facts.original;
    match is_whole(facts) {
        true => whole(original),
        false => header(original),
    }
}

/// The Message-ID of the message, if it is one.
pub(super) fn message_id(message: &[u8]) -> Option<String> {
    let id = unfold(last(message, "Message-ID")?);
    let text = String::from_utf8(id).ok()?;
    let inner = text.strip_prefix('<')?.strip_suffix('>')?;
    let fits = !inner.is_empty()
        && inner.len() <= MESSAGE_ID_BYTES_MAX
        && inner
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"<>".contains(&b));
    fits.then_some(text)
}

fn is_whole(facts: &Facts<'_>) -> bool {
    let original = &facts.original;
    let has_failed = facts
        .recipients
        .iter()
        .any(|told| told.event == Event::Failed);
    has_failed
        && original.ret == Some(Ret::Full)
        && original.octets.len() <= RETURNED_BYTES_MAX
        && original.octets.len() as u64 == original.size
        && is_lines(original.octets)
}

fn whole(original: &Original<'_>) -> Part {
    let is_ascii = original.octets.is_ascii();
    let kind = match original.smtputf8 {
        true => "global",
        false => "rfc822",
    };
    let encoding = if is_ascii { "7bit" } else { "8bit" };
    let mut octets = format!(
        "Content-Description: Undelivered message\r\nContent-Type: message/{kind}\r\n\
         Content-Transfer-Encoding: {encoding}\r\n\r\n"
    )
    .into_bytes();
    octets.extend_from_slice(original.octets);
    let body = match is_ascii {
        true => BodyKind::SevenBit,
        false => BodyKind::EightBitMime,
    };
    Part { octets, body }
}

fn header(original: &Original<'_>) -> Part {
    let mut end = 0;
    for field in fields(original.octets) {
        if field.whole.end > HEADER_BYTES_MAX {
            break;
        }
        end = field.whole.end;
    }
    let header = original.octets.get(..end).unwrap_or_default();
    let kind = match original.smtputf8 {
        true => "message/global-headers",
        false => "text/rfc822-headers",
    };
    let is_plain = header.is_ascii() && is_lines(header);
    let encoding = if is_plain { "7bit" } else { "quoted-printable" };
    let mut octets = format!(
        "Content-Description: Message header\r\nContent-Type: {kind}\r\n\
         Content-Transfer-Encoding: {encoding}\r\n\r\n"
    )
    .into_bytes();
    match is_plain {
        true => octets.extend_from_slice(header),
        false => quoted_printable(header, &mut octets),
    }
    Part {
        octets,
        body: BodyKind::SevenBit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_ids_are_taken_only_when_they_are_one() {
        let id = |value: &str| message_id(format!("Message-ID:{value}\r\n\r\n").as_bytes());
        assert_eq!(id(" <a@b>"), Some("<a@b>".to_owned()));
        assert_eq!(id("\r\n <a@b>"), Some("<a@b>".to_owned()));
        for wrong in [
            "",
            " <>",
            " a@b",
            " <a@b> <c@d>",
            " <a b>",
            " <\u{e9}@b>",
            " <a\0@b>",
        ] {
            assert_eq!(id(wrong), None, "{wrong:?}");
        }
        assert_eq!(id(&format!("<{}>", "x".repeat(251))), None);
    }
}
