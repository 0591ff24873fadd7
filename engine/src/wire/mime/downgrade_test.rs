//! What a downgraded message says is what it said: every part decodes to the same octets.

use super::*;
use mail_parser::{MessageParser, MimeHeaders};
use proptest::prelude::*;

fn text(message: &[u8]) -> String {
    String::from_utf8(downgrade(message).unwrap()).unwrap()
}

#[test]
fn text_becomes_quoted_and_the_rest_stays() {
    let message = "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
                   content-transfer-encoding: 8BIT\r\nX: y\r\n\r\nGr\u{fc}\u{df}e aus der Ferne, \
                   und alles Gute\r\n.\r\n";
    assert_eq!(
        text(message.as_bytes()),
        "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nX: y\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe aus der Ferne, \
         und alles Gute\r\n.\r\n"
    );
}

#[test]
fn what_nobody_labelled_is_labelled() {
    let downgraded = downgrade(b"Subject: x\r\n\r\n\xe4\xf6\xfc\r\n").unwrap();
    assert_eq!(
        String::from_utf8(downgraded).unwrap(),
        "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n5Pb8DQo=\r\n"
    );
}

const MIXED: &str = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\
    Content-Transfer-Encoding: 8bit\r\n\r\npre\u{e4}mble\r\n--b\r\n\r\nplain\r\n--b\r\n\
    Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
    <p>a long line of English, and one sign: \u{e9}\r\n--b\r\n\
    Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
    Subject: inner\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
    \u{20ac}\u{20ac}\r\n--b--\r\nepil\u{f6}gue\r\n";

#[test]
fn parts_change_each_for_itself() {
    let downgraded = text(MIXED.as_bytes());
    for expected in [
        "boundary=b\r\nContent-Transfer-Encoding: 7bit\r\n\r\npre??mble\r\n--b\r\n\r\nplain\r\n--b",
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>a long line of English, and one",
        "message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: inner",
        "application/x\r\nContent-Transfer-Encoding: base64\r\n\r\n4oKs4oKs\r\n--b--\r\nepil??gue",
    ] {
        assert!(
            downgraded.contains(expected),
            "{expected}\nin\n{downgraded}"
        );
    }
}

#[test]
fn binary_lines_are_encoded() {
    let message = b"MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\
        Content-Transfer-Encoding: binary\r\n\r\nbare\nends\0";
    let downgraded = text(message);
    assert!(
        downgraded.ends_with("base64\r\n\r\nYmFyZQplbmRzAA==\r\n"),
        "{downgraded}"
    );
    let long = [
        b"Content-Type: text/plain\r\n\r\n".as_slice(),
        &[b'x'; 2_000],
    ]
    .concat();
    assert!(is_plain(&downgrade(&long).unwrap()));
}

#[test]
fn what_would_break_stays() {
    let signed = "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\u{e4}\r\n--b--\r\n";
    for (message, why) in [
        (
            "Subject: \u{e4}\r\n\r\n\u{e4}\r\n",
            Kept::HeaderOutsideAscii,
        ),
        (signed, Kept::Signed),
        (
            "Content-Transfer-Encoding: base64\r\n\r\n\u{e4}\r\n",
            Kept::NotEncodable,
        ),
        (
            "Content-Type: message/partial; id=x\r\n\r\n\u{e4}\r\n",
            Kept::NotEncodable,
        ),
    ] {
        assert_eq!(downgrade(message.as_bytes()), Err(why), "{message}");
    }
    let sound = signed.replace('\u{e4}', "a");
    assert_eq!(text(sound.as_bytes()), sound);
    assert!(
        has_ascii_headers(signed.as_bytes()) && !has_ascii_headers("S: \u{e4}\r\n\r\n".as_bytes())
    );
}

#[test]
fn lines_are_judged() {
    for good in [&b""[..], b"a\r\nb", b"\r\n\r\n", &[b'x'; 998]] {
        assert!(is_lines(good), "{}", good.escape_ascii());
    }
    for bad in [
        &b"a\nb"[..],
        b"a\rb",
        b"\0",
        b"a\r",
        b"\n",
        b"a\r\r\n",
        &[b'x'; 999],
    ] {
        assert!(!is_lines(bad), "{}", bad.escape_ascii());
    }
}

proptest! {
    /// Held against a parser of others.
    #[test]
    fn the_parts_decode_to_the_same(
        bodies in prop::collection::vec((any::<bool>(), "[ -~äöü€\r\n]{0,200}"), 1..5),
    ) {
        let mut message = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"=b=\"\r\n\
            \r\n".to_owned();
        for (is_text, body) in &bodies {
            let kind = if *is_text { "text/plain; charset=utf-8" } else { "application/x" };
            message += &format!("--=b=\r\nContent-Type: {kind}\r\n\
                Content-Transfer-Encoding: binary\r\n\r\n{body}\r\n");
        }
        message += "--=b=--\r\n";
        let downgraded = downgrade(message.as_bytes()).unwrap();
        prop_assert!(is_plain(&downgraded));
        let before = MessageParser::new().parse(&message).unwrap();
        let after = MessageParser::new().parse(&downgraded).unwrap();
        prop_assert_eq!(before.parts.len(), after.parts.len());
        for (before, after) in before.parts.iter().zip(&after.parts) {
            prop_assert_eq!(before.content_type().is_some(), after.content_type().is_some());
            prop_assert_eq!(before.contents(), after.contents());
        }
    }

    #[test]
    fn nothing_breaks_it(octets in prop::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(downgraded) = downgrade(&octets) {
            prop_assert!(is_plain(&downgraded));
        }
    }
}
