//! A reader of one INBOX: as much IMAP as it takes to see what arrived, and when (RFC 3501, RFC
//! 2177).

use super::tls::{Stream, TlsClient};
use engine::reactor::clock::monotonic_micros;
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::time::Duration;

/// Where and how mailboxes are read.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) target: SocketAddr,
    pub(crate) tls: Option<TlsClient>,
    pub(crate) password: String,
    pub(crate) patience: Duration,
}

/// A session with the INBOX of one account.
pub(crate) struct Mailbox {
    stream: Stream,
    buffer: Vec<u8>,
    at: usize,
    /// When the last octets came.
    pub(crate) heard_micros: u64,
    pub(crate) offers_idle: bool,
}

/// What a message is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    Whole,
    /// The line of the stamp.
    Stamp,
}

/// Where new messages of a mailbox begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Position {
    pub(crate) uid_next: u64,
}

impl Mailbox {
    /// Connects and logs in.
    pub(crate) async fn open(door: &Door, user: &str) -> io::Result<Mailbox> {
        let stream = Stream::connect(None, door.target, door.patience).await?;
        let mut mailbox = Mailbox {
            stream,
            buffer: Vec::with_capacity(BUFFER_BYTES),
            at: 0,
            heard_micros: 0,
            offers_idle: false,
        };
        mailbox.stream.set_patience(door.patience);
        if let Some(client) = &door.tls {
            mailbox.stream.start_tls(client).await?;
        }
        mailbox.line().await?;
        let (user, password) = (quoted(user), quoted(&door.password));
        mailbox
            .command(&format!("LOGIN {user} {password}"), |_| ())
            .await?;
        let mut offers_idle = false;
        let note = |line: &[u8]| {
            offers_idle |= memchr::memmem::find(line, b"IDLE").is_some();
        };
        mailbox.command("CAPABILITY", note).await?;
        mailbox.offers_idle = offers_idle;
        Ok(mailbox)
    }

    /// Selects the INBOX; where new messages will begin.
    pub(crate) async fn examine(&mut self) -> io::Result<Position> {
        let mut position = Position { uid_next: 1 };
        let note = |line: &[u8]| {
            if let Some(uid_next) = number_behind(line, b"UIDNEXT ") {
                position.uid_next = uid_next;
            }
        };
        self.command("EXAMINE INBOX", note).await?;
        Ok(position)
    }

    /// Shows every message from `position` on; moves it behind the last one. `true`: the server
    /// told of more meanwhile.
    pub(crate) async fn read(
        &mut self,
        position: &mut Position,
        part: Part,
        mut show: impl FnMut(&[u8], u64),
    ) -> io::Result<bool> {
        let what = match part {
            Part::Whole => "BODY.PEEK[]",
            Part::Stamp => "BODY.PEEK[HEADER.FIELDS (X-Ringpost-Bench)]",
        };
        let from = position.uid_next;
        self.send(&format!("{TAG} UID FETCH {from}:* (UID {what})\r\n"))
            .await?;
        let mut is_more = false;
        loop {
            let line = self.line().await?;
            if line.starts_with(TAG.as_bytes()) {
                return judge(&line).map(|()| is_more);
            }
            is_more |= line.ends_with(b" EXISTS");
            let Some(octets) = literal(&line) else {
                continue;
            };
            // RFC 9051 §9: the last message is in every range that ends with an asterisk.
            let uid = number_behind(&line, b"UID ").filter(|uid| *uid >= from);
            self.fill(octets).await?;
            let body = self
                .buffer
                .get(self.at..self.at + octets)
                .unwrap_or_default();
            if let Some(uid) = uid {
                show(body, self.heard_micros);
                position.uid_next = position.uid_next.max(uid + 1);
            }
            self.at += octets;
        }
    }

    /// Waits until the server tells of a message, or for a moment where it cannot.
    pub(crate) async fn wait(&mut self) -> io::Result<()> {
        self.send(&format!("{TAG} IDLE\r\n")).await?;
        loop {
            let line = self.line().await?;
            if line.ends_with(b" EXISTS") || line.starts_with(TAG.as_bytes()) {
                break;
            }
        }
        self.send("DONE\r\n").await?;
        loop {
            let line = self.line().await?;
            if line.starts_with(TAG.as_bytes()) {
                return judge(&line);
            }
        }
    }

    /// Lets the server tell of messages at once.
    pub(crate) async fn poll(&mut self) -> io::Result<()> {
        self.command("NOOP", |_| ()).await
    }

    pub(crate) fn set_patience(&self, patience: Duration) {
        self.stream.set_patience(patience);
    }

    async fn command(&mut self, text: &str, mut show: impl FnMut(&[u8])) -> io::Result<()> {
        self.send(&format!("{TAG} {text}\r\n")).await?;
        loop {
            let line = self.line().await?;
            if line.starts_with(TAG.as_bytes()) {
                return judge(&line);
            }
            show(&line);
        }
    }

    async fn send(&mut self, text: &str) -> io::Result<()> {
        self.stream.send(&mut [IoSlice::new(text.as_bytes())]).await
    }

    /// The next line without its end.
    async fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut searched = 0;
        loop {
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            let unsearched = rest.get(searched..).unwrap_or_default();
            if let Some(end) = memchr::memchr(b'\n', unsearched).map(|at| searched + at) {
                let line = rest.get(..end).unwrap_or_default();
                let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
                self.at += end + 1;
                return Ok(line);
            }
            searched = rest.len();
            if searched > LINE_BYTES_MAX {
                return Err(ErrorKind::InvalidData.into());
            }
            self.more().await?;
        }
    }

    /// Receives until so many octets are there.
    async fn fill(&mut self, octets: usize) -> io::Result<()> {
        if octets > super::sink::MESSAGE_BYTES_MAX as usize {
            return Err(ErrorKind::InvalidData.into());
        }
        while self.buffer.len() < self.at + octets {
            self.more().await?;
        }
        Ok(())
    }

    async fn more(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.at);
        self.at = 0;
        if self.buffer.capacity() - self.buffer.len() < BUFFER_BYTES / 2 {
            self.buffer.reserve(BUFFER_BYTES);
        }
        if self.stream.recv(&mut self.buffer).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.heard_micros = monotonic_micros();
        Ok(())
    }
}

/// The completion of a command: OK, or why not.
fn judge(line: &[u8]) -> io::Result<()> {
    let rest = line.get(TAG.len() + 1..).unwrap_or_default();
    match rest.starts_with(b"OK") {
        true => Ok(()),
        false => Err(io::Error::new(
            ErrorKind::PermissionDenied,
            format!("the IMAP server says {}", String::from_utf8_lossy(rest)),
        )),
    }
}

/// The octets of a literal that a line announces at its end.
fn literal(line: &[u8]) -> Option<usize> {
    let open = line.iter().rposition(|octet| *octet == b'{')?;
    let digits = line.get(open + 1..)?.strip_suffix(b"}")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn number_behind(line: &[u8], word: &[u8]) -> Option<u64> {
    let at = memchr::memmem::find(line, word)?;
    let rest = line.get(at + word.len()..)?;
    let end = rest.iter().position(|octet| !octet.is_ascii_digit());
    let digits = rest.get(..end.unwrap_or(rest.len()))?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A quoted string (RFC 9051 §4.3).
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

/// One command at a time, so one tag does.
const TAG: &str = "b1";

const BUFFER_BYTES: usize = 128 << 10;

/// No response of ours has longer lines.
const LINE_BYTES_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_taken_apart() {
        let line = b"* 7 FETCH (UID 412 BODY[] {1234}";
        assert_eq!(literal(line), Some(1234));
        assert_eq!(number_behind(line, b"UID "), Some(412));
        assert_eq!(literal(b"* 7 FETCH (UID 412)"), None);
        assert_eq!(number_behind(b"* OK [UIDNEXT 9] ok", b"UIDNEXT "), Some(9));
        assert_eq!(number_behind(b"UIDNEXT x", b"UIDNEXT "), None);
        assert!(judge(b"b1 OK done").is_ok() && judge(b"b1 NO never").is_err());
        assert_eq!(quoted("a\"b\\"), "\"a\\\"b\\\\\"");
    }
}
