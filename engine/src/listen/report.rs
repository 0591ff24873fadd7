//! One line of the log and the counters of one transaction.

use super::hall::Hall;
use crate::config::Protocol;
use crate::event;
use crate::route::Reason;
use crate::session::smtp::{End, Kind, Summary};
use crate::telemetry::metric;
use crate::wire::smtp::reply::Reply;

pub(super) fn transaction(hall: &Hall, summary: &Summary) {
    count(hall, summary);
    let from = summary.reverse_path.as_ref().map(ToString::to_string);
    let to = summary.recipient.as_ref().map(ToString::to_string);
    event!(
        Info,
        "transaction",
        queue_id = summary.queue_id.as_deref().unwrap_or("-"),
        code = summary.end.code(),
        status = summary.end.status(),
        protocol = protocol(summary.kind).name(),
        peer = summary.peer.address,
        hello = summary.hello.as_deref().unwrap_or(""),
        tls = summary.peer.tls.map_or("", |tls| tls.version),
        login = summary.login.as_deref().unwrap_or(""),
        from = from.as_deref().unwrap_or("<>"),
        to = to.as_deref().unwrap_or(""),
        recipients = summary.recipients,
        refused = summary.refused,
        octets = summary.octets,
        millis = summary.elapsed_ms,
    );
}

fn count(hall: &Hall, summary: &Summary) {
    let metrics = &hall.metrics;
    match summary.end {
        End::Accepted => {
            metrics
                .messages_received
                .of(protocol(summary.kind).into())
                .one();
            metrics.message_bytes.add(summary.octets);
            metrics.recipients.add(summary.recipients as u64);
        }
        End::Refused(reply) => {
            metrics.transactions_refused.one();
            metrics.errors.of(blame(reply)).one();
        }
        End::Abandoned => metrics.transactions_abandoned.one(),
    }
}

/// Who must act on a refusal: we, the client that speaks wrongly, or nobody.
fn blame(reply: Reply) -> metric::Blame {
    match reply.status().split_once('.') {
        Some(("4", detail)) if detail.starts_with("3.") => metric::Blame::Local,
        Some((_, detail)) if detail.starts_with("5.") => metric::Blame::Peer,
        _ => metric::Blame::Refused,
    }
}

impl From<Reason> for metric::Refusal {
    fn from(reason: Reason) -> metric::Refusal {
        match reason {
            Reason::NoSuchUser => metric::Refusal::NoSuchUser,
            Reason::AliasLoop => metric::Refusal::AliasLoop,
            Reason::TooManyTargets => metric::Refusal::TooManyTargets,
            Reason::Disabled => metric::Refusal::Disabled,
            Reason::OverQuota => metric::Refusal::OverQuota,
            Reason::NoPostmaster => metric::Refusal::NoPostmaster,
        }
    }
}

impl From<Protocol> for metric::Protocol {
    fn from(protocol: Protocol) -> metric::Protocol {
        match protocol {
            Protocol::Smtp => metric::Protocol::Smtp,
            Protocol::Submission => metric::Protocol::Submission,
            Protocol::Lmtp => metric::Protocol::Lmtp,
            Protocol::Imap => metric::Protocol::Imap,
            Protocol::Http => metric::Protocol::Http,
        }
    }
}

fn protocol(kind: Kind) -> Protocol {
    match kind {
        Kind::Smtp => Protocol::Smtp,
        Kind::Submission => Protocol::Submission,
        Kind::Lmtp => Protocol::Lmtp,
    }
}
