//! The whole server: what is made before the threads start, the threads, the end.
//!
//! ```text
//! main      config → home (lock) → sockets bound → threads → waits for the service thread
//! shard i   opens its store ─ "opened" ─→ letters … Open → accepts … Drain → Close
//! service   waits for all stores → offers agreed → directory → Open → "ready" … signals:
//!           Reload, Stop
//! ```

mod begin;
mod compactor;
mod ear;
mod follow;
mod interfaces;
mod load;
mod orders;
mod outbound;
mod resume;
mod secure;
mod service;
mod shard;
mod tempo;
#[cfg(test)]
mod tests;
mod told;

pub use begin::{Refusal, Server, check_secret};
pub use outbound::tls_files;
