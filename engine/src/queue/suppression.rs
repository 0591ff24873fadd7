//! Recipients that get no mail any more: found before sending, written down after refusals.
//!
//! The list of a domain lies in the shard that keeps its queue, so that nobody else is asked here.
//! Who is on it when its turn comes ends at once, and the sender hears of it like of any failure.

use super::dispatch::Dispatcher;
use super::letter::Parcel;
use super::nodes::Index;
use super::notice::class_of;
use super::outcome::{Result as Came, Tried};
use super::owner;
use super::terms::Terms;
use crate::config::outbound::Pace;
use crate::event;
use crate::intake::suppression::{find, suppressed_words};
use crate::post::suppress::ENTRIES_MAX;
use crate::post::{Bounced, SuppressAnswer, SuppressAsk, SuppressReason, Suppressed};
use crate::reactor::spawn;
use std::rc::Rc;
use store::shard::{Enhanced, HostReply, Item, Queued};

impl Dispatcher {
    /// Ends those that are on the list, and gives back the others.
    pub(super) async fn without_suppressed(
        &self,
        wanted: Vec<(Index, Item)>,
        queued: &Queued,
        pace: &Pace,
    ) -> Vec<(Index, Item)> {
        if !self.live.suppresses(self.shard) {
            return wanted;
        }
        let (mut kept, mut ended) = (Vec::with_capacity(wanted.len()), Vec::new());
        for (index, item) in wanted {
            let leaving = queued.recipients.iter().find(|(id, _)| *id == item.id);
            let found = leaving.and_then(|(_, leaving)| {
                let entry = find(&self.store, &leaving.address, owner::split(&item.tenant).0)?;
                Some((entry, Terms::of(leaving)))
            });
            match found {
                None => kept.push((index, item)),
                Some((entry, terms)) => ended.push(Tried {
                    terms,
                    index,
                    item,
                    result: Came::Failed,
                    said: said(&entry),
                }),
            }
        }
        if !ended.is_empty() {
            self.settle(ended, pace).await;
        }
        kept
    }

    /// What a refusal means for the list; `None`: nothing.
    pub(super) fn gone(
        &self,
        parcel: &Parcel,
        result: Came,
        said: &HostReply,
        rule: Option<&str>,
    ) -> Option<SuppressAsk> {
        let config = self.live.config.load();
        let rules = &config.outbound.suppression;
        let address = parcel.recipient.address.clone();
        let tenant = (!rules.for_everybody).then(|| owner::split(&parcel.item.tenant).0.to_owned());
        let at_secs = self.now().unix_secs() as i64;
        let text = format!("{} {}", said.code, said.text);
        if let Some(rule) = rule {
            let lasts = rules.lasts_secs.map_or(0, |secs| at_secs + i64::from(secs));
            return Some(SuppressAsk::Put(vec![Suppressed {
                address: address.to_string(),
                tenant,
                reason: SuppressReason::Rule,
                since_secs: at_secs,
                expiry_secs: lasts,
                text: format!("{rule}: {text}"),
                bounces: Vec::new(),
            }]));
        }
        let is_hard = result == Came::Failed && said.code >= 500 && class_of(said).is_hard();
        (is_hard && rules.hard_bounces > 0).then_some(SuppressAsk::Bounced(Bounced {
            address,
            tenant,
            at_secs,
            text,
            needed: rules.hard_bounces,
            within_secs: rules.within_secs,
            lasts_secs: rules.lasts_secs,
        }))
    }

    /// Writes down what refusals mean. Nobody waits for it: a crash forgets a refusal at most.
    pub(super) fn suppress(self: &Rc<Self>, asks: Vec<SuppressAsk>) {
        if asks.is_empty() {
            return;
        }
        debug_assert!(
            asks.len() <= ENTRIES_MAX,
            "as many as recipients of one transaction"
        );
        let this = Rc::clone(self);
        spawn(async move {
            for ask in asks {
                let answer = this.intake.suppression(ask).await;
                this.report_suppressed(&answer);
            }
        });
    }

    fn report_suppressed(&self, answer: &SuppressAnswer) {
        let shard = self.shard;
        match answer {
            SuppressAnswer::Found(Some(entry)) => event!(
                Info,
                "suppressed",
                shard = shard,
                address = entry.address.as_str(),
                tenant = entry.tenant.as_deref().unwrap_or(""),
                why = entry.reason.name(),
                text = entry.text.as_str(),
            ),
            SuppressAnswer::Count(count) => {
                event!(
                    Info,
                    "suppressed",
                    shard = shard,
                    why = "rule",
                    entries = *count
                );
            }
            SuppressAnswer::Failed(why) => {
                event!(Warn, "not suppressed", shard = shard, why = why.as_str());
            }
            SuppressAnswer::Found(None) | SuppressAnswer::Lines { .. } => {}
        }
    }
}

/// What the sender is told.
fn said(entry: &Suppressed) -> HostReply {
    HostReply {
        enhanced: Some(Enhanced {
            class: 5,
            subject: 7,
            detail: 1,
        }),
        text: suppressed_words(entry),
        ..HostReply::default()
    }
}
