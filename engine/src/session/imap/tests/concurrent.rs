//! Two sessions on one mailbox: when EXISTS and EXPUNGE are told, and what becomes of numbers.

use super::*;

fn two(messages: u32) -> (Fake, Client, Client) {
    let store = Fake::new();
    for at in 0..messages {
        store.deliver(ALICE, "INBOX", format!("Subject: {at}\r\n\r\nb").as_bytes());
    }
    let one = Client::selected(&store, ALICE);
    let other = Client::selected(&store, ALICE);
    (store, one, other)
}

/// RFC 9051 §7.5.1: FETCH, STORE and SEARCH keep the numbers; NOOP and UID commands may tell.
#[test]
fn expunges_wait_for_a_command_that_may_tell_them() {
    let (_store, mut one, mut other) = two(3);
    other.say("b STORE 1 +FLAGS.SILENT (\\Deleted)");
    other.say("b EXPUNGE");
    one.play(
        "C: a1 FETCH 2:3 UID
         S: * 2 FETCH (UID 2)
         S: * 3 FETCH (UID 3)
         S: a1 OK Fetch completed
         C: a2 FETCH 1:2 FLAGS
         S: * 2 FETCH (FLAGS (\\Recent))
         S: a2 NO [EXPUNGEISSUED] …
         C: a3 SEARCH ALL
         S: * SEARCH 2 3
         S: a3 OK Search completed
         C: a4 STORE 1:2 +FLAGS (\\Seen)
         S: * 2 FETCH (FLAGS (\\Seen \\Recent))
         S: a4 NO [EXPUNGEISSUED] …
         C: a5 STORE 1 +FLAGS.SILENT (\\Seen)
         S: a5 OK Store completed
         C: a6 UID FETCH 1:3 UID
         S: * 2 FETCH (UID 2)
         S: * 3 FETCH (UID 3)
         S: * 1 EXPUNGE
         S: a6 OK Fetch completed
         C: a7 FETCH 1:2 UID
         S: * 1 FETCH (UID 2)
         S: * 2 FETCH (UID 3)
         S: a7 OK Fetch completed
         C: a8 FETCH 3 UID
         S: a8 BAD No such message",
    );
}

/// More messages than fit in the output at once, and holes that the client has not heard of.
#[test]
fn a_long_answer_names_each_message_once_and_in_order() {
    const MESSAGES: u32 = 1000;
    let (_store, mut one, mut other) = two(MESSAGES);
    one.say("a0 STORE 7 +FLAGS.SILENT ($label)");
    let gone = [1, 2, 273, 274, 500, 547, MESSAGES];
    for uid in gone {
        other.say(&format!("b UID STORE {uid} +FLAGS.SILENT (\\Deleted)"));
        other.say(&format!("b UID EXPUNGE {uid}"));
    }
    let left: Vec<u32> = (1..=MESSAGES).filter(|uid| !gone.contains(uid)).collect();
    let answer = one.say("a1 FETCH 1:* (FLAGS UID RFC822.SIZE)");
    let (told, end) = answer.split_at(answer.find("a1 ").unwrap());
    assert!(end.starts_with("a1 NO [EXPUNGEISSUED]"), "{end}");
    let starts: Vec<String> = left
        .iter()
        .map(|n| format!("* {n} FETCH (FLAGS ("))
        .collect();
    let uids: Vec<String> = left.iter().map(|n| format!(") UID {n} RFC822")).collect();
    assert_eq!(told.lines().count(), left.len());
    for (line, (start, uid)) in told.lines().zip(starts.iter().zip(&uids)) {
        assert!(line.starts_with(start) && line.contains(uid), "{line}");
    }
    assert!(told.contains("* 7 FETCH (FLAGS (\\Recent $label)"));
    assert!(one.pipe.largest_send.get() < 128 << 10);
    one.say("a2 NOOP");
    let answer = one.say("a3 UID SEARCH KEYWORD $label");
    assert!(answer.starts_with("* SEARCH 7\r\n"), "{answer}");
    let answer = one.say("a4 STORE 1:* +FLAGS (\\Seen)");
    let told = answer.lines().filter(|line| line.contains("\\Seen"));
    assert_eq!(told.count(), left.len());
}

#[test]
fn new_mail_is_told_by_any_command_and_not_fetched_before() {
    let (store, mut one, _other) = two(1);
    store.deliver(ALICE, "INBOX", b"new");
    one.play(
        "C: a1 UID FETCH 1:* UID
         S: * 1 FETCH (UID 1)
         S: * 2 EXISTS
         S: * 2 RECENT
         S: a1 OK Fetch completed
         C: a2 UID FETCH 2:* UID
         S: * 2 FETCH (UID 2)
         S: a2 OK Fetch completed",
    );
}

#[test]
fn expunges_of_arrivals_while_held_back() {
    let (store, mut one, mut other) = two(2);
    other.say("b STORE 2 +FLAGS.SILENT (\\Deleted)");
    other.say("b EXPUNGE");
    store.deliver(ALICE, "INBOX", b"new");
    one.play(
        "C: a1 FETCH 1 UID
         S: * 1 FETCH (UID 1)
         S: * 3 EXISTS
         S: * 3 RECENT
         S: a1 OK Fetch completed",
    );
    one.play(
        "C: a2 NOOP
         S: * 2 EXPUNGE
         S: a2 OK Done
         C: a3 UID SEARCH ALL
         S: * SEARCH 1 3
         S: a3 OK Search completed",
    );
}

#[test]
fn copy_of_what_is_gone() {
    let (_store, mut one, mut other) = two(2);
    one.say("a CREATE x");
    other.say("b STORE 1 +FLAGS.SILENT (\\Deleted)");
    other.say("b EXPUNGE");
    one.play(
        "C: a1 UID FETCH 99 UID
         S: * 1 EXPUNGE
         S: a1 OK Fetch completed",
    );
    other.say("b STORE 1 +FLAGS.SILENT (\\Deleted)");
    other.say("b EXPUNGE");
    one.play(
        "C: a2 COPY 1 x
         S: * 1 EXPUNGE
         S: a2 NO [EXPUNGEISSUED] …",
    );
}

#[test]
fn pipelined_commands_are_answered_in_order() {
    let (_store, mut one, _other) = two(2);
    let reply = one.say_octets(
        b"a1 STORE 1 +FLAGS.SILENT (\\Deleted)\r\na2 EXPUNGE\r\na3 FETCH 1 UID\r\na4 NOOP\r\n",
    );
    assert_eq!(
        reply,
        "a1 OK Store completed\r\n* 1 EXPUNGE\r\na2 OK Expunge completed\r\n\
         * 1 FETCH (UID 2)\r\na3 OK Fetch completed\r\na4 OK Done\r\n"
    );
}

/// Attack class 9: many sessions at once, each in its own account.
#[test]
fn parallel_sessions_stay_apart() {
    let store = Fake::new();
    store.deliver(ALICE, "INBOX", b"Subject: canary-alice\r\n\r\n");
    store.deliver(BOB, "INBOX", b"Subject: canary-bob\r\n\r\n");
    let accounts = [
        (ALICE, "canary-alice", "canary-bob"),
        (BOB, "canary-bob", "canary-alice"),
    ];
    let mut clients: Vec<_> = (0..200)
        .map(|at| (Client::new(&store, accounts[at % 2].0), accounts[at % 2]))
        .collect();
    for (client, _) in &mut clients {
        client.push(b"a SELECT INBOX\r\nb FETCH 1 BODY.PEEK[]\r\n");
    }
    let mut running = true;
    while running {
        running = false;
        for (client, _) in &mut clients {
            running |= client.step();
        }
    }
    for (client, (_, own, foreign)) in &mut clients {
        let heard = client.listen();
        assert!(heard.contains(*own) && !heard.contains(*foreign), "{heard}");
    }
}
