//! Judging messages, the cheapest facts first.
//!
//! ```text
//! rows of the index ─ open ─▶ signatures ─ open ─▶ listed fields ─▶ header ─▶ body
//! ```
//!
//! What is open after a step goes to the next. Other sessions run between two turns of rows, and
//! between messages.

use super::super::dialogue::Dialogue;
use super::super::io::Io;
use super::super::mailstore::{Mailstore, Octets, Picture};
use super::super::section::PIECES_A_TURN;
use super::super::sequence;
use super::super::structure::{self, Pieces, Structures};
use super::facts::{Facts, Header, Narrowed};
use super::progress::Progress;
use super::test::Test;
use super::texts::{Question, Texts};
use crate::convert::{Converters, Room};
use crate::wire::mime::attachment::Gather;
use crate::wire::mime::fuzzy::FuzzySearch;
use crate::wire::mime::part::Structure;
use crate::wire::mime::search::BodySearch;
use ::store::error::ReadError;
use ::store::mail::id::{AccountId, Uid};
use ::store::mail::uidset::UidSet;
use ::store::mailbox::Row;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// Rows judged before other connections run.
const ROWS_A_TURN: u32 = 4096;

/// Messages opened before other connections run.
const MESSAGES_A_TURN: u64 = 16;

/// Open messages for which asking signatures is worth the while; one where an attachment may have
/// to be read.
const NARROWED_MIN: u64 = 8;

/// Signatures asked for by one search; what is behind them is read.
const QUESTIONS_MAX: usize = 64;

/// A message up to this size is read at once, in octets.
const WHOLE_BYTES_MAX: u64 = 256 << 10;

/// Messages that could not be read, of which the operator is told.
const DAMAGED_MAX: usize = 64;

/// Where is searched.
pub(super) struct Ground<'a, S: Mailstore> {
    pub(super) store: &'a S,
    pub(super) account: AccountId,
    pub(super) view: &'a S::View,
}

/// What is searched for.
pub(super) struct Hunt {
    pub(super) test: Test,
    pub(super) texts: Texts,
    /// Every message that is found gets its score (RFC 6203 §4).
    pub(super) scored: bool,
    /// What makes text of attachments, if anything does.
    pub(super) converters: Option<Arc<Converters>>,
}

/// What was found.
#[derive(Default)]
pub(super) struct Caught {
    pub(super) found: UidSet,
    /// By UID, where asked for.
    pub(super) scores: BTreeMap<u32, u8>,
    pub(super) damaged: Vec<(Uid, ReadError)>,
}

/// A verdict, and the score if one is due.
type Verdict = (bool, u8);

/// Messages on their way through the steps.
#[derive(Default)]
struct Sieve {
    found: Vec<u32>,
    open: UidSet,
    caught: Caught,
}

impl Hunt {
    /// Those of `among`, all in the view, that match.
    pub(super) async fn run<S: Mailstore, I: Io>(
        &self,
        ground: &Ground<'_, S>,
        among: &UidSet,
        structures: &mut Structures,
        (dialogue, progress): (&mut Dialogue<I>, &mut Progress),
    ) -> Caught {
        progress.begin(among.len());
        let mut sieve = Sieve::default();
        let is_of_texts = self.test.is_of_texts();
        match is_of_texts {
            true => {
                sieve.open = among.clone();
                dialogue.pause().await;
            }
            false => {
                self.by_rows(ground, among, None, &mut sieve, dialogue)
                    .await;
            }
        }
        let narrowed = self.narrow(ground, &sieve.open).await;
        if let Some(narrowed) = &narrowed {
            let open = std::mem::take(&mut sieve.open);
            match is_of_texts {
                true => {
                    sieve.open = self.test.left_of(open, narrowed);
                    dialogue.pause().await;
                }
                false => {
                    self.by_rows(ground, &open, Some(narrowed), &mut sieve, dialogue)
                        .await;
                }
            }
        }
        let open = std::mem::take(&mut sieve.open);
        progress.only(open.len());
        for (nth, uid) in (1_u64..).zip(open.iter()) {
            if nth.is_multiple_of(MESSAGES_A_TURN) {
                progress.turn(dialogue, MESSAGES_A_TURN).await;
            }
            let Some(row) = ground.store.row(ground.view, uid) else {
                continue;
            };
            let narrowed = narrowed.as_ref();
            match self
                .by_message(ground, &row, narrowed, structures, dialogue)
                .await
            {
                Ok((true, score)) => {
                    sieve.found.push(uid.0);
                    if self.scored {
                        sieve.caught.scores.insert(uid.0, score);
                    }
                }
                Ok((false, _)) => {}
                Err(error) if sieve.caught.damaged.len() < DAMAGED_MAX => {
                    sieve.caught.damaged.push((uid, error));
                }
                Err(_) => {}
            }
        }
        sieve.finish()
    }

    /// Judges by rows, and by signatures where they were asked.
    async fn by_rows<S: Mailstore, I: Io>(
        &self,
        ground: &Ground<'_, S>,
        among: &UidSet,
        narrowed: Option<&Narrowed>,
        sieve: &mut Sieve,
        dialogue: &mut Dialogue<I>,
    ) {
        let recent = ground.view.recent();
        for turn in sequence::turns(among, ROWS_A_TURN) {
            ground.store.rows(ground.view, &turn, &mut |row| {
                let mut facts = Facts::of_row(&row, recent, &self.texts);
                facts.narrowed = narrowed;
                match self.test.judge(&facts) {
                    Some(true) if !self.is_scored() => sieve.found.push(row.uid.0),
                    Some(false) => {}
                    _ => sieve.open.push(row.uid),
                }
            });
            dialogue.pause().await;
        }
    }

    fn is_scored(&self) -> bool {
        self.scored && self.texts.has_fuzzy()
    }

    /// Asks the signatures for every text that is long enough.
    async fn narrow<S: Mailstore>(
        &self,
        ground: &Ground<'_, S>,
        open: &UidSet,
    ) -> Option<Narrowed> {
        if open.len() < NARROWED_MIN && self.converters.is_none() {
            return None;
        }
        let (exact, fuzzy) = (self.texts.questions(), self.texts.fuzzy_questions());
        if exact.iter().chain(&fuzzy).all(Option::is_none) {
            return None;
        }
        let mut left = QUESTIONS_MAX;
        Some(Narrowed {
            exact: ask_all(ground, open, &exact, &mut left).await,
            fuzzy: ask_all(ground, open, &fuzzy, &mut left).await,
        })
    }

    async fn by_message<S: Mailstore, I: Io>(
        &self,
        ground: &Ground<'_, S>,
        row: &Row,
        narrowed: Option<&Narrowed>,
        structures: &mut Structures,
        dialogue: &mut Dialogue<I>,
    ) -> Result<Verdict, ReadError> {
        let known = Facts {
            narrowed,
            ..Facts::of_row(row, ground.view.recent(), &self.texts)
        };
        if self.test.asks_for_listed(&self.texts)
            && let Some(listed) = ground.store.listing(row.delivery).await
        {
            let listed = Header::new(&listed);
            let facts = Facts {
                listed: Some(&listed),
                ..known
            };
            if let Some(verdict) = self.decide(&facts) {
                return Ok(verdict);
            }
        }
        let message = match ground.store.message(row.delivery).await {
            // Expunged and compacted since the row was read.
            Err(ReadError::Gone) => return Ok((false, 0)),
            message => message?,
        };
        match message.octets() <= WHOLE_BYTES_MAX {
            true => self.by_whole(ground, &message, known).await,
            false => {
                self.by_pieces(ground, &message, known, structures, dialogue)
                    .await
            }
        }
    }

    /// A verdict where the facts give one, and every score if scores are due.
    fn decide(&self, facts: &Facts<'_>) -> Option<Verdict> {
        let verdict = self.test.judge(facts)?;
        if !verdict || !self.is_scored() {
            return Some((verdict, 0));
        }
        let mut scores = Vec::new();
        for at in 0..self.texts.fuzzies().len() {
            scores.extend(facts.score(at)?);
        }
        let sum: usize = scores.iter().map(|score| usize::from(*score)).sum();
        // What matches for another reason than its words is the least relevant.
        let mean = sum.checked_div(scores.len()).unwrap_or(1);
        Some((true, mean.clamp(1, 100) as u8))
    }

    async fn by_whole<S: Mailstore>(
        &self,
        ground: &Ground<'_, S>,
        message: &S::Message,
        known: Facts<'_>,
    ) -> Result<Verdict, ReadError> {
        let octets = whole(ground.store, message).await?;
        let structure = Structure::of(&octets);
        let end = usize::try_from(structure.root.header.end).unwrap_or(usize::MAX);
        let header = Header::new(octets.get(..end).unwrap_or(&octets));
        let (found, scores);
        let mut facts = Facts {
            header: Some(&header),
            ..known
        };
        if let Some(verdict) = self.decide(&facts) {
            return Ok(verdict);
        }
        let mut bodies = self.bodies(&structure);
        bodies.make_room(self.converters.as_ref()).await;
        bodies.feed(&octets);
        bodies.read_attachments().await;
        (found, scores) = bodies.finish();
        facts.found = Some(&found);
        facts.scores = Some(&scores);
        Ok(self.decide(&facts).unwrap_or((false, 0)))
    }

    async fn by_pieces<S: Mailstore, I: Io>(
        &self,
        ground: &Ground<'_, S>,
        message: &S::Message,
        known: Facts<'_>,
        structures: &mut Structures,
        dialogue: &mut Dialogue<I>,
    ) -> Result<Verdict, ReadError> {
        let header = structure::raw_header(ground.store, message).await?;
        let header = Header::new(&header);
        let (found, scores);
        let mut facts = Facts {
            header: Some(&header),
            ..known
        };
        if let Some(verdict) = self.decide(&facts) {
            return Ok(verdict);
        }
        let structure: Rc<Structure> = structures
            .of(ground.store, known.row.delivery, message)
            .await?;
        let mut bodies = self.bodies(&structure);
        bodies.make_room(self.converters.as_ref()).await;
        let mut pieces = Pieces::new(0, message.octets());
        let mut turn: u32 = 0;
        while !bodies.are_decided()
            && let Some(piece) = pieces.next(ground.store, message).await?
        {
            bodies.feed(&piece);
            turn += 1;
            if turn.is_multiple_of(PIECES_A_TURN) {
                dialogue.pause().await;
            }
        }
        bodies.read_attachments().await;
        (found, scores) = bodies.finish();
        facts.found = Some(&found);
        facts.scores = Some(&scores);
        Ok(self.decide(&facts).unwrap_or((false, 0)))
    }

    fn bodies(&self, structure: &Structure) -> Bodies<'_> {
        let exact = self.texts.in_bodies();
        let exact: Vec<_> = exact
            .map(|(_, scope, needle)| (scope, needle.clone()))
            .collect();
        let fuzzy = self.texts.fuzzy_in_bodies();
        let fuzzy: Vec<_> = fuzzy
            .map(|(_, scope, text)| (scope, text.clone()))
            .collect();
        let is_asked = !exact.is_empty() || !fuzzy.is_empty();
        let converters = self.converters.as_ref().filter(|_| is_asked);
        Bodies {
            texts: &self.texts,
            exact: (!exact.is_empty()).then(|| BodySearch::new(structure, exact)),
            fuzzy: (!fuzzy.is_empty()).then(|| FuzzySearch::new(structure, fuzzy)),
            attachments: converters.and_then(|known| Gather::new(structure, &**known)),
            room: None,
        }
    }
}

impl Sieve {
    fn finish(mut self) -> Caught {
        self.found.sort_unstable();
        self.caught.found = UidSet::from_ascending(self.found.into_iter().map(Uid));
        self.caught
    }
}

/// What reads a body, exactly and fuzzily.
struct Bodies<'a> {
    texts: &'a Texts,
    exact: Option<BodySearch>,
    fuzzy: Option<FuzzySearch>,
    attachments: Option<Gather>,
    /// For what is gathered.
    room: Option<Room>,
}

impl Bodies<'_> {
    fn feed(&mut self, octets: &[u8]) {
        if let Some(exact) = &mut self.exact {
            exact.feed(octets);
        }
        if let Some(fuzzy) = &mut self.fuzzy {
            fuzzy.feed(octets);
        }
        if let Some(attachments) = &mut self.attachments {
            attachments.feed(octets);
        }
    }

    fn are_decided(&self) -> bool {
        let are_read = self.exact.as_ref().is_none_or(BodySearch::is_decided)
            && self.fuzzy.as_ref().is_none_or(FuzzySearch::is_decided)
            && self.attachments.as_ref().is_none_or(Gather::is_decided);
        are_read || self.are_full()
    }

    fn are_full(&self) -> bool {
        self.exact.as_ref().is_none_or(BodySearch::is_full)
            && self.fuzzy.as_ref().is_none_or(FuzzySearch::is_full)
    }

    /// Waits for the right to gather attachments, if any are to be.
    async fn make_room(&mut self, converters: Option<&Arc<Converters>>) {
        if let (Some(converters), Some(_)) = (converters, &self.attachments) {
            self.room = Some(converters.room().await);
        }
    }

    /// The message is over: what is not found yet is looked for in its attachments.
    async fn read_attachments(&mut self) {
        let gathered = self.attachments.take().map(Gather::finish);
        let (Some(room), Some(gathered)) = (self.room.take(), gathered) else {
            return;
        };
        for (reader, octets) in gathered {
            if self.are_full() {
                return;
            }
            let text = room.read_aside(reader, octets).await;
            if let Some(exact) = &mut self.exact {
                exact.attached(&text);
            }
            if let Some(fuzzy) = &mut self.fuzzy {
                fuzzy.attached(&text);
            }
        }
    }

    /// By the numbers of the texts, not of those in bodies.
    fn finish(self) -> (Vec<bool>, Vec<Option<u8>>) {
        let found = self.exact.map(BodySearch::finish).unwrap_or_default();
        let numbers = self.texts.in_bodies().map(|(at, ..)| at);
        let scores = self.fuzzy.map(FuzzySearch::finish).unwrap_or_default();
        let fuzzy_numbers = self.texts.fuzzy_in_bodies().map(|(at, ..)| at);
        (
            placed(numbers.zip(found), false),
            placed(fuzzy_numbers.zip(scores), None),
        )
    }
}

/// A list with each value at its number.
fn placed<T: Clone>(values: impl Iterator<Item = (usize, T)>, otherwise: T) -> Vec<T> {
    let mut placed = Vec::new();
    for (at, value) in values {
        placed.resize(at, otherwise.clone());
        placed.push(value);
    }
    placed
}

async fn ask_all<S: Mailstore>(
    ground: &Ground<'_, S>,
    open: &UidSet,
    questions: &[Option<Question>],
    left: &mut usize,
) -> Vec<Option<UidSet>> {
    let mut answers = Vec::new();
    for question in questions {
        answers.push(match question {
            Some(question) => ask(ground, open, question, left).await,
            None => None,
        });
    }
    answers
}

/// Those of `open` that may have, of each list, one of the signs in one of the fields.
async fn ask<S: Mailstore>(
    ground: &Ground<'_, S>,
    open: &UidSet,
    question: &Question,
    left: &mut usize,
) -> Option<UidSet> {
    let mut may = None;
    for signs in &question.signs {
        let due = signs.len() * question.fields.len();
        let Some(rest) = left.checked_sub(due) else {
            continue;
        };
        *left = rest;
        let among = may.as_ref().unwrap_or(open);
        let mut some = UidSet::new();
        for sign in signs {
            for field in question.fields {
                let mailbox = ground.view.mailbox();
                let needle = (*field, sign.as_str());
                let hold = ground
                    .store
                    .may_hold(ground.account, mailbox, among, needle);
                some = some.union(&hold.await);
            }
        }
        may = Some(some);
    }
    may
}

async fn whole<S: Mailstore>(store: &S, message: &S::Message) -> Result<Vec<u8>, ReadError> {
    let mut pieces = Pieces::new(0, message.octets());
    let mut octets = Vec::new();
    while let Some(mut piece) = pieces.next(store, message).await? {
        match octets.is_empty() {
            true => octets = piece,
            false => octets.append(&mut piece),
        }
    }
    Ok(octets)
}
