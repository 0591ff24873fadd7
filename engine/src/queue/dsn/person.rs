//! The part for a person: what happened, to whom, in whose words, and what to do about it.

use super::original::Part;
use super::quote::{self, ADDRESS_BYTES_MAX, Charset, NAME_BYTES_MAX, graphic, wrap};
use super::{Event, Facts, RECIPIENTS_MAX, Told, Words};
use crate::session::smtp::trace::push_date;
use crate::wire::mime::encode::quoted_printable;
use store::mail::date::InternalDate;
use store::mail::envelope::BodyKind;

/// A person reads no more of them; the report for programs has all.
const RECIPIENTS_SPOKEN_MAX: usize = 50;

const COLUMNS: usize = 72;

pub(super) fn subject(facts: &Facts<'_>) -> &'static str {
    match gravest(facts) {
        Event::Failed => "Your message could not be delivered",
        Event::Delayed => "Your message is delayed",
        Event::Delivered => "Your message was delivered",
        Event::Relayed | Event::PassedOn | Event::Traced => "Your message was passed on",
        Event::Expanded => "Your message was passed on to a list",
    }
}

pub(super) fn part(facts: &Facts<'_>) -> Part {
    let text = text(facts);
    let charset = if text.is_ascii() { "us-ascii" } else { "utf-8" };
    let encoding = if text.is_ascii() {
        "7bit"
    } else {
        "quoted-printable"
    };
    let mut octets = format!(
        "Content-Description: Notification\r\nContent-Type: text/plain; charset={charset}\r\n\
         Content-Transfer-Encoding: {encoding}\r\n\r\n"
    )
    .into_bytes();
    match text.is_ascii() {
        true => octets.extend_from_slice(text.as_bytes()),
        false => quoted_printable(text.as_bytes(), &mut octets),
    }
    Part {
        octets,
        body: BodyKind::SevenBit,
    }
}

fn text(facts: &Facts<'_>) -> String {
    let mut out = String::new();
    let host = graphic(facts.host, NAME_BYTES_MAX);
    let arrived = date(facts.original.arrived_secs);
    let opening = format!(
        "This is the mail system of {host}. It tells you what became of the message that you \
         sent and that arrived here on {arrived}."
    );
    wrap(&opening, "", COLUMNS, &mut out);
    let mut left = RECIPIENTS_SPOKEN_MAX;
    for event in EVENTS {
        let same = facts.recipients.iter().take(RECIPIENTS_MAX);
        let mut same = same.filter(|told| told.event == event).peekable();
        if same.peek().is_none() {
            continue;
        }
        out.push_str("\r\n");
        wrap(heading(event), "", COLUMNS, &mut out);
        for told in same.by_ref().take(left) {
            left -= 1;
            recipient(told, &mut out);
        }
        let more = same.count();
        if more > 0 {
            out.push_str(&format!(
                "\r\n  and {more} more, see the delivery report.\r\n"
            ));
        }
    }
    let left_out = facts.recipients.len().saturating_sub(RECIPIENTS_MAX);
    if left_out > 0 {
        out.push_str(&format!(
            "\r\n{left_out} more recipients are not listed here.\r\n"
        ));
    }
    closing(facts, &mut out);
    out
}

/// In the order in which they are told.
const EVENTS: [Event; 7] = [
    Event::Failed,
    Event::Delayed,
    Event::Delivered,
    Event::Relayed,
    Event::PassedOn,
    Event::Traced,
    Event::Expanded,
];

fn gravest(facts: &Facts<'_>) -> Event {
    let has = |event: &Event| facts.recipients.iter().any(|told| told.event == *event);
    EVENTS.into_iter().find(has).unwrap_or(Event::Failed)
}

fn heading(event: Event) -> &'static str {
    match event {
        Event::Failed => {
            "It could NOT be delivered to the following addresses, and will not be \
                          tried again:"
        }
        Event::Delayed => {
            "It has not been delivered yet to the following addresses. You need \
                           not send it again; the mail system goes on trying:"
        }
        Event::Delivered => {
            "It lies in the mailboxes of the following addresses, as you asked to \
                             be told:"
        }
        Event::Relayed | Event::PassedOn | Event::Traced => {
            "It was passed on to the mail systems of the \
                          following addresses, which may tell you nothing further:"
        }
        Event::Expanded => "It was passed on to the members of the following lists:",
    }
}

fn recipient(told: &Told<'_>, out: &mut String) {
    let address = quote::line(&told.address.to_string(), ADDRESS_BYTES_MAX, Charset::Utf8);
    out.push_str(&format!("\r\n  <{address}>\r\n"));
    let is_trouble = matches!(told.event, Event::Failed | Event::Delayed);
    if is_trouble {
        wrap(told.class.explained(), "    ", COLUMNS, out);
    }
    match told.words {
        Words::Remote { host, reply } => {
            let host = graphic(host, NAME_BYTES_MAX);
            out.push_str(&format!("    The host {host} said:\r\n"));
            wrap(&quote::spoken(reply), "      | ", COLUMNS, out);
        }
        Words::Local(sentence) => {
            let said = quote::spoken(sentence.as_bytes());
            wrap(&format!("In detail: {said}"), "    ", COLUMNS, out);
        }
        Words::None => {}
    }
    if told.event == Event::Failed {
        wrap(told.class.advice(), "    ", COLUMNS, out);
    }
    if let Some(secs) = told
        .retry_until_secs
        .filter(|_| told.event == Event::Delayed)
    {
        wrap(
            &format!("It is tried until {}.", date(secs)),
            "    ",
            COLUMNS,
            out,
        );
    }
}

fn closing(facts: &Facts<'_>, out: &mut String) {
    let id = graphic(facts.original.queue_id, NAME_BYTES_MAX);
    let host = graphic(facts.host, NAME_BYTES_MAX);
    let words = format!(
        "Below are a delivery report for programs and the message or its header. If you ask \
         postmaster@{host} for help, name {id}, by which the message is known here."
    );
    out.push_str("\r\n");
    wrap(&words, "", COLUMNS, out);
}

fn date(secs: i64) -> String {
    let mut out = Vec::new();
    push_date(InternalDate::utc(secs), &mut out);
    String::from_utf8_lossy(&out).into_owned()
}
