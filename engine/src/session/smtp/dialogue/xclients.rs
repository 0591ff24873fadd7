//! XCLIENT: whom a proxy speaks for, and who is no proxy.

use super::*;

fn behind_a_proxy(kind: Kind) -> Dialogue {
    let mut trusting = settings(kind);
    trusting.takes_xclient = true;
    Dialogue::new(trusting, kind, false)
}

#[test]
fn nobody_speaks_for_others_unless_trusted() {
    let mut dialogue = Dialogue::of(Kind::Smtp);
    assert!(!dialogue.say("EHLO c\r\n").contains("XCLIENT"));
    let said = dialogue.say("XCLIENT ADDR=198.51.100.7\r\n");
    assert!(said.starts_with("550 5.7.0 "), "{said}");
    let address = dialogue.session.peer().address;
    assert_eq!(address, IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
}

#[test]
fn the_session_begins_anew_for_the_client() {
    let mut dialogue = behind_a_proxy(Kind::Smtp);
    assert!(
        dialogue
            .say("EHLO proxy\r\n")
            .contains("250-XCLIENT NAME ADDR")
    );
    let said = dialogue.say("XCLIENT ADDR=198.51.100.7 NAME=c.example HELO=mail.c.example\r\n");
    assert_eq!(said, "220 mx.here ESMTP Ringpost\r\n");
    let peer = dialogue.session.peer();
    assert_eq!(peer.address, IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)));
    assert_eq!(peer.name.as_deref(), Some("c.example"));
    assert_eq!(
        dialogue.codes("MAIL FROM:<a@b>\r\nEHLO proxy\r\n"),
        [503, 250]
    );
    let hello = dialogue.session.hello().map(|name| &**name);
    assert_eq!(hello, Some("mail.c.example"));
}

#[test]
fn a_login_of_the_proxy_counts() {
    let mut dialogue = behind_a_proxy(Kind::Submission);
    let codes = dialogue.codes(
        "EHLO p\r\nXCLIENT LOGIN=stranger@here\r\nXCLIENT LOGIN=user@here\r\nEHLO p\r\n\
         MAIL FROM:<user@here>\r\nXCLIENT ADDR=10.0.0.1\r\n",
    );
    assert_eq!(codes, [250, 550, 220, 250, 250, 503]);
    let login = dialogue.session.login().map(|login| &**login);
    assert_eq!(login, Some("user@here"));
    let more = "RSET\r\nXCLIENT LOGIN=[UNAVAILABLE]\r\nEHLO p\r\nMAIL FROM:<user@here>\r\n";
    assert_eq!(dialogue.codes(more), [250, 220, 250, 530]);
}

#[test]
fn nonsense_changes_nothing_and_a_crowd_is_turned_away() {
    let mut dialogue = behind_a_proxy(Kind::Lmtp);
    let codes = dialogue.codes("LHLO p\r\nXCLIENT\r\nXCLIENT ADDR=x\r\nXCLIENT WHO=x\r\n");
    assert_eq!(codes, [250, 501, 501, 501]);
    assert_eq!(dialogue.codes("XCLIENT ADDR=0.0.0.0\r\n"), [421]);
    assert!(dialogue.record.closed);
}
