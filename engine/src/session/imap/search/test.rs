//! A search key, resolved against the view and made ready to judge messages (RFC 9051 §6.4.4).
//!
//! A test answers yes, no, or "not by these facts": so the cheapest facts that decide are enough.

use super::super::mailstore::Picture;
use super::super::sequence;
use crate::wire::imap::command::SearchKey;
use crate::wire::mime::date::Date;
use crate::wire::mime::header;
use crate::wire::mime::limit::NEEDLES_MAX;
use crate::wire::mime::search::Scope;
use crate::wire::mime::text::Needle;
use ::store::mail::flags::{Flags, Keywords};
use ::store::mail::uidset::UidSet;
use ::store::mailbox::Row;
use ::store::shard::is_kept;

const DAY_SECS: i64 = 86_400;

/// What is known of one message so far.
pub(super) struct Facts<'a> {
    row: &'a Row,
    recent: &'a UidSet,
    pub(super) header: Option<&'a [u8]>,
    /// Of the header the fields that the store lists the message by.
    pub(super) listed: Option<&'a [u8]>,
    /// Which of [`Texts::wanted`] are in it.
    pub(super) found: Option<&'a [bool]>,
}

impl<'a> Facts<'a> {
    pub(super) fn of_row(row: &'a Row, recent: &'a UidSet) -> Facts<'a> {
        Facts {
            row,
            recent,
            header: None,
            listed: None,
            found: None,
        }
    }

    /// A header that has all fields of this name, in their order.
    fn fields_of(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.header.or(self.listed.filter(|_| is_kept(name)))
    }
}

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
    ModSeq(u64),
    Header {
        name: Vec<u8>,
        text: Box<Needle>,
    },
    Sent(Days),
    /// The text with this number is in the body, or in body and headers.
    Text(usize),
    Not(Box<Test>),
    Or(Box<Test>, Box<Test>),
    And(Vec<Test>),
}

/// A stretch of days, both ends included.
pub(super) struct Days {
    first: i64,
    last: i64,
}

/// The texts that are looked for in bodies, in one pass for all of them.
pub(super) struct Texts<'a> {
    charset: Option<&'a str>,
    wanted: Vec<(Scope, Needle)>,
}

pub(super) enum Fault {
    /// `NO [BADCHARSET]`
    Charset,
    TooManyTexts,
}

impl<'a> Texts<'a> {
    pub(super) fn new(charset: Option<&'a str>) -> Texts<'a> {
        Texts {
            charset,
            wanted: Vec::new(),
        }
    }

    pub(super) fn wanted(&self) -> &[(Scope, Needle)] {
        &self.wanted
    }

    fn needle(&self, text: &[u8]) -> Result<Needle, Fault> {
        Needle::new(text, self.charset).map_err(|_| Fault::Charset)
    }

    fn want(&mut self, scope: Scope, text: &[u8]) -> Result<Test, Fault> {
        if self.wanted.len() == NEEDLES_MAX {
            return Err(Fault::TooManyTexts);
        }
        self.wanted.push((scope, self.needle(text)?));
        Ok(Test::Text(self.wanted.len() - 1))
    }
}

/// What a key is resolved against.
struct Resolver<'a, 'c, V> {
    view: &'a V,
    saved: &'a UidSet,
    keywords: &'a [String],
    texts: &'a mut Texts<'c>,
}

impl Test {
    /// The parser bounds how many keys there are and how deep they lie in each other.
    pub(super) fn of(
        key: &SearchKey,
        view: &impl Picture,
        saved: &UidSet,
        keywords: &[String],
        texts: &mut Texts<'_>,
    ) -> Result<Test, Fault> {
        // A charset that is not used by any text is refused all the same.
        texts.needle(b"")?;
        Resolver {
            view,
            saved,
            keywords,
            texts,
        }
        .test(key)
    }

    /// Whether what the store lists a message by may decide.
    pub(super) fn asks_for_listed(&self) -> bool {
        match self {
            Test::Header { name, .. } => is_kept(name),
            Test::Sent(_) => true,
            Test::Not(test) => test.asks_for_listed(),
            Test::Or(one, other) => one.asks_for_listed() || other.asks_for_listed(),
            Test::And(tests) => tests.iter().any(Test::asks_for_listed),
            _ => false,
        }
    }

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
            Test::ModSeq(modseq) => row.modseq.0 >= *modseq,
            Test::Header { name, text } => is_in_header(facts.fields_of(name)?, name, text),
            Test::Sent(days) => {
                let sent = day_of_sending(facts.fields_of(b"date")?);
                sent.is_some_and(|day| days.hold(day))
            }
            Test::Text(at) => facts.found?.get(*at).copied().unwrap_or(false),
            Test::Not(test) => !test.judge(facts)?,
            Test::Or(one, other) => match (one.judge(facts), other.judge(facts)) {
                (Some(true), _) | (_, Some(true)) => true,
                (one, other) => one? || other?,
            },
            Test::And(tests) => return all(tests, facts),
        })
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

impl<V: Picture> Resolver<'_, '_, V> {
    fn test(&mut self, key: &SearchKey) -> Result<Test, Fault> {
        Ok(match key {
            SearchKey::All => Test::All,
            SearchKey::Flag(flags) => Test::Flag(*flags),
            SearchKey::Keyword(name) => self.keyword(name),
            SearchKey::Recent => Test::Recent,
            SearchKey::Larger(octets) => Test::Larger(*octets),
            SearchKey::Smaller(octets) => Test::Smaller(*octets),
            SearchKey::Before(day) => Test::Arrived(Days::before(*day)),
            SearchKey::On(day) => Test::Arrived(Days::on(*day)),
            SearchKey::Since(day) => Test::Arrived(Days::since(*day)),
            SearchKey::SentBefore(day) => Test::Sent(Days::before(*day)),
            SearchKey::SentOn(day) => Test::Sent(Days::on(*day)),
            SearchKey::SentSince(day) => Test::Sent(Days::since(*day)),
            SearchKey::Sequence(set) => {
                Test::Uids(sequence::matching(self.view, set, false, self.saved))
            }
            SearchKey::Uid(set) => Test::Uids(sequence::matching(self.view, set, true, self.saved)),
            SearchKey::ModSeq(modseq) => Test::ModSeq(*modseq),
            SearchKey::Not(key) => Test::Not(Box::new(self.test(key)?)),
            SearchKey::Or(one, other) => {
                Test::Or(Box::new(self.test(one)?), Box::new(self.test(other)?))
            }
            SearchKey::And(keys) => Test::And(
                keys.iter()
                    .map(|key| self.test(key))
                    .collect::<Result<_, _>>()?,
            ),
            key => self.text(key)?,
        })
    }

    fn text(&mut self, key: &SearchKey) -> Result<Test, Fault> {
        match key {
            SearchKey::Bcc(text) => self.header(b"Bcc", text),
            SearchKey::Cc(text) => self.header(b"Cc", text),
            SearchKey::From(text) => self.header(b"From", text),
            SearchKey::Subject(text) => self.header(b"Subject", text),
            SearchKey::To(text) => self.header(b"To", text),
            SearchKey::Header(name, text) => self.header(name, text),
            SearchKey::Body(text) => self.texts.want(Scope::Body, text),
            SearchKey::Text(text) => self.texts.want(Scope::Text, text),
            _ => Ok(Test::Nothing),
        }
    }

    fn header(&self, name: &[u8], text: &[u8]) -> Result<Test, Fault> {
        Ok(Test::Header {
            name: name.to_vec(),
            text: Box::new(self.texts.needle(text)?),
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

fn day_of_sending(header: &[u8]) -> Option<i64> {
    Date::parse(header::last(header, "date")?).map(|date| date.day)
}

/// A broken line has an empty name, which nobody can ask for.
fn is_in_header(header: &[u8], name: &[u8], text: &Needle) -> bool {
    !name.is_empty()
        && header::fields(header)
            .filter(|field| field.name.eq_ignore_ascii_case(name))
            .any(|field| text.is_in_value(field.value))
}
