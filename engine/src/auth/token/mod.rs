//! Whose bearer token is it (RFC 6750)? Judged by keys of the issuer (RFC 7519, RFC 7517) or by
//! asking it (RFC 7662).
//!
//! ```text
//! shard    whose ── known already? ──▶ the account
//!            │ no: asked, ASKED_MAX at once
//! service  run ─▶ JWT: keys from a file or a URL, kept for a while ─┐
//!            └──▶ introspection, one POST                          ─┴▶ claims ─▶ the account
//! ```
//!
//! Kept of a token that holds is its hash, until it expires or the configured time is over. Nothing
//! is kept of one that does not. `none` and everything signed with a shared secret is refused.

mod claims;
mod fetch;
mod jwk;
mod jwt;
#[cfg(test)]
mod tests;

use crate::config::{OAuth, TokenJudge};
use crate::event;
use crate::reactor::oneshot::{self, oneshot};
use aws_lc_rs::digest::{SHA256, digest};
use fetch::Fetcher;
use jwk::Keys;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, mpsc};

/// Why a token lets nobody in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bearer {
    /// Broken, forged, expired, or for somebody else.
    Invalid,
    /// Nobody can tell now.
    Unavailable,
}

/// Where a shard asks; clones ask the same service.
#[derive(Clone)]
pub struct Tokens {
    queue: mpsc::Sender<Slip>,
    known: Arc<Mutex<Known>>,
}

/// What judges, to be run on the service thread.
pub struct Service {
    queue: mpsc::Receiver<Slip>,
    judge: Judge,
    known: Arc<Mutex<Known>>,
}

struct Slip {
    token: String,
    now_secs: u64,
    reply: oneshot::Sender<Result<String, Bearer>>,
}

/// Tokens that held, and until when they are believed without a look.
#[derive(Default)]
struct Known(HashMap<[u8; 32], (String, u64)>);

struct Judge {
    config: OAuth,
    fetcher: Fetcher,
    keys: RefCell<Option<Kept>>,
}

/// Keys of the issuer, and when they were fetched.
#[derive(Clone)]
struct Kept {
    keys: Rc<Keys>,
    since_secs: u64,
}

/// Makes both sides; reads the authorities, and the keys where they are in a file.
pub fn open(config: OAuth) -> Result<(Tokens, Service), String> {
    let fetcher = Fetcher::new(config.authorities.as_deref())?;
    if let TokenJudge::KeysFile(file) = &config.judge {
        read_keys(file)?;
    }
    let (sender, queue) = mpsc::channel(ASKED_MAX);
    let known: Arc<Mutex<Known>> = Arc::default();
    let judge = Judge {
        config,
        fetcher,
        keys: RefCell::default(),
    };
    let tokens = Tokens {
        queue: sender,
        known: Arc::clone(&known),
    };
    Ok((
        tokens,
        Service {
            queue,
            judge,
            known,
        },
    ))
}

impl Tokens {
    /// The account that a token names; `now_secs` since 1970. Runs on a shard.
    pub async fn whose(&self, token: &str, now_secs: u64) -> Result<String, Bearer> {
        if let Some(account) = locked(&self.known).find(token, now_secs) {
            return Ok(account);
        }
        let (reply, answer) = oneshot();
        let slip = Slip {
            token: token.to_owned(),
            now_secs,
            reply,
        };
        self.queue.try_send(slip).map_err(|_| Bearer::Unavailable)?;
        answer.await.unwrap_or(Err(Bearer::Unavailable))
    }
}

impl Service {
    /// Judges until the last [`Tokens`] is gone. In a `LocalSet`, as on the service thread.
    pub async fn run(mut self) {
        let judge = Rc::new(self.judge);
        let room = Rc::new(Semaphore::new(UNDER_WAY_MAX));
        while let Some(slip) = self.queue.recv().await {
            let (judge, room) = (Rc::clone(&judge), Rc::clone(&room));
            let known = Arc::clone(&self.known);
            tokio::task::spawn_local(async move {
                // The semaphore is never closed.
                let _permit = room.acquire().await;
                let judged = judge.judge(&slip.token, slip.now_secs).await;
                if let Ok((account, until_secs)) = &judged {
                    locked(&known).learn(&slip.token, account, slip.now_secs, *until_secs);
                }
                // Whoever left does not need it.
                let _ = slip.reply.send(judged.map(|(account, _)| account));
            });
        }
    }
}

impl Judge {
    /// The account, and until when this is believed.
    async fn judge(&self, token: &str, now_secs: u64) -> Result<(String, u64), Bearer> {
        let claims = match &self.config.judge {
            TokenJudge::Introspection { url, client } => {
                let told = self.fetcher.introspect(url, client.as_ref(), token).await;
                let told = told.map_err(|why| unavailable("introspection", &why))?;
                claims::introspected(&told)?
            }
            TokenJudge::KeysFile(_) | TokenJudge::KeysUrl(_) => {
                self.verify(token, now_secs).await?
            }
        };
        let (account, expiry_secs) = claims::account(&claims, &self.config, now_secs)?;
        let kept_secs = now_secs + u64::from(self.config.cache_secs);
        Ok((
            account,
            expiry_secs.map_or(kept_secs, |end| end.min(kept_secs)),
        ))
    }

    async fn verify(
        &self,
        token: &str,
        now_secs: u64,
    ) -> Result<serde_json::Map<String, serde_json::Value>, Bearer> {
        let jwt = jwt::Jwt::parse(token).ok_or(Bearer::Invalid)?;
        let keys = self.keys(now_secs, false).await?;
        if keys.could_verify(&jwt) {
            return jwt.claims(&keys).ok_or(Bearer::Invalid);
        }
        // The issuer may have a new key since.
        let keys = self.keys(now_secs, true).await?;
        jwt.claims(&keys).ok_or(Bearer::Invalid)
    }

    /// `fresh`: newer than those that are kept, unless these are new enough.
    async fn keys(&self, now_secs: u64, fresh: bool) -> Result<Rc<Keys>, Bearer> {
        let kept = self.keys.borrow().clone();
        let age_max_secs = match fresh {
            true => FETCHES_APART_SECS,
            false => u64::from(self.config.cache_secs) * KEYS_KEPT_TIMES,
        };
        if let Some(kept) = &kept
            && now_secs.saturating_sub(kept.since_secs) < age_max_secs
        {
            return Ok(Rc::clone(&kept.keys));
        }
        let read = match &self.config.judge {
            TokenJudge::KeysUrl(url) => match self.fetcher.fetch(url).await {
                Ok(octets) => Keys::parse(&octets),
                Err(why) => Err(why),
            },
            TokenJudge::KeysFile(file) => read_keys(file),
            TokenJudge::Introspection { .. } => Err("keys are not configured".to_owned()),
        };
        match (read, kept) {
            (Ok(keys), _) => {
                let keys = Rc::new(keys);
                self.keys.replace(Some(Kept {
                    keys: Rc::clone(&keys),
                    since_secs: now_secs,
                }));
                Ok(keys)
            }
            // An issuer that is down for a while locks nobody out.
            (Err(why), Some(kept)) => {
                unavailable("keys", &why);
                Ok(kept.keys)
            }
            (Err(why), None) => Err(unavailable("keys", &why)),
        }
    }
}

impl Known {
    fn find(&self, token: &str, now_secs: u64) -> Option<String> {
        let (account, until_secs) = self.0.get(&hash(token))?;
        (now_secs < *until_secs).then(|| account.clone())
    }

    fn learn(&mut self, token: &str, account: &str, now_secs: u64, until_secs: u64) {
        if self.0.len() >= KNOWN_MAX {
            self.0.retain(|_, (_, until)| now_secs < *until);
        }
        // Still full: who comes now is judged each time.
        if self.0.len() < KNOWN_MAX {
            self.0.insert(hash(token), (account.to_owned(), until_secs));
        }
    }
}

fn read_keys(file: &std::path::Path) -> Result<Keys, String> {
    let read = TokenJudge::read_keys(file).map_err(|error| error.to_string());
    read.and_then(|octets| Keys::parse(&octets))
        .map_err(|why| format!("{}: {why}", file.display()))
}

fn unavailable(what: &str, why: &str) -> Bearer {
    event!(Warn, "tokens cannot be judged", what = what, why = why);
    Bearer::Unavailable
}

fn hash(token: &str) -> [u8; 32] {
    let hash = digest(&SHA256, token.as_bytes());
    *hash.as_ref().first_chunk().expect("SHA-256 has 32 octets")
}

/// What is known may be lost with a panicking thread, the logins must not.
fn locked(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Questions that wait, of all shards.
const ASKED_MAX: usize = 1024;

/// Of these, those that are being judged.
const UNDER_WAY_MAX: usize = 64;

/// Tokens that are remembered.
const KNOWN_MAX: usize = 16_384;

/// Keys change more seldom than tokens end.
const KEYS_KEPT_TIMES: u64 = 12;

/// Tokens with made-up key names do not make us ask the issuer more often.
const FETCHES_APART_SECS: u64 = 60;
