//! A courier and the rules: what they make of the replies it hears, and whether it may go on.

use super::super::connect::is_final;
use super::super::courier::Courier;
use super::super::letter::Parcel;
use super::super::outcome::Result as Came;
use super::super::owner;
use super::{Case, Judged, judge};
use crate::egress::{Disposition, Failure, Fate, Origin, Outcome, Stage};
use crate::wire::smtp::client::reply::Reply;
use std::rc::Rc;

impl Courier {
    /// Nothing is to be sent now, or others send enough.
    pub(in super::super) fn is_kept_back(&self) -> bool {
        let site = self.permit.site();
        let most = self.hop.route.pace.connections_max;
        let is_one_too_many = site.open() > site.most(most, self.desk.second());
        self.desk.is_suspended(self.queue, site.name()) || is_one_too_many
    }

    /// Messages a minute: what the configuration allows, or less where a rule wants it.
    pub(in super::super) fn per_minute_max(&self) -> Option<u32> {
        let slow = self.permit.site().effects.slow(self.desk.second());
        let by_rule = slow.and_then(|slow| slow.per_minute);
        let rates = [self.hop.route.pace.per_minute_max, by_rule];
        rates.into_iter().flatten().min()
    }

    /// What rules make of the replies, for each recipient.
    pub(in super::super) fn judge(
        &self,
        parcels: &[Parcel],
        host: &str,
        outcome: &Outcome,
    ) -> Vec<Option<Judged>> {
        let mut last: Option<&Rc<Reply>> = None;
        let mut judged = Vec::with_capacity(parcels.len());
        for (parcel, one) in parcels.iter().zip(&outcome.recipients) {
            if !is_refused(one) {
                judged.push(None);
                continue;
            }
            let case = Case {
                is_repeated: last.is_some_and(|last| Rc::ptr_eq(last, &one.reply)),
                ..self.case(parcel, host, (one.stage, &one.reply))
            };
            judged.push(self.judged(&case, Came::from(one)));
            last = Some(&one.reply);
        }
        judged
    }

    /// What rules make of a connection that was refused: the same for all that waited for it.
    pub(in super::super) fn judged_failure(
        &self,
        parcels: &[Parcel],
        host: &str,
        failure: &Failure,
    ) -> Came {
        let result = match is_final(failure) {
            true => Came::Failed,
            false => Came::Deferred,
        };
        let Some(first) = parcels.first().filter(|_| failure.origin == Origin::Peer) else {
            return result;
        };
        let case = self.case(first, host, (failure.stage, &failure.reply));
        let judged = self.judged(&case, result);
        judged.map_or(result, |judged| judged.result)
    }

    fn judged(&self, case: &Case<'_>, result: Came) -> Option<Judged> {
        let config = self.desk.live.config.load();
        let (rules, counts) = (&config.outbound.rules, &self.desk.sites.rules);
        let judged = judge(rules, counts, case, result, self.desk.second());
        let site = self.permit.site();
        if site.effects.take_new() {
            self.desk.note_orders(site);
        }
        judged
    }

    fn case<'a>(
        &'a self,
        parcel: &'a Parcel,
        host: &'a str,
        (stage, reply): (Stage, &'a Reply),
    ) -> Case<'a> {
        let (tenant, campaign) = owner::split(&parcel.item.tenant);
        Case {
            site: self.permit.site(),
            source: &self.source().says.name,
            host,
            domain: &parcel.item.domain,
            tenant,
            campaign,
            stage,
            reply,
            connections_max: self.hop.route.pace.connections_max,
            is_repeated: false,
        }
    }
}

/// Whether another host said no, for now or for good.
fn is_refused(one: &Disposition) -> bool {
    let is_no = matches!(one.fate, Fate::Deferred | Fate::Failed);
    is_no && one.origin == Origin::Peer
}
