//! Hands over what our spool owes to another shard until it is durable there.
//!
//! Several offers are under way at a time; the owner takes them in the order of their numbers, and
//! what it has up to some number is settled with one record. An offer that fails is tried again
//! with growing pauses, and those behind it wait at the owner for its turn.

use super::{Heirs, Shard};
use crate::event;
use crate::post::{Answer, Offered, Post, Question, StreamId, Submitted};
use crate::reactor::{sleep, spawn};
use crate::telemetry::metric::{Lost, ShardMetrics};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use store::error::{ChangeError, LogError, ReadError};
use store::limit::CHUNK_BYTES;
use store::mail::id::QueueId;
use store::shard::{Message, Offer, Source, Window};

/// Feeds one other shard whatever it is offered.
pub struct Feeder {
    store: Rc<Shard>,
    post: Rc<Post>,
    heirs: Heirs,
    metrics: Arc<ShardMetrics>,
    target: usize,
    window: RefCell<Window>,
    is_settling: Cell<bool>,
}

impl Feeder {
    pub fn new(
        store: Rc<Shard>,
        post: Rc<Post>,
        heirs: Heirs,
        metrics: Arc<ShardMetrics>,
        target: usize,
    ) -> Rc<Feeder> {
        Rc::new(Feeder {
            store,
            post,
            heirs,
            metrics,
            target,
            window: RefCell::new(Window::new(OFFERS_IN_FLIGHT_MAX)),
            is_settling: Cell::new(false),
        })
    }

    /// Runs as long as the shard.
    pub async fn run(self: Rc<Self>) {
        let mut arrivals = self.store.watch_offers();
        loop {
            for offer in self.begin() {
                spawn(Rc::clone(&self).carry(offer));
            }
            arrivals.changed().await;
        }
    }

    fn begin(&self) -> Vec<Rc<Offer>> {
        let mut window = self.window.borrow_mut();
        let offers = self
            .store
            .offers(self.target as u16, window.begun(), window.room());
        for offer in &offers {
            window.begin(offer.sequence);
            self.metrics.spool_offers_in_flight.up();
        }
        offers
    }

    async fn carry(self: Rc<Self>, offer: Rc<Offer>) {
        let mut pause = PAUSE_FIRST;
        while let Err(why) = self.hand_over(&offer).await {
            // The others wait for the oldest, and would say the same.
            if self.window.borrow().is_oldest(offer.sequence) {
                self.say_waits(&why);
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        self.metrics.spool_offers_in_flight.down();
        self.window.borrow_mut().durable(offer.sequence);
        self.settle().await;
    }

    fn say_waits(&self, why: &str) {
        let (shard, target) = (self.post.me(), self.target);
        event!(
            Warn,
            "offer waits",
            shard = shard,
            target = target,
            why = why
        );
    }

    /// One task at a time settles for all. If the record is lost in a crash, the offer is made
    /// again and turned away.
    async fn settle(&self) {
        if self.is_settling.replace(true) {
            return;
        }
        let next = || self.window.borrow().to_settle();
        while let Some(sequence) = next() {
            let settled = self.store.settle_offers(self.target as u16, sequence);
            match settled.await {
                Ok(()) => self.window.borrow_mut().settled(sequence),
                Err(ChangeError::Log(LogError::Closed)) => return,
                Err(error) => {
                    self.say_waits(&error.to_string());
                    sleep(PAUSE_MAX).await;
                }
            }
        }
        self.is_settling.set(false);
    }

    /// Hands over one offer. One whose message is damaged is handed over without it, so that it
    /// does not hold up those behind it, and is named.
    async fn hand_over(&self, offer: &Offer) -> Result<(), String> {
        let target = self.target;
        let mut read = read_offer(&self.store, &self.post, target, offer).await;
        if matches!(read, Err(Failure::ForEver(_))) {
            // What the device gave once it may have given wrong; a delivery hangs on it.
            read = read_offer(&self.store, &self.post, target, offer).await;
        }
        let (submitted, damage) = match read {
            Ok(submitted) => (submitted, None),
            Err(Failure::ForNow(why)) => return Err(why),
            Err(Failure::ForEver(error)) => (nothing(target), Some(error)),
        };
        let offered = Offered {
            sequence: offer.sequence,
            submitted,
        };
        let question = Question::Offer(Box::new(offered));
        match self.post.ask(target, question).await {
            Ok(Answer::Delivered(Ok(()))) => {}
            Ok(Answer::Delivered(Err(error))) => {
                return Err(format!("shard {target} does not deliver: {error}"));
            }
            _ => return Err(no_answer(target)),
        }
        if let Some(error) = damage {
            self.name_damaged(offer, &error).await;
        }
        Ok(())
    }

    async fn name_damaged(&self, offer: &Offer, error: &ReadError) {
        let head = self.store.message_head(offer.message).await;
        let queue = head.map_or(QueueId(0), |head| head.queue);
        for share in &offer.recipients {
            self.heirs
                .name_lost(queue, &share.account, Lost::Damaged, error);
        }
    }
}

/// Why an offer was not handed over.
enum Failure {
    /// It is worth another try.
    ForNow(String),
    /// The message cannot be read any more, and never will be.
    ForEver(ReadError),
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Failure {
        match error {
            ReadError::Io { .. } => Failure::ForNow(format!("an offered message: {error}")),
            ReadError::Damaged { .. } | ReadError::Gone => Failure::ForEver(error),
        }
    }
}

async fn read_offer(
    store: &Shard,
    post: &Rc<Post>,
    target: usize,
    offer: &Offer,
) -> Result<Submitted, Failure> {
    let head = store.message_head(offer.message).await?;
    let body = store.offered_body(offer.message).await?;
    // The sequence number names the stream: an offer that is made again begins its stream again.
    let stream = StreamId(OFFER_STREAMS | offer.sequence);
    let (stream, tail) = send_pieces(store, post, target, stream, &body).await?;
    Ok(Submitted {
        queue: head.queue,
        source: head.source,
        received_secs: head.received_secs,
        stream,
        tail,
        each_alone: false,
        shares: vec![(target, offer.recipients.clone())],
        outbound: vec![(target, offer.outbound.clone())],
        memos: Vec::new(),
    })
}

/// An offer that delivers nothing and still counts as seen.
fn nothing(target: usize) -> Submitted {
    Submitted {
        queue: QueueId(0),
        source: Source::default(),
        received_secs: 0,
        stream: None,
        tail: Vec::new(),
        each_alone: false,
        shares: vec![(target, Vec::new())],
        outbound: Vec::new(),
        memos: Vec::new(),
    }
}

/// Sends all but the last piece ahead.
async fn send_pieces(
    store: &Shard,
    post: &Rc<Post>,
    target: usize,
    stream: StreamId,
    body: &Message,
) -> Result<(Option<StreamId>, Vec<u8>), Failure> {
    let piece = CHUNK_BYTES as u64;
    let gone = |_| Failure::ForNow(no_answer(target));
    let mut from = 0;
    if body.octets > piece {
        let abandon = Question::Abandon { stream };
        post.ask(target, abandon).await.map_err(gone)?;
    }
    while body.octets - from > piece {
        let octets = store.read(body, from, from + piece).await?;
        match post.ask(target, Question::Piece { stream, octets }).await {
            Ok(Answer::Written(Ok(()))) => from += piece,
            Ok(Answer::Written(Err(error))) => {
                let why = format!("shard {target} does not take a body: {error}");
                return Err(Failure::ForNow(why));
            }
            _ => return Err(Failure::ForNow(no_answer(target))),
        }
    }
    let tail = store.read(body, from, body.octets).await?;
    Ok(((from > 0).then_some(stream), tail))
}

fn no_answer(target: usize) -> String {
    format!("shard {target} does not answer")
}

/// Offers to one shard that are handed over and not settled; each holds at most one piece of a
/// body in memory.
const OFFERS_IN_FLIGHT_MAX: usize = 64;

/// Between two tries when a shard did not take what it is owed; doubled each time up to the last.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Streams of offers are kept apart from those of sessions.
const OFFER_STREAMS: u64 = 1 << 63;
