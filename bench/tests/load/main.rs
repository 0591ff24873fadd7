//! The tool against the real server, and against servers that misbehave: what it says must be true.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod audits;
mod covers;
mod egress;
mod endings;
mod loads;
mod mailboxes;
mod peers;
mod tool;
