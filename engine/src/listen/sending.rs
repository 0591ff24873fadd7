//! One message on its way to other hosts: what its recipients there have in common, and what an
//! alias or a rewriting map changes for some of them.
//!
//! | reached by | reverse-path | ENVID, RET | NOTIFY, ORCPT |
//! |---|---|---|---|
//! | its address | as it is, or rewritten | go on | go on |
//! | an alias of one | SRS where that is set | go on | go on (RFC 3461 §5.2.7.2) |
//! | an alias of several | SRS where that is set | go on | without SUCCESS (§5.2.7.3 c) |
//! | a list | its owner | end here | end here (§5.2.7.1) |
//!
//! A null reverse-path stays null, whoever sends it on. What goes through an alias says so in
//! Delivered-To (RFC 9228), by which it is known when it comes again.

use super::leads::{Leave, Members, Shares};
use crate::config::{Config, Direction, Whose};
use crate::queue::agree;
use crate::queue::origin::{self, OF_LIST, OWN_PATH};
use crate::route::{Directory, Target, srs};
use crate::session::smtp::{Terms, trace};
use std::borrow::Cow;
use std::sync::Arc;
use store::mail::address::Address;
use store::mail::date::InternalDate;
use store::mail::envelope::{Notify, Recipient};
use store::shard::Outbound;

/// What is known of one message when its recipients are written down.
pub(super) struct Sending<'m> {
    pub(super) config: &'m Config,
    pub(super) directory: &'m Directory,
    pub(super) reverse_path: Option<&'m Address>,
    /// What was asked of the way, and the milliseconds since.
    pub(super) terms: (&'m Terms, u64),
    /// Where the sender said it.
    pub(super) expiry_secs: Option<i64>,
    pub(super) date: InternalDate,
    /// Received, and what a submission lacks.
    pub(super) received: &'m [u8],
    /// Whose turn it counts for (`queue::owner`).
    pub(super) owner: String,
    /// Aliases may lead to whom the client named, or to the same twice.
    pub(super) has_aliases: bool,
    /// The prefix that was written last.
    pub(super) last: Option<(Way<'m>, Arc<[u8]>)>,
}

/// How recipients are reached: those of one way have one prefix.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Way<'m> {
    /// The alias, as the client said it.
    alias: Option<&'m Address>,
    /// `None`: that of the message.
    path: Option<Address>,
}

/// What an alias leaves of the wishes of its recipient.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Through {
    One,
    Several,
    List,
}

impl<'m> Sending<'m> {
    /// A recipient that the client itself named.
    pub(super) fn leave(&mut self, recipient: &Recipient, leave: Leave, shares: &mut Shares) {
        let address = leave.address.clone();
        let way = Way {
            alias: None,
            path: self.rewritten_sender(),
        };
        let recipient = Recipient {
            address: address.unwrap_or_else(|| recipient.address.clone()),
            notify: recipient.notify,
            orcpt: match leave.address {
                Some(_) => Some(original(recipient)),
                None => recipient.orcpt.clone(),
            },
        };
        self.put(recipient, leave, way, 0, shares);
    }

    /// Those whom an alias reaches at other hosts.
    pub(super) fn forward(&mut self, alias: &'m Recipient, members: Members, shares: &mut Shares) {
        let count = members.targets.len() + members.forwards.len();
        let path = self.forwarded_path();
        for (member, leave) in members.forwards {
            let through = Through::of(count, member.owner.as_deref());
            let owner = member.owner.as_deref().cloned();
            let owner = owner.filter(|_| self.reverse_path.is_some());
            let mut recipient = through.recipient(alias);
            recipient.address = match &leave.address {
                Some(address) => address.clone(),
                None => member.address,
            };
            let marks = if through == Through::List { OF_LIST } else { 0 };
            let way = Way {
                alias: Some(&alias.address),
                path: owner.or_else(|| path.clone()),
            };
            self.put(recipient, leave, way, marks, shares);
        }
    }

    /// A recipient with us, whose mail is to wait.
    pub(super) fn hold(&mut self, recipient: &Recipient, leave: Leave, shares: &mut Shares) {
        let way = Way {
            alias: None,
            path: None,
        };
        let mut recipient = recipient.clone();
        if let Some(address) = &leave.address {
            recipient.address = address.clone();
        }
        self.put(recipient, leave, way, 0, shares);
    }

    fn put(
        &mut self,
        recipient: Recipient,
        leave: Leave,
        way: Way<'m>,
        marks: u16,
        shares: &mut Shares,
    ) {
        let marks = match way.path {
            Some(_) => marks | OWN_PATH,
            None => marks,
        };
        let mut outbound = Outbound {
            recipient: recipient.address,
            notify: recipient.notify,
            orcpt: recipient.orcpt,
            tenant: origin::name(&self.owner, leave.pattern.as_deref()),
            expiry_secs: 0,
            not_before_secs: 0,
            priority: 0,
            marks: 0,
            by_secs: 0,
            prefix: self.prefix(way),
        };
        let (terms, elapsed_ms) = self.terms;
        let elapsed_secs = i64::try_from(elapsed_ms / 1000).unwrap_or(0);
        let now_secs = self.date.unix_secs;
        agree(
            &mut outbound,
            terms,
            now_secs,
            elapsed_secs,
            leave.expire_secs,
        );
        outbound.expiry_secs = self.expiry_secs.unwrap_or(outbound.expiry_secs);
        outbound.marks |= marks;
        shares.leave(leave.home, outbound, self.has_aliases);
    }

    /// Those of one way share it. Ways follow each other, so the last one is the one.
    fn prefix(&mut self, way: Way<'m>) -> Arc<[u8]> {
        if let Some((last, prefix)) = &self.last
            && *last == way
        {
            return Arc::clone(prefix);
        }
        let mut octets = Vec::with_capacity(self.received.len() + 256);
        if let Some(path) = &way.path {
            trace::return_path(Some(path), &mut octets);
        }
        if let Some(alias) = way.alias {
            trace::delivered_to(alias, &mut octets);
        }
        octets.extend_from_slice(self.received);
        let prefix: Arc<[u8]> = octets.into();
        self.last = Some((way, Arc::clone(&prefix)));
        prefix
    }

    fn rewritten_sender(&self) -> Option<Address> {
        let sender = self.reverse_path?;
        let rewrites = &self.config.rewrites;
        rewrites.envelope(Whose::Sender, Direction::Outbound, sender)
    }

    fn forwarded_path(&self) -> Option<Address> {
        let sender = self.reverse_path?;
        let now_secs = u64::try_from(self.date.unix_secs).unwrap_or(0);
        srs::forwarded(self.config, self.directory, sender, now_secs)
    }
}

/// Every account that a recipient leads to gets its share.
pub(super) fn share_out(
    sender: Option<&Address>,
    recipient: &Recipient,
    (position, targets): (usize, &[Target]),
    received: &[u8],
    shares: &mut Shares,
) {
    for target in targets {
        let path = sender.map(|sender| target.owner.as_deref().unwrap_or(sender));
        let mut prefix = Vec::with_capacity(received.len() + 128);
        trace::return_path(path, &mut prefix);
        trace::delivered_to(&recipient.address, &mut prefix);
        prefix.extend_from_slice(received);
        shares.add(position, recipient, target, prefix);
    }
}

impl Through {
    pub(super) fn of(count: usize, owner: Option<&Address>) -> Through {
        match (owner, count) {
            (Some(_), _) => Through::List,
            (None, 0 | 1) => Through::One,
            (None, _) => Through::Several,
        }
    }

    /// How an alias reaches accounts of ours.
    pub(super) fn to(targets: &[Target]) -> Through {
        let owner = targets.iter().find_map(|target| target.owner.as_deref());
        Through::of(targets.len(), owner)
    }

    /// As [`recipient`](Self::recipient), for an account of ours, which knows its own name.
    pub(super) fn account(self, alias: &Recipient) -> Cow<'_, Recipient> {
        match self {
            Through::One => Cow::Borrowed(alias),
            _ => Cow::Owned(self.recipient(alias)),
        }
    }

    /// What is left of the wishes for a member.
    pub(super) fn recipient(self, alias: &Recipient) -> Recipient {
        let (notify, orcpt) = match self {
            Through::One => (alias.notify, Some(original(alias))),
            Through::Several => (without_success(alias.notify), Some(original(alias))),
            Through::List => (Notify::UNSET, None),
        };
        Recipient {
            address: alias.address.clone(),
            notify,
            orcpt,
        }
    }
}

/// Who asked for nothing but success does not want to hear of failures either.
fn without_success(notify: Notify) -> Notify {
    match Notify(notify.0 & !Notify::SUCCESS.0) {
        Notify::UNSET if notify != Notify::UNSET => Notify::NEVER,
        left => left,
    }
}

/// RFC 3461 §4.2: the recipient as the sender wrote it, where that is not known otherwise.
pub(super) fn original(recipient: &Recipient) -> String {
    let written = || {
        let address = recipient.address.to_string();
        let kind = if address.is_ascii() {
            "rfc822"
        } else {
            "utf-8"
        };
        format!("{kind};{address}")
    };
    recipient.orcpt.clone().unwrap_or_else(written)
}
