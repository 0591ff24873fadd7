//! A connection as the protocols see it: octets in clear or under TLS, by the same calls.
//!
//! ```text
//! Plain ──start_tls──► handshake ──► Tls ──close──► close_notify sent, end of stream awaited
//!   └──────────────── into_parts / from_parts (another shard) ────────────────┘
//! ```
//!
//! - The end of a TLS stream without `close_notify` is an error (`UnexpectedEof`), never an end:
//!   a truncated message must not look whole (RFC 8446 §6.1).
//! - What a client sent in clear behind STARTTLS never reaches the session under TLS: this layer
//!   keeps nothing in clear, and what is still in the kernel is not a handshake (RFC 3207 §4.2).
//!   The caller forgets what it has received itself.
//! - A send that was abandoned half-way makes the stream unusable for sending.

use super::client::{TlsAsk, TlsClient};
use super::context::TlsContext;
use super::session::{RECORD_BYTES_MAX, Session, Taken};
use crate::reactor::socket::SocketParts;
use crate::reactor::{Side, Socket, buffer};
use rustls::pki_types::CertificateDer;
use rustls::{Connection, ServerConnection};
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::time::Duration;

/// One connection, in clear or under TLS.
pub struct Stream {
    socket: Socket,
    session: Option<Box<Session>>,
    /// A send is in progress, or was dropped in the middle.
    sending: bool,
    unsent: Unsent,
}

/// Ciphertext that the peer did not take yet.
#[derive(Default)]
struct Unsent {
    octets: Vec<u8>,
    sent: usize,
}

impl Unsent {
    fn rest(&self) -> &[u8] {
        self.octets.get(self.sent..).unwrap_or_default()
    }
}

/// A connection on its way to another shard, with what was received and not yet taken.
pub struct StreamParts {
    socket: SocketParts,
    session: Option<Box<Session>>,
    sending: bool,
    unsent: Unsent,
}

/// What a TLS handshake agreed on, for headers, logs and metrics.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsInfo {
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// The name in the IANA registry, e.g. `TLS13_AES_256_GCM_SHA384`.
    pub cipher: &'static str,
    /// The key exchange group, e.g. `X25519MLKEM768`.
    pub group: &'static str,
    pub server_name: Option<String>,
    pub resumed: bool,
}

/// How long a closed connection waits for the peer to close too, so that the kernel does not throw
/// the last reply away.
const LINGER: Duration = Duration::from_secs(2);

/// Octets that are read and forgotten meanwhile.
const LINGER_BYTES_MAX: usize = 256 << 10;

impl Stream {
    /// A connection in clear.
    pub fn plain(socket: Socket) -> Stream {
        Stream {
            socket,
            session: None,
            sending: false,
            unsent: Unsent::default(),
        }
    }

    /// A connection that another shard gave up, on this shard.
    pub fn from_parts(parts: StreamParts) -> io::Result<Stream> {
        Ok(Stream {
            socket: Socket::from_parts(parts.socket)?,
            session: parts.session,
            sending: parts.sending,
            unsent: parts.unsent,
        })
    }

    /// Gives the connection up to another shard. Nothing received is lost; deadlines are forgotten.
    pub fn into_parts(self) -> io::Result<StreamParts> {
        Ok(StreamParts {
            socket: self.socket.into_parts()?,
            session: self.session,
            sending: self.sending,
            unsent: self.unsent,
        })
    }

    /// Performs the handshake as a server, under the deadlines that are set. An error ends the
    /// connection; the peer has been told why by an alert.
    pub async fn start_tls(self, context: &TlsContext) -> io::Result<Stream> {
        let server = ServerConnection::new(context.config()).map_err(io::Error::other)?;
        self.shake_hands(Connection::Server(server)).await
    }

    /// Performs the handshake as a client of a server that has to prove what is asked, under the
    /// deadlines that are set. What the server sent in clear before it never gets into the session:
    /// the caller forgets what it has received, and what is still in the kernel is no handshake
    /// (RFC 3207 §4.2).
    pub async fn start_tls_as_client(
        self,
        client: &TlsClient,
        ask: &TlsAsk<'_>,
    ) -> io::Result<Stream> {
        let client = client.connection(ask).map_err(io::Error::other)?;
        self.shake_hands(Connection::Client(client)).await
    }

    /// The certificates that the peer has shown, its own first.
    #[must_use]
    pub fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        let session = self.session.as_ref();
        session.map_or(&[], |session| session.peer_certificates())
    }

    async fn shake_hands(mut self, connection: Connection) -> io::Result<Stream> {
        if self.session.is_some() {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                "TLS is active already",
            ));
        }
        self.session = Some(Box::new(Session::new(connection)));
        let mut shaken = Ok(());
        while shaken.is_ok() && self.is_handshaking() {
            shaken = self.receive_ciphertext().await;
        }
        // Also the alert, if it failed.
        let flushed = self.flush().await;
        shaken.and(flushed).map(|()| self)
    }

    /// Waits until [`Stream::recv`] has something to say. Holds no buffer; may be dropped.
    pub async fn readable(&self) -> io::Result<()> {
        if self
            .session
            .as_ref()
            .is_some_and(|session| session.is_ready())
        {
            return Ok(());
        }
        self.socket.readable().await
    }

    /// Appends up to `octets_max` octets to `into` as soon as there are any; 0 is the proper end of
    /// the stream. May be dropped while it waits.
    pub async fn recv(&mut self, into: &mut Vec<u8>, octets_max: usize) -> io::Result<usize> {
        assert!(octets_max > 0, "0 octets would look like the end");
        let Some(session) = &mut self.session else {
            return self.socket.recv_into(into, octets_max).await;
        };
        let mut taken = session.take(into, octets_max);
        loop {
            match taken {
                Ok(Taken::Octets(octets)) => return Ok(octets),
                Ok(Taken::End) => return Ok(0),
                Ok(Taken::Nothing) => {}
                Err(error) => return self.fail(error).await,
            }
            if let Err(error) = self.receive_ciphertext().await {
                return self.fail(error).await;
            }
            let session = self.session.as_mut().expect("set above and never taken");
            taken = session.take(into, octets_max);
        }
    }

    /// As [`Stream::recv`] into a vector of its own, empty at the end of the stream. Whoever has
    /// read it gives it back to the [`buffer`]s.
    pub async fn recv_lent(&mut self) -> io::Result<Vec<u8>> {
        if self.session.is_none() {
            return self.socket.recv_lent().await;
        }
        let mut received = Vec::new();
        self.recv(&mut received, buffer::BUFFER_BYTES).await?;
        Ok(received)
    }

    /// Sends all of `octets` and gives the vector back.
    pub async fn send(&mut self, octets: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
        let result = self.send_all(&octets).await;
        (result, octets)
    }

    /// Sends all of `slices`, one behind the other: gathered by the kernel in clear, and into full
    /// records under TLS.
    pub async fn send_slices(&mut self, slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        self.begin_send()?;
        let sent = match self.session {
            None => self.socket.send_slices(slices).await,
            Some(_) => self.send_slices_as_records(slices).await,
        };
        self.sending = sent.is_err();
        sent
    }

    /// Sends of `octets` what the peer takes without a pause longer than `patience`; how many those
    /// were. Of the rest nothing is kept, but for a record of ciphertext that is on its way.
    pub async fn send_some(&mut self, octets: &[u8], patience: Duration) -> io::Result<usize> {
        self.begin_send()?;
        let sent = match self.session {
            None => self.socket.send_some(octets, patience).await?,
            Some(_) => self.send_records(octets, patience).await?,
        };
        self.sending = false;
        Ok(sent)
    }

    /// Waits until the peer reads again, for at most the time that a send has.
    pub async fn writable(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.socket.writable_in_time().await
    }

    /// Ends the connection: `close_notify`, end of stream, then waits a moment for the peer's end.
    pub async fn close(mut self) {
        if let Some(session) = &mut self.session {
            session.put_close();
        }
        // A peer that does not take the farewell does without.
        let flushed = self.flush().await;
        self.socket.shut_down_write();
        if flushed.is_ok() {
            self.linger().await;
        }
    }

    /// What the handshake agreed on; `None` in clear.
    pub fn info(&self) -> Option<TlsInfo> {
        let session = self.session.as_ref()?;
        Some(TlsInfo {
            version: session.version(),
            cipher: session.cipher(),
            group: session.group(),
            server_name: session.server_name().map(str::to_owned),
            resumed: session.is_resumed(),
        })
    }

    /// The `tls-exporter` channel binding (RFC 9266) for SCRAM-PLUS; `None` in clear and in TLS
    /// 1.2.
    pub fn channel_binding(&self) -> Option<[u8; 32]> {
        self.session.as_ref()?.channel_binding()
    }

    /// The `tls-server-end-point` channel binding (RFC 5929 §4): the hash of the certificate that
    /// we have shown.
    pub fn end_point(&self, context: &TlsContext) -> Option<Vec<u8>> {
        let session = self.session.as_ref()?;
        context.end_point(session.server_name())
    }

    pub fn is_tls(&self) -> bool {
        self.session.is_some()
    }

    pub fn peer_addr(&self) -> SocketAddr {
        self.socket.peer_addr()
    }

    /// See [`Socket::is_for`].
    pub fn is_for(&mut self, client: SocketAddr) {
        self.socket.is_for(client);
    }

    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// See [`Socket::set_deadline`].
    pub fn set_deadline(&self, side: Side, after: Duration) {
        self.socket.set_deadline(side, after);
    }

    /// See [`Socket::set_deadline_since`].
    pub fn set_deadline_since(&self, side: Side, now_millis: u64, after: Duration) {
        self.socket.set_deadline_since(side, now_millis, after);
    }

    /// See [`Socket::clear_deadline`].
    pub fn clear_deadline(&self, side: Side) {
        self.socket.clear_deadline(side);
    }

    /// See [`Socket::set_send_time_max`].
    pub fn set_send_time_max(&self, time: Duration) {
        self.socket.set_send_time_max(time);
    }

    /// See [`Socket::reset_on_close`].
    pub fn reset_on_close(&self) -> io::Result<()> {
        self.socket.reset_on_close()
    }

    /// Whether a deadline has ended this connection.
    pub fn has_timed_out(&self) -> bool {
        self.socket.has_timed_out()
    }

    fn is_handshaking(&self) -> bool {
        self.session
            .as_ref()
            .is_some_and(|session| session.is_handshaking())
    }

    /// Sends what waits to be sent, then lets the session have what the socket receives next.
    async fn receive_ciphertext(&mut self) -> io::Result<()> {
        self.flush().await?;
        let received = self.socket.recv_lent().await?;
        match &mut self.session {
            Some(session) => session.feed(received),
            None => Ok(()),
        }
    }

    async fn send_all(&mut self, octets: &[u8]) -> io::Result<()> {
        if self.session.is_none() {
            return self.send_raw(octets).await;
        }
        for record in octets.chunks(RECORD_BYTES_MAX) {
            if let Some(session) = &mut self.session {
                session.put(record)?;
            }
            self.flush().await?;
        }
        Ok(())
    }

    /// Sends the ciphertext that the session has made.
    async fn flush(&mut self) -> io::Result<()> {
        loop {
            let unsent = std::mem::take(&mut self.unsent);
            let sent = self.send_raw(unsent.rest()).await;
            buffer::give_back(unsent.octets);
            sent?;
            if !self.take_ciphertext()? {
                return Ok(());
            }
        }
    }

    /// Makes the next ciphertext what is to be sent; `false`: there is none.
    fn take_ciphertext(&mut self) -> io::Result<bool> {
        let Some(session) = self.session.as_mut().filter(|session| session.has_output()) else {
            return Ok(false);
        };
        let mut octets = buffer::lend();
        session.drain(&mut octets)?;
        self.unsent = Unsent { octets, sent: 0 };
        Ok(true)
    }

    async fn send_records(&mut self, octets: &[u8], patience: Duration) -> io::Result<usize> {
        let mut taken = 0;
        while self.send_ciphertext(patience).await? && taken < octets.len() {
            let rest = octets.get(taken..).unwrap_or_default();
            let record = rest.get(..RECORD_BYTES_MAX).unwrap_or(rest);
            if let Some(session) = &mut self.session {
                session.put(record)?;
            }
            taken += record.len();
        }
        Ok(taken)
    }

    /// Sends the ciphertext that is there; `false`: the peer does not take it now.
    async fn send_ciphertext(&mut self, patience: Duration) -> io::Result<bool> {
        while !self.unsent.rest().is_empty() || self.take_ciphertext()? {
            let sent = self.socket.send_some(self.unsent.rest(), patience);
            self.unsent.sent += sent.await?;
            if !self.unsent.rest().is_empty() {
                return Ok(false);
            }
            buffer::give_back(std::mem::take(&mut self.unsent).octets);
        }
        Ok(true)
    }

    async fn send_slices_as_records(&mut self, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        // Drops what is empty at the front, so that the loop ends.
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            self.sending = false;
            if let Some(session) = &mut self.session {
                let taken = session.put_slices(slices)?;
                IoSlice::advance_slices(&mut slices, taken);
            }
            self.flush().await?;
        }
        Ok(())
    }

    fn begin_send(&mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.sending, true) {
            true => Err(io::Error::new(
                ErrorKind::BrokenPipe,
                "an earlier send was abandoned",
            )),
            false => Ok(()),
        }
    }

    async fn send_raw(&mut self, octets: &[u8]) -> io::Result<()> {
        self.begin_send()?;
        let sent = self.socket.send_all(octets).await;
        self.sending = sent.is_err();
        sent
    }

    /// Tells the peer about a broken session, and the caller.
    async fn fail(&mut self, error: io::Error) -> io::Result<usize> {
        if error.kind() == ErrorKind::InvalidData {
            // The alert; the connection is lost either way.
            let _ = self.flush().await;
        }
        Err(error)
    }

    async fn linger(&self) {
        self.socket.set_deadline(Side::Read, LINGER);
        let mut left = LINGER_BYTES_MAX;
        while let Ok(received) = self.socket.recv_lent().await {
            left = left.saturating_sub(received.len());
            let ended = received.is_empty() || left == 0;
            buffer::give_back(received);
            if ended {
                return;
            }
        }
    }
}
