//! SORT, THREAD, ESEARCH, and the options that RFC 9394, RFC 6203 and RFC 5032 add to SEARCH.

use super::*;

fn mail(from: &str, to: &str, subject: &str, date: &str, more: &str) -> String {
    format!("From: {from}\r\nTo: {to}\r\nSubject: {subject}\r\nDate: {date}\r\n{more}\r\nbody\r\n")
}

fn store() -> Fake {
    let store = Fake::new();
    for message in [
        mail(
            "Zoe <b@x>",
            "m@x",
            "Re: beta",
            "Tue, 2 Jan 2001 10:00:00 +0000",
            "Message-ID: <1@x>\r\n",
        ),
        mail(
            "\"\" <a@x>",
            "Anna <z@x>",
            "[list] alpha",
            "Mon, 1 Jan 2001 23:30:00 -0500",
            "Message-ID: <2@x>\r\nCc: q@x\r\n",
        ),
        mail(
            "=?utf-8?q?=C3=84nne?= <c@x>",
            "y@x",
            "BETA",
            "Mon, 1 Jan 2001 10:00:00 +0000",
            "Message-ID: <3@x>\r\nReferences: <2@x>\r\n",
        ),
        "Subject: alpha\r\n\r\nno date, no addresses\r\n".to_owned(),
    ] {
        store.deliver(ALICE, "INBOX", message.as_bytes());
    }
    store
}

fn answers(client: &mut Client, expected: &[(&str, &str)]) {
    for (command, line) in expected {
        let reply = client.say(&format!("a {command}"));
        let mut lines = reply.split("\r\n");
        assert_eq!(lines.next(), Some(*line), "{command}: {reply}");
        assert!(
            lines.next().unwrap().starts_with("a OK "),
            "{command}: {reply}"
        );
    }
}

#[test]
fn every_sort_criterion() {
    for lists in [false, true] {
        let store = store();
        if lists {
            store.list();
        }
        let mut client = Client::selected(&store, ALICE);
        answers(
            &mut client,
            &[
                ("SORT (ARRIVAL) UTF-8 ALL", "* SORT 1 2 3 4"),
                ("SORT (REVERSE ARRIVAL) UTF-8 ALL", "* SORT 1 2 3 4"),
                // The fourth arrived long after the others were sent.
                ("SORT (DATE) UTF-8 ALL", "* SORT 3 2 1 4"),
                ("SORT (REVERSE DATE) UTF-8 ALL", "* SORT 4 1 2 3"),
                ("SORT (SUBJECT) UTF-8 ALL", "* SORT 2 4 1 3"),
                ("SORT (REVERSE SUBJECT) UTF-8 ALL", "* SORT 1 3 2 4"),
                ("SORT (SUBJECT REVERSE DATE) UTF-8 ALL", "* SORT 4 2 1 3"),
                ("SORT (FROM) US-ASCII ALL", "* SORT 4 2 1 3"),
                ("SORT (TO) US-ASCII ALL", "* SORT 4 1 3 2"),
                ("SORT (CC SUBJECT) US-ASCII ALL", "* SORT 4 1 3 2"),
                // Nothing, a@x, Änne, Zoe.
                ("SORT (DISPLAYFROM) UTF-8 ALL", "* SORT 4 2 3 1"),
                ("SORT (DISPLAYTO) UTF-8 ALL", "* SORT 4 2 1 3"),
                ("UID SORT (SUBJECT DATE) UTF-8 2:3", "* SORT 2 3"),
                ("SORT (SUBJECT) UTF-8 TEXT \"not in mailbox\"", "* SORT"),
            ],
        );
        let reply = client.say("b SORT (SIZE REVERSE SUBJECT) UTF-8 ALL");
        assert!(reply.starts_with("* SORT 4 "), "{reply}");
    }
}

#[test]
fn extended_sort() {
    let mut client = Client::selected(&store(), ALICE);
    client.play(
        "C: a UID SORT RETURN () (REVERSE DATE) UTF-8 UNDELETED
         S: * ESEARCH (TAG \"a\") UID ALL 4,1:3
         S: a OK Sort completed
         C: b SORT RETURN (MIN MAX COUNT) (SUBJECT) UTF-8 ALL
         S: * ESEARCH (TAG \"b\") MIN 2 MAX 3 COUNT 4
         S: b OK Sort completed
         C: c SORT RETURN (PARTIAL 2:3) (DATE) UTF-8 ALL
         S: * ESEARCH (TAG \"c\") PARTIAL (2:3 2,1)
         S: c OK Sort completed
         C: d SORT RETURN (PARTIAL -1:-2 COUNT SAVE) (DATE) UTF-8 NOT 4
         S: * ESEARCH (TAG \"d\") COUNT 3 PARTIAL (-1:-2 2,1)
         S: d OK Sort completed
         C: e UID SEARCH $
         S: * SEARCH 1 2 3
         S: e OK Search completed
         C: f SORT (SUBJECT) X-KLINGON ALL
         S: f NO [BADCHARSET …
         C: g SORT () UTF-8 ALL
         S: g BAD …
         C: h SORT (SUBJECT REVERSE) UTF-8 ALL
         S: h BAD …
         C: i SORT (RELEVANCY) UTF-8 ALL
         S: i BAD RELEVANCY needs a FUZZY key
         C: j SORT (SUBJECT) ALL
         S: j BAD …",
    );
}

#[test]
fn every_threading_algorithm() {
    let mut client = Client::selected(&store(), ALICE);
    answers(
        &mut client,
        &[
            ("THREAD ORDEREDSUBJECT UTF-8 ALL", "* THREAD (3 1)(2 4)"),
            ("THREAD REFERENCES UTF-8 ALL", "* THREAD ((2 3)(4))(1)"),
            ("THREAD REFS UTF-8 ALL", "* THREAD (2 3)(1)(4)"),
            ("UID THREAD REFERENCES US-ASCII NOT 2", "* THREAD (3 1)(4)"),
            ("THREAD REFERENCES US-ASCII TEXT gewp", "* THREAD"),
        ],
    );
    client.play(
        "C: b THREAD WILD UTF-8 ALL
         S: b BAD Unknown threading algorithm
         C: c THREAD REFS UTF-8
         S: c BAD …",
    );
}

/// What was sorted once is known; what comes later is sorted in.
#[test]
fn new_messages_are_sorted_in() {
    let store = store();
    store.list();
    let mut client = Client::selected(&store, ALICE);
    answers(&mut client, &[("SORT (SUBJECT) UTF-8 3:4", "* SORT 4 3")]);
    let listed = store.listed();
    answers(&mut client, &[("SORT (SUBJECT) UTF-8 3:4", "* SORT 4 3")]);
    assert_eq!(store.listed(), listed);
    answers(
        &mut client,
        &[("SORT (SUBJECT) UTF-8 ALL", "* SORT 2 4 1 3")],
    );
    store.deliver(ALICE, "INBOX", b"Subject: Aaa\r\n\r\n");
    client.say("n NOOP");
    answers(
        &mut client,
        &[("SORT (SUBJECT) UTF-8 ALL", "* SORT 5 2 4 1 3")],
    );
    client.say("s STORE 2 +FLAGS.SILENT (\\Deleted)");
    client.say("e EXPUNGE");
    answers(
        &mut client,
        &[("UID SORT (SUBJECT) UTF-8 ALL", "* SORT 5 4 1 3")],
    );
}

#[test]
fn partial_results() {
    let mut client = Client::selected(&store(), ALICE);
    client.play(
        "C: a UID SEARCH RETURN (PARTIAL 1:2) ALL
         S: * ESEARCH (TAG \"a\") UID PARTIAL (1:2 1:2)
         S: a OK Search completed
         C: b SEARCH RETURN (PARTIAL -1:-2 MIN COUNT) ALL
         S: * ESEARCH (TAG \"b\") MIN 1 COUNT 4 PARTIAL (-1:-2 3:4)
         S: b OK Search completed
         C: c SEARCH RETURN (PARTIAL 7:5) ALL
         S: * ESEARCH (TAG \"c\") PARTIAL (7:5 NIL)
         S: c OK Search completed
         C: d SEARCH RETURN (PARTIAL 2:3 SAVE MAX) ALL
         S: * ESEARCH (TAG \"d\") MAX 4 PARTIAL (2:3 2:3)
         S: d OK Search completed
         C: e SEARCH $
         S: * SEARCH 2 3 4
         S: e OK Search completed
         C: f SEARCH RETURN (PARTIAL 2:3 SAVE) ALL
         S: * ESEARCH (TAG \"f\") PARTIAL (2:3 2:3)
         S: f OK Search completed
         C: g SEARCH $
         S: * SEARCH 2 3
         S: g OK Search completed
         C: h SEARCH RETURN (PARTIAL 1:2 ALL) ALL
         S: h BAD …
         C: i SEARCH RETURN (PARTIAL 1:2 PARTIAL 2:3) ALL
         S: i BAD …
         C: j SEARCH RETURN (PARTIAL 1:-2) ALL
         S: j BAD …
         C: k SEARCH RETURN (PARTIAL 0:2) ALL
         S: k BAD …
         C: l SEARCH RETURN (PARTIAL 1:*) ALL
         S: l BAD …",
    );
}

#[test]
fn older_and_younger() {
    let mut client = Client::selected(&store(), ALICE);
    // All arrived at the second that the clock shows.
    answers(
        &mut client,
        &[
            ("SEARCH YOUNGER 1", "* SEARCH 1 2 3 4"),
            ("SEARCH OLDER 1", "* SEARCH"),
            ("SEARCH NOT YOUNGER 4294967295", "* SEARCH"),
        ],
    );
    assert!(client.say("b SEARCH OLDER 0").starts_with("b BAD"));
}

#[test]
fn fuzzy_searches_are_ranked() {
    for lists in [false, true] {
        let store = Fake::new();
        if lists {
            store.list();
        }
        for message in [
            "Subject: nothing\r\n\r\nThe quarterly report is attached.\r\n",
            "Subject: Quarterly report\r\n\r\nsee there\r\n",
            "Subject: reporting, quarterly\r\n\r\n\r\n",
            "Subject: qarterly reprot\r\n\r\n\r\n",
            "Subject: other\r\n\r\nnothing\r\n",
        ] {
            store.deliver(ALICE, "INBOX", message.as_bytes());
        }
        let mut client = Client::selected(&store, ALICE);
        client.play(
            "C: a SEARCH FUZZY SUBJECT \"quarterly report\"
             S: * SEARCH 2 3 4
             S: a OK Search completed
             C: b SEARCH RETURN (ALL RELEVANCY) FUZZY TEXT \"quarterly report\"
             S: * ESEARCH (TAG \"b\") ALL 1:4 RELEVANCY (80 90 81 49)
             S: b OK Search completed
             C: c SORT RETURN (ALL RELEVANCY) (RELEVANCY) UTF-8 FUZZY TEXT \"quarterly report\"
             S: * ESEARCH (TAG \"c\") ALL 2:3,1,4 RELEVANCY (90 81 80 49)
             S: c OK Sort completed
             C: d SORT RETURN (PARTIAL 1:2) (RELEVANCY) UTF-8 FUZZY TEXT report
             S: * ESEARCH (TAG \"d\") PARTIAL (1:2 2,1)
             S: d OK Sort completed
             C: e SEARCH RETURN (RELEVANCY) SUBJECT x
             S: e BAD RELEVANCY needs a FUZZY key
             C: f SEARCH NOT FUZZY (BODY nothin TEXT oter)
             S: * SEARCH 1 2 3 4
             S: f OK Search completed",
        );
    }
}

#[test]
fn several_mailboxes() {
    let store = store();
    let mut client = Client::new(&store, ALICE);
    for name in ["work", "work/a", "work/a/deep", "other"] {
        client.say(&format!("c CREATE {name}"));
    }
    client.say("s SUBSCRIBE other");
    for name in ["work", "work/a", "work/a/deep", "other"] {
        store.deliver(ALICE, name, b"Subject: chad\r\n\r\n");
    }
    client.play(
        "C: a ESEARCH SUBJECT chad
         S: a BAD Select a mailbox first
         C: b ESEARCH IN (mailboxes \"other\" subtree-one \"work\") SUBJECT chad
         S: * ESEARCH (TAG \"b\" MAILBOX other UIDVALIDITY 1005) UID ALL 1
         S: * ESEARCH (TAG \"b\" MAILBOX work UIDVALIDITY 1002) UID ALL 1
         S: * ESEARCH (TAG \"b\" MAILBOX work/a UIDVALIDITY 1003) UID ALL 1
         S: b OK Search completed
         C: c ESEARCH IN (subtree (work nowhere)) RETURN (COUNT MIN) SUBJECT chad
         S: * ESEARCH (TAG \"c\" MAILBOX work UIDVALIDITY 1002) UID MIN 1 COUNT 1
         S: * ESEARCH (TAG \"c\" MAILBOX work/a UIDVALIDITY 1003) UID MIN 1 COUNT 1
         S: * ESEARCH (TAG \"c\" MAILBOX work/a/deep UIDVALIDITY 1004) UID MIN 1 COUNT 1
         S: c OK Search completed
         C: d ESEARCH IN (inboxes subscribed inboxes) RETURN () ALL
         S: * ESEARCH (TAG \"d\" MAILBOX INBOX UIDVALIDITY 1001) UID ALL 1:4
         S: * ESEARCH (TAG \"d\" MAILBOX other UIDVALIDITY 1005) UID ALL 1
         S: d OK Search completed
         C: e ESEARCH IN (personal) TEXT gewp
         S: e OK Search completed
         C: f ESEARCH IN (mailboxes other) CHARSET X-KLINGON ALL
         S: f NO [BADCHARSET …
         C: g ESEARCH IN (mailboxes other) RETURN (SAVE) ALL
         S: g BAD …
         C: h ESEARCH IN (selected-delayed) ALL
         S: h BAD Unknown source of messages
         C: i ESEARCH IN () ALL
         S: i BAD …",
    );
    client.say("x EXAMINE INBOX");
    client.play(
        "C: j ESEARCH RETURN (SAVE ALL) 2:3
         S: * ESEARCH (TAG \"j\" MAILBOX INBOX UIDVALIDITY 1001) UID ALL 2:3
         S: j OK Search completed
         C: k ESEARCH IN (selected) $
         S: * ESEARCH (TAG \"k\" MAILBOX INBOX UIDVALIDITY 1001) UID ALL 2:3
         S: k OK Search completed
         C: l ESEARCH IN (mailboxes other) $
         S: l OK Search completed
         C: m FETCH 4 UID
         S: * 4 FETCH (UID 4)
         S: m OK Fetch completed",
    );
}

/// RFC 7162 §3.1.5, §3.1.10.
#[test]
fn the_highest_modseq_of_what_is_returned() {
    let store = store();
    let mut client = Client::selected(&store, ALICE);
    let reply = client.say("a SEARCH MODSEQ 1");
    let highest = reply
        .split("(MODSEQ ")
        .nth(1)
        .unwrap()
        .split(')')
        .next()
        .unwrap();
    let highest: u64 = highest.parse().unwrap();
    client.say("s STORE 2 +FLAGS.SILENT (\\Seen)");
    let reply = client.say(&format!("b SEARCH RETURN (ALL) MODSEQ {}", highest + 1));
    assert!(
        reply.starts_with("* ESEARCH (TAG \"b\") ALL 2 MODSEQ "),
        "{reply}"
    );
    let reply = client.say("c SEARCH RETURN (MIN) MODSEQ 1");
    assert!(reply.contains("MIN 1 MODSEQ "), "{reply}");
    let reply = client.say("d SEARCH MODSEQ 9000000");
    assert!(reply.starts_with("* SEARCH\r\n"), "{reply}");
}
