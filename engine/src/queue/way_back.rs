//! The way of a notice: from the null reverse-path to a sender with us, or wherever mail goes.

use super::dsn::{Event, Notice};
use super::origin;
use super::terms::agree;
use crate::config::NULL_PATH;
use crate::config::outbound::{Copies, Whom};
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
pub(super) struct WayBack<'a> {
    pub(super) live: &'a Live,
    /// This one coordinates.
    pub(super) shard: usize,
    pub(super) now_secs: i64,
}

impl WayBack<'_> {
    /// A notice as custody is taken of it; `None`: there is no way to the sender.
    #[must_use]
    pub(super) fn submitted(
        self,
        queue: QueueId,
        sender: &Address,
        notice: &Notice,
        asked: &smtp::Terms,
    ) -> Option<Submitted> {
        let mut submitted = self.addressed(queue, notice);
        self.add(sender, asked, &mut submitted);
        is_going(&submitted).then_some(submitted)
    }

    /// As [`submitted`](Self::submitted), with a copy for somebody. What is told of a notice itself
    /// stays here, so that it cannot come back as one more.
    pub(super) fn with_copy(
        self,
        queue: QueueId,
        (to, copy): (&Address, Option<&Address>),
        is_of_notice: bool,
        notice: &Notice,
        asked: &smtp::Terms,
    ) -> Option<Submitted> {
        let mut submitted = self.addressed(queue, notice);
        for address in [Some(to), copy.filter(|copy| *copy != to)]
            .into_iter()
            .flatten()
        {
            self.add(address, asked, &mut submitted);
        }
        if is_of_notice {
            submitted.outbound.clear();
        }
        is_going(&submitted).then_some(submitted)
    }

    /// A notice to nobody yet.
    fn addressed(self, queue: QueueId, notice: &Notice) -> Submitted {
        Submitted {
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
            memos: Vec::new(),
        }
    }

    /// Adds whomever mail for `address` reaches, each once.
    fn add(self, address: &Address, asked: &smtp::Terms, submitted: &mut Submitted) {
        let directory = self.live.directory.load();
        let shards = directory.shards();
        match route::resolve(&directory, address) {
            Route::Local { targets, .. } => add_shares(address, &targets, submitted),
            Route::Forwarded(forwarded) => {
                add_shares(address, &forwarded.targets, submitted);
                for member in forwarded.forwards.iter() {
                    let way = (&member.address, Some(address));
                    self.leave(way, shards, asked, submitted);
                }
            }
            Route::Foreign => self.leave((address, None), shards, asked, submitted),
            Route::Refused(_) => {}
        }
    }

    fn leave(
        self,
        (to, alias): (&Address, Option<&Address>),
        shards: u16,
        asked: &smtp::Terms,
        submitted: &mut Submitted,
    ) {
        let config = self.live.config.load();
        let rules = &config.outbound;
        let Away::Leaves { expire_secs } = route::away(rules, true, to, NOBODY) else {
            return;
        };
        let mut prefix = Vec::new();
        if let Some(alias) = alias {
            trace::delivered_to(alias, &mut prefix);
        }
        let pattern = rules.sender_pattern(NOBODY.sender);
        let mut outbound = Outbound {
            recipient: to.clone(),
            notify: Notify::NEVER,
            orcpt: None,
            tenant: origin::name(NOBODY.tenant, pattern.as_deref()),
            expiry_secs: 0,
            not_before_secs: 0,
            priority: 0,
            marks: 0,
            by_secs: 0,
            prefix: prefix.into(),
        };
        agree(&mut outbound, asked, self.now_secs, 0, expire_secs);
        let home = usize::from(home(&to.domain, shards).0);
        match submitted
            .outbound
            .iter_mut()
            .find(|(known, _)| *known == home)
        {
            Some((_, list)) => list.push(outbound),
            None => submitted.outbound.push((home, vec![outbound])),
        }
    }
}

/// Notices come from nobody, and are nobody's.
const NOBODY: Whom<'static> = Whom {
    sender: NULL_PATH,
    tenant: NULL_PATH,
};

fn is_going(submitted: &Submitted) -> bool {
    let mut shares = submitted.shares.iter();
    !submitted.outbound.is_empty() || shares.any(|(_, shares)| !shares.is_empty())
}

fn add_shares(address: &Address, targets: &[Target], submitted: &mut Submitted) {
    for target in targets {
        let share = share(address, target);
        let mut known = submitted.shares.iter().flat_map(|(_, shares)| shares);
        if !known.any(|known| known.account == share.account) {
            put(&mut submitted.shares, share, target);
        }
    }
}

/// Does postmaster get a copy of what tells of this?
pub(super) fn is_copied(copies: Copies, event: Event) -> bool {
    match event {
        Event::Failed => copies.failed,
        Event::Delayed => copies.delayed,
        _ => false,
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
