//! What others let somebody see, and the way there.

use super::super::Session;
use super::super::mailstore::Mailstore;
use super::super::tree::Entry;
use super::booth::Guest;
use super::grants::{self, Who};
use super::place::{OTHER_USERS, SHARED};
use crate::post::visit::{Ask, Lent, Said, Telling, Visitor};
use crate::wire::imap::command::{List, ListReturn};
use crate::wire::imap::rights::Rights;
use futures_util::future::LocalBoxFuture;
use std::collections::BTreeSet;
use std::rc::Rc;
use store::mail::id::{AccountId, MailboxId};
use store::shard::Space;
use store::shard::belonging::{lent_of, lent_prefix};

/// The way to mailboxes of others, on this shard and on others.
pub trait Abroad {
    /// All mailboxes that the visitor may see, in no order.
    fn lent<'a>(&'a self, visitor: &'a Visitor) -> LocalBoxFuture<'a, Vec<Lent>>;

    /// A guest session at an account; `None`: there is no such account, or no room.
    fn visit<'a>(
        &'a self,
        visitor: Visitor,
        owner: &'a str,
    ) -> LocalBoxFuture<'a, Option<Rc<dyn Guest>>>;
}

impl<S: Mailstore> Session<S> {
    /// The mailboxes of others that a LIST may mean, by the names that this user has for them.
    pub(in super::super) async fn lent_for(&self, list: &List) -> Vec<(String, Lent)> {
        let house = &self.sharing.house;
        let Some(abroad) = &house.abroad else {
            return Vec::new();
        };
        let mut patterns = list.patterns.iter();
        if !patterns.any(|pattern| may_mean_others(&list.reference, pattern)) {
            return Vec::new();
        }
        let lent = abroad.lent(&self.visitor()).await;
        let named = |lent: Lent| (house.name_of(&lent.owner, &lent.name), lent);
        lent.into_iter().map(named).collect()
    }

    /// What LIST tells behind a mailbox of somebody else.
    pub(in super::super) async fn write_lent_details(
        &self,
        out: &mut Vec<u8>,
        entry: &Entry,
        returns: &ListReturn,
    ) {
        let Some(lent) = &entry.lent else {
            return;
        };
        let mailbox = lent.name.clone();
        let status = returns.status.clone().map(|items| Telling::Status {
            mailbox: mailbox.clone(),
            items,
        });
        let entries = returns.metadata.clone();
        let notes = (!entries.is_empty()).then_some(Telling::Annotations { mailbox, entries });
        let asked: Vec<Telling> = status.into_iter().chain(notes).collect();
        if asked.is_empty() {
            return;
        }
        let Some(guest) = self.guest_of(&lent.owner).await else {
            return;
        };
        for telling in asked {
            if let Said::Lines(lines) = guest.ask(Ask::Tell(telling)).await {
                out.extend_from_slice(&lines);
            }
        }
    }
}

/// Whether names under the prefixes can match: as far as both say something before the first
/// wildcard, they say the same.
fn may_mean_others(reference: &str, pattern: &str) -> bool {
    let whole = format!("{reference}{pattern}");
    let head = whole.split(['*', '%']).next().unwrap_or_default();
    let is_exact = head.len() == whole.len();
    [OTHER_USERS, SHARED].into_iter().any(|prefix| {
        let level = prefix.trim_end_matches('/');
        head.starts_with(prefix) || head == level || !is_exact && prefix.starts_with(head)
    })
}

/// Mailboxes of one shard that are told to one user.
const LENT_MAX: usize = 10_000;

/// The mailboxes of this shard's accounts that a visitor may see; `shared`: the address of the
/// shared account.
pub async fn lent_here<S: Mailstore>(
    store: &S,
    visitor: &Visitor,
    shared: Option<&str>,
) -> Vec<Lent> {
    let mut lent = Vec::new();
    let who = Who {
        user: &visitor.user,
        groups: &visitor.groups,
    };
    for (account, mailbox) in granted(store, who) {
        let Some(owner) = store
            .address(account)
            .filter(|owner| *owner != visitor.user)
        else {
            continue;
        };
        let rights = grants::of_user(store, account, mailbox, who);
        // What is asked of an account may be on disk.
        if rights.contains(Rights::LOOKUP) && store.open(&owner).await.is_some() {
            let info = store.mailbox_by_id(account, mailbox);
            lent.extend(info.map(|info| Lent {
                owner,
                name: info.name,
                rights,
            }));
        }
    }
    if let Some(shared) =
        shared.filter(|shared| visitor.is_administrator && *shared != visitor.user)
        && let Some(account) = store.open(shared).await
    {
        lent.retain(|one| one.owner != shared);
        lent.extend(store.mailboxes(account).into_iter().map(|info| Lent {
            owner: shared.to_owned(),
            name: info.name,
            rights: Rights::ALL,
        }));
    }
    lent
}

fn granted(store: &impl Mailstore, who: Who<'_>) -> BTreeSet<(AccountId, MailboxId)> {
    let memos = |identifier| {
        let found = store.memos(Space::LENT, &lent_prefix(identifier), LENT_MAX);
        found.unwrap_or_default()
    };
    let own = who.identifiers().flat_map(memos);
    own.filter_map(|memo| lent_of(&memo.key)).collect()
}
