//! Runtimes, rings, timers and inboxes: the only rooms that name monoio or tokio-uring.
//!
//! What the floors above may rely on, and what keeps them from the faults of monoio 0.2.4:
//!
//! - A socket is awaited by readiness and then read or written by one system call that does not
//!   block. Every future of [`Socket`] and [`Listener`] may be dropped at any await: no octet and
//!   no descriptor is lost, and an idle connection owns no buffer. (Of a dropped `send` nobody
//!   knows how much went out.)
//! - A deadline never cancels an operation: the [`timer`] shuts the socket down and the operation
//!   ends by itself.
//! - A task that panics is counted and forgotten, its shard lives ([`task::spawn`]).
//! - A task never wakes itself; [`task::yield_now`] goes through the ring.
//! - Threads talk through [`inbox`] and [`oneshot`]; nothing else is shared.
//! - A runtime is never dropped: operations in flight end with the process.

pub mod alarm;
pub mod buffer;
pub mod clock;
pub mod drain;
pub mod file;
pub mod heap;
pub mod idle;
pub mod inbox;
pub mod mesh;
pub mod net;
pub mod offload;
pub mod oneshot;
pub mod program;
pub mod runtime;
pub mod service;
pub mod signal;
pub mod socket;
pub mod task;
pub mod timer;
pub mod web;
pub mod wheel;

mod local;
mod sync;
mod watched;

pub use alarm::Alarm;
pub use clock::{Clock, Now};
pub use drain::Drain;
pub use file::RingDisk;
pub use mesh::{Endpoint, Mesh};
pub use net::Listener;
pub use offload::Pool;
pub use runtime::{Backend, Seat};
pub use socket::{Side, Socket};
pub use task::{spawn, yield_now};
pub use timer::sleep;

#[cfg(test)]
mod tests;
