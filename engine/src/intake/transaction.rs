//! One message on its way from a session to custody.

use super::Shard;
use crate::post::{Answer, Post, Question, StreamId, Submitted, Taken};
use crate::reactor::spawn;
use std::cell::Cell;
use std::rc::Rc;
use store::error::ChangeError;
use store::limit::CHUNK_BYTES;
use store::mail::id::QueueId;
use store::shard::{BodyWriter, Custody, Share, Source};

/// Where a shard's sessions bring their messages.
pub struct Intake {
    store: Rc<Shard>,
    post: Rc<Post>,
    streams: Cell<u64>,
}

/// A body that is being received. Dropped without [`Intake::commit`] it leaves nothing but dead
/// bytes.
pub enum Transaction {
    Here(BodyWriter),
    There(Remote),
}

/// A body that goes to the log of another shard.
pub struct Remote {
    post: Rc<Post>,
    owner: usize,
    /// Where the octets before `tail` went.
    stream: Option<StreamId>,
    tail: Vec<u8>,
}

/// Why we do not take custody.
#[derive(Debug)]
pub enum Refusal {
    Store(ChangeError),
    /// The owner's shard does not answer: we are shutting down.
    Closing,
}

impl Intake {
    pub fn new(store: Rc<Shard>, post: Rc<Post>) -> Intake {
        Intake {
            store,
            post,
            streams: Cell::new(0),
        }
    }

    /// Begins a body that will go to the log of `owner`.
    pub fn begin(&self, owner: usize) -> Transaction {
        if owner == self.post.me() {
            return Transaction::Here(BodyWriter::default());
        }
        let post = Rc::clone(&self.post);
        Transaction::There(Remote {
            post,
            owner,
            stream: None,
            tail: Vec::new(),
        })
    }

    /// Adds octets and leaves `octets` empty. Suspends while the owner's log is behind: the
    /// session's socket is not read meanwhile.
    pub async fn write(
        &self,
        transaction: &mut Transaction,
        octets: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        match transaction {
            Transaction::Here(writer) => self
                .store
                .body_take(writer, octets)
                .await
                .map_err(Refusal::Store),
            Transaction::There(remote) => {
                if remote.tail.is_empty() {
                    std::mem::swap(&mut remote.tail, octets);
                } else {
                    remote.tail.append(octets);
                }
                if remote.tail.len() <= CHUNK_BYTES {
                    return Ok(());
                }
                let stream = *remote.stream.get_or_insert_with(|| self.next_stream());
                let octets = std::mem::take(&mut remote.tail);
                match self
                    .post
                    .ask(remote.owner, Question::Piece { stream, octets })
                    .await
                {
                    Ok(Answer::Written(written)) => written.map_err(Refusal::Store),
                    _ => Err(Refusal::Closing),
                }
            }
        }
    }

    /// Takes custody; when this is `Ok`, the message is durable. The first of `shares` is the
    /// owner that the transaction began with.
    pub async fn commit(
        &self,
        transaction: Transaction,
        queue: QueueId,
        source: Source,
        received_secs: i64,
        each_alone: bool,
        shares: Vec<(usize, Vec<Share>)>,
    ) -> Result<Taken, Refusal> {
        let first = shares.first().map(|(owner, _)| *owner);
        let mut remote = match transaction {
            Transaction::Here(body) => {
                assert_eq!(
                    first,
                    Some(self.post.me()),
                    "the owner that has the body coordinates"
                );
                let custody = custody(queue, source, received_secs, body, each_alone, shares);
                let delivered = self.store.take(custody).await.map_err(Refusal::Store)?;
                return Ok(Taken::of(delivered));
            }
            Transaction::There(remote) => remote,
        };
        assert_eq!(
            first,
            Some(remote.owner),
            "the owner that has the body coordinates"
        );
        let stream = remote.stream.take();
        let tail = std::mem::take(&mut remote.tail);
        let submitted = Submitted {
            queue,
            source,
            received_secs,
            stream,
            tail,
            each_alone,
            shares,
        };
        match self
            .post
            .ask(remote.owner, Question::Take(Box::new(submitted)))
            .await
        {
            Ok(Answer::Taken(taken)) => taken.map_err(Refusal::Store),
            _ => Err(Refusal::Closing),
        }
    }

    fn next_stream(&self) -> StreamId {
        self.streams.set(self.streams.get() + 1);
        StreamId(self.streams.get())
    }
}

/// The owner forgets what it has of a body that is not wanted any more.
impl Drop for Remote {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            let (post, owner) = (Rc::clone(&self.post), self.owner);
            spawn(async move {
                let _ = post.ask(owner, Question::Abandon { stream }).await;
            });
        }
    }
}

/// Recipients of the first owner become its own shares, those of the others its offers.
pub(super) fn custody(
    queue: QueueId,
    source: Source,
    received_secs: i64,
    body: BodyWriter,
    each_alone: bool,
    shares: Vec<(usize, Vec<Share>)>,
) -> Custody {
    let mut shares = shares.into_iter();
    let own = shares.next().map(|(_, own)| own).unwrap_or_default();
    let offers = shares
        .map(|(owner, shares)| (owner as u16, shares))
        .collect();
    Custody {
        queue,
        source,
        received_secs,
        body,
        each_alone,
        shares: own,
        offers,
    }
}
