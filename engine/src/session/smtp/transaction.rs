//! One transaction: from MAIL to the end of data, and what is told of it afterwards.

use super::action::{Kind, Peer};
use super::terms::Terms;
use super::watch::HeaderWatch;
use crate::wire::smtp::data::BodyReceiver;
use crate::wire::smtp::reply::Reply;
use std::rc::Rc;
use store::mail::address::Address;
use store::mail::envelope::{Envelope, Recipient};

/// What was said since MAIL.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) envelope: Envelope,
    pub(super) octets_hint: Option<u64>,
    pub(super) terms: Terms,
    pub(super) body: Option<Body>,
    /// Octets of addresses and parameters so far.
    pub(super) envelope_bytes: usize,
    pub(super) started_ms: u64,
    pub(super) refused: u32,
    pub(super) refusal: Option<Reply>,
}

/// A message on its way in.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) receiver: BodyReceiver,
    pub(super) watch: HeaderWatch,
    /// Octets taken from the client, stored or not.
    pub(super) taken: u64,
    pub(super) chunked: bool,
}

/// One transaction in one line of the log.
#[derive(Clone, Debug)]
pub struct Summary {
    pub kind: Kind,
    pub peer: Peer,
    /// As the client gave it: to be escaped.
    pub hello: Option<Rc<str>>,
    pub login: Option<Rc<str>>,
    /// `None` is the null reverse-path.
    pub reverse_path: Option<Address>,
    /// The only recipient, where there is one.
    pub recipient: Option<Address>,
    /// Recipients accepted and refused.
    pub recipients: usize,
    pub refused: u32,
    pub octets: u64,
    pub queue_id: Option<String>,
    pub end: End,
    /// From MAIL to the end.
    pub elapsed_ms: u64,
}

/// How a transaction ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Custody was taken for one recipient at least.
    Accepted,
    Refused(Reply),
    /// RSET, a new greeting, QUIT, or the connection went away.
    Abandoned,
}

impl Transaction {
    pub(super) fn new(
        envelope: Envelope,
        octets_hint: Option<u64>,
        started_ms: u64,
    ) -> Transaction {
        Transaction {
            envelope,
            octets_hint,
            terms: Terms::default(),
            body: None,
            envelope_bytes: 0,
            started_ms,
            refused: 0,
            refusal: None,
        }
    }

    pub(super) fn accept(&mut self, recipient: Recipient) {
        self.envelope_bytes += weight(&recipient);
        self.envelope.recipients.push(recipient);
    }

    pub(super) fn refuse(&mut self, reply: Reply) {
        self.refused = self.refused.saturating_add(1);
        self.refusal = Some(reply);
    }

    /// Whether BDAT has begun, after which only BDAT may follow (RFC 3030 §2).
    pub(super) fn is_chunked(&self) -> bool {
        self.body.as_ref().is_some_and(|body| body.chunked)
    }

    /// How it ended if nobody finished it.
    pub(super) fn abandoned(&self) -> End {
        match self.refusal {
            Some(reply) if self.envelope.recipients.is_empty() => End::Refused(reply),
            _ => End::Abandoned,
        }
    }
}

impl End {
    /// The reply code, 0 where nothing was replied.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            End::Accepted => 250,
            End::Refused(reply) => reply.code(),
            End::Abandoned => 0,
        }
    }

    /// The enhanced status code, empty where nothing was replied.
    #[must_use]
    pub fn status(self) -> &'static str {
        match self {
            End::Accepted => "2.0.0",
            End::Refused(reply) => reply.status(),
            End::Abandoned => "",
        }
    }
}

fn weight(recipient: &Recipient) -> usize {
    let orcpt = recipient.orcpt.as_ref().map_or(0, String::len);
    let address = recipient.address.local.len() + recipient.address.domain.len();
    size_of::<Recipient>() + address + orcpt
}
