//! One line of the log for each attempt and for each end, and what is counted of them.

use super::dispatch::Dispatcher;
use super::dsn::Class;
use super::notice::class_of;
use super::outcome::{Result as Came, Tried};
use crate::event;
use crate::telemetry::metric;
use store::shard::{End, Ending, HostReply};

impl Dispatcher {
    pub(super) fn report(&self, tried: &Tried) {
        let result = match tried.result {
            Came::Delivered(_) => "delivered",
            Came::Deferred | Came::Later(_) => "deferred",
            Came::Failed => "failed",
            Came::Untried => return,
        };
        self.metrics.queue_attempts.of(class(&tried.said)).one();
        let reason = match tried.result {
            Came::Delivered(_) => None,
            _ => Some(class_of(&tried.said)),
        };
        if let Some(reason) = reason {
            self.metrics.queue_refusals.of(reason.into()).one();
        }
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
            class = reason.map_or("", Class::name),
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
            class = match end.ending {
                Ending::Failed | Ending::Expired => class_of(&tried.said).name(),
                Ending::Delivered | Ending::Dropped => "",
            },
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

impl From<Class> for metric::ReplyClass {
    fn from(class: Class) -> metric::ReplyClass {
        use metric::ReplyClass as Shown;
        match class {
            Class::BadMailbox => Shown::BadMailbox,
            Class::InactiveMailbox => Shown::InactiveMailbox,
            Class::BadDomain => Shown::BadDomain,
            Class::Quota => Shown::Quota,
            Class::Greylisted => Shown::Greylisted,
            Class::RateLimited => Shown::RateLimited,
            Class::Reputation => Shown::Reputation,
            Class::Spam => Shown::Spam,
            Class::Authentication => Shown::Authentication,
            Class::Policy => Shown::Policy,
            Class::Content => Shown::Content,
            Class::Size => Shown::Size,
            Class::Protocol => Shown::Protocol,
            Class::Tls => Shown::Tls,
            Class::Dns => Shown::Dns,
            Class::Network => Shown::Network,
            Class::Loop => Shown::Loop,
            Class::System => Shown::System,
            Class::Expired => Shown::Expired,
            Class::Suppressed => Shown::Suppressed,
            Class::Other => Shown::Other,
        }
    }
}
