//! Mailboxes that several people use: rights, quotas, annotations, and the way to mailboxes of
//! others (RFC 4314, RFC 9208, RFC 5464, RFC 2342).
//!
//! A session of one's own account has every right there and asks for none. Whoever names a mailbox
//! of somebody else is *visiting*: a second session, on the shard that owns that account, carries
//! out the command as a *guest*, and what both sides say passes through the first one.
//!
//! ```text
//! client ⇄ session of the user ─ own mailboxes ─▶ its store
//!             │  a name under a namespace prefix, or a mailbox selected there
//!             └─ visit ── Ask, Said ──▶ booth ── guest session ─ gate ─▶ the store of the owner
//!                     over letters where that is another shard
//! ```
//!
//! Laws: a guest does nothing that the gate does not name; a mailbox without `l` looks like one
//! that does not exist; whoever never names a foreign mailbox pays the comparison of a prefix for
//! each command. `\Seen` is one flag for all who share a mailbox: whoever has `s` changes it for
//! everybody.

mod annotation;
mod belongings;
mod booth;
mod carry;
mod gate;
mod grants;
mod lent;
mod metadata;
mod news;
mod place;
mod quota;
mod rights;
mod sources;
mod visit;

pub(super) use gate::narrow;

pub use belongings::Belongings;
pub use booth::{Booth, Guest};
pub use grants::group_identifier;
pub use lent::{Abroad, lent_here};
pub use news::News;
pub use place::{OTHER_USERS, SHARED};

use super::Session;
use super::mailstore::Mailstore;
use crate::wire::imap::response::code::Code;
use crate::wire::imap::rights::Rights;
use news::Listener;
use std::rc::Rc;
use store::mail::id::MailboxId;
use visit::Visit;

/// What the server tells a session of the house it is in.
#[derive(Clone, Default)]
pub struct House {
    /// The address of who logged in.
    pub user: String,
    /// Identifiers of the groups that the user is a member of, each as in an entry.
    pub groups: Vec<String>,
    /// May set quotas, and has every right on the mailboxes of the shared account.
    pub is_administrator: bool,
    /// Mailboxes of others are under [`OTHER_USERS`].
    pub others: bool,
    /// The address of the account whose mailboxes are under [`SHARED`].
    pub shared: Option<String>,
    /// `/shared/comment` and `/shared/admin` of the server (RFC 5464 §6.2.1).
    pub comment: Option<String>,
    pub admin: Option<String>,
    /// The way to mailboxes of others; `None`: there is none.
    pub abroad: Option<Rc<dyn Abroad>>,
    /// What changes on this shard.
    pub news: Rc<News>,
}

/// What a session keeps for all this.
#[derive(Default)]
pub(super) struct Sharing {
    house: Rc<House>,
    /// Whose mailboxes these are, where the user is a guest.
    owner: Option<String>,
    visit: Option<Visit>,
    /// What ENABLE named, for the sessions of visits.
    enabled: Vec<String>,
    /// Hears of annotations: METADATA was enabled, or NOTIFY asked for them.
    listener: Option<Listener>,
    /// METADATA was enabled.
    tells_entries: bool,
}

/// PERMANENTFLAGS by rights (RFC 4314 §5.1); `open`: new keywords have room.
pub(super) fn permanent(rights: Rights, table: &[String], open: bool) -> Code<'_> {
    let writes = rights.contains(Rights::WRITE);
    let table = if writes { table } else { &[] };
    Code::PermanentFlags(gate::flags_of(rights), table, open && writes)
}

impl<S: Mailstore> Session<S> {
    /// In a house with others.
    #[must_use]
    pub fn housed(mut self, house: Rc<House>) -> Session<S> {
        self.sharing.house = house;
        self
    }

    /// As a guest in the mailboxes of `owner`.
    fn guest_at(mut self, owner: &str) -> Session<S> {
        self.sharing.owner = Some(owner.to_owned());
        self
    }

    /// What the user may do with a mailbox of this session's account.
    pub(super) fn rights_on(&self, mailbox: MailboxId) -> Rights {
        let house = &self.sharing.house;
        let Some(owner) = &self.sharing.owner else {
            return Rights::ALL;
        };
        if house.is_administrator && house.shared.as_ref() == Some(owner) {
            return Rights::ALL;
        }
        let who = grants::Who {
            user: &house.user,
            groups: &house.groups,
        };
        grants::of_user(&self.store, self.account, mailbox, who)
    }

    /// Whether the mailboxes are those of somebody else.
    pub(super) fn is_guest(&self) -> bool {
        self.sharing.owner.is_some()
    }

    /// Whether the user may mark as seen what is selected.
    pub(super) fn may_mark_seen(&self, mailbox: MailboxId) -> bool {
        self.sharing.owner.is_none() || self.rights_on(mailbox).contains(Rights::SEEN)
    }
}
