//! Untagged data of ACL, QUOTA and METADATA (RFC 4314 §3.6 to §3.8, RFC 9208 §4.2, RFC 5464 §4.4).

use super::super::metadata::Entry;
use super::super::quota::Usage;
use super::super::rights::Rights;
use super::data::line;
use super::{List, astring, literal8_header, mailbox, nstring, number};

/// `* ACL mailbox identifier rights …`.
pub fn acl<'a>(
    out: &mut Vec<u8>,
    name: &str,
    entries: impl Iterator<Item = (&'a str, Rights)>,
    utf8: bool,
) {
    line(out, "ACL ", |out| {
        mailbox(out, name, utf8);
        for (identifier, rights) in entries {
            out.push(b' ');
            astring(out, identifier.as_bytes(), utf8);
            out.push(b' ');
            astring(out, rights.shown().as_bytes(), utf8);
        }
    });
}

/// `* LISTRIGHTS mailbox identifier required optional …`: each of `optional` can be granted alone.
pub fn list_rights(
    out: &mut Vec<u8>,
    (name, identifier): (&str, &str),
    required: Rights,
    optional: Rights,
    utf8: bool,
) {
    line(out, "LISTRIGHTS ", |out| {
        mailbox(out, name, utf8);
        out.push(b' ');
        astring(out, identifier.as_bytes(), utf8);
        out.push(b' ');
        astring(out, required.letters().as_bytes(), utf8);
        for letter in optional.shown().bytes() {
            out.extend_from_slice(&[b' ', letter]);
        }
    });
}

/// `* MYRIGHTS mailbox rights`.
pub fn my_rights(out: &mut Vec<u8>, name: &str, rights: Rights, utf8: bool) {
    line(out, "MYRIGHTS ", |out| {
        mailbox(out, name, utf8);
        out.push(b' ');
        astring(out, rights.shown().as_bytes(), utf8);
    });
}

/// `* QUOTA root (STORAGE 10 512 …)`.
pub fn quota(out: &mut Vec<u8>, root: &str, usages: &[Usage], utf8: bool) {
    line(out, "QUOTA ", |out| {
        astring(out, root.as_bytes(), utf8);
        out.push(b' ');
        let mut list = List::open(out);
        for usage in usages {
            let out = list.next(out);
            out.extend_from_slice(usage.resource.name().as_bytes());
            out.push(b' ');
            number(out, usage.used);
            out.push(b' ');
            number(out, usage.limit);
        }
        list.close(out);
    });
}

/// `* QUOTAROOT mailbox root`.
pub fn quota_root(out: &mut Vec<u8>, name: &str, root: &str, utf8: bool) {
    line(out, "QUOTAROOT ", |out| {
        mailbox(out, name, utf8);
        out.push(b' ');
        astring(out, root.as_bytes(), utf8);
    });
}

/// `* METADATA mailbox (entry value …)`.
pub fn metadata<'a>(
    out: &mut Vec<u8>,
    name: &str,
    values: impl Iterator<Item = (&'a Entry, Option<&'a [u8]>)>,
    utf8: bool,
) {
    line(out, "METADATA ", |out| {
        server_or_mailbox(out, name, utf8);
        out.push(b' ');
        let mut list = List::open(out);
        for (entry, value) in values {
            astring(list.next(out), entry.as_str().as_bytes(), utf8);
            out.push(b' ');
            write_value(out, value, utf8);
        }
        list.close(out);
    });
}

/// `* METADATA mailbox entry …`: what has changed (RFC 5464 §4.4.2).
pub fn metadata_changed(out: &mut Vec<u8>, name: &str, entry: &Entry, utf8: bool) {
    line(out, "METADATA ", |out| {
        server_or_mailbox(out, name, utf8);
        out.push(b' ');
        astring(out, entry.as_str().as_bytes(), utf8);
    });
}

fn server_or_mailbox(out: &mut Vec<u8>, name: &str, utf8: bool) {
    match name {
        "" => out.extend_from_slice(b"\"\""),
        name => mailbox(out, name, utf8),
    }
}

/// A value with a NUL in it needs a literal8.
fn write_value(out: &mut Vec<u8>, value: Option<&[u8]>, utf8: bool) {
    match value {
        Some(octets) if octets.contains(&0) => {
            literal8_header(out, octets.len() as u64);
            out.extend_from_slice(octets);
        }
        value => nstring(out, value, utf8),
    }
}

/// What stands behind METADATA in a response code (RFC 5464 §4.2.1, §4.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MetadataCode {
    /// Values were left out that are longer than MAXSIZE; the longest has so many octets.
    LongEntries(u64),
    /// A value is longer than this.
    MaxSize(u64),
    TooMany,
    NoPrivate,
}

impl MetadataCode {
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let (word, argument) = match self {
            MetadataCode::LongEntries(octets) => (" LONGENTRIES ", Some(octets)),
            MetadataCode::MaxSize(octets) => (" MAXSIZE ", Some(octets)),
            MetadataCode::TooMany => (" TOOMANY", None),
            MetadataCode::NoPrivate => (" NOPRIVATE", None),
        };
        out.extend_from_slice(word.as_bytes());
        if let Some(argument) = argument {
            number(out, argument);
        }
    }
}
