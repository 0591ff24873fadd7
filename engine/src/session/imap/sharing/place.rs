//! Whose mailbox a name means (RFC 2342): names under two prefixes are of others.
//!
//! ```text
//! Other Users/alice@example.test/Work    Work of alice@example.test
//! Shared/Team                            Team of the shared account, where one is configured
//! anything else                          a mailbox of one's own
//! ```
//!
//! A mailbox of one's own that has such a name already, from before there were others, stays one's
//! own.

use super::super::Session;
use super::super::mailstore::Mailstore;
use super::House;
use crate::wire::imap::name;
use std::borrow::Cow;

/// Before the names of other users' mailboxes.
pub const OTHER_USERS: &str = "Other Users/";

/// Before the names of the shared account's mailboxes.
pub const SHARED: &str = "Shared/";

/// Where a name leads from some session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// To the account of the session, under this name there.
    Here(String),
    There {
        owner: String,
        name: String,
    },
    /// To a level of a namespace that is no mailbox.
    Nowhere,
}

impl House {
    /// Whose the name is; `None`: the user's own.
    fn owner_of(&self, name: &str) -> Option<Place> {
        if let (Some(shared), Some(rest)) = (&self.shared, below(name, SHARED)) {
            return Some(match rest.is_empty() || *shared == self.user {
                true => Place::Nowhere,
                false => there(shared, rest),
            });
        }
        let rest = below(name, OTHER_USERS).filter(|_| self.others)?;
        Some(match rest.split_once('/') {
            Some((owner, name)) if !owner.eq_ignore_ascii_case(&self.user) && !name.is_empty() => {
                there(&owner.to_lowercase(), name)
            }
            _ => Place::Nowhere,
        })
    }

    /// What the user calls a mailbox of `owner`.
    pub(super) fn name_of(&self, owner: &str, name: &str) -> String {
        match self.shared.as_deref() == Some(owner) {
            true => format!("{SHARED}{name}"),
            false => format!("{OTHER_USERS}{owner}/{name}"),
        }
    }

    /// Whether names under the prefixes can lead anywhere.
    pub(super) fn has_others(&self) -> bool {
        self.abroad.is_some()
    }
}

/// What follows a prefix; nothing for the prefix without its separator.
fn below<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    match name.strip_prefix(prefix) {
        None if Some(name) == prefix.strip_suffix('/') => Some(""),
        rest => rest,
    }
}

fn there(owner: &str, mailbox: &str) -> Place {
    Place::There {
        owner: owner.to_owned(),
        name: name::canonical(mailbox),
    }
}

impl<S: Mailstore> Session<S> {
    /// Where a name leads that the client said.
    pub(super) fn locate(&self, name: &str) -> Place {
        let house = &self.sharing.house;
        let Some(owner) = &self.sharing.owner else {
            let place = match house.has_others() {
                true => house.owner_of(name),
                false => None,
            };
            let own = || self.store.mailbox(self.account, name).is_some();
            return match place {
                Some(place) if !own() => place,
                _ => Place::Here(name.to_owned()),
            };
        };
        match house.owner_of(name) {
            Some(Place::There { owner: of, name }) if of == *owner => Place::Here(name),
            Some(place) => place,
            None => Place::There {
                owner: house.user.clone(),
                name: name.to_owned(),
            },
        }
    }

    /// What the client calls a mailbox of this session's account.
    pub(in super::super) fn shown<'a>(&self, name: &'a str) -> Cow<'a, str> {
        match &self.sharing.owner {
            None => Cow::Borrowed(name),
            Some(owner) => Cow::Owned(self.sharing.house.name_of(owner, name)),
        }
    }

    /// The prefixes of NAMESPACE: one's own, others', shared.
    pub(in super::super) fn namespaces(&self) -> [Option<&'static str>; 3] {
        let house = &self.sharing.house;
        let others = (house.has_others() && house.others).then_some(OTHER_USERS);
        let shared = house.shared.as_ref().filter(|_| house.has_others());
        [Some(""), others, shared.map(|_| SHARED)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn house() -> House {
        House {
            user: "bob@example.test".into(),
            others: true,
            shared: Some("shared@example.test".into()),
            ..House::default()
        }
    }

    #[test]
    fn a_name_leads_to_its_owner() {
        let house = house();
        let to = |name| house.owner_of(name);
        let of = |owner: &str, name: &str| Some(there(owner, name));
        assert_eq!(
            to("Other Users/Alice@example.test/a/b"),
            of("alice@example.test", "a/b")
        );
        assert_eq!(
            to("Other Users/alice@example.test/inbox"),
            of("alice@example.test", "INBOX")
        );
        assert_eq!(to("Shared/Team"), of("shared@example.test", "Team"));
        for level in [
            "Other Users",
            "Other Users/",
            "Other Users/alice@example.test",
            "Other Users/alice@example.test/",
            "Other Users/bob@example.test/own",
            "Shared",
            "Shared/",
        ] {
            assert_eq!(to(level), Some(Place::Nowhere), "{level}");
        }
        for own in ["INBOX", "Other", "Other Users x", "Sharedx/a", "a/Shared/b"] {
            assert_eq!(to(own), None, "{own}");
        }
        assert_eq!(house.name_of("shared@example.test", "Team"), "Shared/Team");
    }
}
