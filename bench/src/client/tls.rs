//! One connection to a server, in clear or under TLS as a client.
//!
//! Certificates are not verified unless a file of authorities is given: a load says nothing secret,
//! and test servers sign their own. The session under TLS is driven by hand over lent buffers.

use engine::reactor::{Side, Socket, buffer, net};
use engine::tls::anybody;
use rustls::client::{
    ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, NamedGroup, RootCertStore};
use std::io::{self, BufRead, ErrorKind, IoSlice, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A connection that octets go through.
pub(crate) struct Stream {
    socket: Socket,
    session: Option<Box<ClientConnection>>,
    /// In clear: the last octets filled their buffer, so that more are there.
    is_more_there: bool,
    /// What came together with the end of the handshake.
    early: Vec<u8>,
}

/// What the TLS connections of a run share, sessions to resume among it.
#[derive(Clone)]
pub(crate) struct TlsClient {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

/// How TLS begins.
#[derive(Clone)]
pub(crate) enum Tls {
    None,
    Start(TlsClient),
    Implicit(TlsClient),
}

impl TlsClient {
    /// Verifies against the authorities in the PEM file, or not at all; with `resumes` a handshake
    /// takes up an earlier session.
    pub(crate) fn new(
        host: &str,
        authorities: Option<&Path>,
        resumes: bool,
    ) -> anyhow::Result<TlsClient> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
        let mut config = match authorities {
            Some(file) => builder.with_root_certificates(roots(file)?),
            None => builder
                .dangerous()
                .with_custom_certificate_verifier(anybody(&provider)),
        }
        .with_no_client_auth();
        config.resumption = match resumes {
            true => Resumption::store(Arc::new(Tickets::default())),
            false => Resumption::disabled(),
        };
        Ok(TlsClient {
            config: Arc::new(config),
            name: ServerName::try_from(host.to_owned())?,
        })
    }
}

impl Stream {
    /// Connects within `time`.
    pub(crate) async fn connect(
        source: Option<SocketAddr>,
        target: SocketAddr,
        time: Duration,
    ) -> io::Result<Stream> {
        Ok(Stream {
            socket: net::connect(source, target, time).await?,
            session: None,
            is_more_there: false,
            early: Vec::new(),
        })
    }

    /// Performs the handshake; gives whether a session was resumed.
    pub(crate) async fn start_tls(&mut self, client: &TlsClient) -> io::Result<bool> {
        let session = ClientConnection::new(client.config.clone(), client.name.clone());
        let mut session = Box::new(session.map_err(io::Error::other)?);
        while session.is_handshaking() {
            flush(&self.socket, &mut session).await?;
            if session.is_handshaking() {
                feed(&self.socket, &mut session, &mut self.early).await?;
            }
        }
        flush(&self.socket, &mut session).await?;
        let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
        self.session = Some(session);
        Ok(resumed)
    }

    /// Waits until something comes and appends it; 0 is the end. In clear it fills the spare
    /// capacity of `into`, under TLS a buffer of ciphertext decides how much comes.
    pub(crate) async fn recv(&mut self, into: &mut Vec<u8>) -> io::Result<usize> {
        let Some(session) = &mut self.session else {
            if !self.is_more_there {
                self.socket.readable().await?;
            }
            let (received, buffer) = self.socket.recv(std::mem::take(into)).await;
            *into = buffer;
            self.is_more_there = into.len() == into.capacity();
            return received;
        };
        let had = into.len();
        into.append(&mut self.early);
        let mut is_end = false;
        while into.len() == had && !is_end {
            is_end = feed(&self.socket, session, into).await?;
            flush(&self.socket, session).await?;
        }
        Ok(into.len() - had)
    }

    /// Sends all of `slices`, one behind the other.
    pub(crate) async fn send(&mut self, slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        let Some(session) = &mut self.session else {
            return self.socket.send_slices(slices).await;
        };
        for slice in slices {
            // A buffer of rustls holds no more than this by default.
            for piece in slice.chunks(PIECE_BYTES) {
                session.writer().write_all(piece)?;
                if piece.len() == PIECE_BYTES {
                    flush(&self.socket, session).await?;
                }
            }
        }
        flush(&self.socket, session).await
    }

    /// Whoever waits from now on waits for ever.
    pub(crate) fn clear_patience(&self) {
        self.socket.clear_deadline(Side::Read);
    }

    /// Ends what waits longer than this from now on.
    pub(crate) fn set_patience(&self, time: Duration) {
        self.socket.set_deadline(Side::Read, time);
        self.socket.set_send_time_max(time);
    }
}

/// Appends the plaintext that is there; `true`: it was the last, the peer has closed.
fn take(session: &mut ClientConnection, into: &mut Vec<u8>) -> io::Result<bool> {
    let mut reader = session.reader();
    loop {
        match reader.fill_buf() {
            Ok([]) => return Ok(true),
            Ok(plaintext) => {
                into.extend_from_slice(plaintext);
                let octets = plaintext.len();
                reader.consume(octets);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

/// Gives the session what the socket receives next, and takes the plaintext of it.
async fn feed(
    socket: &Socket,
    session: &mut ClientConnection,
    into: &mut Vec<u8>,
) -> io::Result<bool> {
    let received = socket.recv_lent().await?;
    let mut rest = received.as_slice();
    loop {
        // Without octets it learns of the end; rustls knows whether it was announced.
        session.read_tls(&mut rest)?;
        session.process_new_packets().map_err(broken)?;
        if received.is_empty() && session.is_handshaking() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        // At once: rustls holds little plaintext.
        let is_end = take(session, into)?;
        if is_end || rest.is_empty() {
            buffer::give_back(received);
            return Ok(is_end);
        }
    }
}

async fn flush(socket: &Socket, session: &mut ClientConnection) -> io::Result<()> {
    while session.wants_write() {
        let mut octets = buffer::lend();
        while session.wants_write() && octets.len() < PIECE_BYTES {
            session.write_tls(&mut octets)?;
        }
        let (sent, octets) = socket.send(octets).await;
        buffer::give_back(octets);
        sent?;
    }
    Ok(())
}

fn broken(error: rustls::Error) -> io::Error {
    io::Error::other(error)
}

fn roots(file: &Path) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file)? {
        roots.add(certificate?)?;
    }
    anyhow::ensure!(!roots.is_empty(), "{} holds no certificate", file.display());
    Ok(roots)
}

/// Sessions with the one server of a run. What rustls has for it keeps eight tickets a server, so
/// that a crowd would do full handshakes.
#[derive(Default, Debug)]
struct Tickets {
    group: Mutex<Option<NamedGroup>>,
    tls12: Mutex<Option<Tls12ClientSessionValue>>,
    tls13: Mutex<Vec<Tls13ClientSessionValue>>,
}

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        *held(&self.group) = Some(group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        *held(&self.group)
    }

    fn set_tls12_session(&self, _: ServerName<'static>, session: Tls12ClientSessionValue) {
        *held(&self.tls12) = Some(session);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        held(&self.tls12).clone()
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        *held(&self.tls12) = None;
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        let mut tickets = held(&self.tls13);
        if tickets.len() < TICKETS_MAX {
            tickets.push(ticket);
        }
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        held(&self.tls13).pop()
    }
}

/// Nothing here can be left half done by a thread that panics.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One record, so that its ciphertext fits into a lent buffer.
const PIECE_BYTES: usize = 16 << 10;

/// Tickets that wait to be used: as many connections may resume at the same time.
const TICKETS_MAX: usize = 16_384;
