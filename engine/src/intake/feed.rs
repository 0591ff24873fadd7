//! Hands over what our spool owes to another shard, in order, until it is durable there.

use super::Shard;
use crate::post::{Answer, Offered, Post, Question, StreamId, Submitted};
use crate::reactor::sleep;
use std::rc::Rc;
use std::time::Duration;
use store::error::ReadError;
use store::limit::CHUNK_BYTES;
use store::mail::id::QueueId;
use store::shard::{Judgement, Message, Offer, Source};

/// Runs as long as the shard: feeds shard `target` whatever it is offered. `trouble` is told of
/// each failure; the offer is tried again after a pause.
pub async fn feed(store: Rc<Shard>, post: Rc<Post>, target: usize, trouble: impl Fn(&str)) {
    let mut arrivals = store.watch_offers();
    let mut pause = PAUSE_FIRST;
    loop {
        let waiting = store.offers(target as u16, 0, OFFERS_AT_ONCE);
        if waiting.is_empty() {
            arrivals.changed().await;
            continue;
        }
        let mut settled = 0;
        for offer in waiting {
            match hand_over(&store, &post, target, &offer, &trouble).await {
                Ok(Judgement::Durable) => settled = offer.sequence,
                Ok(Judgement::Fresh | Judgement::Later) => break,
                Err(why) => {
                    trouble(&why);
                    break;
                }
            }
        }
        // Durable there; if this record is lost, the offer is made again and turned away.
        let is_settled = settled > 0 && store.settle_offers(target as u16, settled).await.is_ok();
        if is_settled {
            pause = PAUSE_FIRST;
        } else {
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
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

/// Hands over one offer. One whose message is damaged is settled without it, so that it does not
/// hold up those behind it; `trouble` names who gets nothing.
async fn hand_over(
    store: &Shard,
    post: &Rc<Post>,
    target: usize,
    offer: &Offer,
    trouble: &impl Fn(&str),
) -> Result<Judgement, String> {
    let submitted = match read_offer(store, post, target, offer).await {
        Ok(submitted) => submitted,
        Err(Failure::ForNow(why)) => return Err(why),
        Err(Failure::ForEver(error)) => {
            for share in &offer.recipients {
                let account = &share.account;
                trouble(&format!(
                    "a message to {account} is damaged and not delivered: {error}"
                ));
            }
            nothing(target)
        }
    };
    let offered = Offered {
        sequence: offer.sequence,
        submitted,
    };
    match post.ask(target, Question::Offer(Box::new(offered))).await {
        Ok(Answer::Judged(Ok(judgement))) => Ok(judgement),
        Ok(Answer::Judged(Err(error))) => Err(format!("shard {target} does not deliver: {error}")),
        _ => Err(no_answer(target)),
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

/// Offers read from the spool in one go.
const OFFERS_AT_ONCE: usize = 64;

/// Between two tries when a shard did not take what it is owed; doubled each time.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Streams of offers are kept apart from those of sessions.
const OFFER_STREAMS: u64 = 1 << 63;
