//! COMPRESS, INPROGRESS and what else is of the connection as a whole.

use super::*;
use crate::session::imap::dialogue::Dialogue;
use crate::session::imap::{Session, Terms};
use crate::wire::imap::deflate::{Layer, deflated};
use ::store::mail::date::InternalDate;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// The other end of a compressed connection.
struct Compressed {
    client: Client,
    layer: Layer,
}

impl Compressed {
    fn say(&mut self, line: &str) -> String {
        self.client
            .push(&deflated(format!("{line}\r\n").as_bytes()));
        let mut out = Vec::new();
        *self.layer.packed() = self.client.listen_octets();
        while self.layer.has_more() {
            self.layer.inflate(&mut out).unwrap();
        }
        String::from_utf8(out).unwrap()
    }
}

fn compressed(store: &Fake) -> Compressed {
    let mut client = Client::new(store, ALICE);
    assert_eq!(
        client.say("a COMPRESS LZMA"),
        "a NO Only DEFLATE is known\r\n"
    );
    let answer = client.say("b COMPRESS DEFLATE");
    assert_eq!(answer, "b OK Compressed from here on\r\n");
    let layer = Layer::new(Vec::new());
    Compressed { client, layer }
}

#[test]
fn both_sides_are_compressed_behind_the_answer() {
    let store = Fake::new();
    let mut peer = compressed(&store);
    assert_eq!(peer.say("c NOOP"), "c OK Done\r\n");
    let twice = peer.say("d COMPRESS DEFLATE");
    assert_eq!(twice, "d NO [COMPRESSIONACTIVE] Compressed already\r\n");
    let message = "x".repeat(100_000);
    let append = format!("e APPEND INBOX {{{}+}}\r\n{message}", message.len());
    peer.client.pipe.chunk.set(100);
    assert!(peer.say(&append).starts_with("e OK [APPENDUID"));
    assert!(
        peer.say("f SELECT INBOX")
            .ends_with("f OK [READ-WRITE] Selected\r\n")
    );
    let fetched = peer.say("g FETCH 1 BODY.PEEK[]");
    assert!(fetched.contains(&message), "{}", fetched.len());
    assert!(fetched.ends_with("g OK Fetch completed\r\n"));
    assert_eq!(peer.say("h IDLE"), "+ idling\r\n");
    assert_eq!(peer.say("DONE"), "h OK Idle completed\r\n");
    assert!(peer.say("i LOGOUT").ends_with("i OK Done\r\n"));
}

#[test]
fn many_commands_in_few_octets_are_all_answered() {
    let store = Fake::new();
    let mut peer = compressed(&store);
    let commands = "c NOOP\r\n".repeat(20_000) + "d NOOP";
    let answers = peer.say(&commands);
    assert_eq!(answers.matches("c OK Done\r\n").count(), 20_000);
    assert!(answers.ends_with("d OK Done\r\n"));
}

#[test]
fn what_is_not_compressed_ends_the_connection() {
    let store = Fake::new();
    let mut peer = compressed(&store);
    // Its first bits are of a block of a kind that there is none of.
    peer.client.say("g NOOP");
    assert!(peer.client.ended.is_some());
}

/// RFC 9585: a client whose command takes long hears of it, again and again.
#[test]
fn a_long_search_says_that_it_goes_on() {
    let store = Fake::new();
    for _ in 0..100 {
        store.deliver(ALICE, "INBOX", b"Subject: x\r\n\r\nbody\r\n");
    }
    let secs = Cell::new(0);
    let terms = Terms {
        ascii_headers: true,
        converters: None,
        autologout: Duration::from_secs(1800),
        append_bytes_max: 1 << 20,
        messages_max: None,
        now: Rc::new(move || InternalDate::utc(secs.replace(secs.get() + 4))),
    };
    let mut client = Client::serve(|wire| {
        Box::pin(async move {
            let mut session = Session::new(store, ALICE, terms);
            session.run(&mut Dialogue::new(wire), "x").await
        })
    });
    client.listen();
    client.say("a SELECT INBOX");
    let found = client.say("b SEARCH BODY nowhere");
    for come in ["NIL NIL", "48 100", "96 100"] {
        let notice = format!("* OK [INPROGRESS (\"b\" {come})] Still at it\r\n");
        assert!(found.contains(&notice), "{found}");
    }
    assert!(found.ends_with("b OK Search completed\r\n"), "{found}");
    assert!(
        !client
            .say("c FETCH 1:* BODY.PEEK[TEXT]")
            .contains("INPROGRESS")
    );
}
