//! The commands that the RFCs show as examples, and the nearest things that are no commands: those
//! about the connection and mailboxes.

use super::super::command::{List, ListReturn, ListSelect, StatusItem};
use super::super::fault::Fault;
use super::*;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn any_state() {
    // RFC 9051 §6.1, RFC 2971 §3.
    assert_eq!(body("abcd CAPABILITY"), Body::Capability);
    assert_eq!(body("a002 NOOP"), Body::Noop);
    assert_eq!(body("A023 LoGoUt"), Body::Logout);
    assert_eq!(body("a042 ID NIL"), Body::Id(vec![]));
    assert_eq!(body("a042 ID ()"), Body::Id(vec![]));
    let text = |text: &str| text.as_bytes().to_vec();
    assert_eq!(
        body("a023 ID (\"name\" \"sodr\" \"version\" NIL)"),
        Body::Id(vec![
            (text("name"), Some(text("sodr"))),
            (text("version"), None)
        ])
    );
    for line in [
        "a ID",
        "a ID nothing",
        "a ID (name \"x\")",
        "a ID (\"name\")",
    ] {
        assert!(matches!(fault(line), Fault::Syntax(_)), "{line}");
    }
    assert!(matches!(
        fault(format!("a ID (\"{}\" NIL)", "n".repeat(31))),
        Fault::TooMany(_)
    ));
    assert_eq!(fault("a FOO"), Fault::UnknownCommand);
    assert_eq!(fault("a NOOPS"), Fault::UnknownCommand);
    assert_eq!(fault("a NOOP "), Fault::Syntax("Too many arguments"));
    assert_eq!(fault("a  NOOP"), Fault::UnknownCommand);
}

#[test]
fn not_authenticated() {
    // RFC 9051 §6.2, RFC 4959 §4.
    assert_eq!(body("a001 STARTTLS"), Body::StartTls);
    let authenticate = |mechanism: &str, initial: Option<&[u8]>| Body::Authenticate {
        mechanism: mechanism.to_owned(),
        initial: initial.map(<[u8]>::to_vec),
    };
    assert_eq!(
        body("A01 AUTHENTICATE PLAIN dGVzdAB0ZXN0AHRlc3Q="),
        authenticate("PLAIN", Some(b"test\0test\0test"))
    );
    assert_eq!(
        body("A01 AUTHENTICATE gssapi"),
        authenticate("GSSAPI", None)
    );
    assert_eq!(
        body("A01 AUTHENTICATE EXTERNAL ="),
        authenticate("EXTERNAL", Some(b""))
    );
    for line in [
        "a AUTHENTICATE",
        "a AUTHENTICATE PLAIN ",
        "a AUTHENTICATE PLAIN AA",
        "a AUTHENTICATE PLAIN *",
    ] {
        assert!(matches!(fault(line), Fault::Syntax(_)), "{line}");
    }
    let login = |user: &str, password: &str| Body::Login {
        user: user.as_bytes().to_vec(),
        password: password.as_bytes().to_vec(),
    };
    assert_eq!(body("a001 LOGIN SMITH SESAME"), login("SMITH", "SESAME"));
    // RFC 9051 §4.3, §6.2.3.
    assert_eq!(
        body("A001 LOGIN {11}\r\nFRED FOOBAR {7}\r\nfat man"),
        login("FRED FOOBAR", "fat man")
    );
    assert_eq!(
        body("A001 LOGIN {11+}\r\nFRED FOOBAR {7+}\r\nfat man"),
        login("FRED FOOBAR", "fat man")
    );
    assert_eq!(body("A001 LOGIN a]b \"\\\"\\\\\""), login("a]b", "\"\\"));
    assert_eq!(body("A001 LOGIN \"\" {1}\r\n\u{7f}"), login("", "\u{7f}"));
    for line in [
        "a LOGIN",
        "a LOGIN x",
        "a LOGIN x y z",
        "a LOGIN x  y",
        "a LOGIN x (y)",
        "a LOGIN x y%",
        "a LOGIN \"x\"y z",
    ] {
        assert!(matches!(fault(line), Fault::Syntax(_)), "{line}");
    }
}

#[test]
fn mailboxes() {
    // RFC 9051 §6.3.1 to §6.3.8, RFC 6154 §5.
    let mailbox = |name: &str| name.to_owned();
    assert_eq!(
        body("t1 ENABLE CONDSTORE x-good-idea"),
        Body::Enable(names(&["CONDSTORE", "X-GOOD-IDEA"]))
    );
    assert_eq!(
        body("A142 SELECT INBOX"),
        Body::Select {
            mailbox: mailbox("INBOX")
        }
    );
    assert_eq!(
        body("A142 SELECT \"inBox\""),
        Body::Select {
            mailbox: mailbox("INBOX")
        }
    );
    assert_eq!(
        body("A932 EXAMINE blurdybloop"),
        Body::Examine {
            mailbox: mailbox("blurdybloop")
        }
    );
    let create = |name: &str, special_use: &[&str]| Body::Create {
        mailbox: mailbox(name),
        special_use: names(special_use),
    };
    assert_eq!(body("A003 CREATE owatagusiam/"), create("owatagusiam", &[]));
    assert_eq!(
        body("A004 CREATE owatagusiam/blurdybloop"),
        create("owatagusiam/blurdybloop", &[])
    );
    assert_eq!(
        body("t2 CREATE MySpecial (USE (\\Drafts \\Sent))"),
        create("MySpecial", &["\\Drafts", "\\Sent"])
    );
    assert_eq!(
        body("A683 DELETE foo/bar"),
        Body::Delete {
            mailbox: mailbox("foo/bar")
        }
    );
    let (from, to) = (mailbox("INBOX"), mailbox("old-mail"));
    assert_eq!(
        body("Z433 RENAME inbox old-mail"),
        Body::Rename { from, to }
    );
    assert_eq!(
        body("A002 SUBSCRIBE #news.comp.mail.mime"),
        Body::Subscribe {
            mailbox: mailbox("#news.comp.mail.mime")
        }
    );
    assert_eq!(
        body("A002 UNSUBSCRIBE \"a b\""),
        Body::Unsubscribe {
            mailbox: mailbox("a b")
        }
    );
    assert_eq!(body("A001 NAMESPACE"), Body::Namespace);
    assert_eq!(body("A002 IDLE"), Body::Idle);
}

#[test]
fn what_is_no_mailbox_command() {
    for line in [
        "a SELECT",
        "a SELECT INBOX (CONDSTORES)",
        "a SELECT a b",
        "a EXAMINE %",
        "a ENABLE",
        "a ENABLE \"x\"",
        "a CREATE x (USE)",
        "a CREATE x (USE \\Sent)",
        "a CREATE x (USE (Sent))",
        "a CREATE x ()",
        "a RENAME x",
        "a DELETE",
        "a IDLE now",
        "a NAMESPACE x",
    ] {
        assert!(matches!(fault(line), Fault::Syntax(_)), "{line}");
    }
}

fn plain(reference: &str, pattern: &str) -> List {
    List {
        reference: reference.to_owned(),
        patterns: names(&[pattern]),
        ..List::default()
    }
}

fn extended(line: &str) -> List {
    match body(line) {
        Body::List(list) => {
            assert!(list.extended, "{line}");
            List {
                extended: false,
                ..list
            }
        }
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn list() {
    // RFC 9051 §6.3.9, RFC 3501 §6.3.9.
    for (line, reference, pattern) in [
        ("A101 LIST \"\" \"\"", "", ""),
        (
            "A102 LIST #news.comp.mail.misc \"\"",
            "#news.comp.mail.misc",
            "",
        ),
        ("A202 LIST ~/Mail/ %", "~/Mail/", "%"),
        ("A202 LIST \"\" &U,BTFw-*", "", "台北*"),
        ("A202 LIST \"\" \"a*%\"", "", "a*%"),
    ] {
        assert_eq!(body(line), Body::List(plain(reference, pattern)), "{line}");
    }
    let reference = "#news.".to_owned();
    let pattern = "comp.mail.*".to_owned();
    assert_eq!(
        body("A002 LSUB \"#news.\" \"comp.mail.*\""),
        Body::Lsub { reference, pattern }
    );
}

#[test]
fn list_selects() {
    // RFC 9051 §6.3.9.8, RFC 6154 §5.
    let none = ListSelect::default();
    let subscribed = ListSelect {
        subscribed: true,
        ..none
    };
    for (options, select) in [
        ("()", none),
        ("(SUBSCRIBED)", subscribed),
        (
            "(remote)",
            ListSelect {
                remote: true,
                ..none
            },
        ),
        (
            "(REMOTE SUBSCRIBED)",
            ListSelect {
                remote: true,
                ..subscribed
            },
        ),
        (
            "(RECURSIVEMATCH SUBSCRIBED)",
            ListSelect {
                recursive_match: true,
                ..subscribed
            },
        ),
        (
            "(SPECIAL-USE)",
            ListSelect {
                special_use: true,
                ..none
            },
        ),
    ] {
        let expected = List {
            select,
            ..plain("", "*")
        };
        assert_eq!(
            extended(&format!("a LIST {options} \"\" \"*\"")),
            expected,
            "{options}"
        );
    }
    let patterns = names(&["INBOX", "Drafts", "Sent/%"]);
    assert_eq!(
        extended("BBB LIST \"\" (\"INBOX\" \"Drafts\" \"Sent/%\")"),
        List {
            patterns,
            ..plain("", "")
        }
    );
}

#[test]
fn list_returns() {
    // RFC 9051 §6.3.9.8, RFC 5819 §3, RFC 6154 §5.
    let none = ListReturn::default();
    let children = ListReturn {
        children: true,
        ..none.clone()
    };
    let status = Some(vec![StatusItem::Messages, StatusItem::Unseen]);
    let both = ListReturn {
        subscribed: true,
        special_use: true,
        ..none.clone()
    };
    for (options, returns) in [
        ("()", none),
        ("(CHILDREN)", children.clone()),
        ("(SPECIAL-USE subscribed)", both),
        (
            "(STATUS (MESSAGES UNSEEN) CHILDREN)",
            ListReturn { status, ..children },
        ),
    ] {
        let expected = List {
            returns,
            ..plain("", "%")
        };
        assert_eq!(
            extended(&format!("a LIST \"\" % RETURN {options}")),
            expected,
            "{options}"
        );
    }
}

#[test]
fn what_is_no_list() {
    for line in [
        "a LIST",
        "a LIST \"\"",
        "a LIST (FOO) \"\" *",
        "a LIST (RECURSIVEMATCH) \"\" *",
        "a LIST (RECURSIVEMATCH REMOTE) \"\" *",
        "a LIST \"\" ()",
        "a LIST \"\" * RETURN",
        "a LIST \"\" * RETURN (FOO)",
        "a LIST \"\" * RETURN (STATUS)",
        "a LIST \"\" * RETURN (STATUS ())",
        "a LIST \"\" * (CHILDREN)",
        "a LIST () () *",
        "a LIST % *",
        "a LSUB x* *",
        "a LSUB \"\"",
        "a LSUB () \"\" *",
    ] {
        assert!(matches!(fault(line), Fault::Syntax(_)), "{line}");
    }
}

#[test]
fn status() {
    // RFC 9051 §6.3.11, RFC 7889 §4, RFC 7162 §3.1.7.
    let status = |items: &[StatusItem]| Body::Status {
        mailbox: "blurdybloop".to_owned(),
        items: items.to_vec(),
    };
    assert_eq!(
        body("A042 STATUS blurdybloop (UIDNEXT MESSAGES)"),
        status(&[StatusItem::UidNext, StatusItem::Messages])
    );
    assert_eq!(
        body(
            "a STATUS blurdybloop (uidvalidity Unseen DELETED SIZE RECENT APPENDLIMIT \
             HIGHESTMODSEQ)"
        ),
        status(&[
            StatusItem::UidValidity,
            StatusItem::Unseen,
            StatusItem::Deleted,
            StatusItem::Size,
            StatusItem::Recent,
            StatusItem::AppendLimit,
            StatusItem::HighestModSeq,
        ])
    );
}

#[test]
fn what_is_no_status() {
    for line in [
        "a STATUS x",
        "a STATUS x ()",
        "a STATUS x (FOO)",
        "a STATUS x MESSAGES",
        "a STATUS x (SIZE )",
    ] {
        assert!(matches!(fault(line), Fault::Syntax(_)), "{line}");
    }
}

#[test]
fn the_lines_of_idle_and_authenticate() {
    let mut client = Client::logged_in();
    client.send(b"a IDLE\r\nDONE\r\nb NOOP\r\n");
    let heard = client.events();
    assert_eq!(heard[1..], [Event::Line(b"DONE".to_vec()), noop("b")]);
    client.send(b"a AUTHENTICATE PLAIN\r\n{5}\r\nb NOOP\r\n");
    // No literal is announced in such a line.
    assert_eq!(
        client.events()[1..],
        [Event::Line(b"{5}".to_vec()), noop("b")]
    );
}

#[test]
fn utf8_after_it_was_enabled() {
    let mut client = Client::logged_in();
    client.send("a SELECT \"Entwürfe\"\r\n".as_bytes());
    assert!(matches!(&client.events()[..], [Event::Bad(_)]));
    client.receiver.enable_utf8();
    client.send("a SELECT \"Entwu\u{308}rfe\"\r\nb SELECT a&b\r\n".as_bytes());
    let selected = |tag: &str, mailbox: &str| {
        Event::Command(Command {
            tag: tag.to_owned(),
            body: Body::Select {
                mailbox: mailbox.to_owned(),
            },
        })
    };
    assert_eq!(
        client.events(),
        [selected("a", "Entwürfe"), selected("b", "a&b")]
    );
}
