//! FETCH and UID FETCH (RFC 9051 §6.4.5, §7.5.2; BINARY of RFC 3516).
//!
//! What the rows of the index answer is told in one sweep. Else it is one message after the other:
//! whatever an item needs is read before the first octet of the response is written, so that a
//! message that cannot be read costs its own response and nothing else.

mod envelopes;
mod fresh;
pub(super) mod rows;
mod whole;

use self::rows::{FlagsShown, RowItem};
use self::whole::Whole;
use super::Session;
use super::dialogue::Dialogue;
use super::io::{Ended, Io};
use super::item::{self, Data, Fault, Headers, Opened};
use super::mailstore::{Mailstore, Picture};
use super::reply::Reply;
use super::reply::say;
use super::resync::intersection;
use super::sequence;
use super::sync::{Changed, Expunges};
use crate::wire::imap::command::{FetchItem, SequenceSet};
use crate::wire::imap::date::DateTimes;
use crate::wire::imap::response::code::Code;
use crate::wire::imap::response::fetch::Fetch;
use crate::wire::imap::response::string;
use crate::wire::imap::response::text;
use crate::wire::imap::resync::Modifiers;
use crate::wire::mime::{envelope, structure};
use ::store::error::ReadError;
use ::store::mail::flags::Flags;
use ::store::mail::id::{ModSeq, Uid};
use ::store::mail::uidset::UidSet;
use ::store::mailbox::Row;
use ::store::shard::{FlagNames, FlagOp, StoreFlags};

/// Messages, and octets of them, that are marked `\Seen` together before they are sent.
const TURN_MESSAGES_MAX: usize = 64;
const TURN_BYTES_MAX: u64 = 1 << 20;

/// What went wrong with single messages.
#[derive(Default)]
struct Outcome {
    gone: bool,
    damaged: bool,
    unknown_cte: bool,
}

impl<S: Mailstore> Session<S> {
    pub(super) async fn fetch<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        uid: bool,
        set: &SequenceSet,
        items: &[FetchItem],
        modifiers: Modifiers,
    ) -> Result<Reply, Ended> {
        let Some(selected) = &self.selected else {
            return Ok(Reply::not_selected());
        };
        let vanishes = uid && self.dialect.qresync && modifiers.changed_since.is_some();
        if modifiers.vanished && !vanishes {
            // RFC 7162 §3.2.6.
            return Ok(Reply::bad(say::VANISHED_ALONE));
        }
        let Ok(uids) = sequence::messages(&selected.view, set, uid, &selected.saved) else {
            return Ok(Reply::out_of_range());
        };
        let marks = !selected.read_only
            && items.iter().any(item::marks_seen)
            && self.may_mark_seen(selected.view.mailbox());
        let items = item::complete(&self.with_implied(items, &modifiers), self.names_uid(uid));
        let uids = self.modified(uids, &modifiers);
        let uids = match self.within_limit(uids, modifiers.partial) {
            Ok(uids) => uids,
            Err(reply) => return Ok(reply),
        };
        if let (true, Some(since)) = (modifiers.vanished, modifiers.changed_since) {
            self.tell_vanished_since(dialogue, set, ModSeq(since))
                .await?;
        }
        let in_rows: Option<Vec<RowItem>> = items.iter().map(RowItem::of).collect();
        let outcome = match in_rows {
            Some(items) => {
                let told = self.tell_rows(dialogue, &uids, &items).await?;
                let gone = told < uids.len();
                Outcome {
                    gone,
                    ..Outcome::default()
                }
            }
            None if envelopes::are_enough(&items) => {
                self.tell_envelopes(dialogue, &uids, &items).await?
            }
            None => self.fetch_each(dialogue, &uids, &items, marks).await?,
        };
        Ok(fetched(&outcome, uid))
    }

    /// RFC 9051 §6.4.9: the UID is in every answer to a UID FETCH, RFC 9586 §3.3: in front of it
    /// where there are no numbers.
    fn names_uid(&self, uid: bool) -> bool {
        uid && !self.dialect.uid_only
    }

    /// RFC 7162 §3.1.4.1: CHANGEDSINCE asks for MODSEQ.
    fn with_implied(&self, items: &[FetchItem], modifiers: &Modifiers) -> Vec<FetchItem> {
        let modseq = modifiers.changed_since.map(|_| FetchItem::ModSeq);
        items.iter().cloned().chain(modseq).collect()
    }

    /// CHANGEDSINCE first, then the part that PARTIAL leaves of it.
    fn modified(&self, uids: UidSet, modifiers: &Modifiers) -> UidSet {
        let changed = match (modifiers.changed_since, &self.selected) {
            (Some(since), Some(selected)) => intersection(
                &self.store.changed_since(&selected.view, ModSeq(since)),
                &uids,
            ),
            _ => uids,
        };
        match modifiers.partial {
            Some(partial) => sequence::part(&changed, partial),
            None => changed,
        }
    }

    async fn fetch_each<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        uids: &UidSet,
        items: &[FetchItem],
        marks: bool,
    ) -> Result<Outcome, Ended> {
        let mut outcome = Outcome::default();
        let whole = Whole::of(items, self.headers());
        let mut uids = uids.iter().peekable();
        while uids.peek().is_some() {
            let turn = self.turn_of(&mut uids, &mut outcome);
            let unseen = if marks { unseen(&turn) } else { UidSet::new() };
            self.mark_seen(dialogue, &unseen).await?;
            for row in &turn {
                let newly_seen = unseen.contains(row.uid);
                if let Some(whole) = whole.as_ref().filter(|_| !newly_seen)
                    && self.tell_whole(dialogue, row.uid, whole)
                {
                    dialogue.flush_if_full().await?;
                    continue;
                }
                self.fetch_message(dialogue, row.uid, items, newly_seen, &mut outcome)
                    .await?;
                dialogue.flush_if_full().await?;
            }
        }
        Ok(outcome)
    }

    /// The next rows that still exist.
    fn turn_of(&self, uids: &mut impl Iterator<Item = Uid>, outcome: &mut Outcome) -> Vec<Row> {
        let mut turn = Vec::new();
        let mut octets = 0;
        let Some(selected) = &self.selected else {
            return turn;
        };
        for uid in uids {
            let Some(row) = self.store.row(&selected.view, uid) else {
                outcome.gone = true;
                continue;
            };
            octets += u64::from(row.octets);
            turn.push(row);
            if turn.len() == TURN_MESSAGES_MAX || octets >= TURN_BYTES_MAX {
                break;
            }
        }
        turn
    }

    /// RFC 9051 §6.4.5: `BODY[…]` sets `\Seen`. A log that takes no changes stops nobody from
    /// reading.
    async fn mark_seen<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        unseen: &UidSet,
    ) -> Result<(), Ended> {
        let Some(selected) = self.selected.as_ref().filter(|_| !unseen.is_empty()) else {
            return Ok(());
        };
        let mailbox = selected.view.mailbox();
        let seen = FlagNames {
            flags: Flags::SEEN,
            keywords: Vec::new(),
        };
        let store = StoreFlags {
            uids: unseen,
            op: FlagOp::Add,
            names: &seen,
            unchanged_since: None,
        };
        let account = self.account;
        let marked = self.store.store_flags(account, mailbox, store).await;
        match marked {
            // Their flags are told with their bodies.
            Ok(_) => {
                self.tell(dialogue, Expunges::HoldBack, |u, _, _| unseen.contains(u))
                    .await
            }
            Err(_) => Ok(()),
        }
    }

    /// One response, or none where the message cannot be read.
    async fn fetch_message<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        uid: Uid,
        items: &[FetchItem],
        newly_seen: bool,
        outcome: &mut Outcome,
    ) -> Result<(), Ended> {
        let Some(selected) = &self.selected else {
            return Ok(());
        };
        let view = &selected.view;
        let (Some(row), Some(sequence)) = (self.store.row(view, uid), view.sequence(uid)) else {
            outcome.gone = true;
            return Ok(());
        };
        let of = (&row, self.headers());
        let read = item::read(dialogue, &self.store, &mut self.structures, of, items).await;
        let (opened, data) = match read {
            Ok(read) => read,
            Err(fault) => {
                if newly_seen {
                    self.write_changed(dialogue.out(), sequence, Changed::from(&row));
                }
                self.note_fault(uid, fault, outcome);
                return Ok(());
            }
        };
        if newly_seen || items.contains(&FetchItem::Flags) {
            // Another session may have made a keyword meanwhile.
            self.tell_keywords(dialogue.out());
        }
        let mut fetch = self.open_fetch(dialogue.out(), sequence, uid);
        for (item, data) in items.iter().zip(data) {
            self.write_item(dialogue, &mut fetch, &row, &opened, item, data)
                .await?;
        }
        if newly_seen {
            self.write_seen(dialogue.out(), &mut fetch, &row, items);
        }
        fetch.close(dialogue.out());
        Ok(())
    }

    fn exists(&self, uid: Uid) -> bool {
        let selected = self.selected.as_ref();
        selected.is_some_and(|s| self.store.row(&s.view, uid).is_some())
    }

    fn note_fault(&self, uid: Uid, fault: Fault, outcome: &mut Outcome) {
        match fault {
            Fault::UnknownEncoding => outcome.unknown_cte = true,
            // Expunged, and its record collected, while it was read.
            Fault::Unreadable(ReadError::Gone) if !self.exists(uid) => outcome.gone = true,
            Fault::Unreadable(error) => {
                outcome.damaged = true;
                self.report(uid, error);
            }
        }
    }

    /// RFC 9755 §8: without UTF-8 a client is shown what RFC 3501 and RFC 5322 allow.
    fn headers(&self) -> Headers {
        match self.reads_utf8() {
            true => Headers::AsTheyAre,
            false => Headers::InAscii,
        }
    }

    /// What a message became by being read, as far as it was not asked for anyhow.
    fn write_seen(&self, out: &mut Vec<u8>, fetch: &mut Fetch, row: &Row, items: &[FetchItem]) {
        let Some(selected) = &self.selected else {
            return;
        };
        if self.dialect.qresync && self.names_uid(true) && !items.contains(&FetchItem::Uid) {
            // RFC 7162 §3.2.4: who hears of expunges by UID has to know whose flags these are.
            fetch.uid(out, row.uid);
        }
        if !items.contains(&FetchItem::Flags) {
            let shown = FlagsShown::in_session(selected, self.rev2);
            shown.write(out, fetch, row.uid, (row.flags, row.keywords));
        }
        if self.dialect.condstore && !items.contains(&FetchItem::ModSeq) {
            fetch.modseq(out, row.modseq);
        }
    }

    async fn write_item<I: Io>(
        &self,
        dialogue: &mut Dialogue<I>,
        fetch: &mut Fetch,
        row: &Row,
        opened: &Opened<S>,
        item: &FetchItem,
        data: Data,
    ) -> Result<(), Ended> {
        let out = dialogue.out();
        if let (Some(item), Some(selected)) = (RowItem::of(item), &self.selected) {
            let shown = FlagsShown::in_session(selected, self.rev2);
            item.write(out, fetch, row, (shown, &mut DateTimes::default()));
            return dialogue.flush_if_full().await;
        }
        match (item, data) {
            (FetchItem::BinarySize(part), Data::Size(octets)) => {
                fetch.binary_size(out, part, octets);
            }
            (FetchItem::Envelope, _) => {
                envelope::write(opened.head(), fetch.item(out, "ENVELOPE"));
            }
            (FetchItem::Body | FetchItem::BodyStructure, _) => {
                let extended = matches!(item, FetchItem::BodyStructure);
                let name = if extended { "BODYSTRUCTURE" } else { "BODY" };
                if let Some(root) = opened.root() {
                    structure::write(root, extended, fetch.item(out, name));
                }
            }
            (_, Data::Thread(Some(id))) => fetch.object_id(out, "THREADID", &id),
            (_, Data::Thread(None)) => fetch.item(out, "THREADID").extend_from_slice(b"NIL"),
            (_, Data::Preview(text)) => {
                let utf8 = self.utf8();
                string(fetch.item(out, "PREVIEW"), text.as_bytes(), utf8);
            }
            (item, data) => {
                announce(fetch, out, item, &data);
                if let Data::Listed(fields) = &data {
                    out.extend_from_slice(fields);
                }
                if let (Data::Octets(measured), Some(message)) = (data, opened.message()) {
                    measured.send(dialogue, &self.store, message).await?;
                }
            }
        }
        dialogue.flush_if_full().await
    }
}

/// The name of an item with octets, and how many they are.
fn announce(fetch: &mut Fetch, out: &mut Vec<u8>, item: &FetchItem, data: &Data) {
    let (octets, nul) = match data {
        Data::Octets(measured) => (Some(measured.octets), measured.nul),
        Data::Listed(fields) => (Some(fields.len() as u64), false),
        _ => (None, false),
    };
    match item {
        FetchItem::Section {
            section, partial, ..
        } => {
            fetch.section(out, section, partial.map(|p| p.0), octets);
        }
        FetchItem::Binary { part, partial, .. } => {
            fetch.binary(out, part, partial.map(|p| p.0), octets, nul);
        }
        FetchItem::Rfc822 => fetch.text(out, "RFC822", octets.unwrap_or(0)),
        FetchItem::Rfc822Header => fetch.text(out, "RFC822.HEADER", octets.unwrap_or(0)),
        FetchItem::Rfc822Text => fetch.text(out, "RFC822.TEXT", octets.unwrap_or(0)),
        _ => {}
    }
}

fn unseen(rows: &[Row]) -> UidSet {
    let unseen = rows.iter().filter(|row| !row.flags.contains(Flags::SEEN));
    UidSet::from_ascending(unseen.map(|row| row.uid))
}

/// RFC 2180 §4.1: by sequence number the client pointed at what it believes to exist.
fn fetched(outcome: &Outcome, uid: bool) -> Reply {
    if outcome.damaged {
        return Reply::no(text::MESSAGE_DAMAGED).with(Code::ServerBug);
    }
    if outcome.unknown_cte {
        return Reply::no(text::UNKNOWN_CTE).with(Code::UnknownCte);
    }
    if outcome.gone && !uid {
        return Reply::expunge_issued();
    }
    Reply::ok(text::FETCH_DONE)
}
