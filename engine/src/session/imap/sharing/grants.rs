//! Who may do what with a mailbox, as the store keeps it (RFC 4314 §2).
//!
//! A user has what the entries of their address, of each of their groups (`group:name`) and of
//! `anyone` give, without what the entries of the same with `-` before them take. The owner of the
//! account has every right and no entry: nobody can be locked out of their own mail.

use super::super::mailstore::Mailstore;
use crate::wire::imap::rights::Rights;
use store::error::ReadError;
use store::mail::id::{AccountId, MailboxId};
use store::shard::belonging::{identifier_of, lent_key, rights_key, rights_prefix};
use store::shard::{Memo, MemoChange, Space};

/// Everybody who can log in.
pub(super) const ANYONE: &str = "anyone";

/// What stands before the name of a group.
const GROUP: &str = "group:";

/// The identifier of a group, as it stands in an entry.
#[must_use]
pub fn group_identifier(name: &str) -> String {
    format!("{GROUP}{}", name.to_lowercase())
}

/// Whose rights are asked for.
#[derive(Clone, Copy)]
pub(super) struct Who<'a> {
    pub(super) user: &'a str,
    /// Identifiers.
    pub(super) groups: &'a [String],
}

impl<'a> Who<'a> {
    /// The identifiers whose entries are theirs.
    pub(super) fn identifiers(self) -> impl Iterator<Item = &'a str> {
        let groups = self.groups.iter().map(String::as_str);
        [self.user, ANYONE].into_iter().chain(groups)
    }
}

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
    let is_sound = !["", GROUP].contains(&&*name)
        && !name.starts_with('-')
        && !name.contains(char::is_control);
    let domain = owner.split_once('@').map_or("", |(_, domain)| domain);
    let is_whole = name.contains('@') || name == ANYONE || name.starts_with(GROUP);
    let whole = match is_whole || domain.is_empty() {
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
    who: Who<'_>,
) -> Rights {
    let entry = |identifier: &str| of_identifier(store, account, mailbox, identifier);
    let all = || {
        let (mut given, mut taken) = (Rights::NONE, Rights::NONE);
        for identifier in who.identifiers() {
            given = given | entry(identifier)?;
            taken = taken | entry(&format!("-{identifier}"))?;
        }
        Ok::<_, ReadError>(given.without(taken))
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
        assert_eq!(known("Group:Sales").as_deref(), Some("group:sales"));
        assert_eq!(known("-group:sales").as_deref(), Some("-group:sales"));
        assert_eq!(known("-anyone").as_deref(), Some("-anyone"));
        for wrong in ["", "-", "group:", "--bob", "a\0b", &"x".repeat(400)] {
            assert_eq!(known(wrong), None, "{wrong:?}");
        }
    }
}
