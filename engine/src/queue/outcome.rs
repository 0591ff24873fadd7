//! What came of one recipient's attempt, and what is done about it: pure.

use super::dsn::Event;
use super::nodes::Index;
use super::schedule::{self, Next};
use super::terms::Terms;
use crate::config::outbound::Pace;
use crate::egress::{Disposition, Failure, Fate, Origin};
use crate::wire::smtp::client::reply::Reply;
use store::shard::{Attempt, End, Ending, Enhanced, HostReply, Item};

/// One recipient and what was said.
#[derive(Clone, Debug)]
pub(super) struct Tried {
    pub(super) index: Index,
    pub(super) item: Item,
    /// As far as they are known: of a message that was read.
    pub(super) terms: Terms,
    pub(super) result: Result,
    pub(super) said: HostReply,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Result {
    /// Another host has it; `Event` says who tells the sender of it.
    Delivered(Event),
    Deferred,
    /// As `Deferred`, and tried again after so many seconds, whatever the schedule says.
    Later(u32),
    Failed,
    /// Not asked about: at once again.
    Untried,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    /// Written down, and tried again at its due time.
    Note(Attempt),
    /// As `Note`, and its sender hears that it is late, unless it was already at the last attempt.
    Warn {
        attempt: Attempt,
        /// From this second on it is late.
        late_secs: i64,
    },
    /// It ends, and its sender hears of the event if that is due.
    End(End, Event),
    Again,
}

/// The times that decide; seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) now: u32,
    /// The wall clock, which is what is written down.
    pub(super) wall: i64,
    pub(super) random: u64,
}

impl Tried {
    pub(super) fn deed(&self, pace: &Pace, times: Times) -> Deed {
        let ending = match self.result {
            Result::Untried => return Deed::Again,
            Result::Delivered(event) => return self.end(Ending::Delivered, event, times),
            Result::Failed => Ending::Failed,
            Result::Deferred | Result::Later(_) => match self.next(pace, times) {
                Next::At(due) => return self.again(due, pace, times),
                Next::Expired => Ending::Expired,
            },
        };
        self.end(ending, Event::Failed, times)
    }

    fn next(&self, pace: &Pace, times: Times) -> Next {
        let attempts = u32::from(self.item.attempts) + 1;
        let expires = self.item.expiry_secs;
        match self.result {
            Result::Later(secs) => schedule::after(secs, times.now, expires, times.random),
            _ => schedule::next(pace, times.now, expires, attempts, times.random),
        }
    }

    fn end(&self, ending: Ending, event: Event, times: Times) -> Deed {
        let end = End {
            item: self.item.id,
            at_secs: times.wall,
            ending,
            reply: self.said.clone(),
        };
        Deed::End(end, event)
    }

    fn again(&self, due: u32, pace: &Pace, times: Times) -> Deed {
        let wanted_by = self.terms.late_from();
        // RFC 2852 §4: it is told when the time is over, not at the attempt after.
        let soonest = wanted_by.filter(|by| *by > i64::from(times.now));
        let due_secs = i64::from(due).min(soonest.unwrap_or(i64::MAX));
        let attempt = Attempt {
            item: self.item.id,
            at_secs: times.wall,
            attempts: u16::from(self.item.attempts).saturating_add(1),
            due_secs,
            reply: self.said.clone(),
        };
        let usual = pace
            .warn_secs
            .map(|secs| self.released_secs().saturating_add(i64::from(secs)));
        // By the clock that attempts are written down with: the next one asks this one.
        let passed = [usual, wanted_by].into_iter().flatten();
        match passed.filter(|late| *late <= times.wall).max() {
            Some(late_secs) => Deed::Warn { attempt, late_secs },
            None => Deed::Note(attempt),
        }
    }

    /// When its time began: its sender may have wanted it held (RFC 4865).
    fn released_secs(&self) -> i64 {
        i64::from(self.item.enqueued_secs).max(self.terms.not_before_secs)
    }
}

impl From<&Disposition> for Result {
    fn from(disposition: &Disposition) -> Result {
        match disposition.fate {
            Fate::Delivered => Result::Delivered(Event::Relayed),
            Fate::Deferred | Fate::Unknown => Result::Deferred,
            Fate::Failed => Result::Failed,
            Fate::Untried => Result::Untried,
        }
    }
}

/// A reply as the log keeps it.
pub(super) fn said(host: &str, origin: Origin, reply: &Reply) -> HostReply {
    let status = reply.status_or_class();
    HostReply {
        host: host.to_owned(),
        code: match origin {
            Origin::Peer => reply.code,
            Origin::Us => 0,
        },
        enhanced: Some(Enhanced {
            class: status.0,
            subject: status.1,
            detail: status.2,
        }),
        text: reply.text.to_string(),
        way: None,
    }
}

/// A connection that did not come to be, as said of each recipient that waited for it.
pub(super) fn said_of(host: &str, failure: &Failure) -> HostReply {
    let reply = said(host, failure.origin, &failure.reply);
    HostReply {
        text: format!("{}: {}", failure.stage, reply.text),
        ..reply
    }
}

#[cfg(test)]
mod tests {
    use super::super::nodes::{Band, Nodes};
    use super::super::terms::{By, Terms};
    use super::*;
    use crate::wire::smtp::param::ByMode;
    use store::mail::id::{ItemId, ObjectId};

    const NOW: u32 = 1_800_000_000;

    /// A recipient that a host put off, enqueued `age` seconds ago.
    fn deferred(age: u32, terms: Terms) -> Tried {
        let mut nodes = Nodes::default();
        Tried {
            index: nodes.add(1, 0, 0, Band::Normal).unwrap(),
            item: Item {
                id: ItemId(1),
                record: ObjectId(1),
                enqueued_secs: NOW - age,
                due_secs: NOW,
                expiry_secs: NOW + 100_000,
                domain: "a.test".into(),
                tenant: "t".into(),
                attempts: 3,
                priority: 0,
                is_held: false,
                octets: 1,
            },
            terms,
            result: Result::Deferred,
            said: HostReply::default(),
        }
    }

    /// When it is tried again, and since when it is late.
    fn again(tried: &Tried) -> (i64, Option<i64>) {
        let times = Times {
            now: NOW,
            wall: i64::from(NOW),
            random: 0,
        };
        let pace = Pace {
            retry_secs: vec![1_000],
            warn_secs: Some(500),
            ..Pace::default()
        };
        match tried.deed(&pace, times) {
            Deed::Note(attempt) => (attempt.due_secs - i64::from(NOW), None),
            Deed::Warn { attempt, late_secs } => (
                attempt.due_secs - i64::from(NOW),
                Some(late_secs - i64::from(NOW)),
            ),
            other => panic!("{other:?}"),
        }
    }

    fn wanted_by(secs: i64) -> Terms {
        Terms {
            by: Some(By {
                at_secs: i64::from(NOW) + secs,
                mode: ByMode::Notify,
                trace: false,
            }),
            ..Terms::default()
        }
    }

    #[test]
    fn who_wants_it_by_a_time_hears_at_that_time() {
        assert_eq!(again(&deferred(0, Terms::default())), (1_000, None));
        assert_eq!(again(&deferred(600, Terms::default())), (1_000, Some(-100)));
        assert_eq!(again(&deferred(0, wanted_by(30))), (30, None));
        assert_eq!(again(&deferred(0, wanted_by(-2))), (1_000, Some(-2)));
        // Told by the usual time, and once more when the wanted one is over.
        assert_eq!(again(&deferred(600, wanted_by(30))), (30, Some(-100)));
        assert_eq!(again(&deferred(600, wanted_by(-2))), (1_000, Some(-2)));
    }

    #[test]
    fn the_time_of_held_mail_begins_with_its_release() {
        let held = Terms {
            not_before_secs: i64::from(NOW) - 10,
            ..Terms::default()
        };
        assert_eq!(again(&deferred(600, held)), (1_000, None));
    }
}
