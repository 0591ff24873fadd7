//! Receipts of what was delivered here, for clients that asked by NOTIFY=SUCCESS (RFC 3461 §4.1).

use super::hall::Hall;
use super::leads::Lead;
use super::sending::Through;
use crate::event;
use crate::intake::queue_id;
use crate::post::{Question, Submitted};
use crate::queue::{Debt, HEAD_BYTES_MAX, Payer, owed, wants_receipt};
use crate::reactor::spawn;
use crate::wire::smtp::reply::Verdict;
use std::rc::Rc;
use store::mail::envelope::{Envelope, Recipient};
use store::shard::Source;

/// What a receipt needs of a message of which custody was taken.
pub(super) struct Given {
    asked: Vec<Asked>,
    source: Source,
    queue_id: String,
    arrived_secs: i64,
    head: Vec<u8>,
    /// The shard with the memo that says that it is owed.
    noted_at: Option<usize>,
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
    let room = HEAD_BYTES_MAX.saturating_sub(head.len());
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

impl Given {
    /// What a message that is about to be taken owes. A memo of it rides along, so that a crash
    /// does not lose it; but where each recipient has a fate of its own, only the receipt itself
    /// can say whose was good.
    pub(super) fn of(asked: Vec<Asked>, head: Vec<u8>, submitted: &mut Submitted) -> Given {
        let mut given = Given {
            asked,
            source: submitted.source.clone(),
            queue_id: queue_id::text(submitted.queue),
            arrived_secs: submitted.received_secs,
            head,
            noted_at: None,
        };
        let coordinator = submitted.shares.first().map(|(owner, _)| *owner);
        let memo = given.debt().and_then(|debt| debt.memo());
        if let Some(memo) = memo.filter(|_| !submitted.each_alone) {
            submitted.memos.push(memo);
            given.noted_at = coordinator;
        }
        given
    }

    /// What is owed to the sender, if all of these are taken.
    fn debt(&self) -> Option<Debt> {
        Some(Debt {
            reverse_path: self.source.reverse_path.clone()?,
            queue_id: self.queue_id.clone(),
            arrived_secs: self.arrived_secs,
            envid: self.source.envid.clone(),
            smtputf8: self.source.smtputf8,
            recipients: self
                .asked
                .iter()
                .map(|one| (one.recipient.clone(), one.is_list))
                .collect(),
            head: self.head.clone(),
        })
    }
}

/// Sends what an earlier life owed, before anything new is taken.
pub fn pay_owed(hall: &Rc<Hall>) {
    let debts = owed(&hall.store);
    if debts.is_empty() {
        return;
    }
    let hall = Rc::clone(hall);
    spawn(async move { payer(&hall).pay_all(&hall.store, debts).await });
}

fn payer(hall: &Hall) -> Payer<'_> {
    Payer {
        live: &hall.live,
        intake: &hall.intake,
        queue_ids: &hall.queue_ids,
        shard: hall.shard,
        now: hall.now(),
    }
}

/// Sends the receipt of those who were taken, and strikes out what was noted of it.
pub(super) async fn give(hall: Rc<Hall>, given: Given, verdicts: Vec<Verdict>) {
    let Some(mut debt) = given.debt() else {
        return;
    };
    let is_taken = |asked: &Asked| verdicts.get(asked.position).is_some_and(Result::is_ok);
    let mut taken = given.asked.iter().map(is_taken);
    debt.recipients.retain(|_| taken.next().unwrap_or(false));
    if let Err(why) = payer(&hall).pay(&debt).await {
        let of = given.queue_id.as_str();
        return event!(Warn, "receipt not sent", of = of, why = why);
    }
    // Where that fails it is sent once more, by the next start.
    match given.noted_at {
        None => {}
        Some(shard) if shard == hall.shard => {
            let _ = hall.store.write_memos(vec![debt.paid()]).await;
        }
        Some(shard) => {
            let question = Question::Note(Box::new(debt.paid()));
            let _ = hall.post.ask(shard, question).await;
        }
    }
}
