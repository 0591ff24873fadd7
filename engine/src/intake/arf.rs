//! Reports about mail of ours: complaints of recipients (RFC 5965, RFC 6650) and bounces that come
//! as mail (RFC 3464). Pure: the octets of a message → who it is about.
//!
//! ```text
//! multipart/report; report-type=feedback-report        report-type=delivery-status
//! ├─ text/plain                                        ├─ text/plain
//! ├─ message/feedback-report                           ├─ message/delivery-status
//! └─ message/rfc822 or text/rfc822-headers             └─ message/rfc822 …
//! ```
//!
//! Reports are other people's text, and providers blank out what they like. So the recipient is
//! looked for where it may be found, surest first: Original-Rcpt-To, the detail of the address that
//! the report was sent to and the reverse-path (VERP: `bounces+carol=far.test@ours`), the Received
//! field that this host wrote, a To field with one address. What cannot be read means nothing, and
//! whoever reads it loses no mail by that.

use crate::config::address;
use crate::wire::mime::header::{self, unfold};
use crate::wire::mime::part::{Part, Structure};
use crate::wire::mime::transfer::Decoder;
use store::mail::address::Address;

/// What a report tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    Complaint(Complaint),
    /// Recipients that failed for good.
    Bounces(Vec<Bounce>),
}

/// Somebody does not want what was sent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Complaint {
    /// `abuse`, `fraud`, `not-spam` …, in lower case.
    pub kind: String,
    /// What sent the report, as it calls itself.
    pub agent: String,
    pub recipient: Option<Address>,
    /// The reverse-path that the message had.
    pub sender: Option<Address>,
    pub campaign: Option<String>,
    pub message_id: Option<String>,
    /// Whether the message passed this host, by what the report returns of it.
    pub was_here: bool,
}

/// A recipient that was refused by a host behind the one that took it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bounce {
    pub recipient: Address,
    /// As in `5.1.1`.
    pub status: String,
    /// The reply of the host, where the report repeats it; else the status.
    pub reply: String,
}

/// How a report is to be read.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// The address that it was sent to.
    pub to: &'a Address,
    /// What this host calls itself in Received fields.
    pub hostname: &'a str,
    /// The field of our mail that names its campaign.
    pub campaign_field: Option<&'a str>,
}

/// Octets of a report that are read: of what it returns, the header is enough.
pub const REPORT_BYTES_MAX: usize = 256 << 10;

/// What a message tells; `None`: it is no report that can be read.
#[must_use]
pub fn read(octets: &[u8], reading: &Reading<'_>) -> Option<Told> {
    let octets = octets.get(..REPORT_BYTES_MAX).unwrap_or(octets);
    let structure = Structure::of(octets);
    let find = |kind: &str, subtype: &str| {
        let mut parts = structure.parts().take(PARTS_READ_MAX);
        parts.find(|part| part.content.content_type.is(kind, subtype))
    };
    let returned = Returned::of(octets, &structure);
    if let Some(part) = find("message", "feedback-report") {
        return Some(Told::Complaint(complaint(
            &text_of(octets, part),
            &returned,
            reading,
        )));
    }
    let status =
        find("message", "delivery-status").or_else(|| find("message", "global-delivery-status"))?;
    let bounces = bounces(&text_of(octets, status), &returned, reading);
    (!bounces.is_empty()).then_some(Told::Bounces(bounces))
}

fn complaint(fields: &[u8], returned: &Returned, reading: &Reading<'_>) -> Complaint {
    let field = |name: &str| text(header::last(fields, name)?);
    let sender = field("Original-Mail-From").and_then(|path| in_brackets(&path));
    let sender = sender.or_else(|| returned.address("Return-Path"));
    let original = field("Original-Rcpt-To").and_then(|to| in_brackets(&to));
    Complaint {
        kind: field("Feedback-Type").map_or_else(String::new, |kind| kind.to_ascii_lowercase()),
        agent: field("User-Agent").unwrap_or_default(),
        recipient: original.or_else(|| recipient(sender.as_ref(), returned, reading)),
        campaign: reading.campaign_field.and_then(|name| returned.field(name)),
        message_id: returned.field("Message-ID"),
        was_here: returned.received_by(reading.hostname).next().is_some(),
        sender,
    }
}

/// Each group of fields behind the first one is about one recipient (RFC 3464 §2.3).
fn bounces(fields: &[u8], returned: &Returned, reading: &Reading<'_>) -> Vec<Bounce> {
    let sender = returned.address("Return-Path");
    let mut bounces = Vec::new();
    for group in groups(fields).into_iter().skip(1).take(RECIPIENTS_MAX) {
        let field = |name: &str| text(header::last(group, name)?);
        let has_failed = field("Action").is_some_and(|it| it.eq_ignore_ascii_case("failed"));
        let status = field("Status").unwrap_or_default();
        if !has_failed || status.starts_with('4') {
            continue;
        }
        let named = ["Original-Recipient", "Final-Recipient"].into_iter();
        let named = named.filter_map(field).find_map(|value| {
            let (_, address) = value.split_once(';')?;
            in_brackets(address.trim())
        });
        // The address that this host wrote to counts: others may have passed it on.
        let own = verp(reading.to).or_else(|| verp(sender.as_ref()?));
        let Some(recipient) = own.or(named).or_else(|| recipient(None, returned, reading)) else {
            continue;
        };
        let diagnostic = field("Diagnostic-Code");
        let diagnostic = diagnostic.as_deref().and_then(|code| code.split_once(';'));
        bounces.push(Bounce {
            recipient,
            reply: diagnostic.map_or_else(
                || format!("550 {status}"),
                |(_, reply)| reply.trim().to_owned(),
            ),
            status,
        });
    }
    bounces
}

/// The recipient of the message that is told of, where no field names it.
fn recipient(
    sender: Option<&Address>,
    returned: &Returned,
    reading: &Reading<'_>,
) -> Option<Address> {
    verp(reading.to)
        .or_else(|| verp(sender?))
        .or_else(|| returned.received_for(reading.hostname))
        .or_else(|| returned.only_to())
}

/// The address in the detail of another one: `bounces+carol=far.test@ours`.
fn verp(address_of_ours: &Address) -> Option<Address> {
    let (_, detail) = address_of_ours.local.split_once('+')?;
    let (local, domain) = detail.rsplit_once('=')?;
    address(&format!("{local}@{domain}")).ok()
}

/// What a report returns of a message: its header, as far as the report has it.
struct Returned {
    header: Vec<u8>,
}

impl Returned {
    fn of(octets: &[u8], structure: &Structure) -> Returned {
        let mut parts = structure.parts().take(PARTS_READ_MAX).skip(1);
        let is_returned = |part: &&Part| {
            let kind = &part.content.content_type;
            kind.is_message() || kind.is("text", "rfc822-headers")
        };
        let header = parts.find(is_returned).map(|part| text_of(octets, part));
        Returned {
            header: header.unwrap_or_default(),
        }
    }

    fn field(&self, name: &str) -> Option<String> {
        text(header::last(&self.header, name)?)
    }

    fn address(&self, name: &str) -> Option<Address> {
        in_brackets(&self.field(name)?)
    }

    /// The recipient in the Received field that this host wrote (`session::smtp::trace`).
    fn received_for(&self, hostname: &str) -> Option<Address> {
        self.received_by(hostname).find_map(|value| {
            let (_, rest) = value.split_once(" for ")?;
            in_brackets(rest.split_once(';')?.0)
        })
    }

    /// From its name on, the Received fields that this host wrote.
    fn received_by(&self, hostname: &str) -> impl Iterator<Item = String> + '_ {
        let own = format!(" by {hostname} (Ringpost) ").to_ascii_lowercase();
        let fields = header::fields(&self.header).filter(|field| field.is("Received"));
        fields.take(RECEIVED_MAX).filter_map(move |field| {
            let value = text(field.value)?.replace('\t', " ");
            let at = value.to_ascii_lowercase().find(&own)?;
            value.get(at..).map(str::to_owned)
        })
    }

    /// The address of a To field that has one.
    fn only_to(&self) -> Option<Address> {
        let to = self.field("To")?;
        let is_one = to.matches('@').count() == 1;
        is_one.then(|| in_brackets(&to))?
    }
}

/// A part, decoded; as it stands where its encoding is unknown.
fn text_of(octets: &[u8], part: &Part) -> Vec<u8> {
    let range = usize::try_from(part.body.start)
        .ok()
        .zip(usize::try_from(part.body.end).ok());
    let body = range.and_then(|(start, end)| octets.get(start..end));
    let body = body.unwrap_or_default();
    let Ok(mut decoder) = Decoder::new(&part.content.encoding) else {
        return body.to_vec();
    };
    let mut text = Vec::with_capacity(body.len());
    decoder.feed(body, &mut text);
    decoder.finish(&mut text);
    text
}

/// Groups of fields between empty lines.
fn groups(fields: &[u8]) -> Vec<&[u8]> {
    let mut groups = Vec::new();
    let (mut start, mut at) = (0, 0);
    while at < fields.len() && groups.len() <= RECIPIENTS_MAX {
        let line = fields.get(at..).unwrap_or_default();
        let length = memchr::memchr(b'\n', line).map_or(line.len(), |end| end + 1);
        if header::is_blank(line) {
            groups.extend(fields.get(start..at).filter(|group| !group.is_empty()));
            start = at + length;
        }
        at += length;
    }
    groups.extend(fields.get(start..).filter(|group| !group.is_empty()));
    groups
}

/// One line of printable text, bounded.
fn text(value: &[u8]) -> Option<String> {
    let value = unfold(value);
    let value = String::from_utf8_lossy(value.get(..VALUE_BYTES_MAX).unwrap_or(&value));
    let clean: String = value
        .chars()
        .filter(|c| !c.is_control() || *c == '\t')
        .collect();
    let clean = clean.trim();
    (!clean.is_empty()).then(|| clean.to_owned())
}

/// The address in the first pair of brackets, or the whole of the text.
fn in_brackets(text: &str) -> Option<Address> {
    let inside = text
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'));
    let text = inside.map_or(text, |(inside, _)| inside);
    address(text.trim()).ok()
}

/// Parts of a report that are looked at.
const PARTS_READ_MAX: usize = 50;

/// Recipients of one report.
const RECIPIENTS_MAX: usize = 1_000;

/// Received fields of a returned message that are looked at.
const RECEIVED_MAX: usize = 100;

/// Octets of a field that are read.
const VALUE_BYTES_MAX: usize = 1_000;
