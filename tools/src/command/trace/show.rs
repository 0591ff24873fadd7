//! A story in words for a person, or as JSON.

use super::story::{Delivery, Event, Leg, Story};
use crate::client::Client;
use crate::command::queue::span;
use engine::intake::queue_id;
use serde_json::{Value, json};
use std::io::{self, Write};
use store::backup::Moment;
use store::record::{Enhanced, HostReply};

pub(super) fn print(client: &Client, stories: &[Story], now: i64) -> anyhow::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let written = match client.is_json() {
        true => {
            let all: Vec<Value> = stories.iter().map(as_json).collect();
            writeln!(out, "{}", Value::Array(all))
        }
        false => write!(out, "{}", texts(stories, now)),
    };
    match written.and_then(|()| out.flush()) {
        // Whoever reads has enough: `| head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// Why nothing may have been found.
pub(super) fn nothing(what: &str, reach_secs: Option<i64>) -> String {
    match reach_secs {
        Some(secs) => format!(
            "nothing is known of {what}; log and stories go back to {} (story_secs_max, \
             story_bytes_max), and of older mail only what is still needed can be found",
            Moment(secs)
        ),
        None => format!("nothing is known of {what}"),
    }
}

fn texts(stories: &[Story], now: i64) -> String {
    let texts: Vec<String> = stories.iter().map(|story| text(story, now)).collect();
    texts.join("\n")
}

fn text(story: &Story, now: i64) -> String {
    let mut lines = Vec::new();
    head(story, now, &mut lines);
    for (_, delivery) in story.deliveries() {
        lines.push(String::new());
        lines.push(
            delivery
                .recipient
                .clone()
                .unwrap_or_else(|| owner(delivery)),
        );
        lines.push(format!("  {}  {}", Moment(delivery.at_secs), put(delivery)));
    }
    for leg in story.legs() {
        lines.push(String::new());
        lines.extend(life(leg, now));
    }
    for shard in story.missing() {
        lines.push(String::new());
        lines.push(format!("more recipients are on their way to shard {shard}"));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn head(story: &Story, now: i64, lines: &mut Vec<String>) {
    let Some(head) = story.heads().next() else {
        return;
    };
    let field = |name: &str, value: &str| format!("{name:<11}{value}");
    if head.is_transaction {
        lines.push(field("queue id", &queue_id::text(head.queue)));
    }
    let at = head.accepted.at_secs;
    let ago = span(u32::try_from(now.saturating_sub(at)).unwrap_or(0));
    lines.push(field("accepted", &format!("{}, {ago} ago", Moment(at))));
    if head.is_transaction {
        let sender = head.sender.as_deref().unwrap_or_default();
        lines.push(field("sender", &format!("<{sender}>")));
    }
    let tenant = story.legs().map(|leg| leg.tenant.as_str()).next();
    if let Some(tenant) = tenant.filter(|tenant| !tenant.is_empty()) {
        lines.push(field("tenant", tenant));
    }
    let came = story.heads().find(|head| head.accepted.client.is_some());
    if let Some(client) = came.map(came_from) {
        lines.push(field("client", &client));
    }
    if let Some(id) = story.heads().find_map(|head| head.message_id.as_deref()) {
        lines.push(field("Message-ID", &format!("<{id}>")));
    }
    lines.push(field("size", &format!("{} octets", head.octets)));
    for part in &story.parts {
        if let Some(head) = &part.head {
            let object = format!("{} of shard {}", head.object, part.shard);
            lines.push(field("object", &object));
        }
        let notices = part.notices.iter().map(|id| field("notice", id));
        lines.extend(notices);
    }
}

fn came_from(head: &super::story::Head) -> String {
    let accepted = &head.accepted;
    let hello = accepted.hello.as_deref().unwrap_or_default();
    let client = accepted.client.as_deref().unwrap_or_default();
    let mut words = vec![format!("{hello} ({client})")];
    words.extend(accepted.protocol.clone());
    words.push(
        accepted
            .tls
            .clone()
            .unwrap_or_else(|| "in clear".to_owned()),
    );
    words.join(", ")
}

fn owner(delivery: &Delivery) -> String {
    let name = delivery.account_name.clone();
    name.unwrap_or_else(|| format!("account {}", delivery.account))
}

fn put(delivery: &Delivery) -> String {
    let mailbox = delivery.mailbox_name.clone();
    let mailbox = mailbox.unwrap_or_else(|| format!("mailbox {}", delivery.mailbox));
    format!(
        "put into {mailbox} of {}, UID {}",
        owner(delivery),
        delivery.uid
    )
}

fn life(leg: &Leg, now: i64) -> Vec<String> {
    let mut lines = vec![format!("{}  ({}.{})", leg.recipient, leg.shard, leg.item)];
    let until = Moment(leg.expiry_secs);
    lines.push(format!(
        "  {}  queued, until {until}",
        Moment(leg.enqueued_secs)
    ));
    lines.extend(leg.events.iter().map(happened));
    if !leg.is_over {
        lines.push(format!("  now                   waits {}", waits(leg, now)));
    }
    lines
}

fn waits(leg: &Leg, now: i64) -> String {
    if let Some(waits) = &leg.waits {
        return waits.clone();
    }
    let at = Moment(leg.due_secs);
    match (leg.is_held, leg.events.is_empty()) {
        (true, _) => "for the operator, who holds it".to_owned(),
        (false, true) if leg.due_secs <= now => "for the server, to be tried".to_owned(),
        (false, true) => format!("for the time that its sender wants, {at}"),
        (false, false) => format!("for its next attempt, not before {at}"),
    }
}

fn happened(event: &Event) -> String {
    match event {
        Event::Attempt {
            at_secs,
            number,
            due_secs,
            reply,
        } => {
            let (at, due) = (Moment(*at_secs), Moment(*due_secs));
            format!(
                "  {at}  attempt {number}: deferred, {}; again {due}",
                said(reply)
            )
        }
        Event::Hold { is_held: true } => "                        held by the operator".to_owned(),
        Event::Hold { is_held: false } => "                        released".to_owned(),
        Event::End {
            at_secs,
            how,
            reply,
        } => format!("  {}  {how}, {}", Moment(*at_secs), said(reply)),
    }
}

/// Who said what, and over which connection.
fn said(reply: &HostReply) -> String {
    let mut words = String::new();
    if !reply.host.is_empty() {
        words.push_str(&reply.host);
        words.push(' ');
    }
    if let Some(way) = &reply.way {
        let tls = if way.tls.is_empty() {
            "in clear"
        } else {
            &way.tls
        };
        let from = match way.source.is_empty() {
            true => String::new(),
            false => format!(" from {}", way.source),
        };
        words.push_str(&format!("({}{from}, {tls}) ", way.address));
    }
    if words.is_empty() && reply.code == 0 {
        return printable(&reply.text);
    }
    let code = match (reply.code, &reply.enhanced) {
        (0, _) => String::new(),
        (code, Some(status)) => format!("{code} {} ", status_text(status)),
        (code, None) => format!("{code} "),
    };
    format!("{}: {code}{}", words.trim_end(), printable(&reply.text))
}

/// Words of others, without what would change the terminal.
fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '?' } else { c };
    text.chars().map(shown).collect()
}

fn status_text(status: &Enhanced) -> String {
    format!("{}.{}.{}", status.class, status.subject, status.detail)
}

fn as_json(story: &Story) -> Value {
    let head = story.heads().next();
    let came = story.heads().find(|head| head.accepted.client.is_some());
    let accepted = came.map(|head| &head.accepted);
    json!({
        "queue_id": head.filter(|head| head.is_transaction).map(|head| queue_id::text(head.queue)),
        "accepted_secs": story.at_secs(),
        "sender": head.and_then(|head| head.sender.as_deref()),
        "message_id": story.heads().find_map(|head| head.message_id.as_deref()),
        "octets": head.map(|head| head.octets),
        "hello": accepted.and_then(|one| one.hello.as_deref()),
        "client": accepted.and_then(|one| one.client.as_deref()),
        "tls": accepted.and_then(|one| one.tls.as_deref()),
        "protocol": accepted.and_then(|one| one.protocol.as_deref()),
        "notices": story.parts.iter().flat_map(|part| &part.notices).collect::<Vec<_>>(),
        "objects": story.parts.iter().filter_map(|part| {
            let object = part.head.as_ref()?.object.0;
            Some(json!({ "shard": part.shard, "object": object }))
        }).collect::<Vec<_>>(),
        "delivered": story.deliveries().map(|(shard, one)| json!({
            "shard": shard,
            "recipient": one.recipient,
            "account": one.account_name,
            "mailbox": one.mailbox_name,
            "mailbox_id": one.mailbox.0,
            "uid": one.uid.0,
            "at_secs": one.at_secs,
        })).collect::<Vec<_>>(),
        "queued": story.legs().map(leg_json).collect::<Vec<_>>(),
        "offered_to": story.missing(),
    })
}

fn leg_json(leg: &Leg) -> Value {
    json!({
        "item": format!("{}.{}", leg.shard, leg.item),
        "recipient": leg.recipient,
        "tenant": leg.tenant,
        "enqueued_secs": leg.enqueued_secs,
        "expiry_secs": leg.expiry_secs,
        "due_secs": (!leg.is_over).then_some(leg.due_secs),
        "is_held": leg.is_held,
        "is_over": leg.is_over,
        "waits": leg.waits,
        "events": leg.events.iter().map(event_json).collect::<Vec<_>>(),
    })
}

fn event_json(event: &Event) -> Value {
    match event {
        Event::Attempt {
            at_secs,
            number,
            due_secs,
            reply,
        } => json!({
            "event": "deferred", "at_secs": at_secs, "attempt": number, "due_secs": due_secs,
            "reply": reply_json(reply),
        }),
        Event::Hold { is_held } => json!({ "event": if *is_held { "held" } else { "released" } }),
        Event::End {
            at_secs,
            how,
            reply,
        } => json!({ "event": how, "at_secs": at_secs, "reply": reply_json(reply) }),
    }
}

fn reply_json(reply: &HostReply) -> Value {
    let way = reply.way.as_deref();
    json!({
        "host": reply.host,
        "code": (reply.code != 0).then_some(reply.code),
        "status": reply.enhanced.as_ref().map(status_text),
        "text": reply.text,
        "address": way.map(|way| way.address.as_str()),
        "source": way.map(|way| way.source.as_str()).filter(|source| !source.is_empty()),
        "tls": way.map(|way| way.tls.as_str()).filter(|tls| !tls.is_empty()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use store::record::Way;

    #[test]
    fn a_reply_is_said_with_its_way() {
        let way = Way {
            address: "192.0.2.1:25".to_owned(),
            source: "192.0.2.9".to_owned(),
            tls: "TLSv1.3 X, verified".to_owned(),
        };
        let mut reply = HostReply {
            host: "mx.test".to_owned(),
            code: 450,
            enhanced: Some(Enhanced {
                class: 4,
                subject: 2,
                detail: 1,
            }),
            text: "later\x1b[2J".to_owned(),
            way: Some(Arc::new(way)),
        };
        assert_eq!(
            said(&reply),
            "mx.test (192.0.2.1:25 from 192.0.2.9, TLSv1.3 X, verified): 450 4.2.1 later?[2J"
        );
        reply = HostReply {
            text: "no host".to_owned(),
            ..HostReply::default()
        };
        assert_eq!(said(&reply), "no host");
    }
}
