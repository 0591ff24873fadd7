//! Which messages are meant, the newest first: by queue id, Message-ID, address or item.
//!
//! A queue id says when it was given out, so only the segments of that time are read. Everything
//! else goes from the newest segment back, and ends when enough is found or the time is over.

use super::question::Question;
use engine::intake::queue_id;
use indicatif::ProgressBar;
use std::collections::{BTreeSet, VecDeque};
use std::ops::ControlFlow;
use store::check::Owner;
use store::check::facts::{Facts, FactsError, Holder, HolderKind, Shown};
use store::disk::blocking::BlockingDisk;
use store::log::Place;
use store::mail::header::message_id;
use store::mail::id::{ItemId, ObjectId, QueueId};
use store::record::{Fact, MessageHead, kind};

pub(super) struct Search {
    pub(super) question: Question,
    pub(super) since: Option<i64>,
    pub(super) most: usize,
}

/// What was found in one shard, and from where on more is said of it.
#[derive(Debug, Default)]
pub(super) struct Hits {
    pub(super) messages: BTreeSet<ObjectId>,
    /// Files that may tell of them, in the order in which they are to be read.
    pub(super) holders: Vec<Holder>,
    /// When the log of the shard begins.
    pub(super) reach_secs: Option<i64>,
}

/// A shard's files that are read through, with what shows how far.
struct Reading<'a> {
    facts: Facts<'a, BlockingDisk>,
    bar: &'a ProgressBar,
}

impl Search {
    pub(super) async fn hits(
        &self,
        disk: &BlockingDisk,
        owner: &Owner,
        bar: &ProgressBar,
    ) -> Result<Hits, FactsError> {
        let reading = Reading {
            facts: Facts::open(disk, owner).await?,
            bar,
        };
        let facts = &reading.facts;
        let segments = facts.segments().await?;
        let mut begun = Vec::with_capacity(segments.len());
        for segment in &segments {
            begun.push(facts.begun_secs(segment).await?);
        }
        let mut hits = Hits {
            reach_secs: begun.iter().flatten().next().copied(),
            ..Hits::default()
        };
        let (first, last) = self.span(&begun);
        let mut earliest = None;
        for at in (first..last).rev() {
            let Some(segment) = segments.get(at) else {
                continue;
            };
            if self.search(&reading, segment, &mut hits).await? {
                earliest = Some(at);
            }
            if self.is_enough(&hits) {
                break;
            }
        }
        if let Some(earliest) = earliest {
            hits.holders.extend(segments.iter().skip(earliest));
        }
        if !self.is_enough(&hits) && self.may_be_older(hits.reach_secs) {
            let stories = facts.stories().await;
            if let Some(oldest) = stories.first() {
                hits.reach_secs = facts.begun_secs(oldest).await?.or(hits.reach_secs);
            }
            let told: Vec<Holder> = stories.into_iter().chain(segments).collect();
            self.search_stories(&reading, &told, &mut hits).await?;
            if !self.is_enough(&hits) && self.may_be_older(hits.reach_secs) {
                self.search_emptied(&reading, &told, &mut hits).await?;
            }
        }
        Ok(hits)
    }

    /// Places of the segments that can have the message.
    fn span(&self, begun: &[Option<i64>]) -> (usize, usize) {
        let (from, to) = match &self.question {
            Question::Queue(queue) => {
                let given = given_secs(*queue);
                (given, given.saturating_add(TRANSACTION_SECS_MAX))
            }
            _ => (self.since.unwrap_or(i64::MIN), i64::MAX),
        };
        // The last one that had begun by then; clocks of the two differ by less than the slack.
        let had_begun =
            |secs: &Option<i64>| secs.is_some_and(|secs| secs < from.saturating_sub(SLACK_SECS));
        let first = begun.iter().rposition(had_begun).unwrap_or(0);
        let is_later = |secs: &Option<i64>| secs.is_some_and(|secs| secs > to);
        let last = begun.iter().position(is_later).unwrap_or(begun.len());
        (first, last)
    }

    /// A queue id is of one message; names may be of many.
    fn is_enough(&self, hits: &Hits) -> bool {
        let wanted = match &self.question {
            Question::Name(_) => self.most,
            Question::Queue(_) | Question::Item(..) => 1,
        };
        hits.messages.len() >= wanted
    }

    fn may_be_older(&self, reach: Option<i64>) -> bool {
        let is_before = |secs: i64| reach.is_none_or(|reach| secs < reach);
        match &self.question {
            Question::Queue(queue) => is_before(given_secs(*queue)),
            _ => self.since.is_none_or(is_before),
        }
    }

    /// Stories and the log behind them tell all of what they tell the begin of.
    async fn search_stories(
        &self,
        reading: &Reading<'_>,
        told: &[Holder],
        hits: &mut Hits,
    ) -> Result<(), FactsError> {
        let mut earliest = None;
        let stories = told.iter().enumerate().rev();
        for (at, story) in stories.filter(|(_, one)| one.kind == HolderKind::Story) {
            if self.is_enough(hits) {
                break;
            }
            if self.search(reading, story, hits).await? {
                earliest = Some(at);
            }
        }
        if let Some(earliest) = earliest {
            hits.holders = told.iter().skip(earliest).copied().collect();
        }
        Ok(())
    }

    /// Mail that left the log lies in packs as long as it is needed; what was said of it since, in
    /// archives, stories and the log.
    async fn search_emptied(
        &self,
        reading: &Reading<'_>,
        told: &[Holder],
        hits: &mut Hits,
    ) -> Result<(), FactsError> {
        let emptied = reading.facts.emptied();
        let mut with_hits = Vec::new();
        for pack in emptied.iter().rev() {
            if pack.kind != HolderKind::Pack || self.is_enough(hits) {
                continue;
            }
            if self.search(reading, pack, hits).await? {
                with_hits.push(*pack);
            }
        }
        if with_hits.is_empty() {
            return Ok(());
        }
        // What is told with its texts goes first.
        let is_story = |one: &&Holder| one.kind == HolderKind::Story;
        let archives = emptied.iter().filter(|one| one.kind == HolderKind::Archive);
        let stories = told.iter().filter(is_story);
        let segments = told.iter().filter(|one| !is_story(one));
        let holders = stories.chain(&with_hits).chain(archives).chain(segments);
        hits.holders = holders.copied().collect();
        Ok(())
    }

    /// Whether a file has something new that is meant.
    async fn search(
        &self,
        reading: &Reading<'_>,
        holder: &Holder,
        hits: &mut Hits,
    ) -> Result<bool, FactsError> {
        let bar = reading.bar;
        let before = bar.position();
        bar.inc_length(holder.bytes);
        let mut sieve = Sieve {
            search: self,
            found: VecDeque::new(),
            begins: VecDeque::new(),
        };
        let mut look = |shown: Shown<'_>| {
            bar.set_position(before + shown.read_bytes);
            sieve.look_at(&shown);
            ControlFlow::Continue(())
        };
        // It reads to the end.
        let _ = reading.facts.read(holder, &mut look).await?;
        bar.set_position(before + holder.bytes);
        let has_some = !sieve.found.is_empty();
        let room = self.most.saturating_sub(hits.messages.len());
        hits.messages
            .extend(sieve.found.into_iter().rev().take(room));
        Ok(has_some)
    }
}

/// Looks at the records of one file, and keeps the newest that are meant.
struct Sieve<'a> {
    search: &'a Search,
    found: VecDeque<ObjectId>,
    /// Pieces of bodies that begin with the header that is looked for.
    begins: VecDeque<Place>,
}

impl Sieve<'_> {
    fn look_at(&mut self, shown: &Shown<'_>) {
        let payload = shown.record.payload;
        let object = match (&self.search.question, shown.record.kind) {
            (Question::Queue(queue), kind::MESSAGE) => of_queue(payload, *queue),
            (Question::Item(_, item), kind::QUEUE) => of_item(payload, *item),
            (Question::Name(_), kind::BODY) => return self.piece(shown),
            (Question::Name(_), kind::MESSAGE) => self.named_message(payload),
            (Question::Name(_), kind::DELIVER | kind::QUEUE) => self.named(shown),
            _ => None,
        };
        let Some(object) = object.filter(|object| self.found.back() != Some(object)) else {
            return;
        };
        if self.found.len() == self.search.most {
            self.found.pop_front();
        }
        self.found.push_back(object);
    }

    fn piece(&mut self, shown: &Shown<'_>) {
        let id = message_id(shown.record.payload);
        if id.is_some_and(|id| self.search.question.is_message_id(id)) {
            self.begins.push_back(shown.place);
            if self.begins.len() > BEGINS_MAX {
                self.begins.pop_front();
            }
        }
    }

    fn named_message(&self, payload: &[u8]) -> Option<ObjectId> {
        let (head, body) = MessageHead::split(payload).ok()?;
        let question = &self.search.question;
        let sender = head.source.reverse_path.as_ref();
        let first = head.pieces.first();
        let is_meant = sender.is_some_and(|sender| question.is_address(sender))
            || message_id(body).is_some_and(|id| question.is_message_id(id))
            || first.is_some_and(|first| self.begins.contains(&first.place));
        is_meant.then_some(head.object)
    }

    /// By a recipient, or by a Message-ID that we gave.
    fn named(&self, shown: &Shown<'_>) -> Option<ObjectId> {
        let question = &self.search.question;
        match Fact::decode(shown.record.kind, shown.record.payload).ok()? {
            Fact::Deliver(deliver) => {
                let recipient = deliver.recipient.as_ref();
                let is_meant = recipient.is_some_and(|to| question.is_address(to))
                    || gives_id(&deliver.prefix, question);
                is_meant.then_some(deliver.message)
            }
            Fact::Queue(queue) => {
                let mut recipients = queue.recipients.iter();
                let is_meant = recipients.any(|one| question.is_address(&one.address))
                    || gives_id(&queue.prefix, question);
                is_meant.then_some(queue.message)
            }
            _ => None,
        }
    }
}

/// The object of a MESSAGE with this queue id, without a look at the rest.
fn of_queue(payload: &[u8], queue: QueueId) -> Option<ObjectId> {
    (u64_at(payload, 8)? == queue.0).then_some(ObjectId(u64_at(payload, 0)?))
}

/// The message of a QUEUE that gave out the item.
fn of_item(payload: &[u8], item: ItemId) -> Option<ObjectId> {
    let Fact::Queue(queue) = Fact::decode(kind::QUEUE, payload).ok()? else {
        return None;
    };
    queue.items().contains(&item.0).then_some(queue.message)
}

fn given_secs(queue: QueueId) -> i64 {
    i64::try_from(queue_id::given_millis(queue) / 1_000).unwrap_or(i64::MAX)
}

pub(super) fn u64_at(payload: &[u8], at: usize) -> Option<u64> {
    let octets = payload.get(at..at.checked_add(8)?)?;
    octets.try_into().ok().map(u64::from_le_bytes)
}

fn gives_id(prefix: &[u8], question: &Question) -> bool {
    message_id(prefix).is_some_and(|id| question.is_message_id(id))
}

/// Bodies whose MESSAGE is still to come.
const BEGINS_MAX: usize = 1_024;

/// A queue id is given out when a transaction begins; its message may take so long to come.
const TRANSACTION_SECS_MAX: i64 = 6 * 3_600;

/// Between the clock of a queue id and that of its frame, at most.
const SLACK_SECS: i64 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_segments_of_its_time_are_read() {
        let queue = Question::Queue(QueueId((10_000_000_000 << 8) | 1));
        let search = |question: &Question| Search {
            question: question.clone(),
            since: Some(9_500),
            most: 5,
        };
        let begun = [Some(1_000), Some(9_000), None, Some(10_050), Some(90_000)];
        assert_eq!(search(&queue).span(&begun), (1, 4));
        let name = Question::Name("a@b".to_owned());
        assert_eq!(search(&name).span(&begun), (1, 5));
        assert_eq!(search(&name).span(&[]), (0, 0));
    }
}
