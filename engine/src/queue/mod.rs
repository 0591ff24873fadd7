//! Mail on its way to other hosts: what waits for what, what is tried when, and who sends it.
//!
//! ```text
//! store: items ─ arrivals ─→ Board ─ due ─→ hosts of its domain ─→ ready queue ─→ courier
//!                              ↑ deferred: ATTEMPT                                │
//!                              └──────────────────── outcome ── egress ───────────┘
//!                                                    END, with a DSN in its frame where due
//! ```
//!
//! The queue is a follower: everything it knows can be had again from the log. Every recipient is
//! in exactly one state, each state has a moment that it must not outlive, and [`Why`] says in
//! words what is waited for; a watchdog looks at all of them in turn.

mod board;
mod budget;
mod choice;
mod connect;
mod content;
mod counts;
mod courier;
mod crew;
mod destination;
mod dispatch;
pub mod dsn;
mod fit;
mod frail;
mod gauges;
mod header;
mod home;
mod hop;
mod kept;
mod lanes;
mod letter;
mod line;
mod names;
mod nodes;
mod notice;
mod of_message;
mod onward;
mod ordered;
mod orders;
pub mod origin;
mod outcome;
mod owed;
pub mod owner;
mod passage;
mod pool;
mod privacy;
mod probe;
mod pulse;
mod receipt;
mod redirect;
mod report;
mod reroute;
mod roster;
mod rules;
#[cfg(test)]
mod scenes;
mod schedule;
mod secrecy;
mod security;
mod shown;
mod site;
mod source;
mod standing;
mod suppression;
mod suspend;
mod tally;
mod terms;
mod time;
mod tls_report;
mod told;
mod top;
mod warmup;
mod watch;
mod way;
mod way_back;
mod wheel;
mod why;

pub use dispatch::{Dispatcher, Equipment};
pub use hop::Guides;
pub use owed::{Debt, Payer, owed};
pub use receipt::{HEAD_BYTES_MAX, wants_receipt};
pub use site::Sites;
pub use source::Sources;
pub use suspend::{Field, Suspension};
pub use terms::agree;
pub use tls_report::TlsReports;
pub use why::Why;
