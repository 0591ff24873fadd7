//! Every mailbox: its layers, what was counted of it, and each of its rows down to the body.

use super::damage::{Damage, Part, Whose, spot_of};
use super::index::NO_MAILBOX;
use super::objects::Fault;
use super::{Check, Waiting};
use crate::disk::Disk;
use crate::mail::id::{AccountId, ItemId, ModSeq, ObjectId};
use crate::mailbox::card::Card;
use crate::mailbox::index::Index;
use crate::mailbox::meta::{AccountMeta, MailboxMeta};
use crate::mailbox::state::State;
use crate::mailbox::{Account, Row, Rows};
use crate::record::Fact;
use std::ops::ControlFlow;
use std::rc::Rc;

impl<D: Disk> Check<'_, D> {
    /// Every account: those that changed since the last checkpoint from memory, others from the
    /// index.
    pub(super) fn rows(&mut self, index: &Rc<Index>, state: &State) {
        let mut cards: Vec<&Card> = state.slots().owners().map(|owner| owner.card).collect();
        cards.sort_unstable_by_key(|card| card.id);
        for card in cards {
            self.tell.summary.accounts += 1;
            let is_loaded = state.slots().is_loaded(card.id);
            let loaded = is_loaded.then(|| state.account(card.id)).flatten();
            match loaded.filter(|account| account.is_sound()) {
                Some(account) => self.loaded(account),
                None => self.cold(index, card),
            }
        }
        self.offers(state);
        self.queue(state);
    }

    /// An account of which the log has more than the index.
    fn loaded(&mut self, account: &Account) {
        let whose = owned_by(account.id, &account.address);
        for info in account.list() {
            let Some(contents) = account.contents(info.id) else {
                continue;
            };
            let whose = in_mailbox(&whose, &info.name);
            if let Some(damage) = contents.damage() {
                self.mailbox_damage(&whose, damage.0);
            }
            self.mailbox(&whose, contents.rows());
            self.modseqs(&whose, contents.rows(), contents.highest_modseq());
            self.below(&whose, contents.highest_modseq(), account.tip_modseq);
        }
    }

    /// An account that is as the index has it.
    fn cold(&mut self, index: &Rc<Index>, card: &Card) {
        let whose = owned_by(card.id, &card.address);
        if matches!(index.newest(card.id, NO_MAILBOX), Some(Err(_))) {
            // The part itself was named already.
            self.tell.summary.is_partial = true;
            return;
        }
        let meta = match index.meta(card.id) {
            Ok(meta) => meta,
            Err(error) => {
                let damage = Damage::table(Part::Run, &error).of(whose);
                return self.tell.damage(damage);
            }
        };
        if meta.octets() != Ok(card.octets) {
            self.mailbox_damage(
                &whose,
                "its card counts other octets than its mailboxes have",
            );
        }
        for mailbox in &meta.mailboxes {
            self.composed(index, &whose, &meta, mailbox);
        }
    }

    fn composed(
        &mut self,
        index: &Rc<Index>,
        whose: &Whose,
        meta: &AccountMeta,
        mailbox: &MailboxMeta,
    ) {
        let whose = in_mailbox(whose, &mailbox.name);
        let layer = match index.layer(whose.account, mailbox.id, true) {
            Ok(layer) => layer,
            Err(error) => {
                let damage = Damage::table(Part::Run, &error).of(whose);
                return self.tell.damage(damage);
            }
        };
        let rows = &layer.arrivals;
        if rows.last().is_some_and(|last| last.uid >= mailbox.uid_next) {
            self.mailbox_damage(&whose, "it has UIDs that were never given out");
        }
        if rows.tally(mailbox.recent_first) != mailbox.tally {
            self.mailbox_damage(&whose, "it has other messages than were counted");
        }
        self.modseqs(&whose, rows, mailbox.highest_modseq);
        self.below(&whose, mailbox.highest_modseq, meta.tip_modseq);
        self.mailbox(&whose, rows);
    }

    /// No row may have changed later than its mailbox.
    fn modseqs(&mut self, whose: &Whose, rows: &Rows, highest: ModSeq) {
        if rows.iter().any(|row| row.modseq > highest) {
            self.mailbox_damage(whose, "a message has a MODSEQ above that of its mailbox");
        }
    }

    fn below(&mut self, whose: &Whose, mailbox: ModSeq, account: ModSeq) {
        if mailbox > account {
            self.mailbox_damage(whose, "its MODSEQ is above that of its account");
        }
    }

    fn mailbox(&mut self, whose: &Whose, rows: &Rows) {
        self.tell.summary.mailboxes += 1;
        for row in rows.iter() {
            self.tell.summary.messages += 1;
            if self.objects.judges(row.delivery)
                && let Err(fault) = self.objects.judge(whose.account, &row)
            {
                self.unreadable(whose, &row, &fault);
            }
        }
    }

    fn unreadable(&mut self, whose: &Whose, row: &Row, fault: &Fault) {
        let (file, offset) = self.spot(fault);
        let damage = Damage::new(Part::Message, &file, offset, fault.what).of(Whose {
            uid: Some(row.uid),
            ..whose.clone()
        });
        self.tell.found(damage);
    }

    fn spot(&self, fault: &Fault) -> (String, Option<u64>) {
        match fault.place {
            Some(place) => spot_of(&self.owner.directory, place),
            None => (self.owner.directory.clone(), None),
        }
    }

    fn mailbox_damage(&mut self, whose: &Whose, what: &str) {
        let file = format!("{}/index", self.owner.directory);
        let damage = Damage::new(Part::Mailbox, &file, None, what).of(whose.clone());
        self.tell.damage(damage);
    }

    /// Mail in our custody that other shards are owed.
    fn offers(&mut self, state: &State) {
        let waiting: Waiting = state.spool.facts().filter_map(offered).collect();
        let here = waiting.into_iter();
        for (target, message) in here.filter(|(_, message)| self.objects.judges(*message)) {
            if let Err(fault) = self.objects.judge_message(message) {
                let (file, offset) = self.spot(&fault);
                let what = format!("mail that shard {target} is owed: {}", fault.what);
                self.tell
                    .found(Damage::new(Part::Message, &file, offset, &what));
            }
        }
    }

    /// Mail for other hosts. Items of one record follow each other, and lose the same.
    fn queue(&mut self, state: &State) {
        let mut judged = (ObjectId(0), true);
        let mut faults = Vec::new();
        state.items.walk(ItemId(0), |item| {
            if item.record != judged.0 {
                let record = self.objects.judge_queued(item.record);
                judged = (item.record, record.is_ok());
                faults.extend(record.err().map(|fault| (item.id, fault)));
            }
            let attempt = state.items.last_attempt(item.id);
            let attempt = attempt.map(|attempt| self.objects.judge_attempt(attempt));
            let fault = attempt.and_then(Result::err).filter(|_| judged.1);
            faults.extend(fault.map(|fault| (item.id, fault)));
            self.tell.summary.queued += 1;
            ControlFlow::Continue(())
        });
        for (item, fault) in faults {
            let (file, offset) = self.spot(&fault);
            let what = format!("item {item} of the queue: {}", fault.what);
            self.tell
                .damage(Damage::new(Part::Message, &file, offset, &what));
        }
    }
}

fn offered(fact: Fact) -> Option<(u16, ObjectId)> {
    match fact {
        Fact::Offer(offer) => Some((offer.target, offer.message)),
        _ => None,
    }
}

fn in_mailbox(whose: &Whose, name: &str) -> Whose {
    Whose {
        mailbox: Some(name.to_owned()),
        ..whose.clone()
    }
}

/// An account as a check names it.
pub(super) fn owned_by(account: AccountId, address: &str) -> Whose {
    Whose {
        account,
        address: address.to_owned(),
        ..Whose::default()
    }
}
