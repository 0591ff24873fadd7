//! What programs are told of a message that we took: that it is here, and where each recipient is.

use super::leads::Lead;
use crate::config::EventKind;
use crate::events::{self, Event, Fields};
use crate::intake::queue_id;
use crate::reactor::Now;
use serde_json::Value;
use store::mail::address::Address;
use store::mail::id::QueueId;

/// One message, before anybody is told.
pub(super) struct Told {
    message: Fields,
    recipients: Vec<(bool, String, Value)>,
}

/// What is known of a message beside its recipients.
pub(super) struct About<'a> {
    pub(super) protocol: &'static str,
    pub(super) peer: String,
    pub(super) login: &'a str,
    pub(super) sender: Option<&'a Address>,
    /// Tenant and campaign.
    pub(super) owner: (String, &'a str),
    /// Of a request by HTTP.
    pub(super) request: String,
    pub(super) metadata: Value,
}

impl Told {
    /// `None`: nobody wants to hear of it, and nothing is asked about it.
    pub(super) fn of<'a>(about: impl FnOnce() -> About<'a>) -> Option<Told> {
        let kinds = [EventKind::Received, EventKind::Queued, EventKind::Local];
        if !kinds.into_iter().any(events::wants) {
            return None;
        }
        let about = about();
        let (tenant, campaign) = about.owner;
        let sender = about
            .sender
            .map_or_else(|| "<>".to_owned(), Address::to_string);
        let message = Fields::new()
            .text("sender", &sender)
            .text("tenant", &tenant)
            .text("campaign", campaign)
            .text("request", &about.request)
            .text("protocol", about.protocol)
            .text("peer", &about.peer)
            .text("login", about.login)
            .value("metadata", about.metadata);
        Some(Told {
            message,
            recipients: Vec::new(),
        })
    }

    pub(super) fn add(&mut self, recipient: &Address, lead: &Lead, metadata: Value) {
        let is_away = match lead {
            Lead::Accounts(_) => false,
            Lead::Forwarded(_) | Lead::Later(_) | Lead::Away(_) => true,
            Lead::Nowhere => return,
        };
        self.recipients
            .push((is_away, recipient.to_string(), metadata));
    }

    /// The message is durable. When this is ready, so is what was told of it, where mail waits for
    /// that.
    pub(super) async fn tell(self, queue: QueueId, octets: u64) {
        let id = queue_id::text(queue);
        let at_millis = Now::here().unix_millis;
        let message = self.message.text("message", &id);
        let octets = i64::try_from(octets).unwrap_or(i64::MAX);
        let count = self.recipients.len() as i64;
        let fields = message
            .clone()
            .number("octets", octets)
            .number("recipients", count);
        events::tell(&Event {
            kind: EventKind::Received,
            id: format!("{id}.received"),
            at_millis,
            fields: &fields,
        });
        for (number, (is_away, recipient, metadata)) in self.recipients.into_iter().enumerate() {
            let kind = match is_away {
                true => EventKind::Queued,
                false => EventKind::Local,
            };
            let fields = message.clone().text("recipient", &recipient);
            let fields = fields.value("recipient_metadata", metadata);
            events::tell(&Event {
                kind,
                id: format!("{id}.{}.{number}", kind.name()),
                at_millis,
                fields: &fields,
            });
        }
        events::settled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_nobody_wants_to_hear_of_costs_nothing() {
        let told = Told::of(|| unreachable!("no program is told anything here"));
        assert!(told.is_none());
    }
}
