//! What is done about replies of other hosts, as `[[rule]]` and the shipped set want it.
//!
//! ```text
//! reply ─→ config::outbound::rule: which rule holds ─┬─ the message: bounce, defer, suppress, drop
//!                                                    └─ the site, at the threshold: suspend, slow,
//!                                                       switch ─→ Effects, shared by all shards
//! ```
//!
//! Only words of other hosts are judged, each reply once, to however many recipients it was given.
//! What was ordered of a site ends by itself, and is kept over a restart (`super::ordered`).

mod counts;
mod effects;
mod judge;
mod ruling;

pub(super) use counts::Counts;
pub(super) use effects::{Effects, Mail, Slow, Suspended, Switched};
pub(super) use judge::Judged;
use judge::{Case, judge};
