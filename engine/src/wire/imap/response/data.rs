//! Untagged data: capabilities, mailboxes, sizes, search results (RFC 9051 §7.2 to §7.5).

use store::mail::flags::{Flags, Keywords};
use store::mail::id::{AccountId, MailboxId};
use store::mail::mailbox::{SEPARATOR, SpecialUse};

use super::{CRLF, List, flag_list, mailbox, number, string};

/// `* CAPABILITY …` with the words of [`super::super::capability`].
pub fn capability(out: &mut Vec<u8>, words: &str) {
    line(out, "CAPABILITY", |out| {
        out.push(b' ');
        out.extend_from_slice(words.as_bytes());
    });
}

/// `* ENABLED …` (RFC 5161 §3.2); the words are ours, not the client's.
pub fn enabled(out: &mut Vec<u8>, words: &[&'static str]) {
    line(out, "ENABLED", |out| {
        for word in words {
            out.push(b' ');
            out.extend_from_slice(word.as_bytes());
        }
    });
}

/// `* ID ("name" "Ringpost" …)`.
pub fn id(out: &mut Vec<u8>, pairs: &[(&str, &str)]) {
    line(out, "ID ", |out| {
        let mut list = List::open(out);
        for (field, value) in pairs {
            string(list.next(out), field.as_bytes(), false);
            string(list.next(out), value.as_bytes(), false);
        }
        list.close(out);
    });
}

/// `* NAMESPACE (("" "/")) (("Other Users/" "/")) NIL`: personal, of others, shared (RFC 2342 §5);
/// prefixes are our own.
pub fn namespace(out: &mut Vec<u8>, prefixes: [Option<&'static str>; 3]) {
    line(out, "NAMESPACE", |out| {
        for prefix in prefixes {
            let Some(prefix) = prefix else {
                out.extend_from_slice(b" NIL");
                continue;
            };
            out.extend_from_slice(b" ((\"");
            out.extend_from_slice(prefix.as_bytes());
            out.extend_from_slice(b"\" ");
            separator(out);
            out.extend_from_slice(b"))");
        }
    });
}

/// A mailbox as LIST shows it (RFC 9051 §7.3.1). Each attribute is shown where it is true.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Listed<'a> {
    pub name: &'a str,
    /// Implies `\Noselect` (RFC 5258 §3).
    pub nonexistent: bool,
    pub subscribed: bool,
    /// `Some` only where CHILDREN was asked for, or costs nothing.
    pub has_children: Option<bool>,
    pub special_use: SpecialUse,
    /// CHILDINFO: what a mailbox below meets that this one need not (RFC 5258 §4).
    pub child_info: &'a [&'static str],
    /// OLDNAME: what the client called it before we normalised the name (RFC 9051 §6.3.9.7).
    pub old_name: Option<&'a str>,
}

/// `* LIST (…) "/" name`.
pub fn list(out: &mut Vec<u8>, listed: &Listed<'_>, utf8: bool) {
    line(out, "LIST ", |out| {
        attributes(out, listed);
        out.push(b' ');
        separator(out);
        out.push(b' ');
        mailbox(out, listed.name, utf8);
        extended_data(out, listed, utf8);
    });
}

/// `* LSUB (…) "/" name`; `\Noselect` marks a level above a subscribed one (RFC 3501 §6.3.9).
pub fn lsub(out: &mut Vec<u8>, name: &str, no_select: bool, utf8: bool) {
    line(out, "LSUB ", |out| {
        out.extend_from_slice(if no_select { b"(\\Noselect) " } else { b"() " });
        separator(out);
        out.push(b' ');
        mailbox(out, name, utf8);
    });
}

/// `* LIST (\Noselect) "/" ""`: the answer to an empty pattern (RFC 9051 §6.3.9).
pub fn list_separator(out: &mut Vec<u8>) {
    line(out, "LIST (\\Noselect) ", |out| {
        separator(out);
        out.extend_from_slice(b" \"\"");
    });
}

/// A value of STATUS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StatusValue {
    Messages(u32),
    UidNext(u32),
    UidValidity(u32),
    Unseen(u32),
    Deleted(u32),
    /// RFC 9208 §4.1.4.
    DeletedStorage(u64),
    Size(u64),
    Recent(u32),
    /// RFC 7889 §4: `None` where there is no limit.
    AppendLimit(Option<u64>),
    HighestModSeq(u64),
    /// RFC 8474 §4.3.
    MailboxId(AccountId, MailboxId),
}

/// `* STATUS name (MESSAGES 3 …)`.
pub fn status(out: &mut Vec<u8>, name: &str, values: &[StatusValue], utf8: bool) {
    line(out, "STATUS ", |out| {
        mailbox(out, name, utf8);
        out.push(b' ');
        let mut list = List::open(out);
        for value in values {
            status_value(list.next(out), *value);
        }
        list.close(out);
    });
}

/// `* FLAGS (…)`: every flag that messages of the mailbox may have.
pub fn flags(out: &mut Vec<u8>, table: &[String]) {
    line(out, "FLAGS ", |out| {
        flag_list(out, Flags::ALL, Keywords(u64::MAX), table, false);
    });
}

/// `* n EXISTS`.
pub fn exists(out: &mut Vec<u8>, messages: u32) {
    counted(out, messages, "EXISTS");
}

/// `* n RECENT` (RFC 3501 §7.3.2).
pub fn recent(out: &mut Vec<u8>, messages: u32) {
    counted(out, messages, "RECENT");
}

/// `* n EXPUNGE`.
pub fn expunge(out: &mut Vec<u8>, sequence: u32) {
    counted(out, sequence, "EXPUNGE");
}

/// `* SEARCH 2 3 6`, with the highest MODSEQ where the search asked for one (RFC 7162 §3.1.5).
pub fn search(out: &mut Vec<u8>, found: impl IntoIterator<Item = u32>, modseq: Option<u64>) {
    line(out, "SEARCH", |out| {
        for found in found {
            out.push(b' ');
            number(out, found.into());
        }
        if let Some(modseq) = modseq {
            out.extend_from_slice(b" (MODSEQ ");
            number(out, modseq);
            out.push(b')');
        }
    });
}

/// `* `, the word, the rest, CRLF.
pub(super) fn line(out: &mut Vec<u8>, word: &str, rest: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(b"* ");
    out.extend_from_slice(word.as_bytes());
    rest(out);
    out.extend_from_slice(CRLF);
}

fn counted(out: &mut Vec<u8>, count: u32, word: &str) {
    out.extend_from_slice(b"* ");
    labelled_after(out, count, word);
    out.extend_from_slice(CRLF);
}

fn labelled_after(out: &mut Vec<u8>, count: u32, word: &str) {
    number(out, count.into());
    out.push(b' ');
    out.extend_from_slice(word.as_bytes());
}

fn separator(out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'"', SEPARATOR as u8, b'"']);
}

fn attributes(out: &mut Vec<u8>, listed: &Listed<'_>) {
    let mut list = List::open(out);
    let mut show = |shown: bool, attribute: &str| {
        if shown {
            list.next(out).extend_from_slice(attribute.as_bytes());
        }
    };
    show(listed.nonexistent, "\\NonExistent");
    // RFC 3501 clients know only \Noselect.
    show(listed.nonexistent, "\\Noselect");
    show(listed.subscribed, "\\Subscribed");
    show(listed.has_children == Some(true), "\\HasChildren");
    show(listed.has_children == Some(false), "\\HasNoChildren");
    for (bit, attribute) in SPECIAL_USES {
        show(listed.special_use.0 & bit.0 != 0, attribute);
    }
    list.close(out);
}

/// The attributes of RFC 6154 §2 in both directions.
pub const SPECIAL_USES: [(SpecialUse, &str); 7] = [
    (SpecialUse::ALL, "\\All"),
    (SpecialUse::ARCHIVE, "\\Archive"),
    (SpecialUse::DRAFTS, "\\Drafts"),
    (SpecialUse::FLAGGED, "\\Flagged"),
    (SpecialUse::JUNK, "\\Junk"),
    (SpecialUse::SENT, "\\Sent"),
    (SpecialUse::TRASH, "\\Trash"),
];

/// ` ("CHILDINFO" ("SUBSCRIBED"))` and ` ("OLDNAME" ("name"))` (RFC 5258 §6, RFC 9051 §6.3.9.7).
fn extended_data(out: &mut Vec<u8>, listed: &Listed<'_>, utf8: bool) {
    if listed.child_info.is_empty() && listed.old_name.is_none() {
        return;
    }
    out.push(b' ');
    let mut list = List::open(out);
    if !listed.child_info.is_empty() {
        list.next(out).extend_from_slice(b"\"CHILDINFO\" ");
        let mut options = List::open(out);
        for option in listed.child_info {
            string(options.next(out), option.as_bytes(), false);
        }
        options.close(out);
    }
    if let Some(name) = listed.old_name {
        list.next(out).extend_from_slice(b"\"OLDNAME\" (");
        mailbox(out, name, utf8);
        out.push(b')');
    }
    list.close(out);
}

/// Never given to another mailbox, and kept under a new name (RFC 8474 §4).
pub fn mailbox_id(out: &mut Vec<u8>, account: AccountId, mailbox: MailboxId) {
    out.extend_from_slice(format!("F{:x}-{:x}", account.0, mailbox.0).as_bytes());
}

fn status_value(out: &mut Vec<u8>, value: StatusValue) {
    if let StatusValue::MailboxId(account, mailbox) = value {
        out.extend_from_slice(b"MAILBOXID (");
        mailbox_id(out, account, mailbox);
        return out.push(b')');
    }
    let (label, value) = match value {
        StatusValue::Messages(n) => ("MESSAGES", Some(n.into())),
        StatusValue::UidNext(n) => ("UIDNEXT", Some(n.into())),
        StatusValue::UidValidity(n) => ("UIDVALIDITY", Some(n.into())),
        StatusValue::Unseen(n) => ("UNSEEN", Some(n.into())),
        StatusValue::Deleted(n) => ("DELETED", Some(n.into())),
        StatusValue::DeletedStorage(n) => ("DELETED-STORAGE", Some(n)),
        StatusValue::Size(n) => ("SIZE", Some(n)),
        StatusValue::Recent(n) => ("RECENT", Some(n.into())),
        StatusValue::AppendLimit(n) => ("APPENDLIMIT", n),
        StatusValue::HighestModSeq(n) => ("HIGHESTMODSEQ", Some(n)),
        StatusValue::MailboxId(..) => return,
    };
    out.extend_from_slice(label.as_bytes());
    out.push(b' ');
    match value {
        Some(value) => number(out, value),
        None => out.extend_from_slice(b"NIL"),
    }
}
