//! `ringpost-bench`: what a mail server holds, how long a message takes, and whether any was lost.

#![forbid(unsafe_code)]

mod outcome;

fn main() {}
