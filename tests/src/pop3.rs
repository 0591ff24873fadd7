//! The least of a POP3 client: one command, one answer (RFC 1939).

use crate::connection::Connection;
use crate::setup::PASSWORD;
use std::io;
use std::net::SocketAddr;

/// One session over TLS.
pub struct Pop3 {
    pub connection: Connection,
}

impl Pop3 {
    /// Connects with implicit TLS and reads the greeting.
    pub fn open(address: SocketAddr) -> io::Result<Pop3> {
        let connection = Connection::open_tls(address)?;
        let mut pop3 = Pop3 { connection };
        pop3.positive()?;
        Ok(pop3)
    }

    /// A session with the usual password; the answer to PASS, which is the error where it is -ERR.
    pub fn login(address: SocketAddr, user: &str) -> io::Result<Pop3> {
        let mut pop3 = Pop3::open(address)?;
        pop3.ok(&format!("USER {user}"))?;
        pop3.ok(&format!("PASS {PASSWORD}"))?;
        Ok(pop3)
    }

    /// As [`Pop3::login`], again and again while the maildrop is in use: who lost a connection may
    /// come back before the server knows.
    pub fn login_in_turn(address: SocketAddr, user: &str) -> io::Result<Pop3> {
        for _ in 0..TURNS_MAX {
            match Pop3::login(address, user) {
                Err(error) if error.to_string().contains("[IN-USE]") => {}
                other => return other,
            }
        }
        Pop3::login(address, user)
    }

    /// Says a line and gives the rest of `+OK`; `-ERR` is an error with its text.
    pub fn ok(&mut self, line: &str) -> io::Result<String> {
        self.connection.send_line(line)?;
        self.positive()
    }

    /// The rest of the next `+OK`.
    pub fn positive(&mut self) -> io::Result<String> {
        let line = self.connection.line()?;
        let text = String::from_utf8_lossy(&line).into_owned();
        match text.strip_prefix("+OK") {
            Some(rest) => Ok(rest.trim_start().to_owned()),
            None => Err(io::Error::other(text)),
        }
    }

    /// Says a line whose answer has several; the octets between, dots removed.
    pub fn lines(&mut self, line: &str) -> io::Result<Vec<u8>> {
        self.ok(line)?;
        self.body()
    }

    /// Octets up to the dot.
    pub fn body(&mut self) -> io::Result<Vec<u8>> {
        let mut octets = Vec::new();
        loop {
            let line = self.connection.line()?;
            if line == b"." {
                return Ok(octets);
            }
            octets.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            octets.extend_from_slice(b"\r\n");
        }
    }

    /// The unique ids, in the order of the numbers.
    pub fn uidl(&mut self) -> io::Result<Vec<String>> {
        let octets = self.lines("UIDL")?;
        let text = String::from_utf8_lossy(&octets).into_owned();
        let ids = text.lines().filter_map(|line| line.split_once(' '));
        Ok(ids.map(|(_, id)| id.to_owned()).collect())
    }

    /// How many messages there are.
    pub fn count(&mut self) -> io::Result<u32> {
        let stat = self.ok("STAT")?;
        let count = stat.split(' ').next().and_then(|count| count.parse().ok());
        count.ok_or_else(|| io::Error::other(stat))
    }
}

/// Logins that cost a handshake each.
const TURNS_MAX: u32 = 200;
