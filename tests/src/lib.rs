//! The harness: it starts the real server and talks to it from outside, as the world will.
//!
//! ```text
//! server      a running ringpost: start, kill, restart  setup  its configuration
//! connection  a socket, TLS or not                     smtp  imap  http  on top of it
//! dialog      readable scripts and their runner         peer  real clients, found or skipped
//! corpus      odd messages                              ledger  what was acknowledged
//! pop3        the least of a POP3 client
//! sink        a mail host that does as it is told       postfix, raised  real ones
//! authority   certificates, right and wrong             web  the policy host of MTA-STS
//! dns         a name server that says what a test wants
//! usage       what a process uses                       cage  a process with little memory
//! volume      a disk to be filled and broken            tidy  the rules of the house, a program
//! ```
//!
//! Nothing here sleeps: whoever waits, waits for an event and gives up at a deadline.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

pub mod authority;
pub mod binary;
pub mod cage;
pub mod certificate;
pub mod connection;
pub mod corpus;
pub mod dialog;
pub mod dns;
pub mod http;
pub mod imap;
pub mod issuer;
pub mod ledger;
pub mod peer;
pub mod pop3;
pub mod ports;
pub mod postfix;
pub mod raised;
pub mod seed;
pub mod server;
pub mod setup;
pub mod sink;
pub mod smtp;
pub mod tidy;
pub mod usage;
pub mod volume;
pub mod web;
