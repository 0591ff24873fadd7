//! One line of the log for each attempt and for each end, and what is counted of them.

use super::dispatch::Dispatcher;
use super::outcome::{Result as Came, Tried};
use crate::event;
use crate::telemetry::metric;
use store::shard::{End, Ending, HostReply};

impl Dispatcher {
    pub(super) fn report(&self, tried: &Tried) {
        let result = match tried.result {
            Came::Delivered(_) => "delivered",
            Came::Deferred => "deferred",
            Came::Failed => "failed",
            Came::Untried => return,
        };
        self.metrics.queue_attempts.of(class(&tried.said)).one();
        event!(
            Info,
            "attempt",
            shard = self.shard,
            item = tried.item.id.0,
            domain = &*tried.item.domain,
            result = result,
            host = tried.said.host.as_str(),
            code = tried.said.code,
            status = status(&tried.said),
            reply = tried.said.text.as_str(),
            attempts = u32::from(tried.item.attempts) + 1,
        );
    }

    pub(super) fn report_end(&self, tried: &Tried, end: &End) {
        let (label, name) = match end.ending {
            Ending::Delivered => (metric::End::Delivered, "delivered"),
            Ending::Failed => (metric::End::Failed, "failed"),
            Ending::Expired => (metric::End::Expired, "expired"),
            Ending::Dropped => (metric::End::Dropped, "dropped"),
        };
        self.metrics.queue_ends.of(label).one();
        let (tenant, campaign) = super::owner::split(&tried.item.tenant);
        let age = end
            .at_secs
            .saturating_sub(i64::from(tried.item.enqueued_secs));
        event!(
            Info,
            "end",
            shard = self.shard,
            item = tried.item.id.0,
            domain = &*tried.item.domain,
            tenant = tenant,
            campaign = campaign,
            how = name,
            secs = age.max(0) as u64,
        );
    }
}

fn class(said: &HostReply) -> metric::Attempt {
    match said.code / 100 {
        2 => metric::Attempt::Taken,
        4 => metric::Attempt::Later,
        5 => metric::Attempt::Never,
        _ => metric::Attempt::Nothing,
    }
}

/// As in `4.2.1`; empty where there was none.
pub(super) fn status(said: &HostReply) -> String {
    said.enhanced.map_or_else(String::new, |status| {
        format!("{}.{}.{}", status.class, status.subject, status.detail)
    })
}
