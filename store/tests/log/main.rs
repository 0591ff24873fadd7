//! The log over a simulated disk: what was promised is there after every crash and fault.
//!
//! `RINGPOST_SEEDS=100000 cargo test -p store --release --test log` runs more seeds at night.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used)]

mod damage;
mod faults;
mod model;
mod place;
mod real;
mod world;
