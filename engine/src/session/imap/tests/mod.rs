//! Dialogues with a session over two buffers and a store in memory.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod door;
mod fake;
mod pipe;
mod random;

mod append;
mod compress;
mod concurrent;
mod condstore;
mod fetch;
mod find;
mod fuzz;
mod hostile;
mod idle;
mod limit;
mod list;
mod listed;
mod live;
mod login;
mod manage;
mod model;
mod notify;
mod object;
mod oracle;
mod resync;
mod search;
mod select;
mod sharing;
mod shown;
mod states;
mod store;
mod uidonly;

use self::fake::{ALICE, BOB, Fake};
use self::pipe::Client;
use self::random::Random;
