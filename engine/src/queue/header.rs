//! Addresses in the header of mail that leaves, under the names that the maps give them.
//!
//! From, Sender and Reply-To go by the map of senders, To and Cc by that of recipients. Only what
//! is plainly an address is touched: a dot-atom, `@`, a domain, outside of quotes and comments.
//! A message that somebody has signed stays as it is, and so does one whose header is longer than
//! is looked at, or of which a line would become too long (RFC 5322 §2.1.1).

use crate::config::{Rewrites, Whose};
use memchr::memmem;
use std::ops::Range;
use store::mail::address::{Address, is_dot_string};
use store::shard::Octets;

/// The message under its new names.
pub(super) fn renamed(rewrites: &Rewrites, pieces: Vec<Octets>) -> Vec<Octets> {
    if !rewrites.change_headers() {
        return pieces;
    }
    let mut head = Vec::new();
    let mut rest = pieces.iter();
    let end = loop {
        let from = head.len().saturating_sub(HEADER_END.len());
        let Some(piece) = rest.next().filter(|_| head.len() < HEADER_BYTES_MAX) else {
            return pieces;
        };
        head.extend_from_slice(piece);
        let found = memmem::find(head.get(from..).unwrap_or_default(), HEADER_END);
        if let Some(found) = found {
            break from + found + 2;
        }
    };
    let (header, body) = head.split_at(end);
    let Some(mut changed) = rewritten(rewrites, header) else {
        return pieces;
    };
    changed.extend_from_slice(body);
    std::iter::once(changed.into())
        .chain(rest.cloned())
        .collect()
}

/// `None`: nothing is to be changed, or nothing may.
fn rewritten(rewrites: &Rewrites, header: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(header.len() + 64);
    let mut is_changed = false;
    for field in fields(header) {
        let name = field.split(|octet| *octet == b':').next()?.trim_ascii();
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if SIGNATURES.into_iter().any(is) {
            return None;
        }
        let whose = match () {
            () if OF_SENDERS.into_iter().any(is) => Whose::Sender,
            () if OF_RECIPIENTS.into_iter().any(is) => Whose::Recipient,
            () => {
                out.extend_from_slice(field);
                continue;
            }
        };
        let mut from = 0;
        for place in addresses(field) {
            let Some(new) = new_name(rewrites, whose, field.get(place.clone())?) else {
                continue;
            };
            out.extend_from_slice(field.get(from..place.start)?);
            out.extend_from_slice(new.as_bytes());
            (from, is_changed) = (place.end, true);
        }
        out.extend_from_slice(field.get(from..)?);
    }
    let fits = |line: &[u8]| line.len() <= LINE_BYTES_MAX;
    (is_changed && out.split(|octet| *octet == b'\n').all(fits)).then_some(out)
}

fn new_name(rewrites: &Rewrites, whose: Whose, address: &[u8]) -> Option<String> {
    let address = Address::split(str::from_utf8(address).ok()?)?;
    let new = rewrites.header(whose, &address)?.to_string();
    // A field in ASCII stays one.
    new.is_ascii().then_some(new)
}

/// Each with the lines that continue it.
fn fields(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut left = header;
    std::iter::from_fn(move || {
        if left.is_empty() {
            return None;
        }
        let begins = |at: &usize| !matches!(left.get(at + 1), Some(b' ' | b'\t'));
        let end = memchr::memchr_iter(b'\n', left).find(begins);
        let (field, rest) = left.split_at(end.map_or(left.len(), |end| end + 1));
        left = rest;
        Some(field)
    })
}

/// Where addresses stand in a field, its name left out.
fn addresses(field: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = memchr::memchr(b':', field).map_or(field.len(), |colon| colon + 1);
    let (mut depth, mut is_quoted) = (0usize, false);
    while let Some(octet) = field.get(at).copied() {
        match octet {
            b'\\' if is_quoted || depth > 0 => at += 1,
            b'"' if depth == 0 => is_quoted = !is_quoted,
            b'(' if !is_quoted => depth += 1,
            b')' if !is_quoted => depth = depth.saturating_sub(1),
            _ if is_quoted || depth > 0 || !is_word(octet) => {}
            _ => {
                let rest = field.get(at..).unwrap_or_default();
                let len = rest.iter().position(|octet| !is_word(*octet));
                let end = at + len.unwrap_or(rest.len());
                if is_address(field.get(at..end).unwrap_or_default(), field.get(end)) {
                    found.push(at..end);
                }
                at = end;
                continue;
            }
        }
        at += 1;
    }
    found
}

/// One `@` between two dot-atoms, and no literal behind it.
fn is_address(word: &[u8], next: Option<&u8>) -> bool {
    let Some((local, domain)) = str::from_utf8(word)
        .ok()
        .and_then(|word| word.split_once('@'))
    else {
        return false;
    };
    is_dot_string(local) && is_dot_string(domain) && !domain.contains('@') && next != Some(&b'[')
}

/// What an address is made of; its signs that part words end it.
fn is_word(octet: u8) -> bool {
    octet == b'@'
        || octet == b'.'
        || (octet.is_ascii_graphic() && !b"()<>[]:;,\\\"".contains(&octet))
}

const OF_SENDERS: [&str; 3] = ["from", "sender", "reply-to"];
const OF_RECIPIENTS: [&str; 2] = ["to", "cc"];
const SIGNATURES: [&str; 3] = ["dkim-signature", "arc-seal", "arc-message-signature"];

const HEADER_END: &[u8] = b"\r\n\r\n";

/// A header that is looked at ends before.
pub(super) const HEADER_BYTES_MAX: usize = 256 << 10;

/// Without the line feed.
const LINE_BYTES_MAX: usize = 999;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use proptest::prelude::*;
    use std::path::Path;

    fn rewrites() -> Rewrites {
        let text = r#"
hostname = "a.b"
data = "/d"
[[rewrite]]
what = "both"
direction = "outbound"
from = "@in.test"
to = "$1@out.test"
headers = true
"#;
        let outside = crate::config::Outside {
            readable: &|_| Ok(()),
            secret: &|_| Ok(()),
        };
        Config::parse(Path::new("/x"), text, outside)
            .unwrap()
            .rewrites
    }

    fn pieces(octets: &str, step: usize) -> Vec<Octets> {
        let pieces = octets.as_bytes().chunks(step);
        pieces.map(|piece| piece.to_vec().into()).collect()
    }

    fn whole(pieces: &[Octets]) -> Vec<u8> {
        pieces.iter().flat_map(|piece| piece.to_vec()).collect()
    }

    fn changed(header: &str) -> String {
        let octets = format!("{header}\r\nbody <a@in.test>\r\n\r\nand more a@in.test\r\n");
        let changed = |step| {
            let pieces = renamed(&rewrites(), pieces(&octets, step));
            String::from_utf8(whole(&pieces)).unwrap()
        };
        let once = changed(octets.len());
        for step in 1..20 {
            assert_eq!(changed(step), once, "by {step}");
        }
        let (header, body) = once.split_once("\r\nbody").unwrap();
        assert_eq!(body, " <a@in.test>\r\n\r\nand more a@in.test\r\n");
        header.to_owned()
    }

    #[test]
    fn plain_addresses_get_their_new_names() {
        for (before, after) in [
            ("From: a@in.test\r\n", "From: a@out.test\r\n"),
            ("FROM:<A.b@In.Test>\r\n", "FROM:<A.b@out.test>\r\n"),
            (
                "To: \"x@in.test\" <x@in.test>,\r\n\ty@in.test (y@in.test),z@else.test\r\n",
                "To: \"x@in.test\" <x@out.test>,\r\n\ty@out.test (y@in.test),z@else.test\r\n",
            ),
            (
                "Cc: group: a@in.test, b@in.test;\r\n",
                "Cc: group: a@out.test, b@out.test;\r\n",
            ),
            (
                "Reply-To: =?utf-8?q?x?= <a@in.test>\r\n",
                "Reply-To: =?utf-8?q?x?= <a@out.test>\r\n",
            ),
        ] {
            assert_eq!(changed(before), after);
        }
    }

    #[test]
    fn everything_else_stays() {
        for same in [
            "Subject: a@in.test\r\n",
            "To: \"a b\"@in.test\r\n",
            "To: a@b@in.test, @in.test, in.test@\r\n",
            "To: (comment \\) a@in.test)\r\n",
            "X-From: a@in.test\r\n",
            "DKIM-Signature: v=1\r\nFrom: a@in.test\r\n",
            "From: a@in.test\r\nARC-Seal: i=1\r\n",
        ] {
            assert_eq!(changed(same), same);
        }
        let long = format!("To: {}ab@in.test\r\n", "x@else.test,".repeat(82));
        assert_eq!(changed(&long), long, "one octet more would be one too many");
    }

    proptest! {
        /// Whatever a header is made of, its lines stay as many, and nothing panics.
        #[test]
        fn no_line_is_lost(text in "((From|To|X): ?[ -~\r\n\t@<>\"()\\\\,]{0,60}){0,4}") {
            let octets = format!("{text}\r\n\r\nbody");
            let after = whole(&renamed(&rewrites(), pieces(&octets, 7)));
            let lines = |octets: &[u8]| octets.iter().filter(|octet| **octet == b'\n').count();
            prop_assert_eq!(lines(&after), lines(octets.as_bytes()));
        }
    }
}
