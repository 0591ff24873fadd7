//! What an operator does and sees: configuration, reload, shutdown, accounts, metrics, machines.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod accounts;
mod backup;
mod compaction;
mod configuration;
mod delivery;
mod descriptors;
mod dkim;
mod first_store;
mod front;
mod keeping;
mod machine;
mod pop3;
mod running;
mod sharing;
mod synthetic;
mod tls;
mod transfer;

/// The people of the usual world.
const ALICE: &str = "alice@example.test";
const BOB: &str = "bob@example.test";

fn message(subject: &str) -> Vec<u8> {
    tests::corpus::plain(subject, 1_000, &mut tests::seed::Seed::new(5))
}
