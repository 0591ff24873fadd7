//! A search key, resolved against the view and made ready to judge messages (RFC 9051 §6.4.4).
//!
//! A test answers yes, no, or "not by these facts": so the cheapest facts that decide are enough.

use super::super::mailstore::Picture;
use super::super::object;
use super::super::resync::intersection;
use super::super::sequence;
use super::facts::{Facts, Narrowed};
use super::texts::{Fault, Place, Texts};
use crate::wire::imap::command::{ObjectKey, SearchKey};
use crate::wire::mime::date::Date;
use crate::wire::mime::search::Scope;
use ::store::mail::flags::{Flags, Keywords};
use ::store::mail::id::ObjectId;
use ::store::mail::uidset::UidSet;
use ::store::mailbox::Row;
use ::store::shard::is_kept;

const DAY_SECS: i64 = 86_400;

pub(super) enum Test {
    All,
    Nothing,
    Flag(Flags),
    Keyword(Keywords),
    Recent,
    Uids(UidSet),
    Larger(u64),
    Smaller(u64),
    Arrived(Days),
    /// Seconds since 1970, both ends included (RFC 5032).
    Within(i64, i64),
    ModSeq(u64),
    Saved(Days),
    Delivery(ObjectId),
    Thread(Vec<u8>),
    Sent(Days),
    /// The text with this number is where it is looked for.
    Text(usize),
    /// The fuzzy text with this number matches.
    Fuzzy(usize),
    Not(Box<Test>),
    Or(Box<Test>, Box<Test>),
    And(Vec<Test>),
}

/// A stretch of days, both ends included.
pub(super) struct Days {
    first: i64,
    last: i64,
}

/// What a key is resolved against.
pub(super) struct Resolver<'a, V> {
    pub(super) view: &'a V,
    pub(super) saved: &'a UidSet,
    pub(super) keywords: &'a [String],
    /// Seconds since 1970.
    pub(super) now: i64,
    pub(super) texts: &'a mut Texts,
}

impl Test {
    /// Whether a message matches; `None` where the facts do not tell.
    pub(super) fn judge(&self, facts: &Facts<'_>) -> Option<bool> {
        let row = facts.row;
        Some(match self {
            Test::All => true,
            Test::Nothing => false,
            Test::Flag(flags) => row.flags.contains(*flags),
            Test::Keyword(keyword) => row.keywords.contains(*keyword),
            Test::Recent => facts.recent.contains(row.uid),
            Test::Uids(uids) => uids.contains(row.uid),
            Test::Larger(octets) => u64::from(row.octets) > *octets,
            Test::Smaller(octets) => u64::from(row.octets) < *octets,
            Test::Arrived(days) => days.hold(day_of_arrival(row)),
            Test::Within(first, last) => (*first..=*last).contains(&row.internal_date.unix_secs),
            Test::ModSeq(modseq) => row.modseq.0 >= *modseq,
            Test::Saved(days) => days.hold(row.saved_secs.div_euclid(DAY_SECS)),
            Test::Delivery(delivery) => row.delivery == *delivery,
            Test::Thread(id) => {
                let fields = facts.fields_of(b"references")?;
                let thread = object::thread_by(|name| fields.last(name));
                thread.is_some_and(|thread| thread.as_bytes() == id)
            }
            Test::Sent(days) => {
                let sent = facts.fields_of(b"date")?.last("date").and_then(Date::parse);
                sent.is_some_and(|date| days.hold(date.day))
            }
            Test::Text(at) => return facts.text(*at),
            Test::Fuzzy(at) => return facts.fuzzy(*at),
            Test::Not(test) => !test.judge(facts)?,
            Test::Or(one, other) => match (one.judge(facts), other.judge(facts)) {
                (Some(true), _) | (_, Some(true)) => true,
                (one, other) => one? || other?,
            },
            Test::And(tests) => return all(tests, facts),
        })
    }

    /// Whether it asks for texts that must all be there, and for nothing else: then no row decides.
    pub(super) fn is_of_texts(&self) -> bool {
        match self {
            Test::Text(_) | Test::Fuzzy(_) => true,
            Test::And(tests) => !tests.is_empty() && tests.iter().all(Test::is_of_texts),
            _ => false,
        }
    }

    /// Those of `open` that signatures leave, for a test [of texts](Self::is_of_texts).
    pub(super) fn left_of(&self, open: UidSet, narrowed: &Narrowed) -> UidSet {
        let may = match self {
            Test::Text(at) => narrowed.exact.get(*at),
            Test::Fuzzy(at) => narrowed.fuzzy.get(*at),
            Test::And(tests) => {
                let narrow = |open, test: &Test| test.left_of(open, narrowed);
                return tests.iter().fold(open, narrow);
            }
            _ => None,
        };
        match may {
            Some(Some(may)) => intersection(&open, may),
            _ => open,
        }
    }

    /// Whether what the store lists a message by may decide.
    pub(super) fn asks_for_listed(&self, texts: &Texts) -> bool {
        let is_listed = |place: &Place| match place {
            Place::Header(name) => is_kept(name),
            Place::In(_) => false,
        };
        match self {
            Test::Text(at) => texts.place(*at).is_some_and(is_listed),
            Test::Fuzzy(at) => texts.fuzzy_place(*at).is_some_and(is_listed),
            Test::Sent(_) | Test::Thread(_) => true,
            Test::Not(test) => test.asks_for_listed(texts),
            Test::Or(one, other) => one.asks_for_listed(texts) || other.asks_for_listed(texts),
            Test::And(tests) => tests.iter().any(|test| test.asks_for_listed(texts)),
            _ => false,
        }
    }
}

/// No as soon as one says no, whatever is not known of the others.
fn all(tests: &[Test], facts: &Facts<'_>) -> Option<bool> {
    let mut verdict = Some(true);
    for test in tests {
        match test.judge(facts) {
            Some(false) => return Some(false),
            Some(true) => {}
            None => verdict = None,
        }
    }
    verdict
}

impl<V: Picture> Resolver<'_, V> {
    /// The parser bounds how many keys there are and how deep they lie in each other.
    pub(super) fn test(&mut self, key: &SearchKey) -> Result<Test, Fault> {
        self.resolve(key, false)
    }

    fn resolve(&mut self, key: &SearchKey, fuzzy: bool) -> Result<Test, Fault> {
        Ok(match key {
            SearchKey::Fuzzy(key) => self.resolve(key, true)?,
            SearchKey::Not(key) => Test::Not(Box::new(self.resolve(key, fuzzy)?)),
            SearchKey::Or(one, other) => Test::Or(
                Box::new(self.resolve(one, fuzzy)?),
                Box::new(self.resolve(other, fuzzy)?),
            ),
            SearchKey::And(keys) => Test::And(
                keys.iter()
                    .map(|key| self.resolve(key, fuzzy))
                    .collect::<Result<_, _>>()?,
            ),
            key => match self.of_row(key) {
                Some(test) => test,
                None => self.text(key, fuzzy)?,
            },
        })
    }

    /// Of a key that the row decides, or the Date field.
    fn of_row(&self, key: &SearchKey) -> Option<Test> {
        Some(match key {
            SearchKey::All => Test::All,
            SearchKey::Flag(flags) => Test::Flag(*flags),
            SearchKey::Keyword(name) => self.keyword(name),
            SearchKey::Recent => Test::Recent,
            SearchKey::Larger(octets) => Test::Larger(*octets),
            SearchKey::Smaller(octets) => Test::Smaller(*octets),
            SearchKey::Before(day) => Test::Arrived(Days::before(*day)),
            SearchKey::On(day) => Test::Arrived(Days::on(*day)),
            SearchKey::Since(day) => Test::Arrived(Days::since(*day)),
            SearchKey::Older(secs) => Test::Within(i64::MIN, self.before_now(*secs)),
            SearchKey::Younger(secs) => Test::Within(self.before_now(*secs), i64::MAX),
            SearchKey::SentBefore(day) => Test::Sent(Days::before(*day)),
            SearchKey::SentOn(day) => Test::Sent(Days::on(*day)),
            SearchKey::SentSince(day) => Test::Sent(Days::since(*day)),
            SearchKey::Sequence(set) => {
                Test::Uids(sequence::matching(self.view, set, false, self.saved))
            }
            SearchKey::Uid(set) => Test::Uids(sequence::matching(self.view, set, true, self.saved)),
            SearchKey::ModSeq(modseq) => Test::ModSeq(*modseq),
            SearchKey::Object(key) => object_test(key),
            _ => return None,
        })
    }

    fn before_now(&self, secs: u32) -> i64 {
        self.now.saturating_sub(i64::from(secs))
    }

    fn text(&mut self, key: &SearchKey, fuzzy: bool) -> Result<Test, Fault> {
        let header = |name: &[u8]| Place::Header(name.to_ascii_lowercase());
        let (place, text) = match key {
            SearchKey::Bcc(text) => (header(b"bcc"), text),
            SearchKey::Cc(text) => (header(b"cc"), text),
            SearchKey::From(text) => (header(b"from"), text),
            SearchKey::Subject(text) => (header(b"subject"), text),
            SearchKey::To(text) => (header(b"to"), text),
            SearchKey::Header(name, text) => (header(name), text),
            SearchKey::Body(text) => (Place::In(Scope::Body), text),
            SearchKey::Text(text) => (Place::In(Scope::Text), text),
            _ => return Ok(Test::Nothing),
        };
        Ok(match fuzzy {
            true => Test::Fuzzy(self.texts.want_fuzzy(place, text)?),
            false => Test::Text(self.texts.want(place, text)?),
        })
    }

    /// A keyword that the mailbox has never seen is on no message.
    fn keyword(&self, name: &str) -> Test {
        match self
            .keywords
            .iter()
            .take(64)
            .position(|known| known.eq_ignore_ascii_case(name))
        {
            Some(at) => Test::Keyword(Keywords(1 << at)),
            None => Test::Nothing,
        }
    }
}

/// RFC 8514 §4.3, RFC 8474 §6. Every mailbox has dates of saving.
fn object_test(key: &ObjectKey) -> Test {
    match key {
        ObjectKey::SavedBefore(day) => Test::Saved(Days::before(*day)),
        ObjectKey::SavedOn(day) => Test::Saved(Days::on(*day)),
        ObjectKey::SavedSince(day) => Test::Saved(Days::since(*day)),
        ObjectKey::SaveDateSupported => Test::All,
        ObjectKey::EmailId(id) => object::delivery_of(id).map_or(Test::Nothing, Test::Delivery),
        ObjectKey::ThreadId(id) => Test::Thread(id.clone()),
    }
}

impl Days {
    fn before(day: i64) -> Days {
        Days {
            first: i64::MIN,
            last: day.saturating_sub(1),
        }
    }

    fn on(day: i64) -> Days {
        Days {
            first: day,
            last: day,
        }
    }

    fn since(day: i64) -> Days {
        Days {
            first: day,
            last: i64::MAX,
        }
    }

    fn hold(&self, day: i64) -> bool {
        (self.first..=self.last).contains(&day)
    }
}

/// RFC 9051 §6.4.4: the date as written, its time and zone disregarded.
fn day_of_arrival(row: &Row) -> i64 {
    let date = row.internal_date;
    let local = date
        .unix_secs
        .saturating_add(i64::from(date.zone_minutes) * 60);
    local.div_euclid(DAY_SECS)
}
