//! ENVELOPE (RFC 9051 §7.5.2): the fields of a header that a list of messages shows.
//!
//! Strings are as sent: unfolded, encoded words untouched. A field that may stand once counts the
//! last time; To, Cc and Bcc that stand several times are one list, so that no recipient is lost.
//! A missing or empty Sender or Reply-To is the From field.

use super::address::{self, Entry, Mailbox};
use super::header::{self, unfold};
use super::limit::ADDRESSES_MAX;
use super::nstring::{nstring, string};

/// The fields that make an ENVELOPE, in lower case.
pub(super) const FIELDS: [&str; 10] = [
    "date",
    "subject",
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "bcc",
    "in-reply-to",
    "message-id",
];

/// Writes the ENVELOPE of this header, with its parentheses.
pub fn write(header: &[u8], out: &mut Vec<u8>) {
    write_up_to(header, &mut { ADDRESSES_MAX }, out);
}

/// The same with so many addresses at most, which are taken off; a short address takes eight times
/// its octets here, and a message can hold many messages.
pub(super) fn write_up_to(header: &[u8], room: &mut usize, out: &mut Vec<u8>) {
    let from = once(header, "from", room);
    let sender = once(header, "sender", room);
    let reply_to = once(header, "reply-to", room);
    let or_from = |list| if Vec::is_empty(list) { &from } else { list };
    out.push(b'(');
    text(header, "date", out);
    text(header, "subject", out);
    for list in [&from, or_from(&sender), or_from(&reply_to)] {
        addresses(list, out);
    }
    for name in ["to", "cc", "bcc"] {
        addresses(&merged(header, name, room), out);
    }
    text(header, "in-reply-to", out);
    text(header, "message-id", out);
    out.pop();
    out.push(b')');
}

/// A value as sent, and a space. What is there and empty is an empty string, not NIL.
fn text(header: &[u8], name: &str, out: &mut Vec<u8>) {
    let value = header::last(header, name).map(unfold);
    nstring(value.as_deref(), out);
    out.push(b' ');
}

fn once(header: &[u8], name: &str, room: &mut usize) -> Vec<Entry> {
    let value = header::last(header, name).unwrap_or_default();
    let list = address::parse_up_to(value, *room);
    *room = room.saturating_sub(list.len());
    list
}

fn merged(header: &[u8], name: &str, room: &mut usize) -> Vec<Entry> {
    let mut list = Vec::new();
    for field in header::fields(header).filter(|f| f.is(name)) {
        let more = address::parse_up_to(field.value, *room);
        *room = room.saturating_sub(more.len());
        list.extend(more);
    }
    list
}

/// A list, and a space.
fn addresses(list: &[Entry], out: &mut Vec<u8>) {
    if list.is_empty() {
        return out.extend_from_slice(b"NIL ");
    }
    out.push(b'(');
    for entry in list {
        match entry {
            Entry::Mailbox(mailbox) => self::mailbox(mailbox, out),
            Entry::GroupStart(name) => {
                out.extend_from_slice(b"(NIL NIL ");
                string(name, out);
                out.extend_from_slice(b" NIL)");
            }
            Entry::GroupEnd => out.extend_from_slice(b"(NIL NIL NIL NIL)"),
        }
    }
    out.extend_from_slice(b") ");
}

fn mailbox(mailbox: &Mailbox, out: &mut Vec<u8>) {
    out.push(b'(');
    nstring(mailbox.name.as_deref(), out);
    out.push(b' ');
    nstring(mailbox.route.as_deref(), out);
    out.push(b' ');
    string(&mailbox.local, out);
    out.push(b' ');
    string(&mailbox.domain, out);
    out.push(b')');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(header: &str) -> String {
        let mut out = Vec::new();
        write(header.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_example_of_rfc_9051_section_8() {
        let header = "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n\
            From: Terry Gray <gray@cac.washington.edu>\r\n\
            Subject: IMAP4rev2 WG mtg summary and minutes\r\n\
            To: imap@cac.washington.edu\r\n\
            cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n\
            Message-Id: <B27397-0100000@cac.washington.edu>\r\n\
            MIME-Version: 1.0\r\n\
            Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n";
        let gray = "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\"))";
        assert_eq!(
            show(header),
            format!(
                "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \
                \"IMAP4rev2 WG mtg summary and minutes\" {gray} {gray} {gray} \
                ((NIL NIL \"imap\" \"cac.washington.edu\")) \
                ((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")\
                (\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL \
                \"<B27397-0100000@cac.washington.edu>\")"
            )
        );
    }

    #[test]
    fn groups_duplicates_and_defaults() {
        let header = "from: first@x\r\nFrom: last@x\r\nsender:\r\nTo: G: a@b;\r\nCc: c@d\r\n\
            CC: e@f\r\nSubject: \r\n";
        let last = "((NIL NIL \"last\" \"x\"))";
        assert_eq!(
            show(header),
            format!(
                "(NIL \"\" {last} {last} {last} \
                ((NIL NIL \"G\" NIL)(NIL NIL \"a\" \"b\")(NIL NIL NIL NIL)) \
                ((NIL NIL \"c\" \"d\")(NIL NIL \"e\" \"f\")) NIL NIL NIL)"
            )
        );
    }

    #[test]
    fn a_cut_group_is_closed_and_the_next_list_empty() {
        let mut out = Vec::new();
        write_up_to(b"From: a@b\nTo: G: c@d, e@f;\nCc: g@h\n", &mut 3, &mut out);
        assert!(out.ends_with(
            b"((NIL NIL \"G\" NIL)(NIL NIL \"c\" \"d\")(NIL NIL NIL NIL)) NIL NIL NIL NIL)"
        ));
    }

    /// RFC 9051 §7.5.2: absent is NIL, present but empty is the empty string.
    #[test]
    fn what_is_empty_is_not_absent() {
        assert_eq!(
            show("Subject:\r\nIn-Reply-To: \r\nTo:\r\n\r\n"),
            "(NIL \"\" NIL NIL NIL NIL NIL NIL \"\" NIL)"
        );
    }

    #[test]
    fn an_empty_header_is_all_nil() {
        assert_eq!(show(""), "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
    }
}
