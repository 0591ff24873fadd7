//! Trials of the whole wire: the RFCs' examples, every split, hostile input, another codec.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod examples;
mod hostile;
mod messages;
mod oracle;
mod responses;
mod resync;
mod selected;
mod splits;

use super::command::{Body, Command};
use super::fault::{Bad, Fault};
use super::receive::{Event, Receiver};

/// What a driver heard, pieces of a message joined.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Heard {
    Event(Event),
    Message(Vec<u8>),
}

/// A connection whose driver answers at once.
struct Client {
    receiver: Receiver,
    /// Whether APPEND's messages are accepted.
    accepts: bool,
    heard: Vec<Heard>,
}

impl Client {
    fn before_login() -> Client {
        Client {
            receiver: Receiver::new(),
            accepts: true,
            heard: Vec::new(),
        }
    }

    fn logged_in() -> Client {
        let mut client = Client::before_login();
        client.receiver.log_in();
        client
    }

    fn refusing() -> Client {
        let mut client = Client::logged_in();
        client.accepts = false;
        client
    }

    fn send(&mut self, mut octets: &[u8]) {
        loop {
            let (taken, event) = self.receiver.feed(octets);
            let (eaten, rest) = octets.split_at(taken);
            octets = rest;
            match event {
                Event::NeedMore => return,
                Event::Octets => self.message(eaten),
                event => self.event(event),
            }
        }
    }

    fn message(&mut self, octets: &[u8]) {
        match self.heard.last_mut() {
            Some(Heard::Message(message)) => message.extend_from_slice(octets),
            _ => self.heard.push(Heard::Message(octets.to_vec())),
        }
    }

    fn event(&mut self, event: Event) {
        if let Event::More(Ok(_)) = &event
            && self.accepts
        {
            self.receiver.accept_message();
        }
        if let Event::Command(command) = &event {
            match &command.body {
                Body::Append(_) if self.accepts => self.receiver.accept_message(),
                Body::Idle | Body::Authenticate { initial: None, .. } => {
                    self.receiver.expect_line();
                }
                _ => {}
            }
        }
        self.heard.push(Heard::Event(event));
    }

    /// What was heard since the last time.
    fn heard(&mut self) -> Vec<Heard> {
        std::mem::take(&mut self.heard)
    }

    fn events(&mut self) -> Vec<Event> {
        let events = self.heard().into_iter().map(|heard| match heard {
            Heard::Event(event) => event,
            Heard::Message(_) => panic!("a message where none was expected"),
        });
        events.collect()
    }
}

/// The one event that a whole command leads to, calls for literals left out.
fn only_event(stream: &[u8]) -> Event {
    let mut client = Client::logged_in();
    client.send(stream);
    let mut events = client.events();
    events.retain(|event| *event != Event::Continue);
    assert_eq!(events.len(), 1, "{}: {events:?}", stream.escape_ascii());
    events.remove(0)
}

/// The command that `stream` is.
fn understood(stream: impl AsRef<[u8]>) -> Command {
    let stream = [stream.as_ref(), b"\r\n"].concat();
    match only_event(&stream) {
        Event::Command(command) => command,
        other => panic!("{}: {other:?}", stream.escape_ascii()),
    }
}

fn body(stream: impl AsRef<[u8]>) -> Body {
    understood(stream).body
}

/// Why `stream` is no command.
fn fault(stream: impl AsRef<[u8]>) -> Fault {
    let stream = [stream.as_ref(), b"\r\n"].concat();
    match only_event(&stream) {
        Event::Bad(bad) => bad.fault,
        other => panic!("{}: {other:?}", stream.escape_ascii()),
    }
}

fn bad(tag: &str, fault: Fault) -> Event {
    Event::Bad(Bad {
        tag: Some(tag.to_owned()),
        fault,
    })
}

fn noop(tag: &str) -> Event {
    Event::Command(Command {
        tag: tag.to_owned(),
        body: Body::Noop,
    })
}

/// A seeded generator: xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// Commands of every kind, whole, as the pieces of splits and mutations.
const CORPUS: &[&str] = &[
    "a1 CAPABILITY\r\n",
    "a1 noop\r\n",
    "a1 LOGOUT\r\n",
    "a1 STARTTLS\r\n",
    "a1 ID NIL\r\n",
    "a1 ID (\"name\" \"sodr\" \"version\" NIL)\r\n",
    "a1 AUTHENTICATE PLAIN dGVzdAB0ZXN0AHRlc3Q=\r\n",
    "a1 LOGIN smith sesame\r\n",
    "a1 LOGIN {5}\r\nsmith {6+}\r\nses\r\nm\r\n",
    "a1 LOGIN \"a\\\"b\\\\\" {0}\r\n\r\n",
    "a1 ENABLE IMAP4rev2 X-GOOD-IDEA\r\n",
    "a1 SELECT INBOX\r\n",
    "a1 EXAMINE \"Entw&APw-rfe\"\r\n",
    "a1 SELECT x (CONDSTORE QRESYNC (67890007 20050715194045000 41,43:211 (1,9 41,98)))\r\n",
    "a1 NOTIFY SET STATUS (selected (MessageNew (UID BODY.PEEK[HEADER.FIELDS (From)]) \
     MessageExpunge)) (mailboxes ({3}\r\na/b inbox) NONE)\r\n",
    "a1 CREATE {8}\r\nSent/{5}\r\n",
    "a1 CREATE MySpecial (USE (\\Drafts \\Sent))\r\n",
    "a1 DELETE a]b\r\n",
    "a1 RENAME {3+}\r\nold {3+}\r\nnew\r\n",
    "a1 SUBSCRIBE #news.comp.mail.mime\r\n",
    "a1 UNSUBSCRIBE x\r\n",
    "a1 LIST \"\" \"*\"\r\n",
    "a1 LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (\"INBOX\" S/%) RETURN (STATUS (SIZE))\r\n",
    "a1 LSUB #news. %\r\n",
    "a1 NAMESPACE\r\n",
    "a1 STATUS blurdybloop (UIDNEXT MESSAGES)\r\n",
    "a1 APPEND saved-messages (\\Seen x) \"17-Jul-1996 02:44:25 -0700\" {12}\r\nSubject: a\r\n\r\n",
    "a1 APPEND {5+}\r\nINBOX ~{4+}\r\na\0\r\n\r\n",
    "a1 APPEND INBOX UTF8 (~{3}\r\na\r\n)\r\n",
    "a1 APPEND INBOX {0}\r\n\r\n",
    "a1 APPEND INBOX (\\Seen) {2+}\r\nm) \"17-Jul-1996 02:44:25 -0700\" ~{1}\r\n\0\r\n",
    "a1 APPEND x CATENATE (URL \"/INBOX;UID=1\" TEXT {2}\r\nm) \
     URL {3+}\r\n;UI UTF8 (~{1+}\r\nm)) {1}\r\nm\r\n",
    "a1 REPLACE 4 Drafts (\\Draft) {2}\r\n\r\n\r\n",
    "a1 UID REPLACE * Drafts CATENATE (URL /x;UID=1)\r\n",
    "a1 IDLE\r\nDONE\r\n",
    "a1 AUTHENTICATE PLAIN\r\nAGEAYg==\r\n",
    "a1 CHECK\r\n",
    "a1 CLOSE\r\n",
    "a1 UNSELECT\r\n",
    "a1 EXPUNGE\r\n",
    "a1 UID EXPUNGE 3000:3002\r\n",
    "a1 SEARCH RETURN (MIN COUNT) FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"\r\n",
    "a1 UID SEARCH CHARSET UTF-8 OR (TEXT {8}\r\n\u{43e}\u{442}\u{43f}\u{443} UNSEEN) $\r\n",
    "a1 FETCH 2:4,*:7 (FLAGS BODY.PEEK[1.2.HEADER.FIELDS (DATE {4}\r\nFROM)]<0.100>)\r\n",
    "a1 UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED PARTIAL -1:-30)\r\n",
    "a1 UIDBATCHES 2000 10:20\r\n",
    "a1 UID FETCH $ BINARY.PEEK[1.2]<7.1>\r\n",
    "a1 STORE 2:4 +FLAGS (\\Deleted)\r\n",
    "a1 UID STORE 6,4,8 (UNCHANGEDSINCE 12121230045) -FLAGS.SILENT \\Seen $Forwarded\r\n",
    "a1 COPY 2:4 MEETING\r\n",
    "a1 UID MOVE 42:69 {3}\r\nfoo\r\n",
    "a1 NOOP ((((\r\n",
    "a1 FOO {3}\r\n",
    "\r\n",
    "a1\r\n",
    "a1 SELECT \"open {3}\r\n",
];
