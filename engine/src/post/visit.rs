//! What two sessions say to each other when a user visits the mailboxes of somebody else: plain
//! data, that goes from shard to shard as well.
//!
//! The session that has the client asks, the guest session at the owner's account answers; see
//! `session::imap::sharing`.

use crate::wire::imap::command::{Command, FlagList, StatusItem};
use crate::wire::imap::metadata::Entry;
use crate::wire::imap::receive::Receiver;
use crate::wire::imap::rights::Rights;
use std::time::Duration;
use store::error::ChangeError;
use store::mail::date::InternalDate;
use store::shard::AppendedUid;

/// Who visits.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// The address of who logged in.
    pub user: String,
    /// Identifiers of their groups.
    pub groups: Vec<String>,
    pub is_administrator: bool,
}

/// A command to carry out, with the other half of the connection.
#[derive(Debug)]
pub struct Errand {
    pub command: Command,
    pub receiver: Receiver,
    /// Octets behind the command that nobody looked at yet.
    pub input: Vec<u8>,
}

/// What a guest session is asked.
#[derive(Debug)]
pub enum Ask {
    Obey(Box<Errand>),
    /// Go on with it.
    Next,
    /// What the client said, or how that ended.
    Hear(Result<Vec<u8>, Ended>),
    /// Lines of one mailbox for LIST.
    Tell(Telling),
    Deposit(Deposit),
}

impl Ask {
    /// Octets of the client that it carries.
    #[must_use]
    pub fn octets(&self) -> usize {
        match self {
            Ask::Obey(errand) => errand.input.len(),
            Ask::Hear(Ok(octets)) | Ask::Deposit(Deposit::Octets(octets)) => octets.len(),
            _ => 0,
        }
    }
}

/// Lines behind a LIST response.
#[derive(Debug)]
pub enum Telling {
    Status {
        mailbox: String,
        items: Vec<StatusItem>,
    },
    Annotations {
        mailbox: String,
        entries: Vec<Entry>,
    },
}

/// A copy that arrives, message by message.
#[derive(Debug)]
pub enum Deposit {
    Begin {
        mailbox: String,
    },
    Octets(Vec<u8>),
    /// The message is whole.
    End {
        flags: FlagList,
        date: InternalDate,
    },
    /// None of it is wanted any more.
    Undo,
}

/// What a guest session answers.
#[derive(Debug)]
pub enum Said {
    Octets(Vec<u8>),
    /// It waits for the client, so long.
    Listens(Duration),
    /// Others are to run before it goes on.
    Pause,
    Done {
        receiver: Receiver,
        input: Vec<u8>,
        outcome: Result<(), Ended>,
        /// A mailbox is selected there.
        is_selected: bool,
    },
    Heard,
    Lines(Vec<u8>),
    Ready,
    Deposited(AppendedUid),
    Refused(Refusal),
    /// There is no such session any more.
    Gone,
}

/// Why a copy is not taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    NoMailbox,
    NoPermission,
    Failed(ChangeError),
}

/// A mailbox of somebody else that the user may see.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lent {
    /// The address of the account.
    pub owner: String,
    /// Its name there.
    pub name: String,
    pub rights: Rights,
}

/// Why a dialogue is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// The peer closed, or the connection failed.
    Closed,
    /// The peer was silent for longer than the session was patient.
    TimedOut,
    /// The server closes (a BYE is due).
    Shutdown,
    /// The session has said its last word: LOGOUT, or BYE after too many errors.
    Finished,
    /// The session is over and the connection is not: whoever it is may log in (RFC 8437).
    Unauthenticated,
    /// A message turned out damaged in the middle of a literal: there is no honest way to go on.
    Damaged,
}
