//! Custody: the one place where a message becomes ours.
//!
//! A message goes into the log of the shard that owns its recipients. With several owners the first
//! one coordinates: its frame holds the body, its own deliveries and an offer for each other owner;
//! when that frame is durable we answer 250, and [`feed`] hands the offers over (`store::spool`).
//!
//! ```text
//!   session ─ octets ─→ Transaction ─┬─ our log
//!                                    └─ letters ─→ Counter of the owner ─→ its log
//! ```

pub mod arf;
#[cfg(test)]
mod arf_test;
mod claims;
mod counter;
mod feed;
mod heirs;
pub mod queue_id;
pub mod suppression;
mod transaction;

pub use claims::Claims;
pub use counter::Counter;
pub use feed::Feeder;
pub use heirs::Heirs;
pub use queue_id::QueueIds;
pub use transaction::{Intake, Refusal, Transaction};

use crate::reactor::RingDisk;

/// The store of a shard as the engine runs it.
pub type Shard = store::shard::Shard<RingDisk>;
