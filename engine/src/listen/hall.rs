//! What all connections of one shard share.

use super::census::{Census, Room};
use super::drain::Drain;
use crate::auth::{Admission, Attempt, Gate, Verdict};
use crate::intake::{Intake, QueueIds, Shard};
use crate::post::Post;
use crate::reactor::{Now, Pool, clock, sleep};
use crate::route::{Account, Live};
use crate::telemetry::metric::{self, ShardMetrics};
use crate::tls::TlsContext;
use crate::wire::sasl::scram::{Decoy, Keys};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

pub struct Hall {
    pub shard: usize,
    pub store: Rc<Shard>,
    pub intake: Intake,
    pub post: Rc<Post>,
    pub queue_ids: Rc<QueueIds>,
    pub live: Arc<Live>,
    pub gate: Arc<Gate>,
    /// Threads that check passwords.
    pub logins: Pool,
    /// Makes SCRAM keys for users that do not exist.
    pub decoy: Decoy,
    pub metrics: Arc<ShardMetrics>,
    pub drain: Rc<Drain>,
    pub census: Rc<Census>,
    /// What injections by HTTP share.
    pub inject: super::http::Desk,
}

/// Why a login is refused. To a client, a stranger and a wrong password are the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    Wrong,
    /// Too many failures from there or for that account.
    Slowed,
    /// No worker thread is free.
    Busy,
}

impl Hall {
    pub fn room(&self) -> Room {
        let limits = &self.live.config.load().limits;
        Room {
            connections_max: limits.connections_max,
            per_peer_max: limits.connections_per_address_max,
        }
    }

    /// Checks a password without ever blocking the shard, and slows down whoever guesses.
    pub async fn login(
        &self,
        peer: IpAddr,
        name: &str,
        password: &str,
    ) -> Result<Arc<Account>, Refused> {
        let outcome = self.check(peer, name, password).await;
        self.count_login(outcome.as_ref().err().copied());
        outcome
    }

    fn count_login(&self, refused: Option<Refused>) {
        let label = match refused {
            None => metric::Login::Ok,
            Some(Refused::Wrong) => metric::Login::Failed,
            Some(Refused::Slowed) => metric::Login::Throttled,
            Some(Refused::Busy) => metric::Login::Busy,
        };
        self.metrics.logins.of(label).one();
    }

    async fn check(
        &self,
        peer: IpAddr,
        name: &str,
        password: &str,
    ) -> Result<Arc<Account>, Refused> {
        let account = self.account(name);
        let key = login_key(name, account.as_deref());
        let attempt = || Attempt {
            now: clock::instant(),
            peer,
            account: &key,
        };
        match self.gate.admit(attempt()) {
            Admission::Refused { .. } => return Err(Refused::Slowed),
            Admission::After(delay) => {
                if !delay.is_zero() {
                    sleep(delay).await;
                }
            }
        }
        if let Some(account) = &account
            && self
                .gate
                .recall(attempt(), &account.secrets, password.as_bytes())
        {
            return Ok(Arc::clone(account));
        }
        self.verify(peer, key.clone(), account, password.to_owned())
            .await
    }

    async fn verify(
        &self,
        peer: IpAddr,
        key: String,
        account: Option<Arc<Account>>,
        password: String,
    ) -> Result<Arc<Account>, Refused> {
        let gate = Arc::clone(&self.gate);
        let asked = account.clone();
        let verified = self.logins.offload(move || {
            let attempt = Attempt {
                now: clock::instant(),
                peer,
                account: &key,
            };
            let secrets = asked.as_ref().map(|account| &account.secrets);
            gate.verify(attempt, secrets, password.as_bytes())
        });
        match (verified.await, account) {
            (Ok(Verdict::Accepted), Some(account)) => Ok(account),
            (Ok(Verdict::Throttled), _) => Err(Refused::Slowed),
            (Ok(_), _) => Err(Refused::Wrong),
            (Err(_), _) => Err(Refused::Busy),
        }
    }

    /// Settles a SCRAM dialogue that came to an end.
    pub fn settle(&self, peer: IpAddr, name: &str, proven: bool) -> Result<Arc<Account>, Refused> {
        let account = self.account(name);
        let key = login_key(name, account.as_deref());
        self.gate.settle(
            Attempt {
                now: clock::instant(),
                peer,
                account: &key,
            },
            proven,
        );
        let outcome = account.filter(|_| proven).ok_or(Refused::Wrong);
        self.count_login(outcome.as_ref().err().copied());
        outcome
    }

    /// The account that may log in under a name.
    pub fn account(&self, name: &str) -> Option<Arc<Account>> {
        let directory = self.live.directory.load();
        directory
            .login(name)
            .filter(|account| !account.disabled)
            .cloned()
    }

    /// What a SCRAM dialogue needs of an account; `None` for strangers and for accounts whose
    /// stored secret has no such keys.
    pub async fn scram_keys(&self, user: &str) -> Option<Keys> {
        let account = self.account(user)?;
        let name = account.address.to_string();
        if account.secrets.has_scram() {
            return self.gate.scram_keys(&name, Some(&account.secrets));
        }
        // The keys of a password in clear cost all their iterations, once.
        let gate = Arc::clone(&self.gate);
        let made = self
            .logins
            .offload(move || gate.scram_keys(&name, Some(&account.secrets)));
        made.await.ok()?
    }

    /// Fresh randomness for a SCRAM nonce.
    pub fn nonce(&self) -> [u8; 18] {
        let mut nonce = [0; 18];
        getrandom::fill(&mut nonce).expect("the kernel gives randomness after boot");
        nonce
    }

    /// TLS where mail comes in: it asks for certificates where some let mail pass.
    pub fn mail_tls(&self) -> Option<TlsContext> {
        let asks = self
            .live
            .config
            .load()
            .outbound
            .relay
            .asks_for_certificates();
        let tls = self.live.tls.as_ref();
        match asks {
            true => tls.map(TlsContext::asking),
            false => tls.cloned(),
        }
    }

    pub fn now(&self) -> Now {
        Now::here()
    }

    /// What sessions count time by.
    pub fn now_ms(&self) -> u64 {
        Now::millis_here()
    }
}

/// Failures are counted for the account, whatever name it was called by.
fn login_key(name: &str, account: Option<&Account>) -> String {
    account.map_or_else(
        || name.to_ascii_lowercase(),
        |account| account.address.to_string(),
    )
}
