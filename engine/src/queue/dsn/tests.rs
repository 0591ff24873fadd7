//! What a sender gets: golden notices, read back by an independent parser.

use super::*;
use crate::wire::mime::content::Encoding;
use crate::wire::mime::transfer::Decoder;
use mail_parser::{Message, MessageParser, MessagePart, MimeHeaders, PartType};

pub(super) const MESSAGE: &[u8] =
    b"Received: from a (b)\r\n\tby mx.example\r\nFrom: alice@here.example\r\n\
    Message-ID: <m1@here.example>\r\nSubject: hello\r\n\r\nbody\r\n";

pub(super) fn original<'a>(sender: &'a Address, octets: &'a [u8]) -> Original<'a> {
    Original {
        reverse_path: Some(sender),
        queue_id: "1a2b",
        arrived_secs: 1_795_320_000,
        envid: None,
        by_secs: None,
        ret: None,
        smtputf8: false,
        octets,
        size: octets.len() as u64,
    }
}

pub(super) fn told(address: &Address) -> Told<'_> {
    let reply = b"550-5.1.1 The account\r\n550 5.1.1 does not exist";
    Told {
        address,
        orcpt: None,
        event: Event::Failed,
        class: classify(reply),
        status: Status::of_reply(reply),
        words: Words::Remote {
            host: "mx.there.example",
            reply,
        },
        attempt_secs: Some(1_795_320_060),
        retry_until_secs: None,
    }
}

pub(super) fn facts<'a>(original: Original<'a>, recipients: &'a [Told<'a>]) -> Facts<'a> {
    Facts {
        host: "mx.example",
        id: "n1",
        now_secs: 1_795_320_061,
        original,
        recipients,
    }
}

fn text(notice: &Notice) -> String {
    String::from_utf8(notice.octets.clone()).unwrap()
}

const GOLDEN: &str = "Date: Sun, 22 Nov 2026 04:01:01 +0000\r\n\
From: Mail Delivery System <MAILER-DAEMON@mx.example>\r\n\
To: <alice@here.example>\r\n\
Subject: Your message could not be delivered\r\n\
Message-ID: <n1@mx.example>\r\n\
In-Reply-To: <m1@here.example>\r\n\
References: <m1@here.example>\r\n\
Auto-Submitted: auto-replied\r\n\
MIME-Version: 1.0\r\n\
Content-Type: multipart/report; report-type=delivery-status;\r\n\
\tboundary=\"=_n1_0\"\r\n\
Content-Transfer-Encoding: 7bit\r\n\
\r\n\
This is a delivery status notification in MIME format (RFC 3464).\r\n\
\r\n\
--=_n1_0\r\n\
Content-Description: Notification\r\n\
Content-Type: text/plain; charset=us-ascii\r\n\
Content-Transfer-Encoding: 7bit\r\n\
\r\n\
This is the mail system of mx.example. It tells you what became of the\r\n\
message that you sent and that arrived here on Sun, 22 Nov 2026 04:00:00\r\n\
+0000.\r\n\
\r\n\
It could NOT be delivered to the following addresses, and will not be\r\n\
tried again:\r\n\
\r\n  <bob@there.example>\r\n\
\x20   There is no mailbox of this name there.\r\n\
\x20   The host mx.there.example said:\r\n\
\x20     | 550 5.1.1 The account does not exist\r\n\
\x20   Look for a slip in the address, or ask the recipient for the right\r\n\
\x20   one.\r\n\
\r\n\
Below are a delivery report for programs and the message or its header.\r\n\
If you ask postmaster@mx.example for help, name 1a2b, by which the\r\n\
message is known here.\r\n\
\r\n\
--=_n1_0\r\n\
Content-Description: Delivery report\r\n\
Content-Type: message/delivery-status\r\n\
Content-Transfer-Encoding: 7bit\r\n\
\r\n\
Reporting-MTA: dns; mx.example\r\n\
Arrival-Date: Sun, 22 Nov 2026 04:00:00 +0000\r\n\
X-Ringpost-Queue-ID: 1a2b\r\n\
\r\n\
Final-Recipient: rfc822; bob@there.example\r\n\
Action: failed\r\n\
Status: 5.1.1\r\n\
Remote-MTA: dns; mx.there.example\r\n\
Diagnostic-Code: smtp; 550-5.1.1 The account 550 5.1.1 does not exist\r\n\
Last-Attempt-Date: Sun, 22 Nov 2026 04:01:00 +0000\r\n\
\r\n\
--=_n1_0\r\n\
Content-Description: Message header\r\n\
Content-Type: text/rfc822-headers\r\n\
Content-Transfer-Encoding: 7bit\r\n\
\r\n\
Received: from a (b)\r\n\
\tby mx.example\r\n\
From: alice@here.example\r\n\
Message-ID: <m1@here.example>\r\n\
Subject: hello\r\n\
\r\n\
--=_n1_0--\r\n";

#[test]
fn a_failure_reads_so() {
    let (alice, bob) = (
        Address::new("alice", "here.example"),
        Address::new("bob", "there.example"),
    );
    let recipients = [told(&bob)];
    let notice = build(&facts(original(&alice, MESSAGE), &recipients)).unwrap();
    assert_eq!(text(&notice), GOLDEN);
    assert_eq!((notice.body, notice.smtputf8), (BodyKind::SevenBit, false));
}

/// All fields at once, several recipients, several fates.
#[test]
fn every_field_has_its_place() {
    let alice = Address::new("alice", "here.example");
    let (bob, carol, dan) = (
        Address::new("bob", "b.example"),
        Address::new("c d", "c.example"),
        Address::new("dan", "d.example"),
    );
    let recipients = [
        Told {
            event: Event::Delayed,
            class: Class::Network,
            status: Status::new(4, 4, 1),
            words: Words::Local("connection to mx.b.example timed out"),
            retry_until_secs: Some(1_795_752_000),
            orcpt: Some("rfc822;Bob+x@b.example"),
            ..told(&bob)
        },
        told(&carol),
        Told {
            event: Event::Relayed,
            status: Status::new(2, 0, 0),
            words: Words::None,
            ..told(&dan)
        },
    ];
    let original = Original {
        envid: Some("QQ 314159"),
        ..original(&alice, MESSAGE)
    };
    let notice = text(&build(&facts(original, &recipients)).unwrap());
    for expected in [
        "\r\n\r\nOriginal-Envelope-Id: QQ 314159\r\nReporting-MTA: dns; mx.example\r\n",
        "\r\n\r\nOriginal-Recipient: rfc822;Bob+x@b.example\r\n\
         Final-Recipient: rfc822; bob@b.example\r\nAction: delayed\r\nStatus: 4.4.1\r\n\
         Diagnostic-Code: x-ringpost; connection to mx.b.example timed out\r\n\
         Last-Attempt-Date: Sun, 22 Nov 2026 04:01:00 +0000\r\n\
         Will-Retry-Until: Fri, 27 Nov 2026 04:00:00 +0000\r\n\r\n",
        "Final-Recipient: rfc822; \"c d\"@c.example\r\nAction: failed\r\n",
        "Action: relayed\r\nStatus: 2.0.0\r\nLast-Attempt-Date",
        "It is tried until Fri, 27 Nov 2026 04:00:00 +0000.\r\n",
        "Subject: Your message could not be delivered\r\n",
    ] {
        assert!(notice.contains(expected), "{expected}\nis not in\n{notice}");
    }
    let failed = notice.find("could NOT").unwrap();
    let delayed = notice.find("not been delivered yet").unwrap();
    let relayed = notice.find("passed on to the mail systems").unwrap();
    assert!(
        failed < delayed && delayed < relayed,
        "the gravest comes first"
    );
}

#[test]
fn nobody_is_told_at_the_null_path_or_of_nobody() {
    let (alice, bob) = (Address::new("a", "b"), Address::new("c", "d"));
    let null = Original {
        reverse_path: None,
        ..original(&alice, MESSAGE)
    };
    assert_eq!(build(&facts(null, &[told(&bob)])), None);
    assert_eq!(build(&facts(original(&alice, MESSAGE), &[])), None);
}

const HEADERS: &str = "text/rfc822-headers";
const WHOLE: &str = "message/rfc822";

#[test]
fn the_message_comes_back_as_it_was_asked_for() {
    let asked = |ret, event| Asked { ret, event };
    let (full, headers) = (Some(Ret::Full), Some(Ret::Headers));
    comes_back(MESSAGE, asked(None, Event::Failed), HEADERS);
    comes_back(MESSAGE, asked(headers, Event::Failed), HEADERS);
    comes_back(MESSAGE, asked(full, Event::Failed), WHOLE);
    comes_back(MESSAGE, asked(full, Event::Delayed), HEADERS);
    for (body, kind) in [
        (b"\xe4\xff\r\n".to_vec(), WHOLE),
        ([b'x', b'\r', b'\n'].repeat(50_000), HEADERS),
        (b"\0\r\n".to_vec(), HEADERS),
        (vec![b'x'; 999], HEADERS),
    ] {
        let message = [MESSAGE, &body].concat();
        comes_back(&message, asked(full, Event::Failed), kind);
    }
}

struct Asked {
    ret: Option<Ret>,
    event: Event,
}

fn comes_back(message: &[u8], asked: Asked, kind: &str) {
    let (alice, bob) = (Address::new("a", "b"), Address::new("c", "d"));
    let recipients = [Told {
        event: asked.event,
        ..told(&bob)
    }];
    let original = Original {
        ret: asked.ret,
        ..original(&alice, message)
    };
    let notice = build(&facts(original, &recipients)).unwrap();
    let is_ascii = kind == HEADERS || message.is_ascii();
    assert_eq!(notice.octets.is_ascii(), is_ascii);
    assert_eq!(notice.body == BodyKind::SevenBit, is_ascii);
    let parsed = MessageParser::new().parse(&notice.octets).unwrap();
    assert_eq!(content_type(&parsed, 2), kind);
    if kind == WHOLE {
        // What ends the last line belongs to the boundary or to the message, as one reads it.
        let returned = raw(&notice, part(&parsed, 2)).trim_ascii_end();
        assert_eq!(returned, message.trim_ascii_end());
    }
}

/// A cut message is never returned as if it were whole.
#[test]
fn a_part_of_a_message_is_not_returned_as_the_message() {
    let (alice, bob) = (Address::new("a", "b"), Address::new("c", "d"));
    let cut = Original {
        ret: Some(Ret::Full),
        size: MESSAGE.len() as u64 + 1,
        ..original(&alice, MESSAGE)
    };
    let notice = text(&build(&facts(cut, &[told(&bob)])).unwrap());
    assert!(!notice.contains("message/rfc822"), "{notice}");
}

#[test]
fn headers_with_eight_bits_come_back_through_seven() {
    let (alice, bob) = (Address::new("a", "b"), Address::new("c", "d"));
    let header = b"Subject: gr\xfc\xdfe\0\r\nX: =20\r\n\r\nbody\r\n";
    let notice = build(&facts(original(&alice, header), &[told(&bob)])).unwrap();
    assert!(notice.octets.is_ascii());
    let parsed = MessageParser::new().parse(&notice.octets).unwrap();
    // Taken raw: the parser makes UTF-8 of every text.
    let quoted = raw(&notice, part(&parsed, 2));
    let mut decoder = Decoder::new(&Encoding(b"quoted-printable".to_vec())).unwrap();
    let mut decoded = Vec::new();
    decoder.feed(quoted, &mut decoded);
    decoder.finish(&mut decoded);
    assert_eq!(
        decoded.trim_ascii_end(),
        b"Subject: gr\xfc\xdfe\0\r\nX: =20"
    );
}

/// RFC 6533: to an ASCII sender in ASCII, to another in UTF-8.
#[test]
fn addresses_outside_ascii_are_written_as_the_sender_can_read_them() {
    let bob = Address::new("b\u{f6}b+x", "xn--bcher-kva.example");
    let recipients = [Told {
        orcpt: Some("utf-8;b\u{f6}b+x@b\u{fc}cher.example"),
        ..told(&bob)
    }];
    let plain = Address::new("a", "b.example");
    let notice = build(&facts(original(&plain, MESSAGE), &recipients)).unwrap();
    assert!(notice.octets.is_ascii() && !notice.smtputf8);
    let shown = text(&notice);
    let expected = "Original-Recipient: utf-8;b\\x{F6}b\\x{2B}x@b\\x{FC}cher.example\r\n\
        Final-Recipient: utf-8; b\\x{F6}b\\x{2B}x@xn--bcher-kva.example\r\n";
    assert!(shown.contains(expected), "{shown}");
    assert!(
        shown.contains("<b=C3=B6b+x@xn--bcher-kva.example>"),
        "{shown}"
    );

    let wide = Address::new("\u{e4}", "b.example");
    let global = Original {
        smtputf8: true,
        ret: Some(Ret::Full),
        ..original(&wide, MESSAGE)
    };
    let notice = build(&facts(global, &recipients)).unwrap();
    assert!(notice.smtputf8);
    assert_eq!(notice.body, BodyKind::EightBitMime);
    let shown = text(&notice);
    for expected in [
        "To: <\u{e4}@b.example>\r\n",
        "Content-Type: message/global-delivery-status\r\n",
        "Final-Recipient: utf-8; b\u{f6}b+x@xn--bcher-kva.example\r\n",
        "Content-Type: message/global\r\n",
    ] {
        assert!(shown.contains(expected), "{expected} in {shown}");
    }
}

#[test]
fn many_recipients_are_counted() {
    let (alice, bob) = (Address::new("a", "b"), Address::new("c", "d"));
    let recipients = vec![told(&bob); RECIPIENTS_MAX + 7];
    let notice = text(&build(&facts(original(&alice, MESSAGE), &recipients)).unwrap());
    assert!(notice.contains("\r\n  and 950 more, see the delivery report.\r\n"));
    assert!(notice.contains("\r\n7 more recipients are not listed here.\r\n"));
    assert_eq!(notice.matches("Final-Recipient:").count(), RECIPIENTS_MAX);
}

pub(super) fn part<'a, 'x>(message: &'a Message<'x>, nth: usize) -> &'a MessagePart<'x> {
    let root = message.root_part();
    let PartType::Multipart(parts) = &root.body else {
        panic!("a report is a multipart")
    };
    assert_eq!(parts.len(), 3);
    &message.parts[parts[nth] as usize]
}

/// The content of a part as it stands in the notice.
fn raw<'a>(notice: &'a Notice, part: &MessagePart<'_>) -> &'a [u8] {
    let (from, to) = (part.raw_body_offset(), part.raw_end_offset());
    &notice.octets[from as usize..to as usize]
}

pub(super) fn content_type(message: &Message<'_>, nth: usize) -> String {
    let kind = part(message, nth).content_type().unwrap();
    format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default())
}
