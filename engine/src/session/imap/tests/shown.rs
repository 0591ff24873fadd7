//! Headers in ASCII for a client without UTF-8: what it is shown is one message, whatever part of
//! it is asked for and in whatever order (RFC 6858, RFC 9755 §8).

use super::*;

const WIDE: &str = "From: Zoë <zoë@x.example>\r\n\
    To: Jürgen <b@y.example>\r\n\
    Subject: Grüße\r\n\
    Date: Wed, 17 Jul 1996 02:23:25 -0700\r\n\
    X-Note: nür so\r\n\
    MIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=cut\r\n\
    \r\n\
    --cut\r\n\
    Content-Type: text/plain; charset=utf-8; name=\"süß\"\r\n\
    Content-Description: Öl\r\n\
    \r\n\
    größer\r\n\
    --cut\r\n\
    Content-Type: message/global\r\n\
    \r\n\
    Subject: innen ö\r\n\
    From: <ä@z.example>\r\n\
    \r\n\
    drinnen\r\n\
    --cut--\r\n";

const ITEMS: [&str; 16] = [
    "ENVELOPE",
    "BODY",
    "BODYSTRUCTURE",
    "BODY.PEEK[]",
    "BODY.PEEK[]<30.400>",
    "BODY.PEEK[HEADER]",
    "BODY.PEEK[TEXT]",
    "BODY.PEEK[1]",
    "BODY.PEEK[1.MIME]",
    "BODY.PEEK[2.HEADER]",
    "BODY.PEEK[2.TEXT]",
    "BODY.PEEK[HEADER.FIELDS (To X-Note)]",
    "BODY.PEEK[HEADER.FIELDS.NOT (To Date)]<0.60>",
    "BINARY.PEEK[1]",
    "BINARY.SIZE[2]",
    "PREVIEW",
];

/// The response with another number.
fn as_first(response: &str) -> String {
    response.replacen("* 2 FETCH", "* 1 FETCH", 1)
}

#[test]
fn what_is_shown_is_a_message_of_its_own() {
    let store = Fake::new();
    store.deliver(ALICE, "INBOX", WIDE.as_bytes());
    let mut client = Client::selected(&store, ALICE);
    let whole = client.say("a FETCH 1 BODY.PEEK[]");
    let (_, message) = whole.split_once("}\r\n").unwrap();
    let message = message
        .strip_suffix(")\r\na OK Fetch completed\r\n")
        .unwrap();
    assert_ne!(message, WIDE);
    let header = message.split_once("\r\n\r\n").unwrap().0;
    assert!(header.is_ascii() && !header.contains("X-Note"), "{header}");
    store.deliver(ALICE, "INBOX", message.as_bytes());

    let all = format!("({})", ITEMS.join(" "));
    for item in ITEMS.into_iter().chain([all.as_str()]) {
        let mut client = Client::selected(&store, ALICE);
        let shown = client.say(&format!("a FETCH 1 {item}"));
        assert!(shown.ends_with("a OK Fetch completed\r\n"), "{shown}");
        assert_eq!(
            shown,
            as_first(&client.say(&format!("a FETCH 2 {item}"))),
            "{item}"
        );
    }
}

#[test]
fn who_reads_utf8_is_shown_the_message_itself() {
    let store = Fake::new();
    store.deliver(ALICE, "INBOX", WIDE.as_bytes());
    for enable in ["IMAP4rev2", "UTF8=ACCEPT"] {
        let mut client = Client::selected(&store, ALICE);
        client.say("a FETCH 1 (BODY.PEEK[] BODYSTRUCTURE ENVELOPE)");
        client.say(&format!("a ENABLE {enable}"));
        let whole = client.say("a FETCH 1 BODY.PEEK[]");
        assert!(whole.contains(WIDE), "{whole}");
        assert!(client.say("a FETCH 1 ENVELOPE").contains("Grüße"));
    }
}

/// Other charsets are older than UTF-8 in headers, and clients know them as they are.
#[test]
fn octets_that_are_no_utf8_stay() {
    let store = Fake::new();
    let old = b"Subject: gr\xfc\xdfe\r\nTo: \xc3\xbc@x\r\n\r\nb\xe4r";
    store.deliver(ALICE, "INBOX", old);
    let mut client = Client::selected(&store, ALICE);
    client.push(b"a FETCH 1 BODY.PEEK[]\r\n");
    let shown = client.listen_octets();
    assert!(memchr::memmem::find(&shown, b"Subject: gr\xfc\xdfe\r\n").is_some());
    assert!(memchr::memmem::find(&shown, b"\xc3\xbc").is_none());
}
