//! What rules order, on the board: by which sources mail to a site leaves, and what waits.
//!
//! Orders are about one site and end by themselves. While one holds, the pool of its order goes
//! before that of sender, tenant and route, and a source that it suspends is left to its own as one
//! that cannot be used: the others of the pool take its share.

use super::{Board, Queue};
use crate::queue::nodes::Index;
use crate::queue::rules::{Mail, Suspended};
use crate::queue::site::Site;
use crate::queue::source::Source;

impl Board {
    /// Whose mail it is, in the terms of rules.
    #[must_use]
    pub(in super::super) fn mail_of(&self, index: Index) -> [Mail; 2] {
        let (tenant, campaign) = self.owner_of(index);
        [Mail::Tenant(tenant.into()), Mail::Campaign(campaign.into())]
    }

    /// Whether the source of a ready queue may send to its site now, and rules want it used.
    #[must_use]
    pub(in super::super) fn is_open(&self, queue: &Queue, now: u32) -> bool {
        let (source, site) = (&queue.source, &queue.site);
        let switched = self.switched(site, now);
        switched.is_none_or(|pool| self.pools.has(pool, source)) && source.may_send_to(site, now)
    }

    /// The pool by which a rule lets mail to a site leave.
    #[must_use]
    pub(in super::super) fn switched(&self, site: &Site, now: u32) -> Option<u16> {
        self.pools.named(&site.effects.switched(now)?.pool)
    }
}

impl Queue {
    /// What a rule wants to wait: all mail to the site, or all that leaves by this source.
    #[must_use]
    pub(in super::super) fn suspended(&self, now: u32) -> Option<Suspended> {
        let effects = &self.site.effects;
        if !effects.are_any(now) {
            return None;
        }
        effects.suspended(&[Mail::All, self.source.mail()], now)
    }
}

impl Source {
    /// Whether nothing of its own keeps it from sending to a site, and no rule about it there.
    #[must_use]
    pub(in super::super) fn may_send_to(&self, site: &Site, now: u32) -> bool {
        let effects = &site.effects;
        self.is_usable(site.name(), now)
            && (!effects.are_any(now) || effects.suspended(&[self.mail()], now).is_none())
    }

    fn mail(&self) -> Mail {
        Mail::Source(self.says.name.as_str().into())
    }
}
