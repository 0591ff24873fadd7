//! A request under an Idempotency-Key: claimed at its home shard, given back when it is over.

use super::super::hall::Hall;
use crate::inject::{LANES, Lane, Problem};
use crate::post::{Answer, Claimed, Question};
use crate::reactor::{spawn, yield_now};
use aws_lc_rs::digest::{Context, SHA256};
use std::rc::Rc;
use store::error::ChangeError;
use store::shard::{Memo, MemoChange, Space};

/// Held as long as the request is carried out.
pub(super) struct Claim {
    hall: Rc<Hall>,
    key: [u8; 32],
    /// Of the body.
    pub(super) hash: [u8; 32],
    /// The shard that takes custody of what is sent in under the key.
    pub(super) home: usize,
    /// What is durable of it.
    pub(super) lanes: Vec<Option<Lane>>,
    expiry_secs: i64,
    is_released: bool,
}

impl Claim {
    /// The key of a tenant for a request of these octets.
    pub(super) async fn make(
        hall: &Rc<Hall>,
        tenant: &str,
        key: &str,
        body: &[u8],
    ) -> Result<Claim, Problem> {
        let key = key_of(tenant, key);
        let hash = hash(body).await;
        let shards = usize::from(hall.live.directory.load().shards()).max(1);
        let (first, _) = key.split_first_chunk().unwrap_or((&[0; 8], &[]));
        let home = (u64::from_le_bytes(*first) % shards as u64) as usize;
        let claimed = match home == hall.shard {
            true => hall.inject.claims.claim(key, hash),
            false => match hall.post.ask(home, Question::Claim { key, hash }).await {
                Ok(Answer::Claimed(claimed)) => claimed,
                _ => return Err(closing()),
            },
        };
        let known = match claimed {
            Ok(Claimed::Yours(known)) => known,
            Ok(Claimed::UnderWay) => return Err(under_way()),
            Ok(Claimed::Other) => return Err(another()),
            Ok(Claimed::TooMany) | Err(_) => return Err(closing()),
        };
        let kept = i64::from(hall.live.config.load().inject.keys_kept_secs);
        let mut claim = Claim {
            hall: Rc::clone(hall),
            key,
            hash,
            home,
            lanes: vec![None; LANES],
            is_released: false,
            expiry_secs: (hall.now().unix_secs() as i64).saturating_add(kept),
        };
        for (number, value) in known {
            let lane = Lane::decode(&value).ok_or_else(closing)?;
            if lane.hash != hash {
                return Err(another());
            }
            if let Some(place) = claim.lanes.get_mut(usize::from(number)) {
                *place = Some(lane);
            }
        }
        Ok(claim)
    }

    /// Gives it back before the answer: who has that, and asks again, is not told that the request
    /// is still under way.
    pub(super) async fn release(mut self) {
        if self.home != self.hall.shard {
            self.is_released = true;
            let question = Question::Release { key: self.key };
            // A server that ends answers nobody.
            let _ = self.hall.post.ask(self.home, question).await;
        }
    }

    /// What rides with the next message of a lane.
    pub(super) fn memo(&self, number: usize, lane: &Lane) -> Memo {
        let mut key = self.key.to_vec();
        key.push(number as u8);
        Memo {
            space: Space::IDEMPOTENCY,
            key,
            value: lane.encode(),
            expiry_secs: self.expiry_secs,
        }
    }

    /// Says what rides with no message, because nobody got one.
    pub(super) async fn note(&self, number: usize, lane: &Lane) -> Result<(), ChangeError> {
        let change = MemoChange::Put(self.memo(number, lane));
        if self.home == self.hall.shard {
            return self.hall.inject.claims.note(change).await;
        }
        let question = Question::Note(Box::new(change));
        match self.hall.post.ask(self.home, question).await {
            Ok(Answer::Written(written)) => written,
            _ => Err(ChangeError::Cannot("the server ends")),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.is_released {
            return;
        }
        if self.home == self.hall.shard {
            return self.hall.inject.claims.release(&self.key);
        }
        let (hall, home, key) = (Rc::clone(&self.hall), self.home, self.key);
        spawn(async move {
            let _ = hall.post.ask(home, Question::Release { key }).await;
        });
    }
}

/// The digest of a body, a piece at a time: others have a turn meanwhile.
async fn hash(body: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for (number, piece) in body.chunks(PIECE_BYTES).enumerate() {
        if number > 0 {
            yield_now().await;
        }
        context.update(piece);
    }
    sha256(context.finish().as_ref())
}

/// Keys of tenants never meet.
fn key_of(tenant: &str, key: &str) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(&(tenant.len() as u64).to_le_bytes());
    context.update(tenant.as_bytes());
    context.update(key.as_bytes());
    sha256(context.finish().as_ref())
}

fn sha256(digest: &[u8]) -> [u8; 32] {
    *digest.first_chunk().expect("SHA-256 has 32 octets")
}

fn under_way() -> Problem {
    let title = "The same request is being carried out.";
    Problem::new(409, "under-way", title).after(1)
}

fn another() -> Problem {
    let title = "Another request was sent in under this Idempotency-Key.";
    Problem::new(422, "key-used", title)
}

fn closing() -> Problem {
    Problem::new(503, "try-again", "The request cannot be carried out now.").after(5)
}

/// Octets that are digested in one go: half a millisecond.
const PIECE_BYTES: usize = 512 << 10;
