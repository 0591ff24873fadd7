//! The same for the commands about messages: SEARCH, FETCH, STORE and their kin.

use super::super::command::{
    FetchItem, FlagList, Search, SearchKey, SearchReturn, Section, SectionText, SequenceNumber,
    SequenceSet, Store, StoreOp,
};
use super::super::fault::Fault;
use super::super::resync::Modifiers;
use super::*;
use store::mail::flags::Flags;

fn set(ranges: &[(u32, u32)]) -> SequenceSet {
    let number = |n| match n {
        0 => SequenceNumber::Star,
        n => SequenceNumber::Number(n),
    };
    SequenceSet::Ranges(
        ranges
            .iter()
            .map(|(a, b)| (number(*a), number(*b)))
            .collect(),
    )
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn octets(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn search(line: &str) -> Search {
    match body(line) {
        Body::Search { search, .. } => search,
        other => panic!("{line}: {other:?}"),
    }
}

fn key(keys: &str) -> SearchKey {
    search(&format!("a SEARCH {keys}")).key
}

fn not(key: SearchKey) -> SearchKey {
    SearchKey::Not(Box::new(key))
}

#[test]
fn search_returns_and_charsets() {
    // RFC 9051 §6.4.4, RFC 4731 §3.1, RFC 5182 §2.1.
    let since = SearchKey::Since(8797);
    let smith = not(SearchKey::From(b"Smith".to_vec()));
    let expected = Search {
        returns: Some(SearchReturn {
            min: true,
            count: true,
            ..SearchReturn::default()
        }),
        charset: None,
        key: SearchKey::And(vec![SearchKey::Flag(Flags::FLAGGED), since, smith]),
    };
    assert_eq!(
        search("A282 SEARCH RETURN (MIN COUNT) FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\""),
        expected
    );
    let all = SearchReturn {
        all: true,
        ..SearchReturn::default()
    };
    assert_eq!(search("A283 SEARCH RETURN () ALL").returns, Some(all));
    let save = SearchReturn {
        save: true,
        max: true,
        ..SearchReturn::default()
    };
    assert_eq!(search("A SEARCH RETURN (SAVE MAX) ALL").returns, Some(save));
    let cyrillic = search("A284 SEARCH CHARSET UTF-8 TEXT {12}\r\nотпуск");
    assert_eq!(cyrillic.returns, None);
    assert_eq!(cyrillic.charset.as_deref(), Some("UTF-8"));
    assert_eq!(cyrillic.key, SearchKey::Text("отпуск".into()));
    let both = search(
        "F SEARCH RETURN () CHARSET \"iso-8859-1\" (OR $ 1,3000:3021) TEXT {8+}\r\nhello, w",
    );
    assert_eq!(both.charset.as_deref(), Some("ISO-8859-1"));
    let sets = SearchKey::Or(
        Box::new(SearchKey::Sequence(SequenceSet::Saved)),
        Box::new(SearchKey::Sequence(set(&[(1, 1), (3000, 3021)]))),
    );
    assert_eq!(
        both.key,
        SearchKey::And(vec![sets, SearchKey::Text(b"hello, w".to_vec())])
    );
    assert!(matches!(
        body("a UID SEARCH UNSEEN"),
        Body::Search { uid: true, .. }
    ));
}

#[test]
fn what_is_no_search() {
    for line in [
        "a SEARCH",
        "a SEARCH RETURN (MIN)",
        "a SEARCH RETURN (FOO) ALL",
        "a SEARCH RETURN MIN ALL",
        "a SEARCH CHARSET",
        "a SEARCH CHARSET UTF] ALL",
        "a SEARCH CHARSET UTF-8",
        "a SEARCH CHARSET UTF-8 RETURN () ALL",
        "a SEARCH ()",
        "a SEARCH (ALL",
        "a SEARCH ALL)",
        "a SEARCH ALL ",
        "a SEARCH FOO",
        "a SEARCH NOT",
        "a SEARCH OR ALL",
        "a SEARCH KEYWORD \\Seen",
        "a SEARCH SUBJECT",
        "a SEARCH LARGER x",
        "a SEARCH HEADER Subject",
        "a SEARCH UID x",
        "a SEARCH 0",
        "a SEARCH UNFOO",
        "a SEARCH UNALL",
    ] {
        assert!(matches!(fault(line), Fault::Syntax(_)), "{line}");
    }
}

#[test]
fn every_search_key() {
    let flag = SearchKey::Flag;
    let text = |text: &str| text.as_bytes().to_vec();
    for (keys, expected) in [
        ("all", SearchKey::All),
        ("ANSWERED", flag(Flags::ANSWERED)),
        ("DELETED", flag(Flags::DELETED)),
        ("DRAFT", flag(Flags::DRAFT)),
        ("SEEN", flag(Flags::SEEN)),
        ("UNANSWERED", not(flag(Flags::ANSWERED))),
        ("UNDELETED", not(flag(Flags::DELETED))),
        ("UNDRAFT", not(flag(Flags::DRAFT))),
        ("UNFLAGGED", not(flag(Flags::FLAGGED))),
        ("UNSEEN", not(flag(Flags::SEEN))),
        ("RECENT", SearchKey::Recent),
        ("OLD", not(SearchKey::Recent)),
        (
            "NEW",
            SearchKey::And(vec![SearchKey::Recent, not(flag(Flags::SEEN))]),
        ),
        ("KEYWORD $Work", SearchKey::Keyword("$Work".into())),
        ("UNKEYWORD Work", not(SearchKey::Keyword("Work".into()))),
        ("BCC x", SearchKey::Bcc(text("x"))),
        ("BODY \"a b\"", SearchKey::Body(text("a b"))),
        ("CC x", SearchKey::Cc(text("x"))),
        ("SUBJECT \"\"", SearchKey::Subject(text(""))),
        ("TO {1}\r\n\u{1}", SearchKey::To(text("\u{1}"))),
        (
            "HEADER Message-ID <a@b>",
            SearchKey::Header(text("Message-ID"), text("<a@b>")),
        ),
        ("BEFORE 1-Jan-1970", SearchKey::Before(0)),
        ("ON \"2-Jan-1970\"", SearchKey::On(1)),
        ("SENTBEFORE 1-Jan-1970", SearchKey::SentBefore(0)),
        ("SENTON 1-Jan-1970", SearchKey::SentOn(0)),
        ("SENTSINCE 1-Jan-1970", SearchKey::SentSince(0)),
        ("LARGER 50000", SearchKey::Larger(50_000)),
        ("SMALLER 0", SearchKey::Smaller(0)),
        ("UID 443:557", SearchKey::Uid(set(&[(443, 557)]))),
        ("1:*,*", SearchKey::Sequence(set(&[(1, 0), (0, 0)]))),
        ("((ALL))", SearchKey::All),
        ("MODSEQ 620162338", SearchKey::ModSeq(620_162_338)),
        // RFC 7162 §3.1.5.
        (
            "MODSEQ \"/flags/\\\\draft\" all 620162338",
            SearchKey::ModSeq(620_162_338),
        ),
        (
            "OR NOT MODSEQ 720162338 LARGER 50000",
            SearchKey::Or(
                Box::new(not(SearchKey::ModSeq(720_162_338))),
                Box::new(SearchKey::Larger(50_000)),
            ),
        ),
    ] {
        assert_eq!(key(keys), expected, "{keys}");
    }
}

fn fetched(items: &str) -> Vec<FetchItem> {
    match body(format!("a FETCH 1 {items}")) {
        Body::Fetch { items, .. } => items,
        other => panic!("{items}: {other:?}"),
    }
}

fn section(part: &[u32], text: SectionText) -> Section {
    Section {
        part: part.to_vec(),
        text,
    }
}

#[test]
fn fetch() {
    use FetchItem::{
        BodyStructure, Envelope, Flags, InternalDate, ModSeq, Rfc822, Rfc822Header, Rfc822Size,
        Rfc822Text, Uid,
    };
    // RFC 9051 §6.4.5.
    let fields = SectionText::HeaderFields(octets(&["DATE", "FROM"]));
    let item = FetchItem::Section {
        peek: false,
        section: section(&[], fields),
        partial: None,
    };
    assert_eq!(
        body("A654 FETCH 2:4 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])"),
        Body::Fetch {
            uid: false,
            set: set(&[(2, 4)]),
            items: vec![Flags, item],
            modifiers: Modifiers::default(),
        }
    );
    assert_eq!(
        body("A999 UID FETCH 4827313:4828442 FLAGS"),
        Body::Fetch {
            uid: true,
            set: set(&[(4_827_313, 4_828_442)]),
            items: vec![Flags],
            modifiers: Modifiers::default(),
        }
    );
    let fast = vec![Flags, InternalDate, Rfc822Size];
    let all = [fast.clone(), vec![Envelope]].concat();
    assert_eq!(fetched("fast"), fast);
    assert_eq!(fetched("ALL"), all);
    assert_eq!(fetched("FULL"), [all, vec![FetchItem::Body]].concat());
    assert_eq!(
        fetched("(UID BODY BODYSTRUCTURE ENVELOPE MODSEQ RFC822 RFC822.HEADER RFC822.TEXT)"),
        [
            Uid,
            FetchItem::Body,
            BodyStructure,
            Envelope,
            ModSeq,
            Rfc822,
            Rfc822Header,
            Rfc822Text
        ]
    );
}

#[test]
fn what_is_no_fetch() {
    for line in [
        "a FETCH",
        "a FETCH 1",
        "a FETCH 1 ()",
        "a FETCH 1 (ALL)",
        "a FETCH 1 (FLAGS FAST)",
        "a FETCH 1 FLAGS UID",
        "a FETCH 1 (FLAGS) (CHANGEDSINCE 5",
        "a FETCH 1 FOO",
        "a FETCH x FLAGS",
        "a FETCH 1 (FLAGS UID",
        "a FETCH 0 FLAGS",
        "a FETCH 1 RFC822.SIZE[]",
        "a FETCH 1 BODYSTRUCTURE[1]",
        "a FETCH 1 BODY.PEEK",
        "a FETCH 1 BINARY",
    ] {
        assert!(matches!(fault(line), Fault::Syntax(_)), "{line}");
    }
}

#[test]
fn fetch_sections() {
    use SectionText::*;
    let names = || octets(&["Subject", "x y"]);
    for (text, expected) in [
        ("[]", section(&[], All)),
        ("[HEADER]", section(&[], Header)),
        ("[TEXT]", section(&[], Text)),
        ("[1]", section(&[1], All)),
        ("[4.2.2.1.MIME]", section(&[4, 2, 2, 1], Mime)),
        ("[4.1.header]", section(&[4, 1], Header)),
        ("[4.2.TEXT]", section(&[4, 2], Text)),
        (
            "[HEADER.FIELDS.NOT (Subject \"x y\")]",
            section(&[], HeaderFieldsNot(names())),
        ),
        (
            "[3.HEADER.FIELDS ({7}\r\nSubject {3+}\r\nx y)]",
            section(&[3], HeaderFields(names())),
        ),
    ] {
        for (word, peek) in [("BODY", false), ("BODY.PEEK", true)] {
            let expected = FetchItem::Section {
                peek,
                section: expected.clone(),
                partial: None,
            };
            assert_eq!(
                fetched(&format!("{word}{text}")),
                [expected],
                "{word}{text}"
            );
        }
    }
    let partial = |text: &str| match fetched(text).remove(0) {
        FetchItem::Section { partial, .. } | FetchItem::Binary { partial, .. } => partial,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(partial("BODY[]<0.2048>"), Some((0, 2048)));
    assert_eq!(
        partial("BODY[]<4294967296.9223372036854775807>"),
        Some((u32::MAX, u32::MAX))
    );
    assert_eq!(partial("BINARY[1]<1.1>"), Some((1, 1)));
    let (peek, part) = (true, vec![1, 2]);
    assert_eq!(
        fetched("BINARY.PEEK[1.2]"),
        [FetchItem::Binary {
            peek,
            part,
            partial: None
        }]
    );
    assert_eq!(fetched("BINARY.SIZE[]"), [FetchItem::BinarySize(vec![])]);
}

#[test]
fn what_is_no_section() {
    for item in [
        "BODY[",
        "BODY[1",
        "BODY[1.]",
        "BODY[.1]",
        "BODY[0]",
        "BODY[01]",
        "BODY[MIME]",
        "BODY[FOO]",
        "BODY[1HEADER]",
        "BODY[HEADER.1]",
        "BODY[HEADER.FIELDS]",
        "BODY[HEADER.FIELDS ()]",
        "BODY[HEADER.FIELDS(x)]",
        "BODY[TEXT ]",
        "BODY[]<1>",
        "BODY[]<1.0>",
        "BODY[]<1.2",
        "BODY[]<.2>",
        "BODY[]<9223372036854775808.1>",
        "BINARY[TEXT]",
        "BINARY.SIZE[1]<0.1>",
        "BODY []",
    ] {
        assert!(
            matches!(fault(format!("a FETCH 1 {item}")), Fault::Syntax(_)),
            "{item}"
        );
    }
}

#[test]
fn store() {
    // RFC 9051 §6.4.6 to §6.4.9, RFC 7162 §3.1.3.
    let store = |op, silent, flags, keywords: &[&str], unchanged_since| Store {
        op,
        silent,
        flags: FlagList {
            flags,
            keywords: names(keywords),
        },
        unchanged_since,
    };
    assert_eq!(
        body("A003 STORE 2:4 +FLAGS (\\Deleted)"),
        Body::Store {
            uid: false,
            set: set(&[(2, 4)]),
            store: store(StoreOp::Add, false, Flags::DELETED, &[], None),
        }
    );
    assert_eq!(
        body("a103 UID STORE 6,4,8 (UNCHANGEDSINCE 12121230045) -flags.silent \\Seen $MDNSent x"),
        Body::Store {
            uid: true,
            set: set(&[(6, 6), (4, 4), (8, 8)]),
            store: store(
                StoreOp::Remove,
                true,
                Flags::SEEN,
                &["$MDNSent", "x"],
                Some(12_121_230_045)
            ),
        }
    );
    assert_eq!(
        body("a STORE $ FLAGS (\\RECENT \\answered WORK Work)"),
        Body::Store {
            uid: false,
            set: SequenceSet::Saved,
            store: store(StoreOp::Set, false, Flags::ANSWERED, &["WORK"], None),
        }
    );
    let empty = store(StoreOp::Set, false, Flags::NONE, &[], None);
    assert_eq!(
        body("a STORE 1 FLAGS ()"),
        Body::Store {
            uid: false,
            set: set(&[(1, 1)]),
            store: empty
        }
    );
}

#[test]
fn copy_move_expunge() {
    let mailbox = "MEETING".to_owned();
    assert_eq!(
        body("A003 COPY 2:4 MEETING"),
        Body::Copy {
            uid: false,
            set: set(&[(2, 4)]),
            mailbox
        }
    );
    let mailbox = "foo".to_owned();
    assert_eq!(
        body("a UID MOVE 42:69 foo"),
        Body::Move {
            uid: true,
            set: set(&[(42, 69)]),
            mailbox
        }
    );
    assert_eq!(
        body("A003 UID EXPUNGE 3000:3002"),
        Body::UidExpunge(set(&[(3000, 3002)]))
    );
    assert_eq!(body("A202 EXPUNGE"), Body::Expunge);
    assert_eq!(body("A341 CLOSE"), Body::Close);
    assert_eq!(body("A341 UNSELECT"), Body::Unselect);
    assert_eq!(body("FXXZ CHECK"), Body::Check);
}

#[test]
fn what_is_no_store_or_copy() {
    for line in [
        "a STORE 1 FLAGS",
        "a STORE 1 +FLAGS",
        "a STORE 1 FLAGS (\\Foo)",
        "a STORE 1 FLAGS (\\*)",
        "a STORE 1 FLAGS \\",
        "a STORE 1 FLAG (x)",
        "a STORE 1 ++FLAGS (x)",
        "a STORE 1 + FLAGS (x)",
        "a STORE 1 (FOO 1) FLAGS x",
        "a STORE 1 (UNCHANGEDSINCE) FLAGS x",
        "a STORE 1 FLAGS (x  y)",
        "a STORE 1 FLAGS (\"x\")",
        "a COPY 1",
        "a COPY INBOX",
        "a UID EXPUNGE",
        "a MOVE 1 a b",
        "a EXPUNGE 1",
    ] {
        assert!(matches!(fault(line), Fault::Syntax(_)), "{line}");
    }
    for line in ["a UID NOOP", "a UID", "a UID FOO 1"] {
        assert!(
            matches!(fault(line), Fault::UnknownCommand | Fault::Syntax(_)),
            "{line}"
        );
    }
}
