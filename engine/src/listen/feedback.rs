//! Mail to an address that takes reports: counted, and its recipients suppressed where that is
//! wanted.
//!
//! The report is in custody and delivered like any other mail before it is looked at, so that none
//! is lost by what it says, or does not say.

use super::hall::Hall;
use crate::config::Config;
use crate::event;
use crate::intake::arf::{self, Bounce, Complaint, REPORT_BYTES_MAX, Reading, Told};
use crate::post::{Bounced, SuppressAnswer, SuppressAsk, SuppressReason, Suppressed};
use crate::queue::dsn::classify;
use crate::route::{self, Route};
use std::rc::Rc;
use store::mail::address::Address;

/// What is kept of a message while it passes.
pub(super) struct Report {
    /// The address, canonical, that it was sent to.
    to: Address,
    provider: Option<String>,
    /// Nobody knows who wrote it: it changes nothing.
    is_doubted: bool,
    octets: Vec<u8>,
}

impl Report {
    pub(super) fn to(to: Address, provider: Option<String>, is_believed: bool) -> Report {
        Report {
            to,
            provider,
            is_doubted: !is_believed,
            octets: Vec::new(),
        }
    }

    /// Keeps the next octets, up to what is read of a report.
    pub(super) fn keep(&mut self, octets: &[u8]) {
        if self.is_doubted {
            return;
        }
        let room = REPORT_BYTES_MAX.saturating_sub(self.octets.len());
        let kept = octets.get(..room).unwrap_or(octets);
        self.octets.extend_from_slice(kept);
    }
}

/// Reads a report that was taken as `queue_id`.
pub(super) async fn read(hall: Rc<Hall>, report: Report, queue_id: String) {
    if report.is_doubted {
        hall.metrics.reports_doubted.one();
        let to = report.to.to_string();
        return event!(
            Warn,
            "report doubted",
            queue_id = queue_id.as_str(),
            to = to
        );
    }
    let config = hall.live.config.load_full();
    let reading = Reading {
        to: &report.to,
        hostname: &config.hostname,
        campaign_field: config.inject.campaign_header.as_deref(),
    };
    match arf::read(&report.octets, &reading) {
        Some(Told::Complaint(complaint)) => {
            let provider = report.provider.as_deref().unwrap_or(&complaint.agent);
            let desk = Desk {
                hall: &hall,
                config: &config,
                queue_id: &queue_id,
            };
            desk.complained(&complaint, provider).await;
        }
        Some(Told::Bounces(bounces)) => {
            let desk = Desk {
                hall: &hall,
                config: &config,
                queue_id: &queue_id,
            };
            for bounce in &bounces {
                desk.bounced(bounce, &report.to).await;
            }
        }
        None => {
            hall.metrics.reports_unread.one();
            let to = report.to.to_string();
            event!(Warn, "report unread", queue_id = queue_id.as_str(), to = to);
        }
    }
}

/// What is done about one report.
struct Desk<'a> {
    hall: &'a Hall,
    config: &'a Config,
    queue_id: &'a str,
}

impl Desk<'_> {
    async fn complained(&self, complaint: &Complaint, provider: &str) {
        let known = self.tenant(complaint.sender.as_ref(), complaint.was_here);
        let tenant = known.clone().unwrap_or_default();
        let recipient = complaint.recipient.as_ref().map(Address::to_string);
        self.hall.metrics.complaints.one();
        let domain = complaint
            .recipient
            .as_ref()
            .map_or("", |to| to.domain.as_str());
        self.hall
            .live
            .complaints
            .count(&tenant, complaint.campaign.as_deref(), provider);
        event!(
            Info,
            "complaint",
            queue_id = self.queue_id,
            kind = complaint.kind.as_str(),
            provider = provider,
            tenant = tenant.as_str(),
            campaign = complaint.campaign.as_deref().unwrap_or(""),
            domain = domain,
            recipient = recipient.as_deref().unwrap_or(""),
            message_id = complaint.message_id.as_deref().unwrap_or(""),
        );
        // RFC 5965 §3.1: somebody took it out of the spam folder.
        let is_meant = self.config.outbound.suppression.complaints && complaint.kind != "not-spam";
        // Anybody can write such a report: what is not about mail of ours changes nothing.
        if let Some(address) = complaint.recipient.as_ref().filter(|_| is_meant)
            && let Some(tenant) = known
        {
            let text = format!("complaint ({}) by {provider}", complaint.kind);
            let entry = self.entry(address, &tenant, text);
            self.write(address, SuppressAsk::Put(vec![entry])).await;
        }
    }

    async fn bounced(&self, bounce: &Bounce, to: &Address) {
        let rules = &self.config.outbound.suppression;
        let class = classify(bounce.reply.as_bytes());
        let recipient = bounce.recipient.to_string();
        self.hall.metrics.bounces_by_mail.one();
        event!(
            Info,
            "bounce by mail",
            queue_id = self.queue_id,
            recipient = recipient.as_str(),
            status = bounce.status.as_str(),
            class = class.name(),
            reply = bounce.reply.as_str(),
        );
        if !class.is_hard() || rules.hard_bounces == 0 {
            return;
        }
        let Some(tenant) = self.tenant(Some(to), false) else {
            return;
        };
        let ask = SuppressAsk::Bounced(Bounced {
            address: bounce.recipient.clone(),
            tenant: (!rules.for_everybody).then_some(tenant),
            at_secs: self.hall.now().unix_secs() as i64,
            text: bounce.reply.clone(),
            needed: rules.hard_bounces,
            within_secs: rules.within_secs,
            lasts_secs: rules.lasts_secs,
        });
        self.write(&bounce.recipient, ask).await;
    }

    fn entry(&self, address: &Address, tenant: &str, text: String) -> Suppressed {
        let rules = &self.config.outbound.suppression;
        let now = self.hall.now().unix_secs() as i64;
        Suppressed {
            address: address.to_string(),
            tenant: (!rules.for_everybody).then(|| tenant.to_owned()),
            reason: SuppressReason::Complaint,
            since_secs: now,
            expiry_secs: rules.lasts_secs.map_or(0, |secs| now + i64::from(secs)),
            text,
            bounces: Vec::new(),
        }
    }

    async fn write(&self, address: &Address, ask: SuppressAsk) {
        match self.hall.intake.suppress(address, ask).await {
            SuppressAnswer::Failed(why) => {
                event!(Warn, "not suppressed", queue_id = self.queue_id, why = why);
            }
            SuppressAnswer::Found(None) => {}
            _ => {
                let (queue_id, address) = (self.queue_id, address.to_string());
                event!(Info, "suppressed", queue_id = queue_id, address = address);
            }
        }
    }

    /// Whose mail it was, by the reverse-path: the account that it leads to, or the domain of
    /// somebody whom we relayed for. `None`: that is nobody of ours.
    fn tenant(&self, sender: Option<&Address>, was_here: bool) -> Option<String> {
        let sender = sender?;
        let directory = self.hall.live.directory.load();
        match route::resolve(&directory, sender) {
            Route::Local { targets, .. } => {
                let first = targets.first()?;
                Some(first.account.address.to_string())
            }
            Route::Foreign if was_here => Some(format!("@{}", sender.domain)),
            Route::Foreign | Route::Forwarded(_) | Route::Refused(_) => None,
        }
    }
}
