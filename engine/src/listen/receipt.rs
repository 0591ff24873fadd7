//! Receipts of what was delivered here, for clients that asked by NOTIFY=SUCCESS (RFC 3461 §4.1).

use super::hall::Hall;
use super::leads::Lead;
use super::sending::Through;
use crate::event;
use crate::intake::queue_id;
use crate::queue::{Delivery, WayBack, receipt, wants_receipt};
use crate::session::smtp::Terms;
use crate::wire::smtp::reply::Verdict;
use std::rc::Rc;
use store::mail::envelope::{Envelope, Recipient};
use store::shard::Source;

/// What a receipt needs of a message of which custody was taken.
pub(super) struct Given {
    pub(super) asked: Vec<Asked>,
    pub(super) source: Source,
    pub(super) queue_id: String,
    pub(super) head: Vec<u8>,
}

/// A recipient with us whose receipt is wanted.
pub(super) struct Asked {
    recipient: Recipient,
    /// In the envelope.
    position: usize,
    is_list: bool,
}

/// Whether anybody wants one.
pub(super) fn is_wanted(envelope: Option<&Envelope>) -> bool {
    envelope.is_some_and(|envelope| {
        let sender = envelope.reverse_path.as_ref();
        envelope
            .recipients
            .iter()
            .any(|one| wants_receipt(one, sender))
    })
}

/// Keeps of a message what a receipt returns.
pub(super) fn keep(head: &mut Vec<u8>, octets: &[u8]) {
    let room = Delivery::HEAD_BYTES_MAX.saturating_sub(head.len());
    head.extend_from_slice(octets.get(..room).unwrap_or(octets));
}

/// Who wants one of those that are delivered here; `None`: nobody.
pub(super) fn asked(envelope: &Envelope, leads: &[Lead]) -> Option<Vec<Asked>> {
    if !is_wanted(Some(envelope)) {
        return None;
    }
    let sender = envelope.reverse_path.as_ref();
    let each = envelope.recipients.iter().zip(leads).enumerate();
    let asked = each.filter_map(|(position, (recipient, lead))| {
        let through = match lead {
            Lead::Accounts(targets) => Through::to(targets),
            // Who is told of one elsewhere is told from there.
            Lead::Forwarded(members) => Some(members.through()).filter(|it| *it != Through::One)?,
            Lead::Later(_) | Lead::Away(_) | Lead::Nowhere => return None,
        };
        wants_receipt(recipient, sender).then(|| Asked {
            recipient: recipient.clone(),
            position,
            // RFC 3461 §5.2.7.1: to a list it is delivered.
            is_list: through == Through::Several,
        })
    });
    let asked: Vec<Asked> = asked.collect();
    (!asked.is_empty()).then_some(asked)
}

/// Sends the receipt of those who were taken.
pub(super) async fn give(hall: Rc<Hall>, given: Given, verdicts: Vec<Verdict>) {
    let is_taken = |asked: &&Asked| verdicts.get(asked.position).is_some_and(Result::is_ok);
    let taken = given.asked.iter().filter(is_taken);
    let taken: Vec<(&Recipient, bool)> = taken.map(|one| (&one.recipient, one.is_list)).collect();
    let now = hall.now();
    let now_secs = now.unix_secs() as i64;
    let queue = hall.queue_ids.next(now.unix_millis * 1000);
    let config = hall.live.config.load_full();
    let delivery = Delivery {
        host: &config.hostname,
        id: &queue_id::text(queue),
        now_secs,
        reverse_path: given.source.reverse_path.as_ref(),
        queue_id: &given.queue_id,
        arrived_secs: now_secs,
        envid: given.source.envid.as_deref(),
        smtputf8: given.source.smtputf8,
        head: &given.head,
    };
    let (Some(notice), Some(sender)) = (receipt(delivery, &taken), &given.source.reverse_path)
    else {
        return;
    };
    let way = WayBack {
        live: &hall.live,
        shard: hall.shard,
        now_secs,
    };
    let submitted = way.submitted(queue, sender, &notice, &Terms::default());
    let sent = match submitted {
        None => Err("there is no way to the sender".to_owned()),
        Some(submitted) => hall
            .intake
            .take_own(notice.octets, submitted, Vec::new())
            .await
            .map_err(|error| error.to_string()),
    };
    match sent {
        Ok(_) => event!(
            Info,
            "receipt",
            queue_id = queue_id::text(queue),
            of = given.queue_id.as_str(),
            to = sender.to_string(),
            recipients = taken.len()
        ),
        Err(why) => event!(
            Warn,
            "receipt not sent",
            of = given.queue_id.as_str(),
            why = why
        ),
    }
}
