//! The responses that the RFCs show as examples, and no text of a client between them.

use super::super::command::{Section, SectionText};
use super::super::date::DateTimes;
use super::super::fault::{Bad, Fault};
use super::super::response::code::{bad as write_bad, challenge, fatal};
use super::super::response::data::*;
use super::super::response::fetch::Fetch;
use super::super::response::*;
use super::super::set::compress;
use store::mail::date::InternalDate;
use store::mail::flags::{Flags, Keywords};
use store::mail::id::{ModSeq, Uid, UidValidity};
use store::mail::mailbox::SpecialUse;
use store::mail::uidset::UidSet;

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    let text = String::from_utf8(out).unwrap();
    text.strip_suffix("\r\n")
        .expect("a response ends its line")
        .to_owned()
}

fn with_code(code: Code<'_>) -> String {
    written(|out| tagged(out, "a", Condition::Ok, Some(code), "Done"))
}

#[test]
fn status_responses() {
    assert_eq!(
        written(|o| tagged(o, "A1", Condition::Ok, None, text::DONE)),
        "A1 OK Done"
    );
    assert_eq!(
        written(|o| tagged(
            o,
            "A1",
            Condition::No,
            Some(Code::TryCreate),
            text::NO_MAILBOX_CREATE
        )),
        "A1 NO [TRYCREATE] No such mailbox; create it first"
    );
    assert_eq!(
        written(|o| untagged(o, Condition::Ok, Some(Code::Closed), text::CLOSED)),
        "* OK [CLOSED] The previous mailbox is closed"
    );
    assert_eq!(written(|o| bye(o, None, text::LOGOUT)), "* BYE Goodbye");
    assert_eq!(written(go_ahead), "+ OK");
    assert_eq!(written(|o| challenge(o, b"")), "+ ");
    assert_eq!(written(|o| challenge(o, b"r=x")), "+ cj14");
    let fault = Fault::LiteralTooLarge;
    let tag = Some("a".to_owned());
    let tagged = Bad { tag, fault };
    assert_eq!(
        written(|o| write_bad(o, &tagged)),
        "a BAD [TOOBIG] Literal too large"
    );
    assert_eq!(
        written(|o| fatal(o, &tagged)),
        "a BAD [TOOBIG] Literal too large\r\n* BYE [TOOBIG] Too much to read"
    );
    assert_eq!(
        written(|o| write_bad(o, &Fault::NoTag.into())),
        "* BAD A command begins with a tag and a space"
    );
    assert_eq!(
        written(|o| fatal(o, &Fault::LineTooLong.into())),
        "* BYE [TOOBIG] Too much to read"
    );
}

#[test]
fn codes_with_arguments() {
    let (source, target) = (compress([304, 319, 320]), compress([3956, 3957, 3958]));
    let copied = Code::CopyUid(UidValidity(38_505), &source, &target);
    assert_eq!(
        with_code(copied),
        "a OK [COPYUID 38505 304,319:320 3956:3958] Done"
    );
    let uids = UidSet::from_ascending([Uid(3955)]);
    let appended = Code::AppendUid(UidValidity(38_505), &uids);
    assert_eq!(with_code(appended), "a OK [APPENDUID 38505 3955] Done");
    assert_eq!(
        with_code(Code::UidNext(Uid(4392))),
        "a OK [UIDNEXT 4392] Done"
    );
    assert_eq!(
        with_code(Code::UidValidity(UidValidity(1))),
        "a OK [UIDVALIDITY 1] Done"
    );
    assert_eq!(
        with_code(Code::HighestModSeq(ModSeq(7))),
        "a OK [HIGHESTMODSEQ 7] Done"
    );
    assert_eq!(
        with_code(Code::Modified(&compress([7, 9]))),
        "a OK [MODIFIED 7,9] Done"
    );
    assert_eq!(with_code(Code::Unseen(17)), "a OK [UNSEEN 17] Done");
    assert_eq!(
        with_code(Code::BadCharset(&["US-ASCII", "UTF-8"])),
        "a OK [BADCHARSET (US-ASCII UTF-8)] Done"
    );
    assert_eq!(with_code(Code::BadCharset(&[])), "a OK [BADCHARSET] Done");
    assert_eq!(
        with_code(Code::Capability("IMAP4rev2 X")),
        "a OK [CAPABILITY IMAP4rev2 X] Done"
    );
    let table = ["$Work".to_owned()];
    assert_eq!(
        with_code(Code::PermanentFlags(
            Flags::SEEN | Flags::DELETED,
            &table,
            true
        )),
        "a OK [PERMANENTFLAGS (\\Deleted \\Seen $Work \\*)] Done"
    );
    assert_eq!(
        with_code(Code::PermanentFlags(Flags::NONE, &[], true)),
        "a OK [PERMANENTFLAGS (\\*)] Done"
    );
    assert_eq!(
        with_code(Code::PermanentFlags(Flags::NONE, &[], false)),
        "a OK [PERMANENTFLAGS ()] Done"
    );
}

#[test]
fn mailbox_data() {
    assert_eq!(
        written(|o| capability(o, "IMAP4rev2")),
        "* CAPABILITY IMAP4rev2"
    );
    assert_eq!(
        written(|o| enabled(o, &["IMAP4rev2"])),
        "* ENABLED IMAP4rev2"
    );
    assert_eq!(written(|o| enabled(o, &[])), "* ENABLED");
    assert_eq!(
        written(|o| id(o, &[("name", "Ringpost")])),
        "* ID (\"name\" \"Ringpost\")"
    );
    let own = written(|out| namespace(out, [Some(""), None, None]));
    assert_eq!(own, "* NAMESPACE ((\"\" \"/\")) NIL NIL");
    let others = written(|out| namespace(out, [Some(""), Some("Other Users/"), Some("Shared/")]));
    assert_eq!(
        others,
        "* NAMESPACE ((\"\" \"/\")) ((\"Other Users/\" \"/\")) ((\"Shared/\" \"/\"))"
    );
    assert_eq!(written(list_separator), "* LIST (\\Noselect) \"/\" \"\"");
    assert_eq!(
        written(|o| lsub(o, "a b", true, false)),
        "* LSUB (\\Noselect) \"/\" \"a b\""
    );
    let table = ["x".to_owned()];
    assert_eq!(
        written(|o| flags(o, &table)),
        "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft x)"
    );
    assert_eq!(written(|o| exists(o, 172)), "* 172 EXISTS");
    assert_eq!(written(|o| recent(o, 0)), "* 0 RECENT");
    assert_eq!(written(|o| expunge(o, 44)), "* 44 EXPUNGE");
    let values = [
        StatusValue::Messages(231),
        StatusValue::UidNext(44_292),
        StatusValue::Size(1 << 40),
        StatusValue::AppendLimit(None),
    ];
    assert_eq!(
        written(|o| status(o, "blurdybloop", &values, false)),
        "* STATUS blurdybloop (MESSAGES 231 UIDNEXT 44292 SIZE 1099511627776 APPENDLIMIT NIL)"
    );
}

#[test]
fn list_with_all_attributes() {
    let plain = Listed {
        name: "Sent",
        ..Listed::default()
    };
    assert_eq!(written(|o| list(o, &plain, false)), "* LIST () \"/\" Sent");
    let listed = Listed {
        name: "Entwürfe",
        subscribed: true,
        has_children: Some(false),
        special_use: SpecialUse(SpecialUse::DRAFTS.0 | SpecialUse::TRASH.0),
        ..Listed::default()
    };
    assert_eq!(
        written(|o| list(o, &listed, false)),
        "* LIST (\\Subscribed \\HasNoChildren \\Drafts \\Trash) \"/\" Entw&APw-rfe"
    );
    let missing = Listed {
        name: "Foo",
        nonexistent: true,
        has_children: Some(true),
        child_info: &["SUBSCRIBED"],
        old_name: Some("foo x"),
        ..Listed::default()
    };
    assert_eq!(
        written(|o| list(o, &missing, true)),
        "* LIST (\\NonExistent \\Noselect \\HasChildren) \"/\" Foo \
         (\"CHILDINFO\" (\"SUBSCRIBED\") \"OLDNAME\" (\"foo x\"))"
    );
}

#[test]
fn search_results() {
    assert_eq!(
        written(|o| search(o, [2, 84, 882], None)),
        "* SEARCH 2 84 882"
    );
    assert_eq!(written(|o| search(o, [], None)), "* SEARCH");
    assert_eq!(
        written(|o| search(o, [2], Some(917))),
        "* SEARCH 2 (MODSEQ 917)"
    );
}

#[test]
fn fetch_item_by_item() {
    let line = written(|out| {
        let mut fetch = Fetch::open(out, 23);
        fetch.flags(out, Flags::SEEN, Keywords(1), &["x".to_owned()], true);
        fetch.uid(out, Uid(4_827_313));
        fetch.size(out, 44_827);
        fetch.modseq(out, ModSeq(624));
        fetch.internal_date(out, &mut DateTimes::default(), InternalDate::utc(0));
        nstring(fetch.item(out, "ENVELOPE"), None, false);
        fetch.close(out);
    });
    assert_eq!(
        line,
        "* 23 FETCH (FLAGS (\\Seen \\Recent x) UID 4827313 RFC822.SIZE 44827 MODSEQ (624) \
         INTERNALDATE \"01-Jan-1970 00:00:00 +0000\" ENVELOPE NIL)"
    );
}

#[test]
fn fetch_announces_what_is_streamed() {
    let section = |part: &[u32], text| Section {
        part: part.to_vec(),
        text,
    };
    let fields = SectionText::HeaderFields(vec![
        b"From".to_vec(),
        b"a\r\n* BYE".to_vec(),
        b"(".to_vec(),
    ]);
    let line = written(|out| {
        let mut fetch = Fetch::open(out, 1);
        fetch.section(out, &section(&[], SectionText::All), Some(0), Some(2));
        out.extend_from_slice(b"ab");
        fetch.section(out, &section(&[], SectionText::Header), None, None);
        fetch.section(out, &section(&[1, 2], SectionText::Mime), None, None);
        fetch.section(out, &section(&[3], fields), None, Some(0));
        fetch.binary(out, &[1], Some(7), Some(1), true);
        out.push(b'x');
        fetch.binary_size(out, &[1, 1], 5);
        fetch.text(out, "RFC822.TEXT", 1);
        out.push(b'y');
        fetch.close(out);
    });
    assert_eq!(
        line,
        "* 1 FETCH (BODY[]<0> {2}\r\nab BODY[HEADER] NIL BODY[1.2.MIME] NIL \
         BODY[3.HEADER.FIELDS (From {8}\r\na\r\n* BYE \"(\")] {0}\r\n \
         BINARY[1]<7> ~{1}\r\nx BINARY.SIZE[1.1] 5 RFC822.TEXT {1}\r\ny)"
    );
}
