//! THREAD and UID THREAD (RFC 5256 §3, §4).

mod forest;
mod references;

#[cfg(test)]
mod naive;

use self::forest::{Forest, Writer};
use super::super::Session;
use super::super::dialogue::Dialogue;
use super::super::io::{Ended, Io};
use super::super::mailstore::{Mailstore, Picture};
use super::super::reply::Reply;
use super::super::sequence;
use super::Searched;
use super::hunt::Ground;
use super::known::Table;
use super::sort::within_limit;
use crate::wire::imap::command::Search;
use crate::wire::imap::find::Algorithm;
use crate::wire::imap::response::{CRLF, text};
use crate::wire::mime::facts::SortText;
use ::store::mail::id::Uid;
use ::store::mail::uidset::UidSet;

/// Rows read before other connections run.
const ROWS_A_TURN: u32 = 16_384;

/// Threads written before the output is looked at.
const THREADS_A_PIECE: usize = 256;

/// A message as threads are made of it. The order of messages is that of the mailbox.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Message {
    uid: u32,
    /// When it was sent, or where that is not known, when it arrived.
    date: i64,
    /// The number of its Message ID; 0 for none.
    id: u64,
    parents: Vec<u64>,
    /// The number of its base subject, 0 for the empty one.
    subject: u32,
    is_reply: bool,
}

impl<S: Mailstore> Session<S> {
    pub(super) async fn thread<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        uid: bool,
        algorithm: Algorithm,
        search: &Search,
    ) -> Result<Reply, Ended> {
        let searched = self.search_selected(dialogue, search, false).await;
        let caught = match within_limit(searched) {
            Searched::Caught(caught) => caught,
            Searched::Refused(reply) => return Ok(reply),
        };
        let messages = self.messages(dialogue, &caught.found).await;
        let forest = match algorithm {
            Algorithm::OrderedSubject => ordered_subject(&messages),
            Algorithm::References => references::thread(&messages, true),
            Algorithm::Refs => references::thread(&messages, false),
        };
        dialogue.pause().await;
        self.tell_threads(dialogue, uid, &messages, &forest).await?;
        Ok(Reply::ok(text::THREAD_DONE))
    }

    async fn messages<I: Io>(&self, dialogue: &mut Dialogue<I>, found: &UidSet) -> Vec<Message> {
        let Some(selected) = &self.selected else {
            return Vec::new();
        };
        let ground = Ground {
            store: &self.store,
            account: self.account,
            view: &selected.view,
        };
        let table = self.known.of(&ground, found, dialogue).await;
        let mut messages = Vec::new();
        for turn in sequence::turns(found, ROWS_A_TURN) {
            ground.store.rows(ground.view, &turn, &mut |row| {
                messages.extend(message(&table, row.uid, row.internal_date.unix_secs));
            });
            dialogue.pause().await;
        }
        messages
    }

    async fn tell_threads<I: Io>(
        &self,
        dialogue: &mut Dialogue<I>,
        uid: bool,
        messages: &[Message],
        forest: &Forest,
    ) -> Result<(), Ended> {
        let Some(selected) = &self.selected else {
            return Ok(());
        };
        let number = |at: u32| {
            let message = messages.get(at as usize)?;
            match uid {
                true => Some(message.uid),
                false => selected.view.sequence(Uid(message.uid)),
            }
        };
        dialogue.out().extend_from_slice(b"* THREAD");
        if !forest.roots().is_empty() {
            dialogue.out().push(b' ');
        }
        let mut writer = Writer::new(forest, &number);
        for roots in forest.roots().chunks(THREADS_A_PIECE) {
            for root in roots {
                writer.thread(dialogue.out(), *root);
            }
            dialogue.flush_if_full().await?;
        }
        dialogue.out().extend_from_slice(CRLF);
        Ok(())
    }
}

fn message(table: &Table, uid: Uid, arrived: i64) -> Option<Message> {
    let entry = table.entry(uid)?;
    Some(Message {
        uid: uid.0,
        date: entry.sent.unwrap_or(arrived),
        id: entry.id,
        parents: table.parents(entry).to_vec(),
        subject: table.text(entry, SortText::Subject),
        is_reply: entry.is_reply,
    })
}

/// ORDEREDSUBJECT: of messages with one base subject the earliest is the root, the others are its
/// children; threads are in the order of their roots.
fn ordered_subject(messages: &[Message]) -> Forest {
    let mut order: Vec<(u32, i64, u32)> = messages
        .iter()
        .zip(0..)
        .map(|(message, at)| (message.subject, message.date, at))
        .collect();
    order.sort_unstable();
    let mut forest = Forest::of(messages.len());
    let mut roots = Vec::new();
    for thread in order.chunk_by(|one, other| one.0 == other.0) {
        let Some(((_, date, root), others)) = thread.split_first() else {
            continue;
        };
        roots.push((*date, *root));
        for (_, _, child) in others {
            forest.add_child(*root, *child);
        }
    }
    roots.sort_unstable();
    forest.set_roots(roots.into_iter().map(|(_, root)| root).collect());
    forest
}
