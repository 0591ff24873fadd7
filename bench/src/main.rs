//! `ringpost-bench`: what a mail server holds, how long a message takes, and whether any was lost.

#![forbid(unsafe_code)]
// Tests stop at the first surprise.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

mod measure;
mod outcome;

fn main() {}
