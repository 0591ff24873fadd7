//! One TLS session without its socket: ciphertext in, plaintext out, and back.
//!
//! Ciphertext waits here only while plaintext before it has not been taken, so a session that is
//! idle owns no buffer of ours. rustls bounds the rest: one record and one handshake message
//! (64 KiB) in, 32 key updates, 4 warnings and 1 renegotiation request without data between them.

use crate::reactor::buffer;
use rustls::pki_types::CertificateDer;
use rustls::{Connection, HandshakeKind, ProtocolVersion};
use std::io::{self, BufRead, ErrorKind, IoSlice, Write};

pub(super) struct Session {
    connection: Connection,
    /// Received and not yet decrypted, from `digested` on; no allocation when empty.
    ciphertext: Vec<u8>,
    digested: usize,
    /// Octets of plaintext that rustls holds for us.
    plaintext_bytes: usize,
    /// The peer has sent its close_notify.
    ended: bool,
}

/// What there is to take.
pub(super) enum Taken {
    Octets(usize),
    /// The peer closed the session properly.
    End,
    /// Nothing: feed more ciphertext.
    Nothing,
}

/// Plaintext that becomes one record, and one lent buffer of ciphertext.
pub(super) const RECORD_BYTES_MAX: usize = 16 << 10;

/// Slices gathered into one record; a message goes out as few.
const SLICES_OF_RECORD_MAX: usize = 16;

/// RFC 9266 §4.
const CHANNEL_BINDING_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

impl Session {
    /// A session of either side, before its handshake.
    pub(super) fn new(connection: Connection) -> Session {
        Session {
            connection,
            ciphertext: Vec::new(),
            digested: 0,
            plaintext_bytes: 0,
            ended: false,
        }
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether [`Session::take`] may give something without more from the socket.
    pub(super) fn is_ready(&self) -> bool {
        self.plaintext_bytes > 0 || !self.ciphertext.is_empty() || self.ended
    }

    /// Accepts what the socket received into a lent buffer; empty is the end of the stream.
    pub(super) fn feed(&mut self, received: Vec<u8>) -> io::Result<()> {
        assert!(self.ciphertext.is_empty(), "fed before it asked");
        if received.is_empty() {
            // rustls knows whether the end was announced.
            buffer::give_back(received);
            self.connection.read_tls(&mut io::empty())?;
            self.process()?;
            // After the handshake `take` knows; before it there is nothing to take.
            return if self.is_handshaking() {
                Err(ErrorKind::UnexpectedEof.into())
            } else {
                Ok(())
            };
        }
        self.ciphertext = received;
        self.digest()
    }

    /// Decrypts until there is plaintext or no ciphertext.
    fn digest(&mut self) -> io::Result<()> {
        while self.plaintext_bytes == 0 && !self.ciphertext.is_empty() {
            let mut rest = self.ciphertext.get(self.digested..).unwrap_or_default();
            let read = self.connection.read_tls(&mut rest)?;
            self.digested += read;
            // Nothing is read behind a close_notify: what came there is thrown away.
            if read == 0 || self.digested == self.ciphertext.len() {
                self.forget_ciphertext();
            }
            self.process()?;
        }
        Ok(())
    }

    /// Appends up to `octets_max`, which is not 0, of plaintext to `into`.
    pub(super) fn take(&mut self, into: &mut Vec<u8>, octets_max: usize) -> io::Result<Taken> {
        self.digest()?;
        let mut reader = self.connection.reader();
        let mut taken = 0;
        while taken < octets_max && self.plaintext_bytes > 0 {
            let chunk = reader.fill_buf()?;
            let part = chunk.get(..octets_max - taken).unwrap_or(chunk);
            into.extend_from_slice(part);
            let octets = part.len();
            reader.consume(octets);
            taken += octets;
            self.plaintext_bytes -= octets;
        }
        if taken > 0 {
            return Ok(Taken::Octets(taken));
        }
        match reader.fill_buf() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Taken::Nothing),
            Err(error) => Err(error),
            Ok(_) => Ok(Taken::End),
        }
    }

    /// Encrypts up to [`RECORD_BYTES_MAX`] of plaintext.
    pub(super) fn put(&mut self, plaintext: &[u8]) -> io::Result<()> {
        assert!(plaintext.len() <= RECORD_BYTES_MAX, "more than a record");
        self.connection.writer().write_all(plaintext)
    }

    /// Encrypts the beginning of `slices` as one record; how many octets that was.
    pub(super) fn put_slices(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut record = [IoSlice::new(&[]); SLICES_OF_RECORD_MAX];
        let mut room = RECORD_BYTES_MAX;
        let mut count = 0;
        for (part, slice) in record.iter_mut().zip(slices) {
            let fits = slice.get(..room).unwrap_or(slice);
            *part = IoSlice::new(fits);
            room -= fits.len();
            count += 1;
            if room == 0 {
                break;
            }
        }
        let record = record.get(..count).unwrap_or_default();
        self.connection.writer().write_vectored(record)
    }

    pub(super) fn put_close(&mut self) {
        self.connection.send_close_notify();
    }

    pub(super) fn has_output(&self) -> bool {
        self.connection.wants_write()
    }

    /// Moves ciphertext for the peer into `into`.
    pub(super) fn drain(&mut self, into: &mut Vec<u8>) -> io::Result<()> {
        while self.connection.wants_write() {
            self.connection.write_tls(into)?;
        }
        Ok(())
    }

    fn process(&mut self) -> io::Result<()> {
        let processed = self.connection.process_new_packets();
        let state = processed.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        self.plaintext_bytes = state.plaintext_bytes_to_read();
        self.ended = state.peer_has_closed();
        Ok(())
    }

    fn forget_ciphertext(&mut self) {
        self.digested = 0;
        buffer::give_back(std::mem::take(&mut self.ciphertext));
    }

    pub(super) fn version(&self) -> &'static str {
        match self.connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLS",
        }
    }

    pub(super) fn cipher(&self) -> &'static str {
        let suite = self.connection.negotiated_cipher_suite();
        suite
            .and_then(|suite| suite.suite().as_str())
            .unwrap_or("unknown")
    }

    pub(super) fn group(&self) -> &'static str {
        let group = self.connection.negotiated_key_exchange_group();
        group
            .and_then(|group| group.name().as_str())
            .unwrap_or("none")
    }

    /// What a client asked for; a client knows itself.
    pub(super) fn server_name(&self) -> Option<&str> {
        match &self.connection {
            Connection::Server(server) => server.server_name(),
            Connection::Client(_) => None,
        }
    }

    /// What the peer has shown, its own certificate first.
    pub(super) fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        self.connection.peer_certificates().unwrap_or_default()
    }

    pub(super) fn is_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// The `tls-exporter` channel binding. Only TLS 1.3: RFC 9266 §4.2 demands more of TLS 1.2 than
    /// can be asked here.
    pub(super) fn channel_binding(&self) -> Option<[u8; 32]> {
        if self.connection.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
            return None;
        }
        let exported = self
            .connection
            .export_keying_material([0; 32], CHANNEL_BINDING_LABEL, None);
        exported.ok()
    }
}
