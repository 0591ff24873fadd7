//! What came of a message: told, counted, written down.

use super::{Courier, IN_DOUBT_MAX};
use crate::egress::{Dialect, Fate, Outcome};
use crate::queue::dsn::Event;
use crate::queue::letter::Parcel;
use crate::queue::outcome::{Result as Came, Tried, said};
use crate::queue::owner;
use crate::queue::rules::Judged;
use crate::queue::site::Counts;
use crate::reactor::oneshot::oneshot;
use crate::reactor::spawn;
use crate::telemetry::metric::Kind;
use crate::wire::smtp::client::offer::Offer;
use std::rc::Rc;
use std::sync::Arc;
use store::shard::{HostReply, Way};

impl Courier {
    pub(super) async fn write_down(
        &mut self,
        parcels: Vec<Parcel>,
        (host, way): (&str, Arc<Way>),
        promises: Promises,
        (outcome, judged): (&Outcome, &[Option<Judged>]),
    ) {
        let mut tried = Vec::with_capacity(parcels.len());
        let now = self.desk.now().unix_millis;
        let mut gone = Vec::new();
        for ((parcel, disposition), judged) in
            parcels.into_iter().zip(&outcome.recipients).zip(judged)
        {
            if disposition.fate == Fate::Delivered {
                let delay = now.saturating_sub(parcel.born_millis);
                self.permit.site().counts.delivery.record(delay);
            }
            let came = judged.as_ref().map(|judged| judged.result);
            let result = match came.unwrap_or_else(|| Came::from(disposition)) {
                Came::Delivered(_) => Came::Delivered(self.told(&parcel, promises)),
                other => other,
            };
            let said = said(host, disposition.origin, &disposition.reply);
            let rule = judged.as_ref().filter(|judged| judged.suppresses);
            let rule = rule.map(|judged| judged.rule.as_str());
            gone.extend(self.desk.gone(&parcel, result, &said, rule));
            tried.push(Tried {
                index: parcel.index,
                item: parcel.item,
                terms: parcel.terms,
                result,
                said: HostReply {
                    way: Some(Arc::clone(&way)),
                    ..said
                },
            });
        }
        self.desk.suppress(gone);
        self.count(&tried);
        self.taken.clear();
        let (done, noted) = oneshot();
        let (desk, route) = (Rc::clone(&self.desk), Rc::clone(&self.hop.route));
        spawn(async move {
            desk.settle(tried, &route.pace).await;
            desk.turn();
            // A courier that is gone does not wait.
            let _ = done.send(());
        });
        self.noted.push_back(noted);
        self.until_noted(IN_DOUBT_MAX - 1).await;
    }

    /// Waits until no more than so many outcomes are on their way into the log.
    pub(super) async fn until_noted(&mut self, most: usize) {
        while self.noted.len() > most
            && let Some(oldest) = self.noted.pop_front()
        {
            // Closed: the task that writes it down has ended all the same.
            let _ = oldest.await;
        }
    }

    /// Who tells the sender of a recipient that the host took.
    fn told(&self, parcel: &Parcel, promises: Promises) -> Event {
        // LMTP puts it into its mailbox (RFC 2033).
        if self.hop.dialect == Dialect::Lmtp {
            return match parcel.wants_success() {
                true => Event::Delivered,
                false => Event::PassedOn,
            };
        }
        let by = parcel.terms.by;
        if by.is_some_and(|by| by.trace || !promises.deliver_by) {
            return Event::Traced;
        }
        match parcel.wants_success() && !promises.dsn {
            true => Event::Relayed,
            false => Event::PassedOn,
        }
    }

    pub(in super::super) fn count(&self, tried: &[Tried]) {
        let now_secs = self.desk.now().unix_secs();
        let site = self.permit.site();
        let mut known: Option<(&str, Arc<Counts>)> = None;
        for one in tried {
            // Campaigns count for their tenant, as the gauges beside these have it.
            let (tenant, _) = owner::split(&one.item.tenant);
            if known.as_ref().is_none_or(|(name, _)| *name != tenant) {
                known = Some((tenant, self.desk.sites.total(Kind::Tenant, tenant)));
            }
            let of_tenant = known.iter().map(|(_, counts)| &**counts);
            for counts in of_tenant.chain([&site.counts, &*self.counts]) {
                counts.came(&one.result, &one.said, now_secs);
            }
        }
    }

    /// How long the first attempts of these took to begin.
    pub(super) fn clock(&self, parcels: &[Parcel]) {
        let now = self.desk.now().unix_millis;
        let first = parcels.iter().filter(|parcel| parcel.item.attempts == 0);
        for parcel in first {
            let delay = now.saturating_sub(parcel.born_millis);
            self.permit.site().counts.first.record(delay);
        }
    }
}

/// What a host that took a message does about telling its sender.
#[derive(Clone, Copy)]
pub(super) struct Promises {
    dsn: bool,
    deliver_by: bool,
}

impl Promises {
    pub(super) fn of(offer: &Offer) -> Promises {
        Promises {
            dsn: offer.dsn,
            deliver_by: offer.deliver_by_secs_min.is_some(),
        }
    }
}
