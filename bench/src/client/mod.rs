//! The clients of a load, and the server that takes its mail at the other end: protocols over the
//! reactor's sockets, each with a clock at its phases.
//!
//! A crew drives any [`Client`]: it opens a connection, and gives it one ticket after the other.

pub(crate) mod imap;
mod opening;
pub(crate) mod pop3;
pub(crate) mod sink;
pub(crate) mod smtp;
pub(crate) mod tls;

use crate::load::pace::Ticket;
use crate::measure::answer::{Answer, Loss};
use crate::measure::histogram::Step;
use crate::measure::ledger::Fate;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// One connection of a load, in any protocol.
pub(crate) trait Client: Sized + 'static {
    /// What the connections of a run have alike.
    type Settings: Clone + Send + Sync + 'static;

    /// How long an answer may take.
    fn patience(settings: &Self::Settings) -> Duration;

    /// Opens connection `number` of a run, ready for its first ticket.
    async fn open(settings: &Arc<Self::Settings>, number: u32) -> Result<Self, NotOpened>;

    /// Whether the beginning of the next operation may travel with the end of one.
    fn chains(&self) -> bool {
        false
    }

    /// Does one operation. `announced`: its beginning went with the one before it.
    async fn deliver<F>(&mut self, ticket: Ticket, announced: bool, then: Then<F>) -> Delivered
    where
        F: FnOnce() -> Option<Ticket>;

    /// How long the steps took since somebody asked.
    fn marks(&mut self) -> &mut Vec<(Step, u64)>;

    /// Recipients of an acknowledged message that do not get it.
    fn declined(&self, ticket: Ticket) -> Vec<u32>;

    /// Says goodbye; `is_said`: it went with the last operation.
    async fn quit(self, is_said: bool);
}

/// How an operation ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivered {
    pub(crate) answer: Answer,
    pub(crate) fate: Fate,
    /// Of the message, if somebody got it.
    pub(crate) octets: u64,
    pub(crate) end_micros: u64,
    /// Whether the session goes on.
    pub(crate) is_open: bool,
    /// The goodbye went with it.
    pub(crate) said_quit: bool,
    /// The message whose envelope is on its way already.
    pub(crate) next: Option<Ticket>,
}

impl Delivered {
    /// Not begun: nothing was said, and nobody answered.
    fn unbegun() -> Delivered {
        Delivered {
            answer: Answer::Lost(Loss::Nothing),
            fate: Fate::Unsent,
            octets: 0,
            end_micros: 0,
            is_open: true,
            said_quit: false,
            next: None,
        }
    }
}

/// What follows an operation in the same write.
pub(crate) enum Then<F> {
    Nothing,
    /// The connection ends with it.
    Quit,
    /// The envelope of the next message, if the run has one.
    Next(F),
}

/// Why there is no session.
#[derive(Debug)]
pub(crate) struct NotOpened {
    pub(crate) answer: Answer,
    /// What was being done, for people: `EHLO`, `AUTH`.
    pub(crate) at: &'static str,
    /// In full, where the answer says too little.
    pub(crate) detail: String,
}

impl NotOpened {
    pub(crate) fn lost(at: &'static str, error: &io::Error) -> NotOpened {
        NotOpened {
            answer: Answer::from(error),
            at,
            detail: error.to_string(),
        }
    }

    pub(crate) fn in_handshake(error: &io::Error) -> NotOpened {
        NotOpened {
            answer: Answer::Lost(match error.kind() {
                io::ErrorKind::Other => Loss::Tls,
                _ => Loss::from(error),
            }),
            at: "TLS",
            detail: error.to_string(),
        }
    }

    /// The server does not offer what was to be done.
    pub(crate) fn unoffered(at: &'static str, detail: &str) -> NotOpened {
        NotOpened {
            answer: Answer::Reply(502, [0; 3]),
            at,
            detail: detail.to_owned(),
        }
    }

    /// For those who report errors of connections.
    pub(crate) fn into_io(self) -> io::Error {
        io::Error::other(self.explained())
    }

    /// What happened and what to do, in a sentence.
    pub(crate) fn explained(&self) -> String {
        let NotOpened { answer, at, detail } = self;
        let advice = match answer {
            Answer::Lost(loss) => loss.advice(),
            _ => "look into the server's log",
        };
        format!("{at} failed: {detail}; {advice}")
    }
}
