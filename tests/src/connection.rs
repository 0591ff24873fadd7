//! A blocking socket, in clear or with TLS, read by lines and by counts.
//!
//! Every read has a deadline, so that a server that hangs fails a test instead of hanging it.

use crate::certificate;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// One connection to the server.
pub struct Connection {
    stream: Stream,
    /// Octets read from the stream and not yet taken; `taken` of them are.
    buffer: Vec<u8>,
    taken: usize,
}

enum Stream {
    Clear(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    /// Only between the two, during a handshake.
    Gone,
}

impl Connection {
    pub fn open(address: SocketAddr) -> io::Result<Connection> {
        let socket = TcpStream::connect_timeout(&address, DEADLINE)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(DEADLINE))?;
        socket.set_write_timeout(Some(DEADLINE))?;
        Ok(Connection {
            stream: Stream::Clear(socket),
            buffer: Vec::new(),
            taken: 0,
        })
    }

    /// Opens a connection where TLS comes first.
    pub fn open_tls(address: SocketAddr) -> io::Result<Connection> {
        let mut connection = Connection::open(address)?;
        connection.start_tls()?;
        Ok(connection)
    }

    /// Turns to TLS. What the server said before and nobody read is an error: it would be taken
    /// for something said under TLS.
    pub fn start_tls(&mut self) -> io::Result<()> {
        self.start_tls_as("localhost", certificate::trusting_client())
    }

    /// The same with a name for SNI and a configuration.
    pub fn start_tls_as(&mut self, name: &str, config: Arc<ClientConfig>) -> io::Result<()> {
        if self.taken < self.buffer.len() {
            return Err(io::Error::other("octets in clear before the handshake"));
        }
        let Stream::Clear(mut socket) = std::mem::replace(&mut self.stream, Stream::Gone) else {
            return Err(io::Error::other("TLS is on already"));
        };
        let name = name.to_string().try_into().map_err(io::Error::other)?;
        let mut tls = ClientConnection::new(config, name).map_err(io::Error::other)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)?;
        }
        self.stream = Stream::Tls(Box::new(StreamOwned::new(tls, socket)));
        Ok(())
    }

    /// Sends octets as they are.
    pub fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Clear(socket) => socket.write_all(octets),
            Stream::Tls(tls) => tls.write_all(octets).and_then(|()| tls.flush()),
            Stream::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Sends a line and its CRLF, in one segment.
    pub fn send_line(&mut self, line: &str) -> io::Result<()> {
        let mut octets = Vec::with_capacity(line.len() + 2);
        octets.extend_from_slice(line.as_bytes());
        octets.extend_from_slice(b"\r\n");
        self.send(&octets)
    }

    /// The next line without its CRLF. The end of the stream is `UnexpectedEof`; a bare LF or a
    /// line without end is `InvalidData`: a server must send neither.
    pub fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            let fresh = &self.buffer[self.taken..];
            if let Some(end) = fresh.iter().position(|octet| *octet == b'\n') {
                let line = fresh[..end].strip_suffix(b"\r").map(<[u8]>::to_vec);
                self.take(end + 1);
                return line.ok_or_else(|| invalid("the server sent a bare LF"));
            }
            if fresh.len() > LINE_BYTES_MAX {
                return Err(invalid("the server sent a line without end"));
            }
            self.fill()?;
        }
    }

    /// Exactly `count` octets.
    pub fn exact(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() - self.taken < count {
            self.fill()?;
        }
        let octets = self.buffer[self.taken..self.taken + count].to_vec();
        self.take(count);
        Ok(octets)
    }

    /// Everything until the server closes. A reset counts as the end: what came before is given.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        loop {
            match self.fill() {
                Ok(()) => {}
                Err(error) if is_end(&error) => break,
                Err(error) => return Err(error),
            }
        }
        let octets = self.buffer[self.taken..].to_vec();
        self.take(octets.len());
        Ok(octets)
    }

    /// What has come and was not taken: half a line when the server cut it.
    pub fn unread(&self) -> &[u8] {
        &self.buffer[self.taken..]
    }

    /// Whether the server closes now, saying nothing more.
    pub fn closes(&mut self) -> io::Result<()> {
        let rest = self.rest()?;
        if rest.is_empty() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&rest).into_owned();
        Err(invalid(&format!("said before closing: {said:?}")))
    }

    /// Says that we send nothing more.
    pub fn shut_down_sending(&mut self) -> io::Result<()> {
        match &mut self.stream {
            Stream::Clear(socket) => socket.shutdown(Shutdown::Write),
            Stream::Tls(tls) => {
                tls.conn.send_close_notify();
                tls.flush()
            }
            Stream::Gone => Ok(()),
        }
    }

    /// How long a read may wait from now on.
    pub fn set_deadline(&self, deadline: Duration) -> io::Result<()> {
        self.socket()?.set_read_timeout(Some(deadline))
    }

    /// The socket below, TLS or not: for clear octets where TLS is on, and the like.
    pub fn socket(&self) -> io::Result<&TcpStream> {
        match &self.stream {
            Stream::Clear(socket) => Ok(socket),
            Stream::Tls(tls) => Ok(&tls.sock),
            Stream::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// What TLS has agreed on, when it is on.
    pub fn tls(&self) -> Option<&ClientConnection> {
        match &self.stream {
            Stream::Tls(tls) => Some(&tls.conn),
            _ => None,
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut piece = [0; 16 * 1024];
        let count = match &mut self.stream {
            Stream::Clear(socket) => socket.read(&mut piece)?,
            Stream::Tls(tls) => tls.read(&mut piece)?,
            Stream::Gone => 0,
        };
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.buffer.extend_from_slice(&piece[..count]);
        Ok(())
    }

    fn take(&mut self, count: usize) {
        self.taken += count;
        if self.taken == self.buffer.len() {
            self.buffer.clear();
            self.taken = 0;
        }
    }
}

/// Whether the error means that the peer is gone, as opposed to silent or wrong.
pub fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(
        error.kind(),
        UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe
    )
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// Long enough for a busy machine; a healthy server answers in microseconds.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// A reply line is short; IMAP lines with long ENVELOPEs are not.
const LINE_BYTES_MAX: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn said(octets: &'static [u8]) -> Connection {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sender = std::thread::spawn(move || listener.accept().unwrap().0.write_all(octets));
        let connection = Connection::open(address).unwrap();
        sender.join().unwrap().unwrap();
        connection
    }

    #[test]
    fn lines_and_counts_are_taken_apart() {
        let mut connection = said(b"one\r\ntwothree\r\n");
        assert_eq!(connection.line().unwrap(), b"one");
        assert_eq!(connection.exact(3).unwrap(), b"two");
        assert_eq!(connection.line().unwrap(), b"three");
        connection.closes().unwrap();
    }

    #[test]
    fn a_bare_lf_and_words_before_closing_are_faults() {
        assert!(said(b"one\n").line().is_err());
        assert!(said(b"more").closes().is_err());
    }
}
