//! Whose mail a queued recipient is: its tenant, and a reverse-path of its own.
//!
//! The store keeps one reverse-path for a message. A recipient that is reached through an alias or
//! a rewriting map may have another: then its prefix begins with a `Return-Path` field, which says
//! it and goes no further, and a mark says so. The store keeps one name for whom mail counts; where
//! routes ask for senders, the pattern that fitted the sender follows it, after a tab:
//!
//! ```text
//! tenant   alice@example.org                 name
//!          alice@example.org TAB @lists.org  name, pattern of its routes
//! prefix   Return-Path: <owner@lists.org>    with the mark: the reverse-path
//!          Delivered-To: … Received: …       what is sent
//! ```

use std::rc::Rc;
use store::mail::address::Address;
use store::shard::{Item, Queued};

/// Of [`store::shard::Outbound::marks`]: the prefix begins with a reverse-path of its own.
pub const OWN_PATH: u16 = 1 << 14;

/// A list took the message: what the sender asked of notices was answered there (RFC 3461
/// §5.2.7.1), and neither ENVID nor RET goes on.
pub const OF_LIST: u16 = 1 << 13;

/// The name that the store keeps for whom mail counts.
#[must_use]
pub fn name(tenant: &str, pattern: Option<&str>) -> String {
    match pattern {
        Some(pattern) => format!("{tenant}{BETWEEN}{pattern}"),
        None => tenant.to_owned(),
    }
}

/// The tenant of a name, and the pattern that fitted the sender; empty where no route asks for it.
#[must_use]
pub fn parts(name: &str) -> (&str, &str) {
    name.split_once(BETWEEN).unwrap_or((name, ""))
}

/// What was read of a message, as its recipients have it: the reverse-path is that of whoever is
/// told of it, and by whose routes it goes. The other one is that which is sent: what bears another
/// name outside comes back to who it is here.
pub(super) fn settled(mut queued: Queued) -> (Queued, Option<Address>) {
    let mut sent_path = queued.source.reverse_path.clone();
    let marks = queued.recipients.iter().map(|(_, leaving)| leaving.marks);
    let marks = marks.fold(0, |all, marks| all | marks);
    if marks & OWN_PATH != 0
        && let Some((path, skipped)) = own_path(&queued.message.prefix)
    {
        sent_path = path;
        let sent = queued.message.prefix.get(skipped..).unwrap_or_default();
        queued.message.prefix = Rc::from(sent);
        queued.message.octets = queued.message.octets.saturating_sub(skipped as u64);
    }
    if marks & OF_LIST != 0 {
        queued.source.reverse_path = sent_path.clone();
        (queued.source.envid, queued.source.ret) = (None, None);
    }
    let tenant = parts(&queued.tenant).0.len();
    queued.tenant.truncate(tenant);
    (queued, sent_path)
}

/// An item under the name of its tenant alone.
pub(super) fn plain_item(mut item: Item) -> Item {
    let tenant = parts(&item.tenant).0;
    if tenant.len() < item.tenant.len() {
        item.tenant = Rc::from(tenant);
    }
    item
}

/// The reverse-path at the begin of a prefix, and where what is sent begins.
#[must_use]
pub fn own_path(prefix: &[u8]) -> Option<(Option<Address>, usize)> {
    let rest = prefix.strip_prefix(FIELD)?;
    let end = memchr::memmem::find(rest, b">\r\n")?;
    let path = str::from_utf8(rest.get(..end)?).ok()?;
    let skipped = FIELD.len() + end + 3;
    match path.is_empty() {
        true => Some((None, skipped)),
        false => Some((Some(plain(path)?), skipped)),
    }
}

/// An address as headers have it, the quotes of its local-part taken off.
fn plain(text: &str) -> Option<Address> {
    let address = Address::split(text)?;
    let inner = address
        .local
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let Some(inner) = inner else {
        return Some(address);
    };
    let mut local = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        local.push(match character {
            '\\' => characters.next()?,
            other => other,
        });
    }
    Some(Address::new(local, address.domain))
}

const FIELD: &[u8] = b"Return-Path: <";

/// What no address and no pattern has.
const BETWEEN: char = '\t';

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::smtp::trace;
    use proptest::prelude::*;

    #[test]
    fn a_name_comes_apart_as_it_was_put_together() {
        assert_eq!(parts(&name("a@b.c", None)), ("a@b.c", ""));
        assert_eq!(parts(&name("a@b.c", Some("@d.e"))), ("a@b.c", "@d.e"));
    }

    #[test]
    fn a_prefix_without_a_path_has_none() {
        for prefix in ["", "Received: x\r\n", "Return-Path: <", "Return-Path: <a@b"] {
            assert_eq!(own_path(prefix.as_bytes()), None, "{prefix}");
        }
    }

    proptest! {
        #[test]
        fn a_path_is_read_as_written(local in "[ -~\u{e9}]{1,64}", is_null in any::<bool>()) {
            let path = (!is_null).then(|| Address::new(local, "example.org"));
            let mut prefix = Vec::new();
            trace::return_path(path.as_ref(), &mut prefix);
            let field = prefix.len();
            prefix.extend_from_slice(b"Received: x\r\n");
            // What a quoted local-part may hold ends the field for nobody but a reader of ends.
            prop_assume!(memchr::memmem::find_iter(&prefix, b">\r\n").count() == 1);
            prop_assert_eq!(own_path(&prefix), Some((path, field)));
        }
    }
}
