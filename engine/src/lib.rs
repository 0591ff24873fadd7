//! What Ringpost speaks: shards on io_uring, protocols, and the server that puts them together.
//!
//! A room imports only lower floors (`tests/src/tidy.rs` checks it):
//!
//! ```text
//! 7  serve               puts one shard together; the start and the end
//! 6  listen  admin       sockets in; what tools say to the server
//! 5  queue  egress       mail to other hosts, and what is told to senders
//! 4  session  inject  intake     conversation, requests, custody
//! 3  route  post  events  facts → way; letters between shards; what programs are told
//! 2  auth  tls  sign  resolver  convert    facts from outside, signatures
//! 1  wire  config  telemetry    pure: no I/O, no clock
//! 0  reactor             runtimes, rings, timers, inboxes
//! ```

// Tests stop at the first surprise.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

pub mod admin;
pub mod auth;
pub mod config;
pub mod convert;
pub mod egress;
pub mod events;
pub mod inject;
pub mod intake;
pub mod listen;
pub mod post;
pub mod queue;
pub mod reactor;
pub mod resolver;
pub mod route;
pub mod serve;
pub mod session;
pub mod sign;
pub mod telemetry;
pub mod tls;
pub mod wire;
