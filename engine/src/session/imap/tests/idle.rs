//! IDLE, and how a session ends by itself.

use super::*;
use crate::session::imap::io::Ended;

#[test]
fn changes_arrive_while_the_client_waits() {
    let store = Fake::new();
    store.deliver(ALICE, "INBOX", b"a");
    let mut idler = Client::selected(&store, ALICE);
    let mut other = Client::selected(&store, ALICE);
    assert_eq!(idler.say("a IDLE"), "+ idling\r\n");
    store.deliver(ALICE, "INBOX", b"b");
    assert_eq!(
        idler.listen(),
        "* 2 EXISTS\r\n* 1 RECENT\r\n".replace("1 R", "2 R")
    );
    other.say("b STORE 1 +FLAGS (\\Deleted)");
    assert_eq!(
        idler.listen(),
        "* 1 FETCH (UID 1 FLAGS (\\Deleted \\Recent))\r\n"
    );
    other.say("b EXPUNGE");
    assert_eq!(idler.listen(), "* 1 EXPUNGE\r\n");
    assert_eq!(idler.say("done"), "a OK Idle completed\r\n");
    idler.play(
        "C: c SEARCH ALL
         S: * SEARCH 1
         S: c OK Search completed",
    );
}

#[test]
fn idle_without_a_mailbox_and_with_pipelined_done() {
    let mut client = Client::new(&Fake::new(), ALICE);
    assert_eq!(
        client.say_octets(b"a IDLE\r\nDONE\r\nb NOOP\r\n"),
        "+ idling\r\na OK Idle completed\r\nb OK Done\r\n"
    );
    assert_eq!(client.say("c IDLE"), "+ idling\r\n");
    assert_eq!(client.say_octets(b"DO"), "");
    assert_eq!(client.say_octets(b"NE\r\n"), "c OK Idle completed\r\n");
    assert_eq!(client.say("d IDLE"), "+ idling\r\n");
    assert_eq!(client.say("e NOOP"), "d BAD Expected DONE\r\n");
    assert_eq!(client.say("f IDLE"), "+ idling\r\n");
    let long = "x".repeat(100 << 10);
    assert_eq!(client.say(&long), "f BAD Expected DONE\r\n");
    assert_eq!(client.say("g NOOP"), "g OK Done\r\n");
}

#[test]
fn a_silent_idler_hears_us_and_is_logged_out_at_last() {
    let mut client = Client::selected(&Fake::new(), ALICE);
    client.say("a IDLE");
    for _ in 0..8 {
        assert_eq!(client.end(Ended::TimedOut), "* OK Still here\r\n");
    }
    assert_eq!(client.end(Ended::TimedOut), "* BYE Idle for too long\r\n");
    assert_eq!(client.ended, Some(Ended::TimedOut));
}

#[test]
fn silence_and_shutdown_end_with_bye() {
    for (ended, bye) in [
        (Ended::TimedOut, "* BYE Idle for too long\r\n"),
        (
            Ended::Shutdown,
            "* BYE The server is shutting down; come back soon\r\n",
        ),
        (Ended::Closed, ""),
    ] {
        let mut client = Client::new(&Fake::new(), ALICE);
        assert_eq!(client.end(ended), bye);
        assert_eq!(client.ended, Some(ended));
    }
    let mut idler = Client::new(&Fake::new(), ALICE);
    idler.say("a IDLE");
    assert!(idler.end(Ended::Shutdown).starts_with("* BYE"));
}

#[test]
fn the_mailbox_is_deleted_under_an_idler() {
    let store = Fake::new();
    let (mut idler, mut other) = (Client::new(&store, ALICE), Client::new(&store, ALICE));
    other.say("b CREATE x");
    idler.say("a SELECT x");
    idler.say("a IDLE");
    other.say("b DELETE x");
    assert_eq!(idler.listen(), "* BYE The mailbox was deleted\r\n");
}
