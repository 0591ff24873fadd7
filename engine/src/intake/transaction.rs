//! One message on its way from a session to custody.

use super::heirs::Fates;
use super::{Heirs, Shard};
use crate::post::{Answer, Post, Question, StreamId, Submitted, Taken};
use crate::reactor::spawn;
use std::cell::Cell;
use std::rc::Rc;
use store::error::ChangeError;
use store::limit::CHUNK_BYTES;
use store::shard::{BodyWriter, Custody, End, Outbound};

/// Where a shard's sessions bring their messages.
pub struct Intake {
    pub(super) store: Rc<Shard>,
    pub(super) post: Rc<Post>,
    pub(super) heirs: Heirs,
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

impl Transaction {
    /// Whether nothing was written of it yet.
    #[must_use]
    pub fn is_new(&self) -> bool {
        match self {
            Transaction::Here(writer) => writer.octets() == 0,
            Transaction::There(remote) => remote.stream.is_none() && remote.tail.is_empty(),
        }
    }
}

impl Intake {
    pub fn new(store: Rc<Shard>, post: Rc<Post>, heirs: Heirs) -> Intake {
        Intake {
            store,
            post,
            heirs,
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

    /// Takes custody of the body of `transaction` with the envelope of `submitted`, which has no
    /// octets itself; when this is `Ok`, the message is durable. The first of its shares is the
    /// owner that the transaction began with.
    pub async fn commit(
        &self,
        transaction: Transaction,
        submitted: Submitted,
    ) -> Result<Taken, Refusal> {
        let first = submitted.shares.first().map(|(owner, _)| *owner);
        let coordinator = match &transaction {
            Transaction::Here(_) => self.post.me(),
            Transaction::There(remote) => remote.owner,
        };
        assert_eq!(
            first,
            Some(coordinator),
            "the owner that has the body coordinates"
        );
        let mut remote = match transaction {
            Transaction::Here(body) => {
                let (custody, fates) = custody(&self.heirs, body, submitted);
                let taken = take(&self.store, &self.heirs, custody, &fates);
                return taken.await.map_err(Refusal::Store);
            }
            Transaction::There(remote) => remote,
        };
        let submitted = Submitted {
            stream: remote.stream.take(),
            tail: std::mem::take(&mut remote.tail),
            ..submitted
        };
        let question = Question::Take(Box::new(submitted));
        match self.post.ask(remote.owner, question).await {
            Ok(Answer::Taken(taken)) => taken.map_err(Refusal::Store),
            _ => Err(Refusal::Closing),
        }
    }

    /// Takes custody of a message of our own, which this shard coordinates, in the frame in which
    /// `ends` are said: both, or neither.
    pub async fn take_own(
        &self,
        mut octets: Vec<u8>,
        submitted: Submitted,
        ends: Vec<End>,
    ) -> Result<Taken, ChangeError> {
        let mut body = BodyWriter::default();
        self.store.body_take(&mut body, &mut octets).await?;
        let (custody, fates) = custody(&self.heirs, body, submitted);
        let custody = Custody { ends, ..custody };
        take(&self.store, &self.heirs, custody, &fates).await
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
pub(super) fn custody(heirs: &Heirs, body: BodyWriter, submitted: Submitted) -> (Custody, Fates) {
    let mut shares = submitted.shares.into_iter();
    let own = shares.next().map(|(_, own)| own).unwrap_or_default();
    let settled = heirs.settle(own, shares.collect());
    let offers = settled.offers.into_iter();
    let is_ours = |(home, _): &(usize, Vec<Outbound>)| *home == heirs.shard();
    let (here, there): (Vec<_>, Vec<_>) = submitted.outbound.into_iter().partition(is_ours);
    let custody = Custody {
        queue: submitted.queue,
        source: submitted.source,
        received_secs: submitted.received_secs,
        body,
        each_alone: submitted.each_alone,
        shares: settled.own,
        offers: offers
            .map(|(owner, shares)| (owner as u16, shares))
            .collect(),
        outbound: here
            .into_iter()
            .flat_map(|(_, outbound)| outbound)
            .collect(),
        outbound_offers: there
            .into_iter()
            .map(|(home, outbound)| (home as u16, outbound))
            .collect(),
        ends: Vec::new(),
        memos: submitted.memos,
        ..Custody::default()
    };
    (custody, settled.fates)
}

/// Takes custody for a client that waits for the answer.
pub(super) async fn take(
    store: &Shard,
    heirs: &Heirs,
    custody: Custody,
    fates: &Fates,
) -> Result<Taken, ChangeError> {
    let (queue, each_alone) = (custody.queue, custody.each_alone);
    let is_kept = !(custody.offers.is_empty()
        && custody.outbound.is_empty()
        && custody.outbound_offers.is_empty());
    let delivered = store.take(custody).await?;
    let shares: Vec<_> = fates.outcomes(&delivered).collect();
    // SMTP says one thing for all: who gets nothing of what was taken is not told to the client.
    if !each_alone && (is_kept || shares.iter().any(Result::is_ok)) {
        heirs.name_orphans(queue, fates, &delivered);
    }
    Ok(Taken { shares })
}
