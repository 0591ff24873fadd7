//! What shards say to each other.

use super::queue::{QueueAnswer, QueueAsk};
use super::suppress::{SuppressAnswer, SuppressAsk};
use crate::config::TlsMode;
use crate::post::visit::{Ask, Lent, Said, Visitor};
use crate::reactor::oneshot;
use crate::tls::StreamParts;
use crate::wire::imap::deflate::Layer;
use std::collections::BTreeMap;
use store::error::{ChangeError, ReadError};
use store::mail::id::QueueId;
use store::shard::{Memo, MemoChange, Outbound, Share, Source, StoredAccount};

/// One item of an inbox.
pub enum Letter {
    Ask {
        ticket: u32,
        from: usize,
        question: Question,
    },
    Answer {
        ticket: u32,
        answer: Answer,
    },
    /// A connection moves to the shard that owns its account.
    Connection(Box<Handover>),
    /// The service thread wants something done.
    Order(Order),
}

/// A body that arrives in pieces: unique for the shard that sends it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct StreamId(pub u64);

pub enum Question {
    /// More octets of a body that is too long for one letter.
    Piece { stream: StreamId, octets: Vec<u8> },
    /// The body is not wanted any more. Answered at once.
    Abandon { stream: StreamId },
    /// Take custody.
    Take(Box<Submitted>),
    /// Begin a request under a key whose home is there.
    Claim { key: [u8; 32], hash: [u8; 32] },
    /// The request under this key is over.
    Release { key: [u8; 32] },
    /// Say something of such a request that rides with no message.
    Note(Box<MemoChange>),
    /// Deliver what we took custody of; several at a time, taken in the order of their numbers.
    Offer(Box<Offered>),
    /// About addresses whose domains it keeps.
    Suppress(Box<SuppressAsk>),
    /// About mailboxes that its accounts let others use.
    Visit(Box<VisitAsk>),
}

/// A message with its envelope, as the shard that talked to the client puts it together.
pub struct Submitted {
    pub queue: QueueId,
    pub source: Source,
    pub received_secs: i64,
    /// Where the octets before `tail` went.
    pub stream: Option<StreamId>,
    pub tail: Vec<u8>,
    /// As in `store::shard::Custody`.
    pub each_alone: bool,
    /// Recipients by owner shard; the first owner is asked to coordinate.
    pub shares: Vec<(usize, Vec<Share>)>,
    /// Recipients at other hosts by the shard that keeps their queue.
    pub outbound: Vec<(usize, Vec<Outbound>)>,
    /// In force exactly if the message is in custody, with the shard that coordinates.
    pub memos: Vec<Memo>,
}

pub struct Offered {
    pub sequence: u64,
    pub submitted: Submitted,
}

pub enum Answer {
    Written(Result<(), ChangeError>),
    Taken(Result<Taken, ChangeError>),
    Claimed(Result<Claimed, ReadError>),
    /// The offer is durable and need not be made again.
    Delivered(Result<(), ChangeError>),
    Suppressed(Box<SuppressAnswer>),
    Visited(Box<VisitAnswer>),
}

/// What a session asks of another shard for a user of its own.
#[derive(Debug)]
pub enum VisitAsk {
    /// Which mailboxes the visitor may see.
    Lent(Visitor),
    /// A guest session at the account of this address.
    Open { visitor: Visitor, owner: String },
    /// To the guest session of this number.
    Say { guest: u64, ask: Ask },
    /// It is not needed any more.
    Close { guest: u64 },
}

#[derive(Debug)]
pub enum VisitAnswer {
    Lent(Vec<Lent>),
    /// The number of the guest session; `None`: no such account, or no room.
    Opened(Option<u64>),
    Said(Said),
    Closed,
}

impl VisitAsk {
    /// What it weighs, about.
    pub(super) fn octets(&self) -> usize {
        match self {
            VisitAsk::Say { ask, .. } => ask.octets(),
            _ => 0,
        }
    }
}

impl VisitAnswer {
    /// What it weighs, about.
    pub(super) fn octets(&self) -> usize {
        match self {
            VisitAnswer::Lent(lent) => lent.len() * LENT_BYTES,
            VisitAnswer::Said(Said::Octets(octets) | Said::Lines(octets)) => octets.len(),
            _ => 0,
        }
    }
}

/// What one mailbox in an answer weighs, about.
const LENT_BYTES: usize = 128;

/// What became of a claim.
pub enum Claimed {
    /// It is ours until it is released; what is noted of it, each under a number.
    Yours(Vec<(u8, Vec<u8>)>),
    /// The same request is being carried out.
    UnderWay,
    /// Another request has this key.
    Other,
    /// More are under way than may be.
    TooMany,
}

/// What became of the coordinator's own recipients; all others are in its custody.
pub struct Taken {
    /// In the order of the first entry of `Submitted::shares`.
    pub shares: Vec<Result<(), ChangeError>>,
}

/// An authenticated connection on its way to the owner of its account.
pub struct Handover {
    pub via: Via,
    pub stream: StreamParts,
    /// Octets that were received and not yet understood.
    pub unread: Vec<u8>,
    /// The address of its account.
    pub account: String,
}

/// Which dialogue goes on.
pub enum Via {
    Imap {
        /// Of the LOGIN or AUTHENTICATE that is still to be answered.
        tag: String,
        /// How its listener lets clients in, if this one logs out and stays (RFC 8437).
        tls: TlsMode,
        login_without_tls: bool,
        is_trusted: bool,
        /// COMPRESS was said before.
        layer: Option<Layer>,
    },
    /// The PASS or AUTH is still to be answered.
    Pop3 {
        /// RFC 6856: UTF8 was said.
        utf8: bool,
    },
}

/// What the service thread asks of one shard. Each is answered through its own channel.
pub enum Order {
    Accounts(oneshot::Sender<Vec<StoredAccount>>),
    Domains(oneshot::Sender<BTreeMap<String, Option<String>>>),
    /// Makes an account, or gives an existing one this secret and quota.
    SetAccount {
        address: String,
        secret: String,
        quota: Option<u64>,
        done: Done,
    },
    SetSecret {
        address: String,
        secret: String,
        done: Done,
    },
    RemoveAccount {
        address: String,
        done: Done,
    },
    /// An address is nobody's any more, and so are its rights on mailboxes of this shard.
    ForgetIdentifier {
        address: String,
        done: Done,
    },
    SetDomain {
        name: String,
        catch_all: Option<String>,
        done: Done,
    },
    RemoveDomain {
        name: String,
        done: Done,
    },
    /// About mail for other hosts.
    Queue {
        ask: QueueAsk,
        done: oneshot::Sender<QueueAnswer>,
    },
    /// About the suppression list.
    Suppress {
        ask: SuppressAsk,
        done: oneshot::Sender<SuppressAnswer>,
    },
    /// An IMAP command in the place of an account's owner. Answered: what it brought, or why not.
    AsOwner(AsOwner),
    /// Configuration and directory were exchanged.
    Reloaded(oneshot::Sender<()>),
    /// How far the shard has taken what other shards offer, by source.
    Seen(oneshot::Sender<Vec<u64>>),
    /// How far others have seen what the shard offers, by target. Answered, by target: up to where
    /// it offers nothing any more.
    ResumeOffers {
        seen: Vec<u64>,
        done: oneshot::Sender<Vec<u64>>,
    },
    /// Up to where others offer nothing any more, by source.
    ResumeTaking {
        through: Vec<u64>,
        done: oneshot::Sender<()>,
    },
    /// Accept connections from now on.
    Open(oneshot::Sender<()>),
    /// Accept nothing more and end the conversations; answered when the last one is over.
    Drain(oneshot::Sender<()>),
    /// Make everything durable and stop; answered when it is.
    Close(oneshot::Sender<()>),
}

/// What an operator says in the place of an account's owner.
pub struct AsOwner {
    pub owner: String,
    /// A command of IMAP without its tag.
    pub command: String,
    pub done: oneshot::Sender<Result<String, String>>,
}

/// Where the outcome of a change goes.
pub type Done = oneshot::Sender<Result<(), ChangeError>>;
