//! Requests that must not be carried out twice: which are under way, and what is durable of each.
//!
//! A key has a home shard, by its digest, which alone takes custody of what is sent in under it. So
//! its table says what is under way, and the memos that ride with each message say how far it came.

use super::Shard;
use crate::post::Claimed;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use store::error::{ChangeError, ReadError};
use store::shard::{MemoChange, Space};

/// The keys whose home this shard is.
pub struct Claims {
    store: Rc<Shard>,
    under_way: RefCell<HashMap<[u8; 32], [u8; 32]>>,
}

impl Claims {
    #[must_use]
    pub fn new(store: Rc<Shard>) -> Rc<Claims> {
        Rc::new(Claims {
            store,
            under_way: RefCell::default(),
        })
    }

    /// Begins a request with the digest `hash` under `key`, and says how far it came before.
    pub fn claim(&self, key: [u8; 32], hash: [u8; 32]) -> Result<Claimed, ReadError> {
        let mut under_way = self.under_way.borrow_mut();
        match under_way.get(&key) {
            Some(known) if *known == hash => return Ok(Claimed::UnderWay),
            Some(_) => return Ok(Claimed::Other),
            None if under_way.len() >= UNDER_WAY_MAX => return Ok(Claimed::TooMany),
            None => {}
        }
        let memos = self
            .store
            .memos(Space::IDEMPOTENCY, &key, None, MEMOS_MAX)?;
        under_way.insert(key, hash);
        let known = memos.into_iter();
        let known = known.filter_map(|memo| Some((*memo.key.get(key.len())?, memo.value)));
        Ok(Claimed::Yours(known.collect()))
    }

    /// The request is over, however it ended.
    pub fn release(&self, key: &[u8; 32]) {
        self.under_way.borrow_mut().remove(key);
    }

    /// Says what is known of a request without a message.
    pub async fn note(&self, change: MemoChange) -> Result<(), ChangeError> {
        self.store.write_memos(vec![change]).await
    }
}

/// Requests with keys that one shard carries out at a time.
const UNDER_WAY_MAX: usize = 100_000;

/// What is noted of one key.
const MEMOS_MAX: usize = 256;
