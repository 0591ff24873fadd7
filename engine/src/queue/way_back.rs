//! The way of a notice: from the null reverse-path to a sender with us, or wherever mail goes.

use super::dsn::Notice;
use super::terms::agree;
use crate::post::Submitted;
use crate::route::{self, Away, Live, Route, Target, home};
use crate::session::smtp;
use crate::session::smtp::trace;
use store::mail::address::Address;
use store::mail::envelope::Notify;
use store::mail::id::QueueId;
use store::shard::{Outbound, Share, Source};

/// From where, and when, a notice goes back.
#[derive(Clone, Copy)]
pub struct WayBack<'a> {
    pub live: &'a Live,
    /// This one coordinates.
    pub shard: usize,
    pub now_secs: i64,
}

impl WayBack<'_> {
    /// A notice as custody is taken of it; `None`: there is no way to the sender.
    #[must_use]
    pub fn submitted(
        self,
        queue: QueueId,
        sender: &Address,
        notice: &Notice,
        asked: &smtp::Terms,
    ) -> Option<Submitted> {
        let mut submitted = Submitted {
            queue,
            source: Source {
                is_transaction: true,
                reverse_path: None,
                body: notice.body,
                smtputf8: notice.smtputf8,
                ret: None,
                envid: None,
            },
            received_secs: self.now_secs,
            stream: None,
            tail: Vec::new(),
            each_alone: false,
            shares: vec![(self.shard, Vec::new())],
            outbound: Vec::new(),
        };
        let directory = self.live.directory.load();
        match route::resolve(&directory, sender) {
            Route::Local { targets, .. } => {
                for target in targets.iter() {
                    put(&mut submitted.shares, share(sender, target), target);
                }
            }
            Route::Foreign => {
                let outbound = self.outbound(sender, asked)?;
                let home = usize::from(home(&sender.domain, directory.shards()).0);
                submitted.outbound.push((home, vec![outbound]));
            }
            Route::Refused(_) => return None,
        }
        Some(submitted)
    }

    fn outbound(self, sender: &Address, asked: &smtp::Terms) -> Option<Outbound> {
        let config = self.live.config.load();
        let rules = &config.outbound;
        if route::away(rules, true, sender) != Away::Leaves {
            return None;
        }
        let route = rules.route(&sender.domain);
        let pace = route.map_or(&rules.queue.pace, |route| &route.pace);
        let mut outbound = Outbound {
            recipient: sender.clone(),
            notify: Notify::NEVER,
            orcpt: None,
            tenant: "<>".to_owned(),
            expiry_secs: 0,
            not_before_secs: 0,
            priority: 0,
            marks: 0,
            by_secs: 0,
            prefix: Vec::new(),
        };
        agree(&mut outbound, asked, self.now_secs, 0, pace.expire_secs);
        Some(outbound)
    }
}

fn share(sender: &Address, target: &Target) -> Share {
    let mut prefix = Vec::new();
    trace::return_path(None, &mut prefix);
    trace::delivered_to(sender, &mut prefix);
    Share {
        account: target.account.address.to_string(),
        recipient: sender.clone(),
        notify: Notify::NEVER,
        orcpt: None,
        prefix,
    }
}

/// Adds a share to those of its owner.
pub(super) fn put(shares: &mut Vec<(usize, Vec<Share>)>, share: Share, target: &Target) {
    let owner = usize::from(target.account.shard.0);
    match shares.iter_mut().find(|(known, _)| *known == owner) {
        Some((_, list)) => list.push(share),
        None => shares.push((owner, vec![share])),
    }
}
