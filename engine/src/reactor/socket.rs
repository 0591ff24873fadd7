//! One TCP connection of a shard.
//!
//! Receiving and sending are system calls that do not block, done when the ring says that they will
//! not. Measured per request and reply (100 and 30 octets, 10 and 100 connections): 3.5 to 4.0 µs
//! of CPU; readiness and then both operations in the ring 3.7 to 4.6; the same with a buffer held
//! by every idle connection 3.3 to 3.9. Every future here but a send may be dropped and
//! started again without loss.
//!
//! A deadline shuts the socket down when it is reached, which ends the operation in progress with
//! [`std::io::ErrorKind::TimedOut`]; nothing is cancelled.

use super::buffer;
use super::clock::Now;
use super::task::yield_now;
use super::timer::{Action, Timer, sleep};
use super::watched::Watched;
use futures_util::future::{Either, select};
use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::pin::pin;
use std::time::Duration;

/// Which half of a connection a deadline is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// When reached, receiving ends; a farewell can still be sent.
    Read,
    /// When reached, both halves end.
    Write,
}

/// How long one [`Socket::send`] may take before the peer counts as gone: RFC 5321 §4.5.3.2.
pub const SEND_SECS_MAX: u64 = 300;

/// Octets that a connection moves in one turn before the other tasks of the shard run.
const TURN_BYTES_MAX: usize = 256 << 10;

/// What one system call counts for beside its octets.
const CALL_BYTES: usize = 4 << 10;

/// A connected socket. Closed when dropped.
pub struct Socket {
    // Before `watched`: a timer holds the number of the descriptor.
    read_deadline: RefCell<Option<Timer>>,
    write_deadline: RefCell<Option<Timer>>,
    watched: Watched,
    peer: SocketAddr,
    send_time_max: Cell<Duration>,
    /// Something is or may be there: it was waited for, or the last receive filled its buffer. So
    /// the next receive tries before it waits.
    eager: Cell<bool>,
    /// The last receive filled the buffer that was lent for it.
    is_flooded: Cell<bool>,
    /// What this connection moved since its task last waited, in octets.
    moved: Cell<usize>,
}

/// A connection on its way to another shard.
#[derive(Debug)]
pub struct SocketParts {
    fd: OwnedFd,
    peer: SocketAddr,
}

impl Socket {
    pub(super) fn new(fd: OwnedFd, peer: SocketAddr) -> io::Result<Socket> {
        Ok(Socket {
            read_deadline: RefCell::new(None),
            write_deadline: RefCell::new(None),
            watched: Watched::new(fd)?,
            peer,
            send_time_max: Cell::new(Duration::from_secs(SEND_SECS_MAX)),
            eager: Cell::new(false),
            is_flooded: Cell::new(false),
            moved: Cell::new(0),
        })
    }

    /// Takes over a connection that another shard gave up.
    pub fn from_parts(parts: SocketParts) -> io::Result<Socket> {
        Socket::new(parts.fd, parts.peer)
    }

    /// Gives the connection up to another shard. Octets not yet received stay in the kernel;
    /// deadlines are forgotten.
    pub fn into_parts(self) -> io::Result<SocketParts> {
        // A cancelled poll may still hold the old descriptor for a moment, so this is a new one.
        let fd = rustix::io::fcntl_dupfd_cloexec(&self.watched, 0)?;
        Ok(SocketParts {
            fd,
            peer: self.peer,
        })
    }

    /// Waits until [`Socket::recv`] would not wait: octets, end of stream, error or deadline.
    pub async fn readable(&self) -> io::Result<()> {
        self.wait(self.watched.readable()).await?;
        self.eager.set(true);
        Ok(())
    }

    /// Receives into the spare capacity of `buffer`, waiting if nothing is there; 0 is the end of
    /// the stream. To wait without holding a buffer call [`Socket::readable`] first.
    pub async fn recv(&self, mut buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        loop {
            self.give_others_a_turn().await;
            if self.has_timed_out() {
                return (Err(timed_out()), buffer);
            }
            match self.try_recv(&mut buffer) {
                Err(Errno::AGAIN) => {
                    if let Err(error) = self.readable().await {
                        return (Err(error), buffer);
                    }
                }
                Err(Errno::INTR) => {}
                Err(error) => return (Err(error.into()), buffer),
                Ok(received) => return (Ok(received), buffer),
            }
        }
    }

    /// Waits for octets without a buffer, then receives them into a lent one.
    pub async fn recv_lent(&self) -> io::Result<Vec<u8>> {
        loop {
            self.readable_unless_eager().await?;
            let mut buffer = match self.is_flooded.get() {
                true => buffer::lend_long(),
                false => buffer::lend(),
            };
            match self.try_recv(&mut buffer) {
                Ok(octets) => {
                    self.is_flooded.set(octets == buffer.capacity());
                    return Ok(buffer);
                }
                Err(Errno::AGAIN | Errno::INTR) => buffer::give_back(buffer),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits for octets without a buffer, then appends up to `octets_max` of them to `into` by way
    /// of a lent one, so that `into` grows by what came and not by what might have come.
    pub(crate) async fn recv_into(
        &self,
        into: &mut Vec<u8>,
        octets_max: usize,
    ) -> io::Result<usize> {
        loop {
            self.readable_unless_eager().await?;
            let mut lent = buffer::lend();
            let room = lent.spare_capacity_mut();
            let room_bytes = room.len().min(octets_max);
            let room = room.get_mut(..room_bytes).unwrap_or_default();
            let received = rustix::net::recv(&self.watched, room, RecvFlags::DONTWAIT);
            let received = received.map(|((octets, _), _)| {
                into.extend_from_slice(octets);
                octets.len()
            });
            buffer::give_back(lent);
            self.eager.set(received == Ok(room_bytes));
            self.count(received.unwrap_or(0));
            match received {
                Ok(octets) => return Ok(octets),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sends all of `octets` and gives the vector back, whatever happened.
    pub async fn send(&self, octets: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
        let result = self.send_all(&octets).await;
        (result, octets)
    }

    /// Sends all of `octets`, waiting while the peer does not read.
    pub(crate) async fn send_all(&self, octets: &[u8]) -> io::Result<()> {
        let mut rest = octets;
        let mut limit = None;
        while !rest.is_empty() {
            self.give_others_a_turn().await;
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match rustix::net::send(&self.watched, rest, flags) {
                Ok(sent) => {
                    self.count(sent);
                    rest = rest.get(sent..).unwrap_or_default();
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    limit.get_or_insert_with(|| SendLimit::start(self));
                    self.writable().await?;
                }
                Err(_) if self.has_timed_out() => return Err(timed_out()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Sends all of `slices`, one behind the other, gathered by the kernel: what many connections
    /// send alike is not copied for each.
    pub async fn send_slices(&self, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        // Drops what is empty at the front, so that the loop ends.
        IoSlice::advance_slices(&mut slices, 0);
        let mut limit = None;
        while !slices.is_empty() {
            self.give_others_a_turn().await;
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            let mut nothing_else = SendAncillaryBuffer::default();
            match rustix::net::sendmsg(&self.watched, slices, &mut nothing_else, flags) {
                Ok(sent) => {
                    self.count(sent);
                    IoSlice::advance_slices(&mut slices, sent);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    limit.get_or_insert_with(|| SendLimit::start(self));
                    self.writable().await?;
                }
                Err(_) if self.has_timed_out() => return Err(timed_out()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Sends of `octets` what the peer takes without a pause longer than `patience`; how many those
    /// were. Dropped before it is ready, it leaves unknown what was sent.
    pub(crate) async fn send_some(&self, octets: &[u8], patience: Duration) -> io::Result<usize> {
        let mut sent = 0;
        while let Some(rest) = octets.get(sent..).filter(|rest| !rest.is_empty()) {
            self.give_others_a_turn().await;
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match rustix::net::send(&self.watched, rest, flags) {
                Ok(count) => {
                    self.count(count);
                    sent += count;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    let (ready, pause) = (pin!(self.writable()), pin!(sleep(patience)));
                    match select(ready, pause).await {
                        Either::Left((ready, _)) => ready?,
                        Either::Right(_) => break,
                    }
                }
                Err(_) if self.has_timed_out() => return Err(timed_out()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(sent)
    }

    /// Waits for a peer that does not read, for as long as a send would.
    pub(crate) async fn writable_in_time(&self) -> io::Result<()> {
        let _limit = SendLimit::start(self);
        self.writable().await
    }

    /// Ends the connection's sending half; the peer sees the end of the stream.
    pub fn shut_down_write(&self) {
        // An error means that the peer was faster.
        let _ = rustix::net::shutdown(&self.watched, Shutdown::Write);
    }

    /// Closing throws away what is in flight and tells the peer so (RST): for peers that are to
    /// feel a connection break.
    pub fn reset_on_close(&self) -> io::Result<()> {
        rustix::net::sockopt::set_socket_linger(&self.watched, Some(Duration::ZERO))?;
        Ok(())
    }

    /// Sets or moves the deadline of one side, `after` from now. One that was reached stays
    /// reached.
    pub fn set_deadline(&self, side: Side, after: Duration) {
        self.set_deadline_since(side, Now::millis_here(), after);
    }

    /// As [`set_deadline`](Self::set_deadline), by a reading of [`Now::millis_here`] that the
    /// caller has made just now.
    pub fn set_deadline_since(&self, side: Side, now_millis: u64, after: Duration) {
        let mut deadline = self.deadline(side).borrow_mut();
        match &*deadline {
            Some(timer) if timer.has_fired() => {}
            Some(timer) => timer.rearm(now_millis, after),
            None => {
                let fd = self.watched.as_fd().as_raw_fd();
                *deadline = Some(Timer::new(after, Action::ShutDown(fd, side.shutdown())));
            }
        }
    }

    /// Removes the deadline of one side. One that was reached stays reached.
    pub fn clear_deadline(&self, side: Side) {
        let mut deadline = self.deadline(side).borrow_mut();
        if deadline.as_ref().is_some_and(|timer| !timer.has_fired()) {
            *deadline = None;
        }
    }

    /// How long one `send` may take in all; [`SEND_SECS_MAX`] unless set.
    pub fn set_send_time_max(&self, time: Duration) {
        self.send_time_max.set(time);
    }

    /// Whether a deadline was reached and has ended this connection.
    pub fn has_timed_out(&self) -> bool {
        let fired = |deadline: &RefCell<Option<Timer>>| {
            let deadline = deadline.borrow();
            deadline.as_ref().is_some_and(Timer::has_fired)
        };
        fired(&self.read_deadline) || fired(&self.write_deadline)
    }

    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// What speaks here does so for somebody else, whose address it has told.
    pub fn is_for(&mut self, client: SocketAddr) {
        self.peer = client;
    }

    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let address = rustix::net::getsockname(&self.watched)?;
        SocketAddr::try_from(address).map_err(io::Error::from)
    }

    fn try_recv(&self, buffer: &mut Vec<u8>) -> Result<usize, Errno> {
        let room = buffer.capacity() - buffer.len();
        assert!(
            room > 0,
            "a receive needs room, or 0 octets would look like the end"
        );
        let fd = &self.watched;
        let received = rustix::net::recv(fd, spare_capacity(buffer), RecvFlags::DONTWAIT);
        let received = received.map(|(octets, _)| octets);
        self.eager.set(received == Ok(room));
        self.count(received.unwrap_or(0));
        received
    }

    async fn readable_unless_eager(&self) -> io::Result<()> {
        self.give_others_a_turn().await;
        if !self.eager.get() {
            self.readable().await?;
        }
        // Asked each time: a peer that never stops sending has a deadline too.
        if self.has_timed_out() {
            return Err(timed_out());
        }
        Ok(())
    }

    /// A fast peer must not keep the shard to itself by never letting its task wait.
    async fn give_others_a_turn(&self) {
        if self.moved.get() > TURN_BYTES_MAX {
            self.moved.set(0);
            yield_now().await;
        }
    }

    fn count(&self, octets: usize) {
        self.moved
            .set(self.moved.get().saturating_add(octets + CALL_BYTES));
    }

    async fn wait(&self, ready: impl Future<Output = io::Result<()>>) -> io::Result<()> {
        let mut ready = pin!(ready);
        poll_fn(|cx| {
            let polled = ready.as_mut().poll(cx);
            if polled.is_pending() {
                self.moved.set(0);
            }
            polled
        })
        .await
    }

    fn deadline(&self, side: Side) -> &RefCell<Option<Timer>> {
        match side {
            Side::Read => &self.read_deadline,
            Side::Write => &self.write_deadline,
        }
    }

    pub(super) async fn writable(&self) -> io::Result<()> {
        self.wait(self.watched.writable()).await
    }

    pub(super) fn pending_error(&self) -> io::Result<()> {
        rustix::net::sockopt::socket_error(&self.watched)??;
        Ok(())
    }
}

impl SocketParts {
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }
}

impl TryFrom<TcpStream> for SocketParts {
    type Error = io::Error;

    fn try_from(stream: TcpStream) -> io::Result<SocketParts> {
        let peer = stream.peer_addr()?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(SocketParts {
            fd: stream.into(),
            peer,
        })
    }
}

impl Side {
    fn shutdown(self) -> Shutdown {
        match self {
            Side::Read => Shutdown::Read,
            Side::Write => Shutdown::Both,
        }
    }
}

/// The deadline of a `send` that has to wait; taken away when it ends or is dropped.
struct SendLimit<'a>(Option<&'a Socket>);

impl SendLimit<'_> {
    fn start(socket: &Socket) -> SendLimit<'_> {
        if socket.write_deadline.borrow().is_some() {
            // The caller's own deadline of the write side goes before this one.
            return SendLimit(None);
        }
        socket.set_deadline(Side::Write, socket.send_time_max.get());
        SendLimit(Some(socket))
    }
}

impl Drop for SendLimit<'_> {
    fn drop(&mut self) {
        if let Some(socket) = self.0 {
            socket.clear_deadline(Side::Write);
        }
    }
}

fn timed_out() -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        "the deadline of the connection was reached",
    )
}
