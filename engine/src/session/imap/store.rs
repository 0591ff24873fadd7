//! STORE and UID STORE (RFC 9051 §6.4.6, UNCHANGEDSINCE of RFC 7162 §3.1.3).

use super::Session;
use super::dialogue::Dialogue;
use super::fetch::rows::RowItem;
use super::io::{Ended, Io};
use super::mailstore::{Mailstore, Picture};
use super::reply::Reply;
use super::sequence;
use super::sync::Expunges;
use crate::wire::imap::command::{SequenceSet, Store, StoreOp};
use crate::wire::imap::response::text;
use store::mail::flags::{Flags, Keywords};
use store::mail::id::{ModSeq, Uid};
use store::mail::uidset::UidSet;
use store::mailbox::Row;
use store::shard::{FlagNames, FlagOp, StoreFlags};

/// Messages changed by one record of the log: bounds what a STORE of everything holds in memory.
const MESSAGES_A_TURN: u32 = 10_000;

impl<S: Mailstore> Session<S> {
    pub(super) async fn store<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        uid: bool,
        set: &SequenceSet,
        store: Store,
    ) -> Result<Reply, Ended> {
        let Some(selected) = &self.selected else {
            return Ok(Reply::not_selected());
        };
        if selected.read_only {
            return Ok(Reply::read_only());
        }
        let Ok(uids) = sequence::messages(&selected.view, set, uid, &selected.saved) else {
            return Ok(Reply::out_of_range());
        };
        let uids = match self.within_limit(uids, None) {
            Ok(uids) => uids,
            Err(reply) => return Ok(reply),
        };
        let expunges = if uid {
            Expunges::Tell
        } else {
            Expunges::HoldBack
        };
        let change = Change {
            op: match store.op {
                StoreOp::Set => FlagOp::Set,
                StoreOp::Add => FlagOp::Add,
                StoreOp::Remove => FlagOp::Remove,
            },
            names: FlagNames {
                flags: store.flags.flags,
                keywords: store.flags.keywords,
            },
            unchanged_since: store.unchanged_since.map(ModSeq),
            silent: store.silent,
            by_uid: uid,
        };
        let mut outcome = Outcome::default();
        for turn in sequence::turns(&uids, MESSAGES_A_TURN) {
            if let Err(reply) = self
                .store_turn(dialogue, &turn, &change, &mut outcome)
                .await?
            {
                return Ok(reply);
            }
        }
        Ok(self.stored(outcome, uid, change.silent, expunges))
    }

    /// Changes a bounded number of messages and tells the client what they have become.
    async fn store_turn<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        uids: &UidSet,
        change: &Change,
        outcome: &mut Outcome,
    ) -> Result<Result<(), Reply>, Ended> {
        // What others changed is told first: then a silent STORE hides nothing but itself.
        let mut told = UidSet::new();
        self.tell(dialogue, Expunges::HoldBack, |uid, _, _| {
            told.push(uid);
            false
        })
        .await?;
        let before = self.rows(uids);
        outcome.gone |= (before.len() as u64) < uids.len();
        let Some(selected) = &self.selected else {
            return Ok(Ok(()));
        };
        let mailbox = selected.view.mailbox();
        let store = StoreFlags {
            uids,
            op: change.op,
            names: &change.names,
            unchanged_since: change.unchanged_since,
        };
        let left = match self.store.store_flags(self.account, mailbox, store).await {
            Ok(left) => left,
            Err(error) => return Ok(Err(Reply::failed(&error))),
        };
        let bits = keyword_bits(&self.store.keywords(self.account, mailbox), &change.names);
        let expected = |uid: Uid| {
            let at = before.binary_search_by_key(&uid, |row| row.uid).ok()?;
            let row = before.get(at)?;
            Some(change.applied(row.flags, row.keywords, bits))
        };
        let silent = change.silent;
        self.tell(dialogue, Expunges::HoldBack, |uid, flags, keywords| {
            let ours = uids.contains(uid) && !left.contains(uid);
            // A value told within this command may be taken for its outcome: it is told again.
            let known = || expected(uid) == Some((flags, keywords)) && !told.contains(uid);
            ours && (!silent || known())
        })
        .await?;
        self.tell_stored(dialogue, &uids.without(&left), change, &before)
            .await?;
        outcome.modified.extend(left.iter());
        Ok(Ok(()))
    }

    /// RFC 9051 §6.4.6: the new value of every message, changed or not. Whoever asked for silence
    /// knows the flags, but not their MODSEQ (RFC 7162 §3.1.3).
    async fn tell_stored<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        stored: &UidSet,
        change: &Change,
        before: &[Row],
    ) -> Result<(), Ended> {
        let modseq = self.dialect.condstore.then_some(RowItem::ModSeq);
        if change.silent && modseq.is_none() {
            return Ok(());
        }
        // RFC 7162 §3.2.4: with QRESYNC every response bears its UID.
        let with_uid = change.by_uid || self.dialect.qresync;
        let uid = with_uid.then_some(RowItem::Uid);
        let flags = (!change.silent).then_some(RowItem::Flags);
        let items: Vec<RowItem> = uid.into_iter().chain(flags).chain(modseq).collect();
        let items = self.told_items(&items);
        let told = match change.silent && change.unchanged_since.is_none() {
            true => self.changed_of(stored, before),
            false => stored.clone(),
        };
        self.tell_rows(dialogue, &told, &items).await?;
        Ok(())
    }

    /// The messages of a set that have another MODSEQ than before.
    fn changed_of(&self, uids: &UidSet, before: &[Row]) -> UidSet {
        let mut before = before.iter().peekable();
        let mut changed = UidSet::new();
        for row in self.rows(uids) {
            while before.next_if(|old| old.uid < row.uid).is_some() {}
            let is_old = before.peek().is_some_and(|old| old.modseq == row.modseq);
            if !is_old {
                changed.push(row.uid);
            }
        }
        changed
    }

    fn rows(&self, uids: &UidSet) -> Vec<Row> {
        let mut rows = Vec::new();
        if let Some(selected) = &self.selected {
            self.store
                .rows(&selected.view, uids, &mut |row| rows.push(row));
        }
        rows
    }

    fn stored(&self, outcome: Outcome, uid: bool, silent: bool, expunges: Expunges) -> Reply {
        if !outcome.modified.is_empty() {
            let mut modified = UidSet::from_ascending(outcome.modified);
            if let (false, Some(selected)) = (uid, &self.selected) {
                modified = sequence::numbers(&selected.view, &modified);
            }
            return Reply::ok(text::MODIFIED).with_modified(modified);
        }
        if outcome.gone && expunges == Expunges::HoldBack && !silent {
            // RFC 2180 §4.2.
            return Reply::expunge_issued();
        }
        Reply::ok(text::STORE_DONE)
    }
}

struct Change {
    op: FlagOp,
    names: FlagNames,
    unchanged_since: Option<ModSeq>,
    silent: bool,
    by_uid: bool,
}

#[derive(Default)]
struct Outcome {
    /// A message of the set was expunged by somebody else.
    gone: bool,
    /// Left alone because of UNCHANGEDSINCE, ascending.
    modified: Vec<Uid>,
}

impl Change {
    fn applied(&self, flags: Flags, keywords: Keywords, bits: Keywords) -> (Flags, Keywords) {
        match self.op {
            FlagOp::Set => (self.names.flags, bits),
            FlagOp::Add => (flags | self.names.flags, Keywords(keywords.0 | bits.0)),
            FlagOp::Remove => (flags & !self.names.flags, Keywords(keywords.0 & !bits.0)),
        }
    }
}

/// The bits of keywords by name; those that the table lacks have none.
pub(super) fn keyword_bits(table: &[String], names: &FlagNames) -> Keywords {
    let named = |keyword: &String| {
        names
            .keywords
            .iter()
            .any(|n| n.eq_ignore_ascii_case(keyword))
    };
    let bits = table
        .iter()
        .take(64)
        .enumerate()
        .filter(|(_, keyword)| named(keyword));
    Keywords(bits.fold(0, |bits, (at, _)| bits | 1 << at))
}
