//! The part for programs: message/delivery-status (RFC 3464 §2), or with UTF-8
//! message/global-delivery-status (RFC 6533 §4).

use super::original::Part;
use super::quote::{self, ADDRESS_BYTES_MAX, Charset, NAME_BYTES_MAX, graphic, push_field};
use super::{Event, Facts, RECIPIENTS_MAX, Told, Words};
use crate::session::smtp::trace::push_date;
use store::mail::date::InternalDate;
use store::mail::envelope::BodyKind;

/// ENVID and the like, in octets.
const ID_BYTES_MAX: usize = 500;

pub(super) fn part(facts: &Facts<'_>, utf8: bool) -> Part {
    let charset = match utf8 {
        true => Charset::Utf8,
        false => Charset::Ascii,
    };
    let mut text = String::new();
    message(facts, &mut text);
    for told in facts.recipients.iter().take(RECIPIENTS_MAX) {
        text.push_str("\r\n");
        recipient(told, charset, &mut text);
    }
    let (kind, encoding, body) = match (utf8, text.is_ascii()) {
        (true, false) => ("global-delivery-status", "8bit", BodyKind::EightBitMime),
        (true, true) => ("global-delivery-status", "7bit", BodyKind::SevenBit),
        (false, _) => ("delivery-status", "7bit", BodyKind::SevenBit),
    };
    let head = format!(
        "Content-Description: Delivery report\r\nContent-Type: message/{kind}\r\n\
         Content-Transfer-Encoding: {encoding}\r\n\r\n"
    );
    Part {
        octets: (head + &text).into_bytes(),
        body,
    }
}

/// The fields of the message (RFC 3464 §2.2).
fn message(facts: &Facts<'_>, out: &mut String) {
    let original = &facts.original;
    if let Some(envid) = original.envid {
        let envid = quote::line(envid, ID_BYTES_MAX, Charset::Ascii);
        push_field("Original-Envelope-Id", &envid, out);
    }
    let host = graphic(facts.host, NAME_BYTES_MAX);
    push_field("Reporting-MTA", &format!("dns; {host}"), out);
    push_field("Arrival-Date", &date(original.arrived_secs), out);
    if let Some(secs) = original.by_secs {
        push_field("Deliver-By-Date", &date(secs), out);
    }
    push_field(
        "X-Ringpost-Queue-ID",
        &graphic(original.queue_id, NAME_BYTES_MAX),
        out,
    );
}

/// The fields of one recipient (RFC 3464 §2.3).
fn recipient(told: &Told<'_>, charset: Charset, out: &mut String) {
    if let Some((kind, address)) = told.orcpt.and_then(|orcpt| orcpt.split_once(';')) {
        let kind = graphic(kind, NAME_BYTES_MAX);
        let address = match kind.eq_ignore_ascii_case("utf-8") {
            true => unicode(address, charset),
            false => quote::line(address, ADDRESS_BYTES_MAX, charset),
        };
        push_field("Original-Recipient", &format!("{kind};{address}"), out);
    }
    push_field("Final-Recipient", &final_recipient(told, charset), out);
    push_field("Action", told.event.action(), out);
    push_field("Status", &told.status.to_string(), out);
    match told.words {
        Words::Remote { host, reply } => {
            let host = graphic(host, NAME_BYTES_MAX);
            push_field("Remote-MTA", &format!("dns; {host}"), out);
            let reply = quote::reply(reply, charset);
            push_field("Diagnostic-Code", &format!("smtp; {reply}"), out);
        }
        Words::Local(sentence) => {
            let sentence = quote::reply(sentence.as_bytes(), charset);
            push_field("Diagnostic-Code", &format!("x-ringpost; {sentence}"), out);
        }
        Words::None => {}
    }
    if let Some(secs) = told.attempt_secs {
        push_field("Last-Attempt-Date", &date(secs), out);
    }
    // RFC 3464 §2.3.9: it has a meaning for what is delayed only.
    if let Some(secs) = told
        .retry_until_secs
        .filter(|_| told.event == Event::Delayed)
    {
        push_field("Will-Retry-Until", &date(secs), out);
    }
}

fn final_recipient(told: &Told<'_>, charset: Charset) -> String {
    let address = told.address.to_string();
    match address.is_ascii() {
        true => format!(
            "rfc822; {}",
            quote::line(&address, ADDRESS_BYTES_MAX, charset)
        ),
        false => format!("utf-8; {}", unicode(&address, charset)),
    }
}

/// An address of type utf-8: as it is, or in ASCII with `\x{E9}` for what is not (RFC 6533 §3).
fn unicode(address: &str, charset: Charset) -> String {
    let clean = quote::line(address, ADDRESS_BYTES_MAX, Charset::Utf8);
    if charset == Charset::Utf8 {
        return clean;
    }
    let mut out = String::new();
    for c in clean.chars() {
        match c {
            '+' | '=' | '\\' | ' ' => out.push_str(&format!("\\x{{{:02X}}}", u32::from(c))),
            c if c.is_ascii_graphic() => out.push(c),
            c => out.push_str(&format!("\\x{{{:X}}}", u32::from(c))),
        }
    }
    out
}

fn date(secs: i64) -> String {
    let mut out = Vec::new();
    push_date(InternalDate::utc(secs), &mut out);
    String::from_utf8_lossy(&out).into_owned()
}
