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
mod connect;
mod courier;
mod dispatch;
pub mod dsn;
mod frail;
mod hop;
mod lanes;
mod ledger;
mod letter;
mod names;
mod nodes;
mod notice;
mod orders;
mod outcome;
mod pool;
mod report;
mod roster;
#[cfg(test)]
mod scenes;
mod schedule;
mod secrecy;
mod security;
mod site;
mod source;
mod suspend;
mod time;
mod tls_report;
mod warmup;
mod way;
mod wheel;
mod why;

pub use dispatch::{Dispatcher, Equipment};
pub use hop::Guides;
pub use site::Sites;
pub use source::Sources;
pub use suspend::{Field, Suspension};
pub use tls_report::TlsReports;
pub use why::Why;
