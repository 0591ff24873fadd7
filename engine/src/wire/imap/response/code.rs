//! Status responses and the codes in brackets (RFC 9051 §7.1, RFC 5530, RFC 4315, RFC 7162).
//!
//! A human text is `&'static str` from `text.rs` or `fault.rs`: nothing a client said can be one.

use store::mail::flags::{Flags, Keywords};
use store::mail::id::{AccountId, MailboxId, ModSeq, Uid, UidValidity};
use store::mail::uidset::UidSet;

use super::super::fault::{Bad, Fault};
use super::super::set::write_set;
use super::data::mailbox_id;
use super::sharing::MetadataCode;
use super::{CRLF, Condition, List, flag_list, number, text};

/// A response code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Code<'a> {
    Alert,
    AlreadyExists,
    /// RFC 4315 §3; a set where several were appended (RFC 3502).
    AppendUid(UidValidity, &'a UidSet),
    AuthenticationFailed,
    AuthorizationFailed,
    /// RFC 4469 §4.1: the URL that failed, as it was sent.
    BadUrl(&'a [u8]),
    /// RFC 9051 §7.1: with the charsets that can be searched.
    BadCharset(&'a [&'a str]),
    /// RFC 5465 §3.1: with the events that can be asked for.
    BadEvent(&'a [&'a str]),
    Cannot,
    /// The words of [`super::super::capability`].
    Capability(&'a str),
    ClientBug,
    Closed,
    /// RFC 4978 §3.
    CompressionActive,
    ContactAdmin,
    CopyUid(UidValidity, &'a UidSet, &'a UidSet),
    Corruption,
    Expired,
    ExpungeIssued,
    HasChildren,
    HighestModSeq(ModSeq),
    /// RFC 9585 §5: of the command with this tag; steps done, and how many there are, if known.
    InProgress(&'a str, Option<(u64, u64)>),
    InUse,
    Limit,
    /// RFC 8474 §4.
    MailboxId(AccountId, MailboxId),
    Metadata(MetadataCode),
    /// RFC 9738 §3.1: the limit, and the lowest UID of those that were looked at.
    MessageLimit(u32, Option<Uid>),
    /// What a conditional STORE left alone (RFC 7162 §3.1.3).
    Modified(&'a UidSet),
    NoModSeq,
    Nonexistent,
    NoPerm,
    NotSaved,
    /// RFC 5465 §5.8.
    NotificationOverflow,
    OverQuota,
    /// System flags, keywords by table, and whether new keywords can be made.
    PermanentFlags(Flags, &'a [String], bool),
    PrivacyRequired,
    ReadOnly,
    ReadWrite,
    ServerBug,
    TooBig,
    /// RFC 10022 §3.1: batches smaller than we make them.
    TooFew,
    /// RFC 10022 §3.1.5.
    TooMany,
    TryCreate,
    UidNext(Uid),
    UidNotSticky,
    /// RFC 9586 §3: a message number where only UIDs may be.
    UidRequired,
    UidValidity(UidValidity),
    Unavailable,
    UnknownCte,
    /// RFC 3501 §7.1 only: the first unseen message.
    Unseen(u32),
    /// RFC 6154 §3: CREATE with a special use that cannot be had.
    UseAttr,
}

/// `tag OK [CODE] text`.
pub fn tagged(
    out: &mut Vec<u8>,
    tag: &str,
    condition: Condition,
    code: Option<Code<'_>>,
    text: &'static str,
) {
    out.extend_from_slice(tag.as_bytes());
    status(out, word_of(condition), code, text);
}

/// `* OK [CODE] text`.
pub fn untagged(
    out: &mut Vec<u8>,
    condition: Condition,
    code: Option<Code<'_>>,
    text: &'static str,
) {
    out.push(b'*');
    status(out, word_of(condition), code, text);
}

/// `* BYE text`.
pub fn bye(out: &mut Vec<u8>, code: Option<Code<'_>>, text: &'static str) {
    out.push(b'*');
    status(out, b" BYE ", code, text);
}

/// The answer to a command that was not understood.
pub fn bad(out: &mut Vec<u8>, bad: &Bad) {
    let code = bad.fault.is_too_big().then_some(Code::TooBig);
    let text = bad.fault.text();
    match &bad.tag {
        Some(tag) => tagged(out, tag, Condition::Bad, code, text),
        None => untagged(out, Condition::Bad, code, text),
    }
}

/// What ends a connection whose client sends more than can be skipped: BAD if a command waits for
/// it, and BYE.
pub fn fatal(out: &mut Vec<u8>, ending: &Bad) {
    if ending.tag.is_some() {
        bad(out, ending);
    }
    let code = ending.fault.is_too_big().then_some(Code::TooBig);
    bye(out, code, text::TOO_MUCH);
}

/// `+ OK`: the literal may come (RFC 9051 §7.6).
pub fn go_ahead(out: &mut Vec<u8>) {
    out.extend_from_slice(b"+ OK\r\n");
}

/// `+ ` and base64 of a SASL challenge, empty for none (RFC 9051 §6.2.2).
pub fn challenge(out: &mut Vec<u8>, octets: &[u8]) {
    use base64::Engine;
    out.extend_from_slice(b"+ ");
    let text = base64::engine::general_purpose::STANDARD.encode(octets);
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(CRLF);
}

/// `+ idling` (RFC 9051 §6.3.13).
pub fn idling(out: &mut Vec<u8>) {
    out.extend_from_slice(b"+ idling\r\n");
}

fn word_of(condition: Condition) -> &'static [u8] {
    match condition {
        Condition::Ok => b" OK ",
        Condition::No => b" NO ",
        Condition::Bad => b" BAD ",
    }
}

fn status(out: &mut Vec<u8>, word: &[u8], code: Option<Code<'_>>, text: &'static str) {
    debug_assert!(!text.is_empty() && !text.contains(['\r', '\n']));
    out.extend_from_slice(word);
    if let Some(code) = code {
        out.push(b'[');
        write_code(out, code);
        out.extend_from_slice(b"] ");
    }
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(CRLF);
}

fn write_code(out: &mut Vec<u8>, code: Code<'_>) {
    out.extend_from_slice(word_of_code(code).as_bytes());
    match code {
        Code::AppendUid(validity, uids) => {
            argument(out, validity.0.into());
            set_argument(out, uids);
        }
        Code::BadUrl(url) => url_argument(out, url),
        Code::MailboxId(account, mailbox) => {
            out.extend_from_slice(b" (");
            mailbox_id(out, account, mailbox);
            out.push(b')');
        }
        Code::InProgress(tag, come) => {
            out.extend_from_slice(b" (");
            super::string(out, tag.as_bytes(), false);
            match come {
                Some((done, goal)) => {
                    argument(out, done);
                    argument(out, goal);
                }
                None => out.extend_from_slice(b" NIL NIL"),
            }
            out.push(b')');
        }
        Code::BadCharset(words) | Code::BadEvent(words) => word_list(out, words),
        Code::Capability(words) => {
            out.push(b' ');
            out.extend_from_slice(words.as_bytes());
        }
        Code::CopyUid(validity, source, target) => {
            argument(out, validity.0.into());
            set_argument(out, source);
            set_argument(out, target);
        }
        Code::HighestModSeq(modseq) => argument(out, modseq.0),
        Code::Metadata(code) => code.write(out),
        Code::MessageLimit(limit, lowest) => {
            argument(out, limit.into());
            lowest
                .into_iter()
                .for_each(|uid| argument(out, uid.0.into()));
        }
        Code::Modified(set) => set_argument(out, set),
        Code::PermanentFlags(flags, table, open) => permanent_flags(out, flags, table, open),
        Code::UidNext(uid) => argument(out, uid.0.into()),
        Code::UidValidity(validity) => argument(out, validity.0.into()),
        Code::Unseen(sequence) => argument(out, sequence.into()),
        _ => {}
    }
}

fn word_of_code(code: Code<'_>) -> &'static str {
    match code {
        Code::Alert => "ALERT",
        Code::AlreadyExists => "ALREADYEXISTS",
        Code::AppendUid(..) => "APPENDUID",
        Code::AuthenticationFailed => "AUTHENTICATIONFAILED",
        Code::AuthorizationFailed => "AUTHORIZATIONFAILED",
        Code::BadCharset(_) => "BADCHARSET",
        Code::BadUrl(_) => "BADURL",
        Code::BadEvent(_) => "BADEVENT",
        Code::Cannot => "CANNOT",
        Code::Capability(_) => "CAPABILITY",
        Code::ClientBug => "CLIENTBUG",
        Code::Closed => "CLOSED",
        Code::CompressionActive => "COMPRESSIONACTIVE",
        Code::ContactAdmin => "CONTACTADMIN",
        Code::CopyUid(..) => "COPYUID",
        Code::Corruption => "CORRUPTION",
        Code::Expired => "EXPIRED",
        Code::ExpungeIssued => "EXPUNGEISSUED",
        Code::HasChildren => "HASCHILDREN",
        Code::HighestModSeq(_) => "HIGHESTMODSEQ",
        Code::InProgress(..) => "INPROGRESS",
        Code::InUse => "INUSE",
        Code::Limit => "LIMIT",
        Code::MailboxId(..) => "MAILBOXID",
        Code::Metadata(_) => "METADATA",
        Code::MessageLimit(..) => "MESSAGELIMIT",
        Code::Modified(_) => "MODIFIED",
        Code::NoModSeq => "NOMODSEQ",
        Code::Nonexistent => "NONEXISTENT",
        Code::NoPerm => "NOPERM",
        Code::NotSaved => "NOTSAVED",
        Code::NotificationOverflow => "NOTIFICATIONOVERFLOW",
        Code::OverQuota => "OVERQUOTA",
        Code::PermanentFlags(..) => "PERMANENTFLAGS",
        Code::PrivacyRequired => "PRIVACYREQUIRED",
        Code::ReadOnly => "READ-ONLY",
        Code::ReadWrite => "READ-WRITE",
        Code::ServerBug => "SERVERBUG",
        Code::TooBig => "TOOBIG",
        Code::TooFew => "TOOFEW",
        Code::TooMany => "TOOMANY",
        Code::TryCreate => "TRYCREATE",
        Code::UidNext(_) => "UIDNEXT",
        Code::UidNotSticky => "UIDNOTSTICKY",
        Code::UidRequired => "UIDREQUIRED",
        Code::UidValidity(_) => "UIDVALIDITY",
        Code::Unavailable => "UNAVAILABLE",
        Code::UnknownCte => "UNKNOWN-CTE",
        Code::Unseen(_) => "UNSEEN",
        Code::UseAttr => "USEATTR",
    }
}

fn argument(out: &mut Vec<u8>, argument: u64) {
    out.push(b' ');
    number(out, argument);
}

fn set_argument(out: &mut Vec<u8>, set: &UidSet) {
    out.push(b' ');
    write_set(out, set);
}

/// What a client sent; octets that would end the code or the line are percent-encoded.
fn url_argument(out: &mut Vec<u8>, url: &[u8]) {
    out.push(b' ');
    for octet in url {
        match octet {
            b']' | b'\\' | b'\"' | 0..=b' ' | 0x7f.. => {
                out.extend_from_slice(format!("%{octet:02X}").as_bytes());
            }
            octet => out.push(*octet),
        }
    }
}

fn word_list(out: &mut Vec<u8>, words: &[&str]) {
    if words.is_empty() {
        return;
    }
    out.push(b' ');
    let mut list = List::open(out);
    for word in words {
        super::astring(list.next(out), word.as_bytes(), false);
    }
    list.close(out);
}

/// `(\Seen … keyword … \*)`.
fn permanent_flags(out: &mut Vec<u8>, flags: Flags, table: &[String], open: bool) {
    out.push(b' ');
    let start = out.len();
    flag_list(out, flags, Keywords(u64::MAX), table, false);
    if open {
        out.pop();
        if out.len() > start + 1 {
            out.push(b' ');
        }
        out.extend_from_slice(b"\\*)");
    }
}

impl From<Fault> for Bad {
    /// A fault of a command whose tag is not known.
    fn from(fault: Fault) -> Bad {
        Bad { tag: None, fault }
    }
}
