//! Where the recipients of one transaction lead, and what each shard gets of it.

use crate::config::outbound::Outbound as Rules;
use crate::queue;
use crate::route::Target;
use crate::session::smtp::Commit;
use std::collections::HashMap;
use store::mail::address::Address;
use store::mail::date::InternalDate;
use store::mail::envelope::{Envelope, Recipient};
use store::shard::{Outbound, Share};

/// Where an accepted recipient leads.
pub(super) enum Lead {
    /// To accounts of ours; at least one.
    Accounts(Vec<Target>),
    /// To accounts of ours, and not before the sender wants it: by our own queue (RFC 4865).
    Later { home: usize },
    /// To another host, by the queue of this shard.
    Away { home: usize },
    /// To nobody, as the operator wants it.
    Nowhere,
}

impl Lead {
    /// What it adds to the shares of a message.
    pub(super) fn count(&self) -> usize {
        match self {
            Lead::Accounts(targets) => targets.len(),
            Lead::Later { .. } | Lead::Away { .. } | Lead::Nowhere => 1,
        }
    }

    /// The shards that get it: one of them may as well have it first.
    pub(super) fn owners(&self) -> impl Iterator<Item = usize> + Clone {
        let (targets, home) = match self {
            Lead::Accounts(targets) => (targets.as_slice(), None),
            Lead::Later { home } | Lead::Away { home } => (&[][..], Some(*home)),
            Lead::Nowhere => (&[][..], None),
        };
        targets.iter().map(owner).chain(home)
    }
}

/// A recipient of the queue as the store keeps it.
pub(super) fn leaving(
    recipient: &Recipient,
    tenant: String,
    received: &[u8],
    date: InternalDate,
    commit: &Commit,
    rules: &Rules,
) -> Outbound {
    let route = rules.route(&recipient.address.domain);
    let pace = route.map_or(&rules.queue.pace, |route| &route.pace);
    let mut outbound = Outbound {
        recipient: recipient.address.clone(),
        notify: recipient.notify,
        orcpt: recipient.orcpt.clone(),
        tenant,
        expiry_secs: 0,
        not_before_secs: 0,
        priority: 0,
        marks: 0,
        by_secs: 0,
        prefix: received.to_vec(),
    };
    let elapsed_secs = i64::try_from(commit.elapsed_ms / 1000).unwrap_or(0);
    let expire_secs = pace.expire_secs;
    queue::agree(
        &mut outbound,
        &commit.terms,
        date.unix_secs,
        elapsed_secs,
        expire_secs,
    );
    outbound
}

/// Whose turn mail of a client counts for that has not logged in: the domain of its sender.
pub(super) fn tenant(envelope: &Envelope) -> String {
    let domain = |address: &Address| format!("@{}", address.domain);
    envelope
        .reverse_path
        .as_ref()
        .map_or_else(|| "<>".to_owned(), domain)
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
    accounts: HashMap<String, (usize, usize)>,
}

impl Shares {
    pub(super) fn new(coordinator: usize, recipients: usize) -> Shares {
        Shares {
            by_owner: vec![(coordinator, Vec::new())],
            by_home: Vec::new(),
            of_recipient: vec![Vec::new(); recipients],
            has_one: false,
            accounts: HashMap::new(),
        }
    }

    pub(super) fn add(
        &mut self,
        position: usize,
        recipient: &Recipient,
        target: &Target,
        prefix: &[u8],
    ) {
        let account = target.account.address.to_string();
        let place = match self.accounts.get(&account) {
            Some(place) => *place,
            None => {
                let place = self.put(owner(target), recipient, &account, prefix);
                if !self.has_one {
                    self.accounts.insert(account, place);
                }
                place
            }
        };
        if let Some(places) = self.of_recipient.get_mut(position) {
            places.push(place);
        }
    }

    /// A recipient at another host.
    pub(super) fn leave(&mut self, home: usize, outbound: Outbound) {
        match self.by_home.iter_mut().find(|(known, _)| *known == home) {
            Some((_, list)) => list.push(outbound),
            None => self.by_home.push((home, vec![outbound])),
        }
    }

    fn put(
        &mut self,
        owner: usize,
        recipient: &Recipient,
        account: &str,
        prefix: &[u8],
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
            account: account.to_owned(),
            recipient: recipient.address.clone(),
            notify: recipient.notify,
            orcpt: recipient.orcpt.clone(),
            prefix: prefix.to_vec(),
        });
        (at, shares.len() - 1)
    }
}

fn owner(target: &Target) -> usize {
    usize::from(target.account.shard.0)
}
