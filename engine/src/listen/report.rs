//! One line of the log and the counters of one transaction.

use super::hall::Hall;
use crate::config::Protocol;
use crate::event;
use crate::route::Reason;
use crate::session::smtp::{End, Kind, Summary};
use crate::telemetry::log::Value;
use crate::telemetry::metric;
use crate::wire::imap::command::Body;
use crate::wire::imap::find::Find;
use crate::wire::smtp::reply::Reply;
use std::fmt::{self, Write};
use store::mail::address::Address;

pub(super) fn transaction(hall: &Hall, summary: &Summary) {
    count(hall, summary);
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
        from = Bare(summary.reverse_path.as_ref(), "<>"),
        to = Bare(summary.recipient.as_ref(), ""),
        recipients = summary.recipients,
        refused = summary.refused,
        octets = summary.octets,
        millis = summary.elapsed_ms,
    );
}

/// An address as it stands in headers, or what is said where there is none.
struct Bare<'a>(Option<&'a Address>, &'static str);

impl Value for Bare<'_> {
    fn show(&self, out: &mut dyn Write) -> fmt::Result {
        let Some(address) = self.0 else {
            return out.write_str(self.1);
        };
        match address.pieces() {
            Some(pieces) => pieces.iter().try_for_each(|piece| out.write_str(piece)),
            None => write!(out, "{address}"),
        }
    }
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
            Protocol::Pop3 => metric::Protocol::Pop3,
            Protocol::Http => metric::Protocol::Http,
        }
    }
}

impl From<&Body> for metric::Verb {
    fn from(body: &Body) -> metric::Verb {
        match body {
            Body::Capability => metric::Verb::Capability,
            Body::Noop => metric::Verb::Noop,
            Body::Logout => metric::Verb::Logout,
            Body::Id(_) => metric::Verb::Id,
            Body::StartTls => metric::Verb::StartTls,
            Body::Authenticate { .. } => metric::Verb::Authenticate,
            Body::Login { .. } => metric::Verb::Login,
            Body::Enable(_) => metric::Verb::Enable,
            Body::Select { .. } => metric::Verb::Select,
            Body::Examine { .. } => metric::Verb::Examine,
            Body::Resync(select) if select.read_only => metric::Verb::Examine,
            Body::Resync(_) => metric::Verb::Select,
            Body::Notify(_) => metric::Verb::Notify,
            Body::UidBatches(_) => metric::Verb::UidBatches,
            Body::Create { .. } => metric::Verb::Create,
            Body::Delete { .. } => metric::Verb::Delete,
            Body::Rename { .. } => metric::Verb::Rename,
            Body::Subscribe { .. } => metric::Verb::Subscribe,
            Body::Unsubscribe { .. } => metric::Verb::Unsubscribe,
            Body::List(_) => metric::Verb::List,
            Body::Lsub { .. } => metric::Verb::Lsub,
            Body::Namespace => metric::Verb::Namespace,
            Body::Status { .. } => metric::Verb::Status,
            Body::Append(_) => metric::Verb::Append,
            Body::Idle => metric::Verb::Idle,
            Body::Compress(_) => metric::Verb::Compress,
            Body::Unauthenticate => metric::Verb::Unauthenticate,
            Body::Check => metric::Verb::Check,
            Body::Close => metric::Verb::Close,
            Body::Unselect => metric::Verb::Unselect,
            Body::Expunge | Body::UidExpunge(_) => metric::Verb::Expunge,
            Body::Search { .. } => metric::Verb::Search,
            Body::Find(Find::Sort { .. }) => metric::Verb::Sort,
            Body::Find(Find::Thread { .. }) => metric::Verb::Thread,
            Body::Find(Find::Multi { .. }) => metric::Verb::Esearch,
            Body::Find(Find::CancelUpdate(_)) => metric::Verb::CancelUpdate,
            Body::Fetch { .. } => metric::Verb::Fetch,
            Body::Store { .. } => metric::Verb::Store,
            Body::Copy { .. } => metric::Verb::Copy,
            Body::Move { .. } => metric::Verb::Move,
            Body::Rights(_) => metric::Verb::Rights,
            Body::Quota(_) => metric::Verb::Quota,
            Body::Metadata(_) => metric::Verb::Metadata,
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
