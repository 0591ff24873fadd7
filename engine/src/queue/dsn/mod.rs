//! Delivery status notifications: facts → the octets of one message (RFC 3461, RFC 3464, RFC 6522,
//! RFC 6533).
//!
//! ```text
//! multipart/report
//! ├─ text/plain                    for a person: what happened, to whom, what to do
//! ├─ message/delivery-status       for a program; message/global-delivery-status with UTF-8
//! └─ message/rfc822                the message, as RET, kind and size allow; or
//!    text/rfc822-headers           its header
//! ```
//!
//! Pure: the clock, the id and the message are the caller's. Whom to tell [`is_due`] says; a notice
//! goes to the reverse-path from the null path, and [`build`] makes none for a null path. Replies
//! of other hosts, addresses and headers are other people's text: whatever they hold, they end no
//! line, open no part and stay in their length ([`quote`]).
//!
//! A notice to an ASCII address stays in ASCII but for the message that it returns, so that it
//! passes hosts without SMTPUTF8 (RFC 6533 §3); to another address it is UTF-8.

mod advice;
pub mod class;
mod due;
mod original;
mod person;
mod quote;
mod report;
mod status;
mod words;

#[cfg(test)]
mod class_test;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;

pub use class::{Class, classify};
pub use due::{Event, is_due};
pub use original::RETURNED_BYTES_MAX;
pub use status::Status;

use crate::session::smtp::trace::push_date;
use original::Part;
use quote::graphic;
use store::mail::address::Address;
use store::mail::date::InternalDate;
use store::mail::envelope::{BodyKind, Ret};

/// All that one notice tells.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// This host.
    pub host: &'a str,
    /// An id that no other message has: it becomes Message-ID and boundary.
    pub id: &'a str,
    /// Seconds since 1970, as all times here.
    pub now_secs: i64,
    pub original: Original<'a>,
    /// Those that are told of, [`RECIPIENTS_MAX`] at most; more are left out and counted.
    pub recipients: &'a [Told<'a>],
}

/// The message that is told of.
#[derive(Clone, Copy, Debug)]
pub struct Original<'a> {
    /// The notice goes there; `None` is the null path, which is never told anything.
    pub reverse_path: Option<&'a Address>,
    pub queue_id: &'a str,
    pub arrived_secs: i64,
    /// Decoded, as all parameters of the envelope.
    pub envid: Option<&'a str>,
    /// Until when it was to be delivered (RFC 2852 §6).
    pub by_secs: Option<i64>,
    pub ret: Option<Ret>,
    /// Whether it was declared SMTPUTF8.
    pub smtputf8: bool,
    /// Its octets from the first on: all of them, or at least the header.
    pub octets: &'a [u8],
    /// How many it has.
    pub size: u64,
}

/// What happened to one recipient.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    pub address: &'a Address,
    /// ORCPT, `addr-type;address`.
    pub orcpt: Option<&'a str>,
    pub event: Event,
    pub class: Class,
    pub status: Status,
    pub words: Words<'a>,
    pub attempt_secs: Option<i64>,
    /// Until when it is tried; of [`Event::Delayed`] only.
    pub retry_until_secs: Option<i64>,
}

/// In whose words.
#[derive(Clone, Copy, Debug)]
pub enum Words<'a> {
    /// Another host's: its name and its reply as it came, all lines.
    Remote {
        host: &'a str,
        reply: &'a [u8],
    },
    /// Ours, in one line.
    Local(&'a str),
    None,
}

/// A message to send from `<>`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    pub octets: Vec<u8>,
    pub body: BodyKind,
    /// Whether the next host must know SMTPUTF8.
    pub smtputf8: bool,
}

/// Recipients told of in one notice.
pub const RECIPIENTS_MAX: usize = 1_000;

/// The notice, to be sent from the null reverse-path to that of the message; none where that is
/// null or nobody is told of.
#[must_use]
pub fn build(facts: &Facts<'_>) -> Option<Notice> {
    let to = facts.original.reverse_path?;
    if facts.recipients.is_empty() {
        return None;
    }
    let utf8 = !to.to_string().is_ascii();
    let parts = [
        person::part(facts),
        report::part(facts, utf8),
        original::part(facts),
    ];
    let body = match parts.iter().any(|part| part.body == BodyKind::EightBitMime) {
        true => BodyKind::EightBitMime,
        false => BodyKind::SevenBit,
    };
    let boundary = boundary(facts.id, &parts);
    let mut octets =
        Vec::with_capacity(parts.iter().map(|part| part.octets.len()).sum::<usize>() + 2_048);
    header(facts, to, &boundary, body, &mut octets);
    for part in &parts {
        octets.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
        octets.extend_from_slice(&part.octets);
    }
    octets.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    let smtputf8 = utf8;
    Some(Notice {
        octets,
        body,
        smtputf8,
    })
}

fn header(facts: &Facts<'_>, to: &Address, boundary: &str, body: BodyKind, out: &mut Vec<u8>) {
    let host = graphic(facts.host, quote::NAME_BYTES_MAX);
    let id = graphic(facts.id, quote::NAME_BYTES_MAX);
    out.extend_from_slice(b"Date: ");
    push_date(InternalDate::utc(facts.now_secs), out);
    let to = quote::line(
        &to.to_string(),
        quote::ADDRESS_BYTES_MAX,
        quote::Charset::Utf8,
    );
    let subject = person::subject(facts);
    let head = format!(
        "\r\nFrom: Mail Delivery System <MAILER-DAEMON@{host}>\r\nTo: <{to}>\r\n\
         Subject: {subject}\r\nMessage-ID: <{id}@{host}>\r\n"
    );
    out.extend_from_slice(head.as_bytes());
    if let Some(message_id) = original::message_id(facts.original.octets) {
        // RFC 3834 §3.1.5: so that the notice stands beside what it tells of.
        let thread = format!("In-Reply-To: {message_id}\r\nReferences: {message_id}\r\n");
        out.extend_from_slice(thread.as_bytes());
    }
    let encoding = match body {
        BodyKind::SevenBit => "7bit",
        _ => "8bit",
    };
    let mime = format!(
        "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status;\r\n\
         \tboundary=\"{boundary}\"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n\
         This is a delivery status notification in MIME format (RFC 3464).\r\n"
    );
    out.extend_from_slice(mime.as_bytes());
}

/// A boundary that stands in none of the parts (RFC 2046 §5.1.1). Each try is another string, so
/// that there are fewer tries than octets.
fn boundary(id: &str, parts: &[Part]) -> String {
    let id: String = id
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(BOUNDARY_ID_BYTES_MAX)
        .collect();
    let is_free = |boundary: &String| {
        let finder = memchr::memmem::Finder::new(boundary.as_bytes());
        parts.iter().all(|part| finder.find(&part.octets).is_none())
    };
    (0..=u32::MAX)
        .map(|number| format!("=_{id}_{number}"))
        .find(is_free)
        .expect("the parts are shorter than the tries are many")
}

/// Of 70 octets that a boundary may have.
const BOUNDARY_ID_BYTES_MAX: usize = 48;
