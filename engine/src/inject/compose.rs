//! Messages of a checked request: which recipients share one, and their octets.
//!
//! Recipients whose messages would be the same share one, [`SHARED_MAX`] at a time; who gets a text
//! of its own gets a message of its own. Nothing is kept of a message when it is made.

use super::check::{Content, Injection, Named, Part, Piece, Recipient, Role, Written};
use super::field::is_one_line;
use super::template::{STEPS_MAX, Unrendered};
use crate::session::smtp::trace;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mail_builder::MessageBuilder;
use mail_builder::headers::HeaderType;
use mail_builder::headers::address::Address as Mailboxes;
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::raw::Raw;
use mail_builder::headers::text::Text as Unstructured;
use mail_builder::mime::{BodyPart, MimePart};
use serde_json::Value;
use std::borrow::Cow;
use std::ops::Range;
use store::mail::date::InternalDate;

/// Which recipients get which message.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    recipients: usize,
    /// Recipients of one message.
    together: usize,
}

/// One message, ready to be taken.
#[derive(Debug)]
pub struct Letter {
    pub octets: Vec<u8>,
    /// Octets beyond ASCII, in the header or the body of a raw message.
    pub is_eight_bit: bool,
    /// Addresses beyond ASCII in the header.
    pub needs_utf8: bool,
}

/// How much may be done to make one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Effort {
    /// Of the message.
    pub octets_max: u64,
    /// Nodes that one render of a template may pass.
    pub steps_max: usize,
}

/// Why a message could not be made for a recipient.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unfit {
    /// Of the request.
    pub pointer: &'static str,
    pub detail: String,
    /// It takes more than the [`Effort`] that was allowed.
    pub is_too_much: bool,
}

/// Recipients of one message; the log keeps so many outcomes of one.
pub(super) const SHARED_MAX: usize = 500;

/// Steps and octets of what is made beside other work.
const LITTLE_STEPS: usize = 10_000;
const LITTLE_OCTETS: u64 = 512 << 10;

impl Plan {
    #[must_use]
    pub fn of(injection: &Injection<'_>) -> Plan {
        let is_alone = match &injection.content {
            Content::Raw(_) => false,
            Content::Written(written) => written.is_separate || written.has_templates(),
        };
        Plan {
            recipients: injection.recipients.len(),
            together: if is_alone { 1 } else { SHARED_MAX },
        }
    }

    /// How many recipients there are.
    #[must_use]
    pub fn recipients(self) -> usize {
        self.recipients
    }

    /// How many messages there are.
    #[must_use]
    pub fn messages(self) -> usize {
        self.recipients.div_ceil(self.together)
    }

    /// Places of the recipients of message `n`.
    #[must_use]
    pub fn recipients_of(self, n: usize) -> Range<usize> {
        let from = n.saturating_mul(self.together).min(self.recipients);
        from..from.saturating_add(self.together).min(self.recipients)
    }

    /// Does every message have the same octets?
    #[must_use]
    pub fn is_shared(self) -> bool {
        self.together > 1
    }
}

impl Effort {
    /// As much as a message of so many octets may take.
    #[must_use]
    pub fn full(octets_max: u64) -> Effort {
        Effort {
            octets_max,
            steps_max: STEPS_MAX,
        }
    }

    /// What is done in a millisecond or two.
    #[must_use]
    pub fn little(octets_max: u64) -> Effort {
        Effort {
            octets_max: octets_max.min(LITTLE_OCTETS),
            steps_max: LITTLE_STEPS,
        }
    }
}

impl Injection<'_> {
    /// The message for the recipients that [`Plan`] puts together, named by their first.
    pub fn letter(
        &self,
        first: usize,
        message_id: &str,
        date: InternalDate,
        effort: Effort,
    ) -> Result<Letter, Unfit> {
        let written = match &self.content {
            Content::Raw(octets) => {
                return Ok(Letter {
                    is_eight_bit: !octets.is_ascii(),
                    needs_utf8: false,
                    octets: octets.clone(),
                });
            }
            Content::Written(written) => written,
        };
        let writer = Writer {
            written,
            injection: self,
            recipient: self.recipients.get(first),
            effort,
        };
        let letter = writer.letter(message_id, date)?;
        match letter.octets.len() as u64 > effort.octets_max {
            true => Err(Unfit {
                is_too_much: true,
                ..unfit("", "the message becomes larger than any may be")
            }),
            false => Ok(letter),
        }
    }
}

impl Written {
    fn has_templates(&self) -> bool {
        let pieces = [Some(&self.subject), self.text.as_ref(), self.html.as_ref()];
        let mut all = pieces
            .into_iter()
            .flatten()
            .chain(self.fields.iter().map(|(_, v)| v));
        all.any(|piece| matches!(piece, Piece::Template(_)))
    }
}

impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.pointer {
            "" => f.write_str(&self.detail),
            pointer => write!(f, "{}: {}", pointer.trim_start_matches('/'), self.detail),
        }
    }
}

struct Writer<'w> {
    written: &'w Written,
    injection: &'w Injection<'w>,
    recipient: Option<&'w Recipient<'w>>,
    effort: Effort,
}

impl<'w> Writer<'w> {
    fn letter(&self, message_id: &str, date: InternalDate) -> Result<Letter, Unfit> {
        let written = self.written;
        let data = self.data()?;
        let subject = self.piece("/subject", &written.subject, &data)?;
        if !is_one_line(&subject) {
            return Err(unfit("/subject", "it gets line ends or control characters"));
        }
        let mut date_text = Vec::new();
        trace::push_date(date, &mut date_text);
        let date_text = String::from_utf8_lossy(&date_text).into_owned();
        let visible = self.visible();
        let mut message = MessageBuilder::new()
            .header("From", mailboxes([&written.from]))
            .header("To", to(&visible))
            .header("Subject", HeaderType::Text(Unstructured::new(subject)))
            .header("Date", raw(date_text))
            .header("Message-ID", raw(format!("<{message_id}>")));
        let cc: Vec<&Recipient<'_>> = visible
            .iter()
            .filter(|one| one.role == Role::Cc)
            .copied()
            .collect();
        if !cc.is_empty() {
            message = message.header(
                "Cc",
                mailboxes(
                    cc.iter()
                        .filter_map(|one| named(one))
                        .collect::<Vec<_>>()
                        .iter(),
                ),
            );
        }
        if let Some(reply_to) = &written.reply_to {
            message = message.header("Reply-To", mailboxes([reply_to]));
        }
        for (field, value) in &written.fields {
            let value = self.piece("/headers", value, &data)?;
            if !is_one_line(&value) || field.is_structured && !value.is_ascii() {
                let what = format!("{} gets a value that it must not have", field.name);
                return Err(unfit("/headers", &what));
            }
            let value = match field.is_structured {
                true => raw(value.into_owned()),
                false => HeaderType::Text(Unstructured::new(value)),
            };
            message = message.header(field.name.as_str(), value);
        }
        let mut octets = Vec::new();
        message.body(self.body(&data)?).serialize(&mut octets);
        let needs_utf8 = visible
            .iter()
            .filter_map(|one| one.address.as_ref().ok())
            .chain([&written.from.address])
            .chain(written.reply_to.as_ref().map(|named| &named.address))
            .any(|address| !address.local.is_ascii());
        Ok(Letter {
            is_eight_bit: !octets.is_ascii(),
            needs_utf8,
            octets,
        })
    }

    /// Who stands in the header. A message of one's own names nobody else that got one of its own.
    fn visible(&self) -> Vec<&'w Recipient<'w>> {
        let all = self
            .injection
            .recipients
            .iter()
            .filter(|one| one.address.is_ok());
        let is_shown = |one: &&Recipient<'_>| match one.role {
            Role::Bcc => false,
            Role::Cc => true,
            Role::To if !self.written.is_separate => true,
            Role::To => self.recipient.is_some_and(|own| std::ptr::eq(own, *one)),
        };
        all.filter(is_shown).collect()
    }

    fn data(&self) -> Result<Value, Unfit> {
        let Some(raw) = self
            .recipient
            .and_then(|recipient| recipient.data.as_deref())
        else {
            return Ok(Value::Null);
        };
        serde_json::from_str(raw.get()).map_err(|error| unfit("/substitutions", &error.to_string()))
    }

    fn piece(
        &self,
        pointer: &'static str,
        piece: &'w Piece,
        data: &Value,
    ) -> Result<Cow<'w, str>, Unfit> {
        match piece {
            Piece::Plain(text) => Ok(Cow::Borrowed(text)),
            Piece::Template(template) => template
                .render(&[&self.written.data, data], self.effort)
                .map(Cow::Owned)
                .map_err(|why| Unfit {
                    is_too_much: matches!(why, Unrendered::TooLong | Unrendered::TooManySteps),
                    ..unfit(pointer, &why.to_string())
                }),
        }
    }

    fn body(&self, data: &Value) -> Result<MimePart<'w>, Unfit> {
        let text = self.text("/text", "text/plain", self.written.text.as_ref(), data)?;
        let html = self.text("/html", "text/html", self.written.html.as_ref(), data)?;
        let has_html = html.is_some();
        let is_shown = |part: &&Part| has_html && part.cid.is_some();
        let parts = self.written.attachments.iter();
        let shown: Vec<MimePart<'w>> = parts.clone().filter(is_shown).map(part).collect();
        let attached: Vec<MimePart<'w>> = parts.filter(|part| !is_shown(part)).map(part).collect();
        // RFC 2387: html and what it shows belong together.
        let html = html.map(|html| match shown.is_empty() {
            true => html,
            false => {
                let mut parts = vec![html];
                parts.extend(shown);
                MimePart::new("multipart/related", parts)
            }
        });
        let body = match (text, html) {
            (Some(text), Some(html)) => MimePart::new("multipart/alternative", vec![text, html]),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => MimePart::new("text/plain", ""),
        };
        Ok(match attached.is_empty() {
            true => body,
            false => {
                let mut parts = vec![body];
                parts.extend(attached);
                MimePart::new("multipart/mixed", parts)
            }
        })
    }

    fn text(
        &self,
        pointer: &'static str,
        kind: &'static str,
        piece: Option<&'w Piece>,
        data: &Value,
    ) -> Result<Option<MimePart<'w>>, Unfit> {
        let Some(piece) = piece else {
            return Ok(None);
        };
        let text = self.piece(pointer, piece, data)?;
        if text.contains('\0') {
            return Err(unfit(pointer, "it gets a NUL"));
        }
        Ok(Some(MimePart::new(kind, with_line_ends(&text))))
    }
}

fn unfit(pointer: &'static str, detail: &str) -> Unfit {
    Unfit {
        pointer,
        detail: detail.to_owned(),
        is_too_much: false,
    }
}

fn raw(text: String) -> HeaderType<'static> {
    HeaderType::Raw(Raw::new(text))
}

fn named(recipient: &Recipient<'_>) -> Option<Named> {
    Some(Named {
        address: recipient.address.clone().ok()?,
        name: recipient
            .name
            .as_ref()
            .map(|name| name.as_str().trim().to_owned()),
    })
}

fn to(visible: &[&Recipient<'_>]) -> HeaderType<'static> {
    let to = visible.iter().filter(|one| one.role == Role::To);
    let to: Vec<Named> = to.filter_map(|one| named(one)).collect();
    match to.is_empty() {
        true => raw("undisclosed-recipients:;".to_owned()),
        false => mailboxes(to.iter()),
    }
}

fn mailboxes<'n>(list: impl IntoIterator<Item = &'n Named>) -> HeaderType<'static> {
    let one = |named: &Named| {
        let name = named.name.clone().filter(|name| !name.is_empty());
        Mailboxes::new_address(name.map(Cow::Owned), named.address.to_string())
    };
    let mut list: Vec<Mailboxes<'static>> = list.into_iter().map(one).collect();
    HeaderType::Address(match list.len() {
        1 => list.remove(0),
        _ => Mailboxes::new_list(list),
    })
}

fn part(part: &Part) -> MimePart<'_> {
    let (kind, parameters) = &part.kind;
    let mut content_type = ContentType::new(kind.as_str());
    for (name, value) in parameters {
        content_type = content_type.attribute(name.as_str(), value.as_str());
    }
    let lines = Cow::Borrowed(part.lines.as_bytes());
    let mime = MimePart::new(content_type, BodyPart::Binary(lines)).transfer_encoding("base64");
    let disposition = match part.cid {
        Some(_) => "inline",
        None => "attachment",
    };
    let mut disposition = ContentType::new(disposition);
    if let Some(name) = &part.name {
        disposition = disposition.attribute("filename", name.as_str());
    }
    let mime = mime.header("Content-Disposition", HeaderType::ContentType(disposition));
    match &part.cid {
        Some(cid) => mime.header("Content-ID", raw(format!("<{cid}>"))),
        None => mime,
    }
}

/// Every line ends with CR LF, as SMTP wants it.
fn with_line_ends(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 32 + 2);
    let mut signs = text.chars().peekable();
    while let Some(sign) = signs.next() {
        match sign {
            '\r' => {
                signs.next_if_eq(&'\n');
                out.push_str("\r\n");
            }
            '\n' => out.push_str("\r\n"),
            sign => out.push(sign),
        }
    }
    out
}

/// RFC 2045 §6.8: lines of 76.
pub(super) fn base64_lines(octets: &[u8]) -> String {
    let mut lines = String::with_capacity(octets.len().div_ceil(57) * 78);
    for line in octets.chunks(57) {
        STANDARD.encode_string(line, &mut lines);
        lines.push_str("\r\n");
    }
    lines
}

/// `image/png`, perhaps with parameters.
pub(super) fn media_type(text: &str) -> Option<(String, Vec<(String, String)>)> {
    let is_token = |text: &str| {
        let is_sign = |o: u8| o.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&o);
        (1..=127).contains(&text.len()) && text.bytes().all(is_sign)
    };
    let mut parts = text.split(';');
    let kind = parts.next()?.trim().to_ascii_lowercase();
    let (main, sub) = kind.split_once('/')?;
    if !is_token(main) || !is_token(sub) || matches!(main, "message" | "multipart") {
        return None;
    }
    let mut parameters = Vec::new();
    for parameter in parts {
        let (name, value) = parameter.trim().split_once('=')?;
        let value = value.trim_matches('"');
        if !is_token(name) || !is_token(value) || parameters.len() == 8 {
            return None;
        }
        parameters.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    Some((kind, parameters))
}

/// A raw message with whole line ends; `Err` says what it lacks.
pub(super) fn whole(octets: Vec<u8>) -> Result<Vec<u8>, String> {
    let octets = match memchr::memmem::find(&octets, b"\r\n") {
        Some(_) => octets,
        None => crlf(&octets).collect(),
    };
    let (mut in_header, mut froms) = (true, 0);
    let mut rest = octets.as_slice();
    let mut number = 0;
    while !rest.is_empty() {
        number += 1;
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        let (line, behind) = rest.split_at(end);
        rest = behind;
        let text = match line.strip_suffix(b"\r\n") {
            Some(text) => text,
            None if rest.is_empty() && !line.contains(&b'\n') => line,
            None => return Err(format!("line {number} ends with LF alone")),
        };
        if text.contains(&b'\r') || text.contains(&0) || text.len() > LINE_BYTES_MAX {
            return Err(format!(
                "line {number} has CR or NUL in it, or more than 998 octets"
            ));
        }
        if in_header {
            in_header = !text.is_empty();
            froms += usize::from(header_line(text, number)?);
        }
    }
    match (in_header, froms) {
        (true, _) => Err("it has no end of the header: an empty line".to_owned()),
        (false, 1) => Ok(octets),
        (false, _) => Err("it must have one From field (RFC 5322 §3.6)".to_owned()),
    }
}

/// Whether a line begins the From field.
fn header_line(text: &[u8], number: usize) -> Result<bool, String> {
    if text.is_empty() || text.starts_with(b" ") || text.starts_with(b"\t") {
        return match number {
            1 => Err("it begins without a header".to_owned()),
            _ => Ok(false),
        };
    }
    let name = memchr::memchr(b':', text).and_then(|at| text.get(..at));
    let name = name
        .map(<[u8]>::trim_ascii_end)
        .filter(|name| !name.is_empty());
    let Some(name) = name.filter(|name| name.iter().all(|o| matches!(o, b'!'..=b'~'))) else {
        return Err(format!("line {number} is no header field"));
    };
    if name.eq_ignore_ascii_case(b"bcc") {
        return Err("it names Bcc to everybody; say those recipients in bcc".to_owned());
    }
    Ok(name.eq_ignore_ascii_case(b"from"))
}

fn crlf(octets: &[u8]) -> impl Iterator<Item = u8> {
    octets.iter().flat_map(|octet| {
        let before = (*octet == b'\n').then_some(b'\r');
        before.into_iter().chain([*octet])
    })
}

/// RFC 5322 §2.1.1.
const LINE_BYTES_MAX: usize = 998;
