//! One transaction: envelope, what is put before the message, and what is asked of the next hop.

use crate::wire::smtp::param::DeliverBy;
use std::rc::Rc;
use store::mail::envelope::Envelope;

/// What [`super::Connection::send`] sends, beside the body.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Of more than 10,000 recipients the rest is left untried.
    pub envelope: Rc<Envelope>,
    /// Header fields that go before the body: Received, DKIM-Signature. Lines end with CRLF.
    pub prefix: Rc<[u8]>,
    /// RFC 8689: only over verified TLS, and only to a server that grants the same. From the null
    /// reverse-path it is a wish: a notice is rather sent without than not at all (§5).
    pub require_tls: bool,
    /// RFC 6710; said where it is understood.
    pub priority: Option<i8>,
    /// RFC 2852, with the time that is left; said where it is understood.
    pub by: Option<DeliverBy>,
}

/// Recipients of one transaction.
pub(super) const RECIPIENTS_MAX: usize = 10_000;

impl Letter {
    /// Of prefix and body.
    pub(super) fn octets(&self, body: u64) -> u64 {
        body.saturating_add(self.prefix.len() as u64)
    }

    /// A letter that asks for nothing special.
    #[must_use]
    pub fn new(envelope: Rc<Envelope>, prefix: Rc<[u8]>) -> Letter {
        Letter {
            envelope,
            prefix,
            require_tls: false,
            priority: None,
            by: None,
        }
    }
}
