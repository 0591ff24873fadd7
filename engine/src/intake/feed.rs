//! Hands over what our spool owes to another shard, in order, until it is durable there.

use super::Shard;
use crate::post::{Answer, Offered, Post, Question, StreamId, Submitted};
use crate::reactor::sleep;
use std::rc::Rc;
use std::time::Duration;
use store::error::ReadError;
use store::limit::CHUNK_BYTES;
use store::shard::{Judgement, Message, Offer};

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
            match hand_over(&store, &post, target, &offer).await {
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

async fn hand_over(
    store: &Shard,
    post: &Rc<Post>,
    target: usize,
    offer: &Offer,
) -> Result<Judgement, String> {
    let unreadable = |error: ReadError| format!("an offered message cannot be read: {error}");
    let head = store
        .message_head(offer.message)
        .await
        .map_err(unreadable)?;
    let body = store
        .offered_body(offer.message)
        .await
        .map_err(unreadable)?;
    // The sequence number names the stream: an offer that is made again begins its stream again.
    let stream = StreamId(OFFER_STREAMS | offer.sequence);
    let (stream, tail) = send_pieces(store, post, target, stream, &body).await?;
    let submitted = Submitted {
        queue: head.queue,
        source: head.source,
        received_secs: head.received_secs,
        stream,
        tail,
        each_alone: false,
        shares: vec![(target, offer.recipients.clone())],
    };
    let offered = Offered {
        sequence: offer.sequence,
        submitted,
    };
    match post.ask(target, Question::Offer(Box::new(offered))).await {
        Ok(Answer::Judged(Ok(judgement))) => Ok(judgement),
        Ok(Answer::Judged(Err(error))) => Err(format!("shard {target} does not deliver: {error}")),
        _ => Err(format!("shard {target} does not answer")),
    }
}

/// Sends all but the last piece ahead.
async fn send_pieces(
    store: &Shard,
    post: &Rc<Post>,
    target: usize,
    stream: StreamId,
    body: &Message,
) -> Result<(Option<StreamId>, Vec<u8>), String> {
    let piece = CHUNK_BYTES as u64;
    let mut from = 0;
    let read = async |from, to| store.read(body, from, to).await.map_err(|e| e.to_string());
    if body.octets > piece {
        let gone = |_| format!("shard {target} does not answer");
        post.ask(target, Question::Abandon { stream })
            .await
            .map_err(gone)?;
    }
    while body.octets - from > piece {
        let octets = read(from, from + piece).await?;
        match post.ask(target, Question::Piece { stream, octets }).await {
            Ok(Answer::Written(Ok(()))) => from += piece,
            Ok(Answer::Written(Err(error))) => {
                return Err(format!("shard {target} does not take a body: {error}"));
            }
            _ => return Err(format!("shard {target} does not answer")),
        }
    }
    let tail = read(from, body.octets).await?;
    Ok(((from > 0).then_some(stream), tail))
}

/// Offers read from the spool in one go.
const OFFERS_AT_ONCE: usize = 64;

/// Between two tries when a shard did not take what it is owed; doubled each time.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Streams of offers are kept apart from those of sessions.
const OFFER_STREAMS: u64 = 1 << 63;
