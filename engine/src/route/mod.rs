//! Where a recipient leads: mailbox, alias, catch-all, refusal; and who may send as whom.
//!
//! The way of an address, the first that fits:
//!
//! ```text
//! name            account or alias of exactly this address, in any case
//! user+detail     the same of `user`, the detail kept; the longest user first
//! postmaster      the configured one, the catch-all, the first account (RFC 5321 §4.5.1)
//! anything else   the catch-all, but never what looks like a route: `%`, `!`, `@`, `:`
//! ```
//!
//! An alias reaches accounts and addresses at other hosts; what it leads to is known before the
//! first message comes (`Plan`). A local-part is never taken apart into another address, so
//! `user%other@ours`, `other!user@ours` and source routes lead to a name of ours or nowhere
//! (attack class 20).

mod away;
mod directory;
pub mod explain;
mod found;
mod live;
mod place;
mod plan;
pub mod srs;
#[cfg(test)]
mod tests;

pub use away::{Away, away};
pub use directory::{Account, Directory, Forward, Origin};
pub use found::{Found, find};
pub use live::Live;
pub use place::{PARTITIONS, home, partition, shard};
pub use plan::{ACCOUNTS_MAX, ALIAS_DEPTH_MAX, ALIAS_TARGETS_MAX, Plan, PlannedAccount};

use crate::config::LOCAL_PART_BYTES_MAX;
use directory::{Leads, Members};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use store::mail::address::Address;

/// What becomes of mail for one address.
#[derive(Debug)]
pub enum Route {
    /// To accounts of ours; at least one.
    Local {
        targets: Targets,
        /// Members of an alias that take no mail now; whoever gives custody must log them.
        left_out: Vec<(Address, Reason)>,
    },
    /// By an alias, to other hosts and perhaps to accounts of ours.
    Forwarded(Forwarded),
    Refused(Reason),
    /// The domain is not ours: relay, for those who may.
    Foreign,
}

/// Whom an alias reaches that leads to other hosts, too. One copy for each.
#[derive(Debug)]
pub struct Forwarded {
    pub targets: Vec<Target>,
    /// At least one.
    pub forwards: Arc<[Forward]>,
    /// As in [`Route::Local`].
    pub left_out: Vec<(Address, Reason)>,
}

/// One account that gets the message.
#[derive(Clone, Debug)]
pub struct Target {
    pub account: Arc<Account>,
    /// `detail` of `user+detail`, in its case.
    pub detail: Option<Box<str>>,
    /// The reverse-path from here on, where a list leads here.
    pub owner: Option<Arc<Address>>,
}

/// The accounts of one recipient; no allocation for one.
#[derive(Clone, Debug)]
pub enum Targets {
    One(Target),
    Many(Vec<Target>),
}

/// Why an address of ours takes no mail.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reason {
    NoSuchUser,
    /// The alias leads to itself, or through more than [`ALIAS_DEPTH_MAX`] others.
    AliasLoop,
    /// The alias leads to more than [`ALIAS_TARGETS_MAX`] accounts and other addresses.
    TooManyTargets,
    Disabled,
    OverQuota,
    /// There is no account at all that could be postmaster; the operator must act.
    NoPostmaster,
}

/// Where `address` leads now.
#[must_use]
pub fn resolve(directory: &Directory, address: &Address) -> Route {
    // RFC 5321 §4.5.3.1.1; nothing longer was let into the directory.
    if address.local.len() > LOCAL_PART_BYTES_MAX && directory.is_local(&address.domain) {
        return Route::Refused(Reason::NoSuchUser);
    }
    match directory.find(address) {
        Some((Leads::Account(place), detail)) => one(directory, *place, detail),
        Some((Leads::Alias(members), detail)) => many(directory, members, detail),
        Some((Leads::Nowhere(reason), _)) => Route::Refused(*reason),
        // RFC 5321 §4.1.2: only <postmaster> may come without a domain.
        None if address.domain.is_empty() => Route::Refused(Reason::NoSuchUser),
        None => Route::Foreign,
    }
}

/// May `login` send as `sender`? If mail for `sender` reaches `login`: as account, as detail of it,
/// through an alias (alone or among others), as postmaster, or as the catch-all of the domain.
#[must_use]
pub fn owns(directory: &Directory, login: &Account, sender: &Address) -> bool {
    let is_login = |place: u32| {
        let account = directory.accounts.get(place as usize);
        account.is_some_and(|account| account.address == login.address)
    };
    match directory.find(sender) {
        Some((Leads::Account(place), _)) => is_login(*place),
        Some((Leads::Alias(members), _)) => {
            let mut leaves = members.leaves.iter();
            leaves.any(|leaf| is_login(leaf.account))
        }
        Some((Leads::Nowhere(_), _)) | None => false,
    }
}

fn one(directory: &Directory, place: u32, detail: Option<&str>) -> Route {
    let Some(account) = directory.accounts.get(place as usize) else {
        return Route::Refused(Reason::NoSuchUser);
    };
    if let Some(reason) = account.refusal() {
        return Route::Refused(reason);
    }
    Route::Local {
        targets: Targets::One(Target {
            account: Arc::clone(account),
            detail: detail.map(Into::into),
            owner: None,
        }),
        left_out: Vec::new(),
    }
}

fn many(directory: &Directory, members: &Members, detail: Option<&str>) -> Route {
    let mut targets = Vec::with_capacity(members.leaves.len());
    let mut left_out = Vec::new();
    for leaf in &members.leaves {
        let Some(account) = directory.accounts.get(leaf.account as usize) else {
            continue;
        };
        match account.refusal() {
            Some(reason) => left_out.push((account.address.clone(), reason)),
            None => targets.push(Target {
                account: Arc::clone(account),
                detail: leaf.detail.as_deref().or(detail).map(Into::into),
                owner: leaf.owner.clone(),
            }),
        }
    }
    if !members.forwards.is_empty() {
        return Route::Forwarded(Forwarded {
            targets,
            forwards: Arc::clone(&members.forwards),
            left_out,
        });
    }
    if !targets.is_empty() {
        let targets = Targets::Many(targets);
        return Route::Local { targets, left_out };
    }
    // What may pass speaks for all: the sender tries again.
    let mut reasons = left_out.iter().map(|(_, reason)| *reason);
    let passing = reasons.clone().find(|reason| *reason == Reason::OverQuota);
    Route::Refused(passing.or(reasons.next()).unwrap_or(Reason::NoSuchUser))
}

impl Account {
    /// Why this account takes no mail now.
    fn refusal(&self) -> Option<Reason> {
        match (self.disabled, self.is_full()) {
            (true, _) => Some(Reason::Disabled),
            (false, true) => Some(Reason::OverQuota),
            (false, false) => None,
        }
    }
}

impl Deref for Targets {
    type Target = [Target];

    fn deref(&self) -> &[Target] {
        match self {
            Targets::One(target) => std::slice::from_ref(target),
            Targets::Many(targets) => targets,
        }
    }
}

impl Reason {
    /// The word of logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Reason::NoSuchUser => "no-such-user",
            Reason::AliasLoop => "alias-loop",
            Reason::TooManyTargets => "too-many-targets",
            Reason::Disabled => "disabled",
            Reason::OverQuota => "over-quota",
            Reason::NoPostmaster => "no-postmaster",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
