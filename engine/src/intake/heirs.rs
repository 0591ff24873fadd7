//! Who gets mail for an account that was removed after its recipient was accepted.
//!
//! The recipient was known at RCPT, and we may have said 250 since. The first that fits:
//!
//! ```text
//! the account is in the directory   it, made anew if only the configuration knows it
//! the address leads somewhere now   whoever gets new mail for it: an alias, the catch-all
//! the domain has a postmaster       the postmaster
//! none of them                      nobody: said to the client if it still waits, else to the log
//! ```
//!
//! An heir of another shard gets it as an offer in the same frame, so custody has no gap.

use super::queue_id;
use crate::event;
use crate::route::{Directory, Live, Route, Targets, resolve};
use crate::telemetry::metric::{Lost, ShardMetrics};
use std::fmt::Display;
use std::sync::Arc;
use store::error::ChangeError;
use store::mail::address::Address;
use store::mail::id::QueueId;
use store::shard::{Delivered, Share};

/// Knows who is here now, and where to complain.
#[derive(Clone)]
pub struct Heirs {
    live: Arc<Live>,
    metrics: Arc<ShardMetrics>,
    shard: usize,
}

/// The recipients of one custody, each with somebody who gets its mail.
pub(super) struct Settled {
    pub(super) own: Vec<Share>,
    /// By owner.
    pub(super) offers: Vec<(usize, Vec<Share>)>,
    pub(super) fates: Fates,
}

/// What becomes of the shares that were asked for, in their order, each with its account.
pub(super) struct Fates(Vec<(String, Fate)>);

#[derive(Clone, Copy)]
enum Fate {
    /// By its place in `own`.
    Own(usize),
    Offered,
    Nobody,
}

impl Heirs {
    pub(super) fn live(&self) -> &Live {
        &self.live
    }

    pub fn new(live: Arc<Live>, metrics: Arc<ShardMetrics>, shard: usize) -> Heirs {
        Heirs {
            live,
            metrics,
            shard,
        }
    }

    /// Whose heirs these are.
    pub(super) fn shard(&self) -> usize {
        self.shard
    }

    /// Replaces the owners of `shares` that are gone; those of `offers` are for other shards to
    /// judge.
    pub(super) fn settle(&self, shares: Vec<Share>, offers: Vec<(usize, Vec<Share>)>) -> Settled {
        let directory = self.live.directory.load();
        let mut settled = Settled {
            own: Vec::with_capacity(shares.len()),
            offers,
            fates: Fates(Vec::with_capacity(shares.len())),
        };
        let mut gone = Vec::new();
        for (place, share) in shares.into_iter().enumerate() {
            let account = share.account.clone();
            let fate = match directory.account_named(&account).is_some() {
                true => settled.keep(share),
                false => {
                    gone.push((place, share));
                    Fate::Nobody
                }
            };
            settled.fates.0.push((account, fate));
        }
        for (place, share) in gone {
            let fate = self.bequeath(&directory, &share, &mut settled);
            if let Some(known) = settled.fates.0.get_mut(place) {
                known.1 = fate;
            }
        }
        settled
    }

    fn bequeath(&self, directory: &Directory, share: &Share, settled: &mut Settled) -> Fate {
        let mut fate = Fate::Nobody;
        for (owner, account) in heirs(directory, &share.account) {
            let share = Share {
                account,
                ..share.clone()
            };
            fate = match owner == self.shard {
                true => settled.keep_once(share),
                false => settled.offer_once(owner, share),
            };
        }
        fate
    }

    /// Names a copy of a message in our custody that nobody gets.
    pub(super) fn name_lost(&self, queue: QueueId, account: &str, why: Lost, error: &dyn Display) {
        self.metrics.messages_lost.of(why).one();
        event!(
            Error,
            "message lost",
            queue_id = queue_id::text(queue),
            account = account,
            why = error.to_string(),
        );
    }

    /// Names the copies that nobody gets, of a message that is in our custody all the same.
    pub(super) fn name_orphans(&self, queue: QueueId, fates: &Fates, delivered: &Delivered) {
        for (account, outcome) in fates.accounts().zip(fates.outcomes(delivered)) {
            if let Err(error @ ChangeError::NoAccount) = outcome {
                self.name_lost(queue, account, Lost::NoAccount, &error);
            }
        }
    }
}

impl Settled {
    fn keep(&mut self, share: Share) -> Fate {
        self.own.push(share);
        Fate::Own(self.own.len() - 1)
    }

    /// An heir may be a recipient already, or the heir of another one.
    fn keep_once(&mut self, share: Share) -> Fate {
        let known = self.own.iter().position(|own| own.account == share.account);
        known.map_or_else(|| self.keep(share), Fate::Own)
    }

    fn offer_once(&mut self, owner: usize, share: Share) -> Fate {
        match self.offers.iter_mut().find(|(known, _)| *known == owner) {
            Some((_, shares)) if shares.iter().any(|known| known.account == share.account) => {}
            Some((_, shares)) => shares.push(share),
            None => self.offers.push((owner, vec![share])),
        }
        Fate::Offered
    }
}

impl Fates {
    fn accounts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(account, _)| account.as_str())
    }

    /// What to say of each share that was asked for.
    pub(super) fn outcomes(
        &self,
        delivered: &Delivered,
    ) -> impl Iterator<Item = Result<(), ChangeError>> {
        self.0.iter().map(|(_, fate)| match fate {
            Fate::Offered => Ok(()),
            Fate::Nobody => Err(ChangeError::NoAccount),
            Fate::Own(place) => match delivered.shares.get(*place) {
                Some(Err(error)) => Err(error.clone()),
                _ => Ok(()),
            },
        })
    }
}

/// Owner and account of each heir.
fn heirs(directory: &Directory, account: &str) -> Vec<(usize, String)> {
    let Some(address) = Address::split(account) else {
        return Vec::new();
    };
    let postmaster = Address::new("postmaster", address.domain.clone());
    let lead = |address: &Address| match resolve(directory, address) {
        Route::Local { targets, .. } => Some(targets),
        // What we said 250 to stays here: who is elsewhere was not meant.
        Route::Forwarded(forwarded) => {
            let targets = Targets::Many(forwarded.targets);
            Some(targets).filter(|targets| !targets.is_empty())
        }
        Route::Refused(_) | Route::Foreign => None,
    };
    let targets = lead(&address).or_else(|| lead(&postmaster));
    targets
        .iter()
        .flat_map(|targets| targets.iter())
        .map(|target| {
            let account = &target.account;
            (usize::from(account.shard.0), account.address.to_string())
        })
        .collect()
}
