//! Who may do what with a mailbox, as the store keeps it (RFC 4314 §2).
//!
//! A user has what the entries of their address and of `anyone` give, without what the entries of
//! `-address` and `-anyone` take. The owner of the account has every right and no entry: nobody
//! can be locked out of their own mail.

use super::super::mailstore::Mailstore;
use crate::wire::imap::rights::Rights;
use store::error::ReadError;
use store::mail::id::{AccountId, MailboxId};
use store::shard::belonging::{identifier_of, lent_key, rights_key, rights_prefix};
use store::shard::{Memo, MemoChange, Space};

/// Everybody who can log in.
pub(super) const ANYONE: &str = "anyone";

/// Entries of one mailbox.
pub(super) const ENTRIES_MAX: usize = 256;

/// Octets of an identifier, the sign before it counted: an address and room to spare.
const IDENTIFIER_BYTES_MAX: usize = 321;

/// The one spelling of an identifier; a name without a domain is one of the owner's domain. `None`:
/// none can be like that.
pub(super) fn identifier(text: &str, owner: &str) -> Option<String> {
    let name = text.strip_prefix('-').unwrap_or(text);
    let sign = &text[..text.len() - name.len()];
    let name = name.to_lowercase();
    let is_sound = !name.is_empty() && !name.starts_with('-') && !name.contains(char::is_control);
    let domain = owner.split_once('@').map_or("", |(_, domain)| domain);
    let whole = match name.contains('@') || name == ANYONE || domain.is_empty() {
        true => format!("{sign}{name}"),
        false => format!("{sign}{name}@{domain}"),
    };
    (is_sound && whole.len() <= IDENTIFIER_BYTES_MAX).then_some(whole)
}

/// What a user who is not the owner may do. What cannot be read gives nothing.
pub(super) fn of_user(
    store: &impl Mailstore,
    account: AccountId,
    mailbox: MailboxId,
    user: &str,
) -> Rights {
    let entry = |identifier: &str| of_identifier(store, account, mailbox, identifier);
    let denied = |identifier: &str| entry(&format!("-{identifier}"));
    let all = || {
        let given = entry(user)? | entry(ANYONE)?;
        Ok::<_, ReadError>(given.without(denied(user)? | denied(ANYONE)?))
    };
    all().unwrap_or(Rights::NONE)
}

/// What stands in one entry.
pub(super) fn of_identifier(
    store: &impl Mailstore,
    account: AccountId,
    mailbox: MailboxId,
    identifier: &str,
) -> Result<Rights, ReadError> {
    let found = store.memo(Space::RIGHTS, &rights_key(account, mailbox, identifier))?;
    Ok(found.map_or(Rights::NONE, |memo| rights(&memo)))
}

/// Every entry, by identifier.
pub(super) fn all(
    store: &impl Mailstore,
    account: AccountId,
    mailbox: MailboxId,
) -> Result<Vec<(String, Rights)>, ReadError> {
    let prefix = rights_prefix(account, mailbox);
    let memos = store.memos(Space::RIGHTS, &prefix, ENTRIES_MAX)?;
    let entry = |memo: &Memo| Some((identifier_of(&memo.key)?.to_owned(), rights(memo)));
    Ok(memos.iter().filter_map(entry).collect())
}

/// What makes an entry, or takes it away where there is nothing in it.
pub(super) fn change(
    account: AccountId,
    mailbox: MailboxId,
    identifier: &str,
    rights: Rights,
) -> [MemoChange; 2] {
    let keys = [
        (
            Space::RIGHTS,
            rights_key(account, mailbox, identifier),
            rights.letters(),
        ),
        (
            Space::LENT,
            lent_key(identifier, account, mailbox),
            String::new(),
        ),
    ];
    keys.map(|(space, key, value)| match rights.is_empty() {
        true => MemoChange::Remove(space, key),
        false => MemoChange::Put(Memo {
            space,
            key,
            value: value.into_bytes(),
            expiry_secs: 0,
        }),
    })
}

fn rights(memo: &Memo) -> Rights {
    let letters = std::str::from_utf8(&memo.value).ok();
    letters.and_then(Rights::parse).unwrap_or(Rights::NONE)
}

#[cfg(test)]
mod tests {
    use super::identifier;

    #[test]
    fn identifiers_have_one_spelling() {
        let owner = "alice@example.test";
        let known = |text| identifier(text, owner);
        assert_eq!(
            known("Bob@Example.Test").as_deref(),
            Some("bob@example.test")
        );
        assert_eq!(known("bob").as_deref(), Some("bob@example.test"));
        assert_eq!(known("-bob").as_deref(), Some("-bob@example.test"));
        assert_eq!(known("Anyone").as_deref(), Some("anyone"));
        assert_eq!(known("-anyone").as_deref(), Some("-anyone"));
        for wrong in ["", "-", "--bob", "a\0b", &"x".repeat(400)] {
            assert_eq!(known(wrong), None, "{wrong:?}");
        }
    }
}
