//! Where the recipients of one transaction lead, and what each shard gets of it.

use super::sending::Through;
use crate::route::{Forward, Target, Targets};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use store::mail::address::Address;
use store::mail::envelope::Recipient;
use store::shard::{Outbound, Share};

/// Where an accepted recipient leads.
pub(super) enum Lead {
    /// To accounts of ours; at least one.
    Accounts(Targets),
    /// To accounts of ours, and not before the sender wants it: by our own queue (RFC 4865).
    Later(Leave),
    /// Through an alias, to other hosts.
    Forwarded(Box<Members>),
    /// To another host.
    Away(Leave),
    /// To nobody, as the operator wants it.
    Nowhere,
}

/// Whom an alias reaches.
pub(super) struct Members {
    pub(super) targets: Vec<Target>,
    /// At least one.
    pub(super) forwards: Vec<(Forward, Leave)>,
}

/// The way of a recipient at another host, as it was found at RCPT.
#[derive(Clone, Debug)]
pub(super) struct Leave {
    /// Where it goes, if that is not what the client said.
    pub(super) address: Option<Address>,
    /// The shard that keeps its queue.
    pub(super) home: usize,
    pub(super) expire_secs: u32,
    /// By which its sender's routes are found again.
    pub(super) pattern: Option<String>,
}

impl Lead {
    /// What it adds to the shares of a message.
    pub(super) fn count(&self) -> usize {
        match self {
            Lead::Accounts(targets) => targets.len(),
            Lead::Forwarded(members) => members.targets.len() + members.forwards.len(),
            Lead::Later(_) | Lead::Away(_) | Lead::Nowhere => 1,
        }
    }

    /// The shards that get it: one of them may as well have it first.
    pub(super) fn owners(&self) -> impl Iterator<Item = usize> + Clone {
        let (targets, home): (&[Target], _) = match self {
            Lead::Accounts(targets) => (targets, None),
            Lead::Forwarded(members) => (&members.targets, members.home()),
            Lead::Later(leave) | Lead::Away(leave) => (&[], Some(leave.home)),
            Lead::Nowhere => (&[], None),
        };
        targets.iter().map(owner).chain(home)
    }

    /// Does any of it go by a queue?
    pub(super) fn is_queued(&self) -> bool {
        matches!(self, Lead::Forwarded(_) | Lead::Later(_) | Lead::Away(_))
    }
}

impl Members {
    /// The shard that keeps the queue of the first one, for who has nobody here.
    fn home(&self) -> Option<usize> {
        let first = self.forwards.first().filter(|_| self.targets.is_empty());
        first.map(|(_, leave)| leave.home)
    }

    /// How the alias reaches those that have no owner.
    pub(super) fn through(&self) -> Through {
        let owners = self.targets.iter().map(|target| target.owner.as_deref());
        let elsewhere = self.forwards.iter();
        let mut owners = owners.chain(elsewhere.map(|(member, _)| member.owner.as_deref()));
        let count = self.targets.len() + self.forwards.len();
        Through::of(count, owners.find_map(|owner| owner))
    }
}

/// Whose turn mail of a client counts for that has not logged in: the domain of its sender.
pub(super) fn tenant(reverse_path: Option<&Address>) -> String {
    let domain = |address: &Address| format!("@{}", address.domain);
    reverse_path.map_or_else(|| "<>".to_owned(), domain)
}

/// A message's recipients by owner, the coordinator first.
pub(super) struct Shares {
    pub(super) by_owner: Vec<(usize, Vec<Share>)>,
    /// For each recipient the places of its shares: owner in `by_owner`, share there.
    pub(super) of_recipient: Vec<Vec<(usize, usize)>>,
    /// Recipients at other hosts by the shard that keeps their queue.
    pub(super) by_home: Vec<(usize, Vec<Outbound>)>,
    /// Nobody else can come, so nothing is remembered.
    pub(super) has_one: bool,
    accounts: HashMap<Arc<str>, (usize, usize)>,
    away: HashSet<Address>,
}

impl Shares {
    pub(super) fn new(coordinator: usize, recipients: usize) -> Shares {
        Shares {
            by_owner: vec![(coordinator, Vec::new())],
            by_home: Vec::new(),
            of_recipient: vec![Vec::new(); recipients],
            has_one: false,
            accounts: HashMap::new(),
            away: HashSet::new(),
        }
    }

    /// A share of an account of ours; one that it has already counts for both.
    pub(super) fn add(
        &mut self,
        position: usize,
        recipient: &Recipient,
        target: &Target,
        prefix: Vec<u8>,
    ) {
        let account = target.account.address.text();
        let place = match self.has_one {
            true => self.put(owner(target), recipient, account, prefix),
            false => match self.accounts.get(account.as_str()) {
                Some(place) => *place,
                None => {
                    let known = Arc::from(account.as_str());
                    let place = self.put(owner(target), recipient, account, prefix);
                    self.accounts.insert(known, place);
                    place
                }
            },
        };
        self.answered_by(position, place);
    }

    /// A recipient at another host. With `is_once` one that the message goes to already is passed
    /// over.
    pub(super) fn leave(&mut self, home: usize, outbound: Outbound, is_once: bool) {
        if is_once && !self.away.insert(outbound.recipient.clone()) {
            return;
        }
        match self.by_home.iter_mut().find(|(known, _)| *known == home) {
            Some((_, list)) => list.push(outbound),
            None => self.by_home.push((home, vec![outbound])),
        }
    }

    /// Whatever becomes of its accounts, a recipient with members elsewhere is taken.
    pub(super) fn is_taken_elsewhere(&mut self, position: usize) {
        self.answered_by(position, ELSEWHERE);
    }

    fn answered_by(&mut self, position: usize, place: (usize, usize)) {
        if let Some(places) = self.of_recipient.get_mut(position) {
            places.push(place);
        }
    }

    fn put(
        &mut self,
        owner: usize,
        recipient: &Recipient,
        account: String,
        prefix: Vec<u8>,
    ) -> (usize, usize) {
        let at = match self.by_owner.iter().position(|(known, _)| *known == owner) {
            Some(at) => at,
            None => {
                self.by_owner.push((owner, Vec::new()));
                self.by_owner.len() - 1
            }
        };
        let Some((_, shares)) = self.by_owner.get_mut(at) else {
            return (at, 0);
        };
        shares.push(Share {
            account,
            recipient: recipient.address.clone(),
            notify: recipient.notify,
            orcpt: recipient.orcpt.clone(),
            prefix,
        });
        (at, shares.len() - 1)
    }
}

fn owner(target: &Target) -> usize {
    usize::from(target.account.shard.0)
}

/// The place of a share that no coordinator refuses.
const ELSEWHERE: (usize, usize) = (usize::MAX, 0);
