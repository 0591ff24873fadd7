//! SORT and UID SORT (RFC 5256, RFC 5957, RFC 6203 §6), extended too (RFC 5267 §3).
//!
//! Each criterion becomes a number that compares as its values do, and REVERSE its complement; the
//! last criterion is always the place in the mailbox.

use super::super::Session;
use super::super::dialogue::Dialogue;
use super::super::io::{Ended, Io};
use super::super::mailstore::Mailstore;
use super::super::reply::Reply;
use super::super::sequence;
use super::hunt::Ground;
use super::known::Table;
use super::{Searched, answer, live};
use crate::wire::imap::command::Search;
use crate::wire::imap::find::{Criterion, SortKey};
use crate::wire::imap::response::esearch::Correlator;
use crate::wire::imap::response::{code, text};
use crate::wire::mime::facts::SortText;
use ::store::mail::id::Uid;
use ::store::mail::uidset::UidSet;
use ::store::mailbox::Row;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Rows read before other connections run.
const ROWS_A_TURN: u32 = 16_384;

/// Messages that are sorted or threaded at once.
pub(super) const MESSAGES_MAX: u64 = 4_000_000;

impl<S: Mailstore> Session<S> {
    pub(super) async fn sort<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        tag: &str,
        uid: bool,
        criteria: Vec<Criterion>,
        search: Search,
    ) -> Result<Reply, Ended> {
        if self.updates_already(tag, search.returns) {
            return Ok(Reply::bad(text::TAG_REUSED));
        }
        let caught = match self.search_to_sort(dialogue, &search, &criteria).await {
            Searched::Caught(caught) => caught,
            Searched::Refused(reply) => {
                self.forget_saved(search.returns.is_some_and(|r| r.save), &reply);
                return Ok(reply);
            }
        };
        let scores = &caught.scores;
        let uids = self
            .sorted(dialogue, &caught.found, &criteria, scores)
            .await;
        let results = self.results(&uids, &caught, uid, &search);
        let Some(returns) = search.returns else {
            answer::plain(dialogue, "SORT", &results).await?;
            return Ok(Reply::ok(text::SORT_DONE));
        };
        self.save(&uids, returns);
        let of = Correlator {
            tag,
            mailbox: None,
            uid,
        };
        answer::extended(dialogue, &of, &results, returns).await?;
        let order = live::Order::Sorted(uids, criteria);
        self.keep_up_to_date(dialogue.out(), &of, &search, order);
        Ok(Reply::ok(text::SORT_DONE))
    }

    async fn search_to_sort<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        search: &Search,
        criteria: &[Criterion],
    ) -> Searched {
        let by_score = criteria.iter().any(|by| by.key == SortKey::Relevancy);
        let scored = by_score || search.returns.is_some_and(|returns| returns.relevancy);
        let searched = self.search_selected(dialogue, search, scored).await;
        within_limit(searched)
    }

    /// UIDs of the selected mailbox in this order; those that are gone are left out.
    pub(super) async fn sorted<I: Io>(
        &self,
        dialogue: &mut Dialogue<I>,
        found: &UidSet,
        criteria: &[Criterion],
        scores: &BTreeMap<u32, u8>,
    ) -> Vec<u32> {
        let Some(selected) = &self.selected else {
            return Vec::new();
        };
        let ground = Ground {
            store: &self.store,
            account: self.account,
            view: &selected.view,
        };
        let table = match criteria.iter().any(|by| is_of_header(by.key)) {
            true => self.known.of(&ground, found, dialogue).await,
            false => Rc::default(),
        };
        let mut rows = Vec::with_capacity(usize::try_from(found.len()).unwrap_or(0));
        for turn in sequence::turns(found, ROWS_A_TURN) {
            ground
                .store
                .rows(ground.view, &turn, &mut |row| rows.push(Sortable::of(&row)));
            dialogue.pause().await;
        }
        let sorter = Sorter {
            criteria,
            table: &table,
            scores,
        };
        sorter.sort(&rows)
    }
}

/// What is too much to be held in memory is not sorted.
pub(super) fn within_limit(searched: Searched) -> Searched {
    match searched {
        Searched::Caught(caught) if caught.found.len() > MESSAGES_MAX => {
            let reply = Reply::no(text::LIMIT_REACHED).with(code::Code::Limit);
            Searched::Refused(reply)
        }
        searched => searched,
    }
}

fn is_of_header(key: SortKey) -> bool {
    !matches!(key, SortKey::Arrival | SortKey::Size | SortKey::Relevancy)
}

/// What of a row messages are sorted by.
#[derive(Clone, Copy)]
pub(super) struct Sortable {
    uid: u32,
    /// Seconds since 1970.
    arrived: i64,
    octets: u32,
}

impl Sortable {
    pub(super) fn of(row: &Row) -> Sortable {
        Sortable {
            uid: row.uid.0,
            arrived: row.internal_date.unix_secs,
            octets: row.octets,
        }
    }
}

/// Where the numbers that are compared come from.
pub(super) struct Sorter<'a> {
    pub(super) criteria: &'a [Criterion],
    pub(super) table: &'a Table,
    pub(super) scores: &'a BTreeMap<u32, u8>,
}

impl Sorter<'_> {
    /// UIDs in the order that is asked for, of rows in the order of the mailbox.
    pub(super) fn sort(&self, rows: &[Sortable]) -> Vec<u32> {
        let mut columns = self.criteria.iter().map(|by| self.column(*by, rows));
        let first = columns.next().unwrap_or_default();
        let others: Vec<Vec<u64>> = columns.collect();
        let mut order: Vec<(u64, u32)> = first.into_iter().zip(0..).collect();
        order.sort_unstable_by(|one, other| {
            let by_others = || compare(&others, one.1, other.1);
            let by_place = || one.1.cmp(&other.1);
            one.0.cmp(&other.0).then_with(by_others).then_with(by_place)
        });
        let uids = order.iter().filter_map(|(_, at)| rows.get(*at as usize));
        uids.map(|row| row.uid).collect()
    }

    fn column(&self, by: Criterion, rows: &[Sortable]) -> Vec<u64> {
        let flip = if by.reverse { u64::MAX } else { 0 };
        let values: Vec<u64> = match text_of(by.key) {
            Some(which) => self.ranks_of(which, rows),
            None => rows.iter().map(|row| self.value(by.key, row)).collect(),
        };
        values.into_iter().map(|value| value ^ flip).collect()
    }

    fn ranks_of(&self, which: SortText, rows: &[Sortable]) -> Vec<u64> {
        let ranks = self.table.ranks();
        let rank = |row: &Sortable| {
            let entry = self.table.entry(Uid(row.uid));
            entry.map_or(0, |entry| {
                u64::from(ranks.of(self.table.text(entry, which)))
            })
        };
        rows.iter().map(rank).collect()
    }

    fn value(&self, key: SortKey, row: &Sortable) -> u64 {
        match key {
            SortKey::Size => u64::from(row.octets),
            SortKey::Relevancy => {
                // The highest score comes first.
                u64::from(u8::MAX - self.scores.get(&row.uid).copied().unwrap_or(0))
            }
            SortKey::Date => {
                let sent = self.table.entry(Uid(row.uid)).and_then(|entry| entry.sent);
                ascending(sent.unwrap_or(row.arrived))
            }
            _ => ascending(row.arrived),
        }
    }
}

/// The first criterion that tells two messages apart.
fn compare(columns: &[Vec<u64>], one: u32, other: u32) -> Ordering {
    let value = |column: &[u64], at: u32| column.get(at as usize).copied();
    let mut found = columns
        .iter()
        .map(|column| value(column, one).cmp(&value(column, other)));
    found.find(|found| found.is_ne()).unwrap_or(Ordering::Equal)
}

fn text_of(key: SortKey) -> Option<SortText> {
    Some(match key {
        SortKey::Subject => SortText::Subject,
        SortKey::From => SortText::From,
        SortKey::To => SortText::To,
        SortKey::Cc => SortText::Cc,
        SortKey::DisplayFrom => SortText::DisplayFrom,
        SortKey::DisplayTo => SortText::DisplayTo,
        SortKey::Arrival | SortKey::Date | SortKey::Relevancy | SortKey::Size => return None,
    })
}

/// A signed number as an unsigned one in the same order.
fn ascending(number: i64) -> u64 {
    number.cast_unsigned() ^ (1 << 63)
}
