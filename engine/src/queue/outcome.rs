//! What came of one recipient's attempt, and what is done about it: pure.

use super::dsn::Event;
use super::nodes::Index;
use super::schedule::{self, Next};
use crate::config::outbound::Pace;
use crate::egress::{Disposition, Failure, Fate, Origin};
use crate::wire::smtp::client::reply::Reply;
use store::shard::{Attempt, End, Ending, Enhanced, HostReply, Item};

/// One recipient and what was said.
#[derive(Clone, Debug)]
pub(super) struct Tried {
    pub(super) index: Index,
    pub(super) item: Item,
    pub(super) result: Result,
    pub(super) said: HostReply,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Result {
    /// Another host has it; `Event` says who tells the sender of it.
    Delivered(Event),
    Deferred,
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
            Result::Deferred => {
                let attempts = u32::from(self.item.attempts) + 1;
                let expires = self.item.expiry_secs;
                match schedule::next(pace, times.now, expires, attempts, times.random) {
                    Next::At(due) => return self.again(due, pace, times),
                    Next::Expired => Ending::Expired,
                }
            }
        };
        self.end(ending, Event::Failed, times)
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
        let attempt = Attempt {
            item: self.item.id,
            at_secs: times.wall,
            attempts: u16::from(self.item.attempts).saturating_add(1),
            due_secs: i64::from(due),
            reply: self.said.clone(),
        };
        let late_from = pace
            .warn_secs
            .map(|secs| self.item.enqueued_secs.saturating_add(secs));
        // By the clock that attempts are written down with: the next one asks this one.
        match late_from.map(i64::from) {
            Some(late_secs) if times.wall >= late_secs => Deed::Warn { attempt, late_secs },
            _ => Deed::Note(attempt),
        }
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
