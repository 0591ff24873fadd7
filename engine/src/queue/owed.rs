//! Receipts that senders are owed: noted in the frame of their message, struck out when sent.
//!
//! ```text
//! custody + memo ── receipt ── memo gone        a crash between them: the start finds the memo,
//!                 ╰─ crash ─→ receipt ── memo gone      and sends what it says
//! ```
//!
//! A crash between receipt and striking out sends it twice, which harms nobody. A memo has a bound:
//! of a long header the receipt after a crash returns the beginning only, and of very many
//! recipients it names those for whom there is room.

use super::dispatch::Dispatcher;
use super::receipt::{Delivery, receipt};
use super::way_back::WayBack;
use crate::event;
use crate::intake::{Intake, QueueIds, Shard, queue_id};
use crate::reactor::Now;
use crate::route::Live;
use crate::session::smtp::Terms;
use serde::{Deserialize, Serialize};
use store::limit::MEMO_VALUE_BYTES_MAX;
use store::mail::address::Address;
use store::mail::envelope::{Notify, Recipient};
use store::shard::{Memo, MemoChange, Space};

/// A receipt to be.
#[derive(Clone, Debug)]
pub struct Debt {
    pub reverse_path: Address,
    /// Of the message.
    pub queue_id: String,
    pub arrived_secs: i64,
    pub envid: Option<String>,
    pub smtputf8: bool,
    /// Each with whether it stands for several mailboxes.
    pub recipients: Vec<(Recipient, bool)>,
    /// The first octets of the message.
    pub head: Vec<u8>,
}

/// From where receipts are sent.
#[derive(Clone, Copy)]
pub struct Payer<'a> {
    pub live: &'a Live,
    pub intake: &'a Intake,
    pub queue_ids: &'a QueueIds,
    pub shard: usize,
    pub now: Now,
}

/// As a memo has it; the queue id is the key.
#[derive(Serialize, Deserialize)]
struct Noted {
    #[serde(rename = "f")]
    from: (String, String),
    #[serde(rename = "t")]
    arrived_secs: i64,
    #[serde(rename = "e")]
    envid: Option<String>,
    #[serde(rename = "u")]
    smtputf8: bool,
    /// Local part, domain, ORCPT, whether it is a list.
    #[serde(rename = "r")]
    recipients: Vec<(String, String, Option<String>, bool)>,
    #[serde(rename = "h")]
    head: String,
}

impl Debt {
    /// What is noted of it; `None`: no memo has room for it.
    #[must_use]
    pub fn memo(&self) -> Option<Memo> {
        let mut noted = Noted::of(self);
        let mut value = serde_json::to_vec(&noted).ok()?;
        while value.len() > MEMO_VALUE_BYTES_MAX {
            let is_bare = noted.head.is_empty();
            noted.head.clear();
            if is_bare && noted.recipients.pop().is_none() {
                return None;
            }
            value = serde_json::to_vec(&noted).ok()?;
        }
        Some(Memo {
            space: Space::RECEIPT,
            key: self.queue_id.clone().into_bytes(),
            value,
            expiry_secs: self.arrived_secs.saturating_add(OWED_SECS_MAX),
        })
    }

    /// The change that strikes it out.
    #[must_use]
    pub fn paid(&self) -> MemoChange {
        MemoChange::Remove(Space::RECEIPT, self.queue_id.clone().into_bytes())
    }

    /// What an earlier life noted; `None`: another build did, and knows what it means.
    fn of(memo: &Memo) -> Option<Debt> {
        let noted: Noted = serde_json::from_slice(&memo.value).ok()?;
        let recipient = |(local, domain, orcpt, is_list): (String, String, _, bool)| {
            let recipient = Recipient {
                notify: Notify::SUCCESS,
                orcpt,
                ..Recipient::new(Address::new(local, domain))
            };
            (recipient, is_list)
        };
        Some(Debt {
            reverse_path: Address::new(noted.from.0, noted.from.1),
            queue_id: String::from_utf8(memo.key.clone()).ok()?,
            arrived_secs: noted.arrived_secs,
            envid: noted.envid,
            smtputf8: noted.smtputf8,
            recipients: noted.recipients.into_iter().map(recipient).collect(),
            head: noted.head.into_bytes(),
        })
    }
}

impl Noted {
    fn of(debt: &Debt) -> Noted {
        let recipient = |(one, is_list): &(Recipient, bool)| {
            let address = one.address.clone();
            (address.local, address.domain, one.orcpt.clone(), *is_list)
        };
        let from = &debt.reverse_path;
        Noted {
            from: (from.local.clone(), from.domain.clone()),
            arrived_secs: debt.arrived_secs,
            envid: debt.envid.clone(),
            smtputf8: debt.smtputf8,
            recipients: debt.recipients.iter().map(recipient).collect(),
            head: String::from_utf8_lossy(beginning(&debt.head)).into_owned(),
        }
    }
}

impl Payer<'_> {
    /// Sends the receipt. `Err`: it is owed still.
    pub async fn pay(&self, debt: &Debt) -> Result<(), String> {
        let now_secs = self.now.unix_secs() as i64;
        let queue = self.queue_ids.next(self.now.unix_millis * 1000);
        let config = self.live.config.load_full();
        let delivery = Delivery {
            host: &config.hostname,
            id: &queue_id::text(queue),
            now_secs,
            reverse_path: Some(&debt.reverse_path),
            queue_id: &debt.queue_id,
            arrived_secs: debt.arrived_secs,
            envid: debt.envid.as_deref(),
            smtputf8: debt.smtputf8,
            head: &debt.head,
        };
        let told: Vec<(&Recipient, bool)> =
            debt.recipients.iter().map(|(one, is)| (one, *is)).collect();
        let Some(notice) = receipt(delivery, &told) else {
            return Ok(());
        };
        let way = WayBack {
            live: self.live,
            shard: self.shard,
            now_secs,
        };
        let terms = Terms::default();
        let Some(submitted) = way.submitted(queue, &debt.reverse_path, &notice, &terms) else {
            let (of, why) = (debt.queue_id.as_str(), "there is no way to the sender");
            event!(Warn, "receipt not sent", of = of, why = why);
            return Ok(());
        };
        let sent = self.intake.take_own(notice.octets, submitted, Vec::new());
        sent.await.map_err(|error| error.to_string())?;
        event!(
            Info,
            "receipt",
            queue_id = queue_id::text(queue),
            of = debt.queue_id.as_str(),
            to = debt.reverse_path.to_string(),
            recipients = told.len()
        );
        Ok(())
    }

    /// Pays debts that this shard has noted, and strikes them out. What cannot be paid now is for
    /// the next start.
    pub async fn pay_all(&self, store: &Shard, debts: Vec<Debt>) {
        for debt in debts {
            let paid = match self.pay(&debt).await {
                Ok(()) => store.write_memos(vec![debt.paid()]).await,
                Err(why) => {
                    let of = debt.queue_id.as_str();
                    event!(Warn, "receipt not sent", of = of, why = why);
                    continue;
                }
            };
            if let Err(error) = paid {
                let (of, why) = (debt.queue_id.as_str(), error.to_string());
                event!(Warn, "receipt not struck out", of = of, why = why);
            }
        }
    }
}

/// What an earlier life owed: asked before anything new is taken.
pub fn owed(store: &Shard) -> Vec<Debt> {
    let found = store.memos(Space::RECEIPT, b"", None, DEBTS_MAX);
    let found = found.unwrap_or_else(|error| {
        event!(Error, "receipts lost", why = error.to_string());
        Vec::new()
    });
    found.iter().filter_map(Debt::of).collect()
}

impl Dispatcher {
    /// Pays what the message of a waiting recipient that came home owes.
    pub(super) async fn pay_debts(&self, debts: Vec<Debt>) {
        let payer = Payer {
            live: &self.live,
            intake: &self.intake,
            queue_ids: &self.queue_ids,
            shard: self.shard,
            now: self.now(),
        };
        payer.pay_all(&self.store, debts).await;
    }
}

/// The fields of a header that fit, whole lines.
fn beginning(head: &[u8]) -> &[u8] {
    let head = head.get(..HEAD_NOTED_MAX).unwrap_or(head);
    let end = memchr::memmem::find(head, b"\r\n\r\n").map(|at| at + 4);
    let line = || memchr::memmem::rfind(head, b"\r\n").map(|at| at + 2);
    head.get(..end.or_else(line).unwrap_or(0))
        .unwrap_or_default()
}

/// Octets of a header that are noted: as JSON they may be more.
const HEAD_NOTED_MAX: usize = 2_048;

/// Receipts that one start sends of a shard.
const DEBTS_MAX: usize = 10_000;

/// What could not be said in a week is news no more.
const OWED_SECS_MAX: i64 = 7 * 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    fn debt(recipients: usize, head: &[u8]) -> Debt {
        let recipient = |number| {
            let recipient = Recipient {
                notify: Notify::SUCCESS,
                orcpt: Some(format!("rfc822;u{number}@b.test")),
                ..Recipient::new(Address::new(format!("u{number}"), "b.test"))
            };
            (recipient, number == 0)
        };
        Debt {
            reverse_path: Address::new("alice", "a.test"),
            queue_id: "q1".to_owned(),
            arrived_secs: 1_795_000_000,
            envid: Some("e1".to_owned()),
            smtputf8: false,
            recipients: (0..recipients).map(recipient).collect(),
            head: head.to_vec(),
        }
    }

    #[test]
    fn a_debt_reads_back() {
        let owed = debt(2, b"Subject: hello\r\n\r\nbody");
        let found = Debt::of(&owed.memo().unwrap()).unwrap();
        assert_eq!(found.reverse_path, owed.reverse_path);
        assert_eq!(
            (found.queue_id.as_str(), found.arrived_secs),
            ("q1", 1_795_000_000)
        );
        assert_eq!(found.envid.as_deref(), Some("e1"));
        assert_eq!(found.recipients, owed.recipients);
        assert_eq!(found.head, b"Subject: hello\r\n\r\n");
    }

    #[test]
    fn whatever_is_owed_fits_into_a_memo() {
        for owed in [
            debt(1, &b"X: \x01\x02\"\r\n".repeat(8_000)),
            debt(1_000, b"Subject: x\r\n\r\n"),
        ] {
            let memo = owed.memo().unwrap();
            assert!(memo.fault().is_none(), "{:?}", memo.fault());
            assert!(!Debt::of(&memo).unwrap().recipients.is_empty());
        }
        let long = Debt {
            envid: Some("e".repeat(5_000)),
            ..debt(1, b"")
        };
        assert!(long.memo().is_none());
    }
}
