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
    let text = |name: &str| {
        header::last(header, name)
            .map(unfold)
            .filter(|t| !t.is_empty())
    };
    let from = once(header, "from");
    let or_from = |name: &str| Some(once(header, name)).filter(|l| !l.is_empty());
    let sender = or_from("sender");
    let reply_to = or_from("reply-to");
    out.push(b'(');
    nstring(text("date").as_deref(), out);
    out.push(b' ');
    nstring(text("subject").as_deref(), out);
    for list in [
        &from,
        sender.as_ref().unwrap_or(&from),
        reply_to.as_ref().unwrap_or(&from),
    ] {
        out.push(b' ');
        addresses(list, out);
    }
    for name in ["to", "cc", "bcc"] {
        out.push(b' ');
        addresses(&merged(header, name), out);
    }
    for name in ["in-reply-to", "message-id"] {
        out.push(b' ');
        nstring(text(name).as_deref(), out);
    }
    out.push(b')');
}

fn once(header: &[u8], name: &str) -> Vec<Entry> {
    header::last(header, name)
        .map(address::parse)
        .unwrap_or_default()
}

fn merged(header: &[u8], name: &str) -> Vec<Entry> {
    let fields = header::fields(header).filter(|f| f.is(name));
    fields
        .flat_map(|f| address::parse(f.value))
        .take(ADDRESSES_MAX)
        .collect()
}

fn addresses(list: &[Entry], out: &mut Vec<u8>) {
    if list.is_empty() {
        return nstring(None, out);
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
    out.push(b')');
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
                "(NIL NIL {last} {last} {last} \
                ((NIL NIL \"G\" NIL)(NIL NIL \"a\" \"b\")(NIL NIL NIL NIL)) \
                ((NIL NIL \"c\" \"d\")(NIL NIL \"e\" \"f\")) NIL NIL NIL)"
            )
        );
    }

    #[test]
    fn an_empty_header_is_all_nil() {
        assert_eq!(show(""), "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
    }
}
