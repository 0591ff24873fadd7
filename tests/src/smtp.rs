//! A small SMTP and LMTP client that says what it is told and reads whole replies.

use crate::connection::Connection;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::io;
use std::net::SocketAddr;

/// One SMTP, submission or LMTP session.
pub struct Smtp {
    pub connection: Connection,
}

/// A reply: its code and the text of each of its lines.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    pub code: u16,
    pub lines: Vec<String>,
}

impl Smtp {
    /// Connects and reads the greeting.
    pub fn connect(address: SocketAddr) -> io::Result<Smtp> {
        Smtp::greet(Connection::open(address)?)
    }

    /// Connects with TLS first and reads the greeting.
    pub fn connect_tls(address: SocketAddr) -> io::Result<Smtp> {
        Smtp::greet(Connection::open_tls(address)?)
    }

    fn greet(connection: Connection) -> io::Result<Smtp> {
        let mut smtp = Smtp { connection };
        smtp.reply()?.expect(220)?;
        Ok(smtp)
    }

    /// Connects and says EHLO.
    pub fn hello(address: SocketAddr) -> io::Result<Smtp> {
        let mut smtp = Smtp::connect(address)?;
        smtp.command("EHLO client.test")?.expect(250)?;
        Ok(smtp)
    }

    /// Connects to an LMTP listener and says LHLO.
    pub fn hello_lmtp(address: SocketAddr) -> io::Result<Smtp> {
        let mut smtp = Smtp::connect(address)?;
        smtp.command("LHLO client.test")?.expect(250)?;
        Ok(smtp)
    }

    /// Connects to an implicit-TLS submission listener and logs in.
    pub fn submit(address: SocketAddr, user: &str, password: &str) -> io::Result<Smtp> {
        let mut smtp = Smtp::connect_tls(address)?;
        smtp.command("EHLO client.test")?.expect(250)?;
        smtp.auth_plain(user, password)?.expect(235)?;
        Ok(smtp)
    }

    pub fn auth_plain(&mut self, user: &str, password: &str) -> io::Result<Reply> {
        let response = STANDARD.encode(format!("\0{user}\0{password}"));
        self.command(&format!("AUTH PLAIN {response}"))
    }

    /// Sends a line and reads its reply.
    pub fn command(&mut self, line: &str) -> io::Result<Reply> {
        self.connection.send_line(line)?;
        self.reply()
    }

    /// Reads one reply of any number of lines.
    pub fn reply(&mut self) -> io::Result<Reply> {
        let mut reply = Reply {
            code: 0,
            lines: Vec::new(),
        };
        loop {
            let line = String::from_utf8_lossy(&self.connection.line()?).into_owned();
            let (code, last, text) = split(&line)?;
            if !reply.lines.is_empty() && reply.code != code {
                return Err(io::Error::other(format!(
                    "{line:?} changes the code of a reply"
                )));
            }
            reply.code = code;
            reply.lines.push(text.to_string());
            if last {
                return Ok(reply);
            }
        }
    }

    /// MAIL and RCPT for everyone; the replies must be good.
    pub fn envelope<R: AsRef<str>>(&mut self, from: &str, to: &[R]) -> io::Result<()> {
        self.command(&format!("MAIL FROM:<{from}>"))?.expect(250)?;
        for recipient in to {
            self.command(&format!("RCPT TO:<{}>", recipient.as_ref()))?
                .expect(250)?;
        }
        Ok(())
    }

    /// Sends a whole message by DATA; gives the reply of the end of data.
    pub fn deliver<R: AsRef<str>>(
        &mut self,
        from: &str,
        to: &[R],
        message: &[u8],
    ) -> io::Result<Reply> {
        self.envelope(from, to)?;
        self.data(message)
    }

    /// DATA with dots stuffed; a message without a last CRLF gets one.
    pub fn data(&mut self, message: &[u8]) -> io::Result<Reply> {
        self.command("DATA")?.expect(354)?;
        self.connection.send(&stuffed(message))?;
        self.reply()
    }

    /// LMTP: one reply for each accepted recipient (RFC 2033 §4.2).
    pub fn lmtp_data(&mut self, message: &[u8], recipients: usize) -> io::Result<Vec<Reply>> {
        self.command("DATA")?.expect(354)?;
        self.connection.send(&stuffed(message))?;
        (0..recipients).map(|_| self.reply()).collect()
    }

    /// One last chunk, the octets as they are (RFC 3030).
    pub fn bdat(&mut self, message: &[u8]) -> io::Result<Reply> {
        self.connection
            .send_line(&format!("BDAT {} LAST", message.len()))?;
        self.connection.send(message)?;
        self.reply()
    }
}

impl Reply {
    /// The reply, when it has this code; else an error that shows it.
    pub fn expect(self, code: u16) -> io::Result<Reply> {
        if self.code == code {
            return Ok(self);
        }
        Err(io::Error::other(format!(
            "expected {code}, the server said: {self}"
        )))
    }

    /// Whether any line starts so, e.g. an EHLO keyword or an enhanced status code.
    pub fn has(&self, start: &str) -> bool {
        self.lines.iter().any(|line| line.starts_with(start))
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.lines.join(" | "))
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Takes a reply line apart: code, whether it is the last one, text (RFC 5321 §4.2).
pub fn split(line: &str) -> io::Result<(u16, bool, &str)> {
    let wrong = || io::Error::other(format!("not a reply line: {line:?}"));
    let code = line
        .get(..3)
        .and_then(|code| code.parse().ok())
        .ok_or_else(wrong)?;
    match line.as_bytes().get(3) {
        None => Ok((code, true, "")),
        Some(b' ') => Ok((code, true, &line[4..])),
        Some(b'-') => Ok((code, false, &line[4..])),
        Some(_) => Err(wrong()),
    }
}

/// The message as DATA carries it, with the end of data (RFC 5321 §4.5.2).
fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(message.len() + message.len() / 16 + 8);
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        if line.first() == Some(&b'.') {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
    }
    if !message.is_empty() && !message.ends_with(b"\r\n") {
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b".\r\n");
    wire
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_stuffed_and_the_end_is_set() {
        assert_eq!(stuffed(b".a\r\nb.\r\n..\r\n"), b"..a\r\nb.\r\n...\r\n.\r\n");
        assert_eq!(stuffed(b"a"), b"a\r\n.\r\n");
        assert_eq!(stuffed(b""), b".\r\n");
    }

    #[test]
    fn reply_lines_are_told_apart() {
        assert_eq!(split("250-SIZE 1").unwrap(), (250, false, "SIZE 1"));
        assert_eq!(split("250").unwrap(), (250, true, ""));
        assert!(split("25x no").is_err() && split("250_no").is_err());
    }
}
