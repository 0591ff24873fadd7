//! SEARCH: every key, ESEARCH, charsets, and the saved result.

use super::*;

const MESSAGES: [&str; 4] = [
    "From: Alice <alice@x.example>\r\nTo: bob@y.example\r\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n\
     Date: Wed, 17 Jul 1996 23:23:25 -0700\r\n\r\nhello world\r\n",
    "From: bob@y.example\r\nCc: carol@z.example\r\nSubject: plain\r\nX-Mark:\r\n\
     Date: Fri, 19 Jul 1996 00:00:00 +0000\r\n\r\nHELLO again\r\n",
    "From: carol@z.example\r\nBcc: dan@w.example\r\nSubject: third\r\n\
     Content-Transfer-Encoding: base64\r\n\r\naGVsbG8gYmFzZTY0\r\n",
    "Subject: no more\r\n\r\nnothing\r\n",
];

fn client() -> (Fake, Client) {
    let store = Fake::new();
    for message in MESSAGES {
        store.deliver(ALICE, "INBOX", message.as_bytes());
    }
    let mut client = Client::selected(&store, ALICE);
    client.say("x STORE 1 +FLAGS.SILENT (\\Seen \\Answered)");
    client.say("x STORE 2 +FLAGS.SILENT (\\Flagged Work)");
    (store, client)
}

fn found(client: &mut Client, keys: &str) -> String {
    let reply = client.say(&format!("a SEARCH {keys}"));
    let line = reply.split("\r\n").find(|l| l.starts_with("* SEARCH"));
    line.unwrap_or_else(|| panic!("{keys}: {reply}"))["* SEARCH".len()..]
        .trim()
        .to_owned()
}

#[test]
fn every_key() {
    let (_store, mut client) = client();
    let size = MESSAGES[2].len();
    for (keys, expected) in [
        ("ALL", "1 2 3 4"),
        ("SEEN", "1"),
        ("UNSEEN", "2 3 4"),
        ("ANSWERED", "1"),
        ("UNANSWERED FLAGGED", "2"),
        ("KEYWORD work", "2"),
        ("UNKEYWORD Work", "1 3 4"),
        ("KEYWORD never", ""),
        ("NOT KEYWORD never", "1 2 3 4"),
        ("DELETED", ""),
        ("UNDRAFT", "1 2 3 4"),
        ("RECENT", "1 2 3 4"),
        ("NEW", "2 3 4"),
        ("OLD", ""),
        ("FROM alice", "1"),
        ("FROM EXAMPLE", "1 2 3"),
        ("TO bob", "1"),
        ("CC carol", "2"),
        ("BCC dan", "3"),
        ("SUBJECT plain", "2"),
        ("HEADER X-Mark \"\"", "2"),
        ("HEADER Subject t", "3"),
        ("HEADER \"\" \"\"", ""),
        ("BODY hello", "1 2 3"),
        ("BODY alice", ""),
        ("TEXT alice", "1"),
        ("TEXT base64", "3"),
        ("OR BODY again SUBJECT more", "2 4"),
        ("OR (SEEN BODY hello) (FLAGGED BODY nothing)", "1"),
        ("NOT BODY hello", "4"),
        ("SENTON 17-Jul-1996", "1"),
        ("SENTBEFORE 19-Jul-1996", "1"),
        ("SENTSINCE 18-Jul-1996", "2"),
        ("ON 14-Nov-2023", "1 2 3 4"),
        ("BEFORE 14-Nov-2023", ""),
        ("SINCE 14-Nov-2023", "1 2 3 4"),
        ("2:3", "2 3"),
        ("UID 3:*", "3 4"),
        ("NOT 1", "2 3 4"),
        ("9", ""),
        (&format!("LARGER {}", size - 1), "1 2 3"),
        (&format!("SMALLER {size}"), "4"),
    ] {
        let expected = if keys.starts_with("LARGER") || keys.starts_with("SMALLER") {
            let at = |wanted: &dyn Fn(usize) -> bool| {
                let hits = (1..=4).filter(|n| wanted(MESSAGES[n - 1].len()));
                hits.map(|n| n.to_string()).collect::<Vec<_>>().join(" ")
            };
            match keys.starts_with("LARGER") {
                true => at(&|len| len > size - 1),
                false => at(&|len| len < size),
            }
        } else {
            expected.to_owned()
        };
        assert_eq!(found(&mut client, keys), expected, "{keys}");
    }
}

#[test]
fn charsets() {
    let (_store, mut client) = client();
    let text = "grüße";
    let line = format!(
        "a SEARCH CHARSET utf-8 SUBJECT {{{}+}}\r\n{text}",
        text.len()
    );
    assert!(client.say(&line).starts_with("* SEARCH 1\r\n"));
    client.play(
        "C: b SEARCH CHARSET X-KLINGON ALL
         S: b NO [BADCHARSET (US-ASCII UTF-8 ISO-8859-1 …
         C: c SEARCH CHARSET US-ASCII SUBJECT plain
         S: * SEARCH 2
         S: c OK Search completed",
    );
}

#[test]
fn extended_results() {
    let (_store, mut client) = client();
    client.play(
        "C: a1 SEARCH RETURN (MIN MAX COUNT ALL) UNSEEN
         S: * ESEARCH (TAG \"a1\") MIN 2 MAX 4 ALL 2:4 COUNT 3
         S: a1 OK Search completed
         C: a2 UID SEARCH RETURN () SEEN
         S: * ESEARCH (TAG \"a2\") UID ALL 1
         S: a2 OK Search completed
         C: a3 SEARCH RETURN (MIN COUNT) DELETED
         S: * ESEARCH (TAG \"a3\") COUNT 0
         S: a3 OK Search completed
         C: a4 ENABLE IMAP4rev2
         S: * ENABLED IMAP4rev2
         S: a4 OK Enabled
         C: a5 UID SEARCH UNSEEN
         S: * ESEARCH (TAG \"a5\") UID ALL 2:4
         S: a5 OK Search completed
         C: a6 SEARCH DELETED
         S: * ESEARCH (TAG \"a6\")
         S: a6 OK Search completed",
    );
}

/// RFC 5182 §2: what `$` means, and what becomes of it.
#[test]
fn the_saved_result() {
    let (store, mut client) = client();
    client.play(
        "C: a0 FETCH $ UID
         S: a0 OK Fetch completed
         C: a1 SEARCH RETURN (SAVE) UNSEEN
         S: a1 OK Search completed
         C: a2 FETCH $ UID
         S: * 2 FETCH (UID 2)
         S: * 3 FETCH (UID 3)
         S: * 4 FETCH (UID 4)
         S: a2 OK Fetch completed
         C: a3 UID SEARCH RETURN (SAVE COUNT) UID $ SUBJECT plain
         S: * ESEARCH (TAG \"a3\") UID COUNT 1
         S: a3 OK Search completed
         C: a4 SEARCH $
         S: * SEARCH 2
         S: a4 OK Search completed
         C: a5 SEARCH RETURN (SAVE MIN MAX) ALL
         S: * ESEARCH (TAG \"a5\") MIN 1 MAX 4
         S: a5 OK Search completed
         C: a6 SEARCH $
         S: * SEARCH 1 4
         S: a6 OK Search completed
         C: a7 SEARCH RETURN (SAVE) CHARSET X-KLINGON SUBJECT x
         S: a7 NO [BADCHARSET …
         C: a8 SEARCH $
         S: * SEARCH
         S: a8 OK Search completed
         C: b1 SEARCH RETURN (SAVE) 2:3
         S: b1 OK Search completed
         C: b2 SEARCH RETURN (SAVE) NONSENSE
         S: b2 BAD …
         C: b3 STORE $ +FLAGS.SILENT (\\Deleted)
         S: b3 OK Store completed
         C: b4 UID EXPUNGE $
         S: * 2 EXPUNGE
         S: * 2 EXPUNGE
         S: b4 OK Expunge completed
         C: b5 SEARCH $
         S: * SEARCH
         S: b5 OK Search completed
         C: b6 SEARCH RETURN (SAVE) ALL
         S: b6 OK Search completed
         C: b7 UNSELECT
         S: b7 OK Done",
    );
    client.say("c1 SELECT INBOX");
    assert!(client.say("c2 SEARCH $").starts_with("* SEARCH\r\n"));
    assert_eq!(store.contents(ALICE, "INBOX").len(), 2);
}

#[test]
fn nesting_is_bounded() {
    let (_store, mut client) = client();
    let deep = format!("a SEARCH {}ALL", "NOT ".repeat(5000));
    assert!(client.say(&deep).starts_with("a BAD"));
    let open = format!("a SEARCH {}", "(".repeat(5000));
    assert!(client.say(&open).starts_with("a BAD"));
    let many = |key: &str, count: usize| {
        let texts: Vec<String> = (0..count).map(|n| format!("{key} x{n}")).collect();
        format!("a SEARCH {}", texts.join(" "))
    };
    assert!(client.say(&many("BODY", 65)).starts_with("a NO [LIMIT]"));
    assert!(
        client
            .say(&many("SUBJECT", 257))
            .starts_with("a NO [LIMIT]")
    );
    assert!(
        client
            .say(&many("FUZZY TEXT", 65))
            .starts_with("a NO [LIMIT]")
    );
    let same = format!("a SEARCH {}", "BODY hello ".repeat(900).trim_end());
    assert!(client.say(&same).starts_with("* SEARCH 1 2 3\r\n"));
    assert!(client.say("b NOOP").ends_with("b OK Done\r\n"));
}
