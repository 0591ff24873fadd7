//! SEARCH and UID SEARCH, ESEARCH and the saved result (RFC 9051 §6.4.4, RFC 4731, RFC 5182).
//!
//! Each message is judged by its row of the index as far as that goes, then by its header, and only
//! where that does not decide, by its body.

mod test;

use self::test::{Facts, Fault, Test, Texts};
use super::Session;
use super::dialogue::Dialogue;
use super::io::{Ended, Io};
use super::mailstore::{Mailstore, Octets, Picture};
use super::reply::Reply;
use super::section::PIECES_A_TURN;
use super::structure::{self, Pieces};
use crate::wire::imap::command::{Search, SearchReturn};
use crate::wire::imap::response::code::{self, Code};
use crate::wire::imap::response::data::{self, Esearch};
use crate::wire::imap::response::{Condition, number, text};
use crate::wire::mime::search::BodySearch;
use ::store::error::ReadError;
use ::store::mail::id::Uid;
use ::store::mail::uidset::UidSet;
use ::store::mailbox::Row;

/// Rows judged before other connections run.
const ROWS_A_TURN: usize = 4096;

/// Messages opened before other connections run.
const MESSAGES_A_TURN: u32 = 16;

/// One SEARCH under way.
struct Hunt<'a> {
    test: Test,
    texts: Texts<'a>,
    opened: u32,
    damaged: bool,
}

impl<S: Mailstore> Session<S> {
    pub(super) async fn search<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        tag: &str,
        uid: bool,
        search: Search,
    ) -> Result<Reply, Ended> {
        let saves = search.returns.is_some_and(|returns| returns.save);
        let reply = self.search_and_tell(dialogue, tag, uid, search).await?;
        if let (true, true, Some(selected)) = (saves, reply.is_no(), &mut self.selected) {
            // RFC 9051 §6.4.4.1: after NO the variable is empty, after BAD it is as before.
            selected.saved = UidSet::new();
        }
        Ok(reply)
    }

    async fn search_and_tell<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        tag: &str,
        uid: bool,
        search: Search,
    ) -> Result<Reply, Ended> {
        let Some(selected) = &self.selected else {
            return Ok(Reply::not_selected());
        };
        let mut texts = Texts::new(search.charset.as_deref());
        let keywords = self.store.keywords(self.account, selected.view.mailbox());
        let test = Test::of(
            &search.key,
            &selected.view,
            &selected.saved,
            &keywords,
            &mut texts,
        );
        let test = match test {
            Ok(test) => test,
            Err(Fault::Charset) => return Ok(Reply::bad_charset()),
            Err(Fault::TooManyTexts) => {
                return Ok(Reply::no(text::LIMIT_REACHED).with(Code::Limit));
            }
        };
        let mut hunt = Hunt {
            test,
            texts,
            opened: 0,
            damaged: false,
        };
        let found = self.matching(dialogue, &mut hunt).await;
        if hunt.damaged {
            // RFC 9051 §7.1.2: a warning; the other messages are found.
            let code = Some(Code::ServerBug);
            code::untagged(dialogue.out(), Condition::No, code, text::MESSAGE_DAMAGED);
        }
        let Some(selected) = &mut self.selected else {
            return Ok(Reply::not_selected());
        };
        if let Some(returns) = search.returns.filter(|returns| returns.save) {
            selected.saved = to_save(&found, returns);
        }
        let told = match uid {
            true => found,
            false => super::sequence::numbers(&selected.view, &found),
        };
        match search.returns {
            None if !self.rev2 => tell_plain(dialogue, &told).await?,
            returns => tell_extended(dialogue, tag, uid, &told, returns.unwrap_or_default()),
        }
        Ok(Reply::ok(text::SEARCH_DONE))
    }

    async fn matching<I: Io>(&mut self, dialogue: &mut Dialogue<I>, hunt: &mut Hunt<'_>) -> UidSet {
        let mut found = UidSet::new();
        let mut at = 0;
        while self
            .selected
            .as_ref()
            .is_some_and(|s| at < s.view.uids().len())
        {
            for (row, verdict) in self.judge_rows(hunt, &mut at) {
                let verdict = match verdict {
                    Some(verdict) => Ok(verdict),
                    None => self.judge_message(dialogue, hunt, &row).await,
                };
                match verdict {
                    Ok(true) => found.push(row.uid),
                    Ok(false) => {}
                    Err(error) => {
                        hunt.damaged = true;
                        self.report(row.uid, error);
                    }
                }
            }
            dialogue.pause().await;
        }
        found
    }

    /// Judges the next rows of the view, from place `at` on, and gives those that match or may
    /// match; expunged messages are left out.
    fn judge_rows(&self, hunt: &Hunt<'_>, at: &mut usize) -> Vec<(Row, Option<bool>)> {
        let mut rows = Vec::new();
        let Some(selected) = &self.selected else {
            return rows;
        };
        let uids = selected.view.uids().iter().skip(*at).take(ROWS_A_TURN);
        let turn = UidSet::from_ascending(uids.copied().map(Uid));
        *at += ROWS_A_TURN;
        self.store.rows(&selected.view, &turn, &mut |row| {
            let facts = Facts::of_row(&row, selected.view.recent());
            let verdict = hunt.test.judge(&facts);
            if verdict != Some(false) {
                rows.push((row, verdict));
            }
        });
        rows
    }

    /// Judges a message by what the store lists of its header, where that does not decide, by its
    /// header, and then by its body.
    async fn judge_message<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        hunt: &mut Hunt<'_>,
        row: &Row,
    ) -> Result<bool, ReadError> {
        hunt.opened += 1;
        if hunt.opened.is_multiple_of(MESSAGES_A_TURN) {
            dialogue.pause().await;
        }
        if let Some(verdict) = self.judge_listed(hunt, row).await {
            return Ok(verdict);
        }
        let message = match self.store.message(row.delivery).await {
            // Expunged and compacted since the row was read.
            Err(ReadError::Gone) => return Ok(false),
            message => message?,
        };
        let header = structure::raw_header(&self.store, &message).await?;
        let Some(selected) = &self.selected else {
            return Ok(false);
        };
        let mut facts = Facts::of_row(row, selected.view.recent());
        facts.header = Some(&header);
        if let Some(verdict) = hunt.test.judge(&facts) {
            return Ok(verdict);
        }
        let structure = self
            .structures
            .of(&self.store, row.delivery, &message)
            .await?;
        let mut body = BodySearch::new(&structure, hunt.texts.wanted().to_vec());
        let mut pieces = Pieces::new(0, message.octets());
        let mut turn: u32 = 0;
        while !body.is_decided()
            && let Some(piece) = pieces.next(&self.store, &message).await?
        {
            body.feed(&piece);
            turn += 1;
            if turn.is_multiple_of(PIECES_A_TURN) {
                dialogue.pause().await;
            }
        }
        let found = body.finish();
        facts.found = Some(&found);
        Ok(hunt.test.judge(&facts).unwrap_or(false))
    }

    async fn judge_listed(&self, hunt: &Hunt<'_>, row: &Row) -> Option<bool> {
        if !hunt.test.asks_for_listed() {
            return None;
        }
        let listed = self.store.listing(row.delivery).await?;
        let selected = self.selected.as_ref()?;
        let mut facts = Facts::of_row(row, selected.view.recent());
        facts.listed = Some(&listed);
        hunt.test.judge(&facts)
    }
}

/// RFC 5182 §2.1: with MIN or MAX and nothing that names all, only those are saved.
fn to_save(found: &UidSet, returns: SearchReturn) -> UidSet {
    if returns.all || returns.count || !(returns.min || returns.max) {
        return found.clone();
    }
    let (min, max) = ends(found);
    let ends = [min.filter(|_| returns.min), max.filter(|_| returns.max)];
    UidSet::from_ascending(ends.into_iter().flatten().map(Uid))
}

fn ends(found: &UidSet) -> (Option<u32>, Option<u32>) {
    let ranges = found.ranges();
    (
        ranges.first().map(|range| range.0),
        ranges.last().map(|range| range.1),
    )
}

/// `* SEARCH 2 3 6` (RFC 3501 §7.2.5), in pieces: it may name every message.
async fn tell_plain<I: Io>(dialogue: &mut Dialogue<I>, found: &UidSet) -> Result<(), Ended> {
    dialogue.out().extend_from_slice(b"* SEARCH");
    for Uid(found) in found.iter() {
        dialogue.out().push(b' ');
        number(dialogue.out(), u64::from(found));
        dialogue.flush_if_full().await?;
    }
    dialogue.out().extend_from_slice(b"\r\n");
    Ok(())
}

/// Nothing but SAVE asked for: then nothing is returned (RFC 9051 §6.4.4.1).
fn tell_extended<I: Io>(
    dialogue: &mut Dialogue<I>,
    tag: &str,
    uid: bool,
    found: &UidSet,
    returns: SearchReturn,
) {
    let silent = returns.save && !(returns.min || returns.max || returns.all || returns.count);
    if silent {
        return;
    }
    let all = returns.all || !(returns.min || returns.max || returns.count);
    let (min, max) = ends(found);
    let told = Esearch {
        uid,
        min: min.filter(|_| returns.min),
        max: max.filter(|_| returns.max),
        all: all.then_some(found),
        count: returns
            .count
            .then(|| u32::try_from(found.len()).unwrap_or(u32::MAX)),
        modseq: None,
    };
    data::esearch(dialogue.out(), tag, &told);
}
