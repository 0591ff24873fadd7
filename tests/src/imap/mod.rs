//! A small IMAP client: tags, literals, untagged responses, and FETCH taken apart.

mod value;

pub use value::{Value, parse};

use crate::connection::{Connection, DEADLINE};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// One IMAP session.
pub struct Imap {
    pub connection: Connection,
    tags: u32,
}

/// One response with its literals, without its last CRLF.
#[derive(Clone, PartialEq, Eq)]
pub struct Response(pub Vec<u8>);

/// What a command brought: the untagged responses and the tagged line behind the tag.
#[derive(Clone, Debug)]
pub struct Answer {
    pub untagged: Vec<Response>,
    pub status: String,
}

/// The items of one FETCH response, by name as the server wrote it.
#[derive(Clone, Debug)]
pub struct Fetched {
    pub sequence: u32,
    pub items: BTreeMap<String, Value>,
}

impl Imap {
    /// Connects in clear and reads the greeting.
    pub fn connect(address: SocketAddr) -> io::Result<Imap> {
        Imap::greet(Connection::open(address)?)
    }

    /// Connects with TLS first and reads the greeting.
    pub fn connect_tls(address: SocketAddr) -> io::Result<Imap> {
        Imap::greet(Connection::open_tls(address)?)
    }

    /// A session on a connection that is in the middle of one.
    pub fn over(connection: Connection) -> Imap {
        Imap {
            connection,
            tags: 0,
        }
    }

    fn greet(connection: Connection) -> io::Result<Imap> {
        let mut imap = Imap::over(connection);
        let greeting = imap.response()?;
        if greeting.0.starts_with(b"* OK") || greeting.0.starts_with(b"* PREAUTH") {
            return Ok(imap);
        }
        Err(io::Error::other(format!("no greeting: {greeting:?}")))
    }

    /// Connects with TLS first and logs in.
    pub fn login(address: SocketAddr, user: &str, password: &str) -> io::Result<Imap> {
        let mut imap = Imap::connect_tls(address)?;
        imap.ok(&format!("LOGIN {user} {password}"))?;
        Ok(imap)
    }

    /// Sends a command and gives what it brought, whatever the outcome.
    pub fn command(&mut self, command: &str) -> io::Result<Answer> {
        let tag = self.send(command)?;
        self.answer(&tag)
    }

    /// The same, where anything but `OK` is an error.
    pub fn ok(&mut self, command: &str) -> io::Result<Answer> {
        let answer = self.command(command)?;
        if answer.is_ok() {
            return Ok(answer);
        }
        Err(io::Error::other(format!(
            "{} → {}",
            shortened(command),
            answer.status
        )))
    }

    /// Sends a command under a fresh tag and does not wait.
    pub fn send(&mut self, command: &str) -> io::Result<String> {
        self.tags += 1;
        let tag = format!("t{}", self.tags);
        self.connection.send_line(&format!("{tag} {command}"))?;
        Ok(tag)
    }

    /// Reads up to the tagged response of `tag`.
    pub fn answer(&mut self, tag: &str) -> io::Result<Answer> {
        let mut untagged = Vec::new();
        loop {
            let response = self.response()?;
            let text = response.text();
            match text
                .strip_prefix(tag)
                .and_then(|rest| rest.strip_prefix(' '))
            {
                Some(status) => {
                    return Ok(Answer {
                        untagged,
                        status: status.to_string(),
                    });
                }
                None if text.starts_with("* ") => untagged.push(response),
                None => return Err(io::Error::other(format!("unexpected: {response:?}"))),
            }
        }
    }

    /// Reads one response; a literal at the end of a line continues it (RFC 9051 §4.3).
    pub fn response(&mut self) -> io::Result<Response> {
        let mut octets = self.connection.line()?;
        while let Some(count) = literal_behind(&octets) {
            octets.extend_from_slice(b"\r\n");
            octets.extend(self.connection.exact(count)?);
            octets.extend(self.connection.line()?);
        }
        Ok(Response(octets))
    }

    /// A response that comes within this time; an end of the connection is none.
    pub fn response_within(&mut self, time: Duration) -> Option<Response> {
        self.connection.set_deadline(time).ok()?;
        let response = self.response();
        self.connection.set_deadline(DEADLINE).ok()?;
        response.ok()
    }

    /// Waits for `+`; what comes instead is an error.
    pub fn go_ahead(&mut self) -> io::Result<()> {
        let response = self.response()?;
        if response.0.starts_with(b"+") {
            return Ok(());
        }
        Err(io::Error::other(format!("no go-ahead: {response:?}")))
    }

    /// APPEND with a synchronising literal; `kind` is `""` or `"~"` for a literal8.
    pub fn append(&mut self, mailbox: &str, kind: &str, message: &[u8]) -> io::Result<Answer> {
        let tag = self.send(&format!("APPEND {mailbox} {kind}{{{}}}", message.len()))?;
        self.go_ahead()?;
        self.connection.send(message)?;
        self.connection.send(b"\r\n")?;
        self.answer(&tag)
    }

    /// FETCH, taken apart.
    pub fn fetch(&mut self, command: &str) -> io::Result<Vec<Fetched>> {
        self.ok(command)?
            .untagged
            .iter()
            .filter_map(Response::fetched)
            .collect()
    }

    /// The capabilities as the server tells them now.
    pub fn capabilities(&mut self) -> io::Result<Vec<String>> {
        let answer = self.ok("CAPABILITY")?;
        let texts = answer
            .untagged
            .iter()
            .map(|response| response.text().into_owned());
        let line = texts
            .into_iter()
            .find(|text| text.starts_with("* CAPABILITY "));
        let line = line.ok_or_else(|| io::Error::other("CAPABILITY without an answer"))?;
        Ok(line.split(' ').skip(2).map(str::to_string).collect())
    }

    /// Looks into a mailbox and waits until it holds so many messages; gives how many there are.
    /// What is for several owners reaches the others a moment after the `250`.
    pub fn wait_for_messages(&mut self, mailbox: &str, count: u32) -> io::Result<u32> {
        let examined = self.ok(&format!("EXAMINE {mailbox}"))?;
        let mut there = examined
            .untagged
            .iter()
            .find_map(Response::exists)
            .unwrap_or(0);
        if there < count {
            let tag = self.send("IDLE")?;
            self.go_ahead()?;
            while there < count {
                there = self.response()?.exists().unwrap_or(there);
            }
            self.connection.send(b"DONE\r\n")?;
            self.answer(&tag)?;
        }
        Ok(there)
    }

    /// The items of STATUS, as numbers by name.
    pub fn status(&mut self, mailbox: &str, items: &str) -> io::Result<BTreeMap<String, u64>> {
        let answer = self.ok(&format!("STATUS {mailbox} ({items})"))?;
        let is_status = |response: &&Response| response.0.starts_with(b"* STATUS ");
        let wrong = || io::Error::other("STATUS without an answer");
        let found = answer.untagged.iter().find(is_status).ok_or_else(wrong)?;
        let values = parse(&found.0).map_err(io::Error::other)?;
        let pairs = values
            .last()
            .and_then(Value::list)
            .ok_or_else(wrong)?
            .chunks_exact(2);
        let number = |pair: &[Value]| Some((pair[0].string()?, pair[1].number()?));
        Ok(pairs.filter_map(number).collect())
    }
}

impl Response {
    /// The response as text, broken characters replaced.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// The number of `* n EXISTS`.
    pub fn exists(&self) -> Option<u32> {
        self.text()
            .strip_prefix("* ")?
            .strip_suffix(" EXISTS")?
            .parse()
            .ok()
    }

    /// The items, when this is `* n FETCH (…)`; an unreadable one is an error.
    pub fn fetched(&self) -> Option<io::Result<Fetched>> {
        let head = String::from_utf8_lossy(self.0.get(..32).unwrap_or(&self.0));
        let mut words = head.split(' ').skip(1);
        let sequence = words.next()?.parse().ok()?;
        if !words.next()?.starts_with("FETCH") {
            return None;
        }
        let items = parse(&self.0).and_then(|values| pairs(&values));
        Some(
            items
                .map(|items| Fetched { sequence, items })
                .map_err(io::Error::other),
        )
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", shortened(&self.text()))
    }
}

impl Answer {
    pub fn is_ok(&self) -> bool {
        self.status.starts_with("OK")
    }

    /// The words of a response code in the tagged line, e.g. of `APPENDUID`.
    pub fn code(&self, name: &str) -> Option<Vec<String>> {
        let code = self.status.split_once('[')?.1.split_once(']')?.0;
        let mut words = code.split(' ');
        (words.next()? == name).then(|| words.map(str::to_string).collect())
    }

    /// Whether an untagged response starts so.
    pub fn has(&self, start: &str) -> bool {
        self.untagged
            .iter()
            .any(|response| response.0.starts_with(start.as_bytes()))
    }
}

impl Fetched {
    pub fn uid(&self) -> Option<u32> {
        self.items.get("UID")?.number().map(|uid| uid as u32)
    }

    /// An item's octets, e.g. of `BODY[]`.
    pub fn octets(&self, item: &str) -> Option<&[u8]> {
        self.items.get(item)?.octets()
    }

    pub fn number(&self, item: &str) -> Option<u64> {
        self.items.get(item)?.number()
    }
}

fn pairs(values: &[Value]) -> Result<BTreeMap<String, Value>, String> {
    let list = values
        .last()
        .and_then(Value::list)
        .ok_or("FETCH without a list")?;
    if list.len() % 2 == 1 {
        return Err(format!("FETCH with an item that has no value: {list:?}"));
    }
    let mut items = BTreeMap::new();
    for pair in list.chunks_exact(2) {
        let name = pair[0]
            .string()
            .ok_or("FETCH with an item that has no name")?;
        if items.insert(name.clone(), pair[1].clone()).is_some() {
            return Err(format!("FETCH names {name} twice"));
        }
    }
    Ok(items)
}

/// The count of a literal that the line ends with: `{n}` or `~{n}`.
fn literal_behind(line: &[u8]) -> Option<usize> {
    let inner = line.strip_suffix(b"}")?;
    let start = inner.iter().rposition(|octet| *octet == b'{')?;
    let digits = std::str::from_utf8(&inner[start + 1..]).ok()?;
    digits
        .bytes()
        .all(|digit| digit.is_ascii_digit())
        .then(|| digits.parse().ok())?
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}… ({} octets)", &text[..end], text.len()),
        None => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_at_the_end_of_a_line_are_seen() {
        assert_eq!(literal_behind(b"* 1 FETCH (BODY[] {12}"), Some(12));
        assert_eq!(literal_behind(b"* 1 FETCH (BINARY[] ~{0}"), Some(0));
        assert_eq!(literal_behind(b"* OK {x}"), None);
        assert_eq!(literal_behind(b"* OK }"), None);
    }

    #[test]
    fn fetch_is_taken_apart() {
        let raw = b"* 3 FETCH (UID 7 FLAGS (\\Seen) BODY[HEADER.FIELDS (A)]<0> {2}\r\nab)";
        let fetched = Response(raw.to_vec()).fetched().unwrap().unwrap();
        assert_eq!((fetched.sequence, fetched.uid()), (3, Some(7)));
        assert_eq!(
            fetched.octets("BODY[HEADER.FIELDS (A)]<0>"),
            Some(&b"ab"[..])
        );
        assert!(Response(b"* 3 EXISTS".to_vec()).fetched().is_none());
        assert_eq!(Response(b"* 3 EXISTS".to_vec()).exists(), Some(3));
        assert!(
            Response(b"* 3 FETCH (UID)".to_vec())
                .fetched()
                .unwrap()
                .is_err()
        );
        assert!(
            Response(b"* 3 FETCH (UID 1 UID 2)".to_vec())
                .fetched()
                .unwrap()
                .is_err()
        );
    }
}
