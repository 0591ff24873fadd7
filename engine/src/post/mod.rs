//! Letters between the threads of the engine: questions with answers, connections that move.
//!
//! Another shard is another host without the socket: what is asked of it travels as a letter
//! through its inbox, and the answer comes back like a reply. Nothing else is shared.

mod desk;
mod letter;
mod queue;
pub mod suppress;
mod tls_report;
pub mod visit;

pub use desk::{Post, Undelivered};
pub use letter::{
    Answer, AsOwner, Claimed, Done, Handover, Letter, Offered, Order, Question, StreamId,
    Submitted, Taken, Via, VisitAnswer, VisitAsk,
};
pub use queue::{
    LastReply, Pick, QueueAnswer, QueueAsk, QueueDeed, QueueField, QueueLine, QueueShown, SiteLine,
    SourceLine, SuspensionLine, WarmSite,
};
pub use suppress::{Bounced, SuppressAnswer, SuppressAsk, SuppressReason, Suppressed};
pub use tls_report::{
    DateRange, FailureDetail, PolicyResult, PolicyShown, PolicyType, Summary, TlsReport,
};
