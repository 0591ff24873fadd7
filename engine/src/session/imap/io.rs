//! The connection as an IMAP session sees it: octets in, octets out, patience and an end.
//!
//! `listen` implements [`Io`] over the reactor and TLS; tests implement it over two buffers. The
//! driver owns every deadline's clock: the session says how long it is willing to wait, and the
//! driver answers [`Ended::TimedOut`] when that is over, or [`Ended::Shutdown`] when the server
//! closes while the session waits for a command.

pub use crate::post::visit::Ended;
use crate::wire::imap::command::Body;
use std::time::Duration;

/// One connection, plain or inside TLS.
#[expect(
    async_fn_in_trait,
    reason = "a session and its connection share one thread"
)]
pub trait Io {
    /// Ready when `recv` may have something to say, or when the wait is over. Takes nothing off the
    /// connection, so it may be dropped at any time.
    async fn readable(&mut self, patience: Duration) -> Result<(), Ended>;

    /// Appends what has arrived to `into`; nothing where TLS still lacks the rest of a record.
    /// Called only after `readable`, and never dropped before it is ready.
    async fn recv(&mut self, into: &mut Vec<u8>) -> Result<(), Ended>;

    /// Sends everything in order; suspends while the peer does not read, for at most the driver's
    /// own patience. Gives the buffer back, empty, for the next use.
    async fn send(&mut self, octets: Vec<u8>) -> Result<Vec<u8>, Ended>;

    /// Sends of `octets` what the peer takes without a long pause, and says how many those were. If
    /// it were not all, the caller is to keep as little as it can until [`Io::writable`] is ready.
    async fn send_some(&mut self, octets: &[u8]) -> Result<usize, Ended>;

    /// Ready when the peer reads again, which it has to within the driver's own patience.
    async fn writable(&mut self) -> Result<(), Ended>;

    /// Lets the other connections of this shard run before it is ready again.
    async fn pause(&mut self);

    /// Ready when this time is over; never where there is no clock.
    async fn after(&mut self, _: Duration) {
        std::future::pending().await
    }

    /// Told of each command as it comes, for those who count; `None`: it was not understood.
    fn heard(&mut self, _command: Option<&Body>) {}
}

/// A connection that may still take the step to TLS (RFC 9051 §6.2.1).
#[expect(
    async_fn_in_trait,
    reason = "a session and its connection share one thread"
)]
pub trait StartTls: Io {
    /// Whether octets already travel inside TLS.
    fn is_tls(&self) -> bool;

    /// Whether a certificate is there to do so.
    fn can_start_tls(&self) -> bool;

    /// Shakes hands. Octets received before this call are not part of the handshake: the session
    /// has thrown away those it held, the driver throws away those it holds.
    async fn start_tls(&mut self) -> Result<(), Ended>;
}
