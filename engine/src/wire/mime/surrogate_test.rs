//! Headers in other words: what a client without UTF-8 is shown of them.

use super::*;
use proptest::prelude::*;

fn made(header: &str) -> String {
    String::from_utf8(surrogate(header.as_bytes()).unwrap()).unwrap()
}

#[test]
fn texts_are_encoded_words() {
    assert_eq!(
        made("Subject: Grüße an alle\r\nTo: a@b\r\n\r\n"),
        "Subject: =?UTF-8?B?R3LDvMOfZQ==?= an alle\r\nTo: a@b\r\n\r\n"
    );
    assert_eq!(
        made("Subject: ja,\r\n süße Öle\r\n"),
        "Subject: ja, =?UTF-8?B?c8O8w59lIMOWbGU=?=\r\n"
    );
    let long = made(&format!("Subject: {}\r\n", "ü".repeat(600)));
    assert!(long.lines().count() > 1 && long.lines().all(|line| line.len() <= 76));
}

#[test]
fn names_are_encoded_and_addresses_stay() {
    assert_eq!(
        made("From: \"Jürgen M\" <j@b>, Zoë Ö <z@b>, c.d@e\r\n"),
        "From: =?UTF-8?B?SsO8cmdlbiBN?= <j@b>, =?UTF-8?B?Wm/DqyDDlg==?= <z@b>,\r\n <c.d@e>\r\n"
    );
    assert_eq!(
        made("Cc: Büro: \"A, B\" <a@b>, c@d;, e@f\r\n"),
        "Cc: =?UTF-8?B?QsO8cm8=?=: \"A, B\" <a@b>, <c@d>;, <e@f>\r\n"
    );
}

#[test]
fn an_address_that_cannot_be_written_is_nobodys() {
    assert_eq!(
        made("To: Zoë <zoë@b.test>\r\n"),
        "To: =?UTF-8?B?Wm/DqyA8em/Dq0BiLnRlc3Q+?=\r\n \
         <invalid@internationalized-address.invalid>\r\n"
    );
    assert_eq!(
        made("Resent-To: zoe@bücher.test\r\n"),
        "Resent-To: <zoe@xn--bcher-kva.test>\r\n"
    );
}

#[test]
fn parameters_take_the_extended_form() {
    assert_eq!(
        made("Content-Type: text/plain; charset=utf-8; name=\"süß.txt\"\r\n"),
        "Content-Type: text/plain; charset=utf-8; name*=UTF-8''s%C3%BC%C3%9F.txt\r\n"
    );
    assert_eq!(
        made("Content-Disposition: attachment; filename=ü; a=\"b c\"\r\n"),
        "Content-Disposition: attachment; filename*=UTF-8''%C3%BC; a=\"b c\"\r\n"
    );
}

#[test]
fn what_has_no_other_form_is_left_out() {
    assert_eq!(
        made("A: b\r\nMessage-ID: <ü@b>\r\nX-Ü: x\r\nno field ü\r\nC: d\r\n\r\n"),
        "A: b\r\nC: d\r\n\r\n"
    );
    assert_eq!(made("Content-Type: tëxt/plain; a=b\r\n"), "");
}

#[test]
fn other_headers_are_left_alone() {
    assert_eq!(surrogate(b"Subject: plain\r\n\r\n"), None);
    assert_eq!(surrogate(b"Subject: gr\xfc\xdfe\r\n\r\n"), None);
}

proptest! {
    #[test]
    fn what_comes_out_is_ascii_in_short_lines_and_final(
        names in prop::collection::vec(
            prop::sample::select(vec!["To", "Subject", "Content-Type", "X-Other"]), 1..6),
        values in prop::collection::vec("[ \"<>@,;:()=a-zü€\\\\/]{0,80}", 6),
    ) {
        let fields = names.iter().zip(&values);
        let header: String = fields.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let made = surrogate(header.as_bytes()).unwrap_or_else(|| header.clone().into_bytes());
        prop_assert!(made.is_ascii());
        prop_assert!(made.split(|octet| *octet == b'\n').all(|line| line.len() < 998));
        prop_assert_eq!(surrogate(&made), None);
    }
}
