//! Where other shards bring what belongs to our accounts.

use super::heirs::Fates;
use super::transaction::{custody, take};
use super::{Claims, Heirs, Shard, suppression};
use crate::post::{Answer, Offered, Question, StreamId, Submitted, Taken, VisitAnswer};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use store::error::ChangeError;
use store::shard::{BodyWriter, Custody};

/// Answers the questions of other shards.
pub struct Counter {
    store: Rc<Shard>,
    heirs: Heirs,
    claims: Rc<Claims>,
    /// Bodies of which pieces have come, by sending shard. While a piece is being written, its body
    /// is not in the table: the sender waits for the answer before it goes on.
    bodies: RefCell<HashMap<(usize, StreamId), BodyWriter>>,
}

impl Counter {
    pub fn new(store: Rc<Shard>, heirs: Heirs, claims: Rc<Claims>) -> Counter {
        Counter {
            store,
            heirs,
            claims,
            bodies: RefCell::default(),
        }
    }

    pub async fn answer(&self, from: usize, question: Question) -> Answer {
        match question {
            Question::Piece { stream, octets } => {
                Answer::Written(self.piece((from, stream), octets).await)
            }
            Question::Abandon { stream } => {
                self.bodies.borrow_mut().remove(&(from, stream));
                Answer::Written(Ok(()))
            }
            Question::Take(submitted) => Answer::Taken(self.take(from, *submitted).await),
            Question::Claim { key, hash } => Answer::Claimed(self.claims.claim(key, hash)),
            Question::Release { key } => {
                self.claims.release(&key);
                Answer::Written(Ok(()))
            }
            Question::Note(change) => Answer::Written(self.claims.note(*change).await),
            Question::Offer(offered) => Answer::Delivered(self.offered(from, *offered).await),
            // The shard answers these before they come here.
            Question::Visit(_) => Answer::Visited(Box::new(VisitAnswer::Closed)),
            Question::Suppress(ask) => {
                let suppressed = suppression::answer(&self.store, &self.heirs, *ask).await;
                Answer::Suppressed(Box::new(suppressed))
            }
        }
    }

    async fn piece(&self, key: (usize, StreamId), mut octets: Vec<u8>) -> Result<(), ChangeError> {
        let mut body = self.bodies.borrow_mut().remove(&key).unwrap_or_default();
        if self.bodies.borrow().len() >= BODIES_MAX {
            return Err(ChangeError::Limit("bodies arriving from other shards"));
        }
        self.store.body_take(&mut body, &mut octets).await?;
        self.bodies.borrow_mut().insert(key, body);
        Ok(())
    }

    /// The whole body: what came in pieces, and the tail.
    async fn body(
        &self,
        from: usize,
        stream: Option<StreamId>,
        tail: Vec<u8>,
    ) -> Result<BodyWriter, ChangeError> {
        let Some(stream) = stream else {
            return Ok(BodyWriter::with(tail));
        };
        let key = (from, stream);
        let begun = self.bodies.borrow_mut().remove(&key);
        let mut body = begun.ok_or(ChangeError::Cannot("a body without its beginning"))?;
        self.store.body_write(&mut body, &tail).await?;
        Ok(body)
    }

    async fn take(&self, from: usize, submitted: Submitted) -> Result<Taken, ChangeError> {
        let (custody, fates) = self.custody(from, submitted).await?;
        take(&self.store, &self.heirs, custody, &fates).await
    }

    /// What nobody gets is named: its sender was told 250 long ago.
    async fn offered(&self, from: usize, offered: Offered) -> Result<(), ChangeError> {
        let queue = offered.submitted.queue;
        let (custody, fates) = self.custody(from, offered.submitted).await?;
        let taken = self
            .store
            .take_offered(from as u16, offered.sequence, custody);
        if let Some(delivered) = taken.await? {
            self.heirs.name_orphans(queue, &fates, &delivered);
        }
        Ok(())
    }

    async fn custody(
        &self,
        from: usize,
        mut submitted: Submitted,
    ) -> Result<(Custody, Fates), ChangeError> {
        let tail = std::mem::take(&mut submitted.tail);
        let body = self.body(from, submitted.stream, tail).await?;
        Ok(custody(&self.heirs, body, submitted))
    }
}

/// Long bodies that other shards may have under way to us at one time.
const BODIES_MAX: usize = 4096;
