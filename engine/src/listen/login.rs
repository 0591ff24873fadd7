//! Who may come in, for every protocol: what a connection may log in with, and the answers to what
//! a SASL exchange asks.
//!
//! A driver makes a [`Visitor`] when the connection begins, and anew behind STARTTLS; its channel
//! decides which mechanisms are offered ([`Hall::offer`]), and it goes along with every question
//! ([`Hall::answer`]). Nothing here blocks the shard: hashes are made by the login threads, tokens
//! are judged by the service thread.

use super::hall::Hall;
use crate::auth::token::Bearer;
use crate::auth::{Admission, Attempt, Verdict};
use crate::reactor::{clock, sleep};
use crate::route::Account;
use crate::telemetry::metric;
use crate::tls::Stream;
use crate::wire::sasl::scram::{Hash, Keys, Known};
use crate::wire::sasl::{Answer, Channel, EndPoint, Mechanism, Offer, Question, Refusal};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::net::IpAddr;
use std::sync::Arc;

/// Who is at the door.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// Behind a proxy, the address that the proxy names.
    pub address: IpAddr,
    pub channel: Channel,
    /// Login names that the certificate of the client stands for.
    certified: Vec<Box<str>>,
}

impl Visitor {
    /// As the connection is now.
    #[must_use]
    pub fn of(hall: &Hall, stream: &Stream) -> Visitor {
        let shown = stream.peer_certificates();
        let certified = match shown.is_empty() {
            true => Vec::new(),
            false => {
                let now = hall.now().unix_secs();
                let named = hall.live.holders.load().names(shown, now);
                named
                    .into_iter()
                    .filter(|name| hall.account(name).is_some())
                    .collect()
            }
        };
        Visitor {
            address: stream.peer_addr().ip().to_canonical(),
            channel: Channel {
                is_private: stream.is_tls(),
                exporter: stream.channel_binding(),
                end_point: end_point(hall, stream),
                is_certified: !certified.is_empty(),
            },
            certified,
        }
    }
}

impl Visitor {
    /// The same client behind STARTTLS, where a proxy has named it before.
    #[must_use]
    pub fn behind_tls(&self, hall: &Hall, stream: &Stream) -> Visitor {
        Visitor {
            address: self.address,
            ..Visitor::of(hall, stream)
        }
    }
}

impl Hall {
    /// What can work here at all, in the order of the announcement: of what is configured, what the
    /// accounts' secrets and the configuration serve.
    #[must_use]
    pub fn mechanisms(&self) -> Vec<Mechanism> {
        let config = self.live.config.load();
        let directory = self.live.directory.load();
        let is_wanted = |mechanism: &Mechanism| {
            let wanted = config.auth.mechanisms.as_ref();
            wanted.is_none_or(|names| names.iter().any(|name| name == mechanism.name()))
        };
        let can_work = |mechanism: &Mechanism| match mechanism {
            Mechanism::External => config.auth.asks_for_certificates(),
            Mechanism::OAuthBearer | Mechanism::XOAuth2 => self.bearer.is_some(),
            other => match other.scram() {
                // A client takes the strongest that it knows, and then no other.
                Some((hash, _)) if config.auth.mechanisms.is_none() => directory.serves_scram(hash),
                _ => true,
            },
        };
        let all = Mechanism::ALL.into_iter();
        all.filter(|it| is_wanted(it) && can_work(it)).collect()
    }

    /// What a visitor may log in with; `in_clear`: passwords without TLS, too.
    #[must_use]
    pub fn offer(&self, visitor: &Visitor, in_clear: bool) -> Offer {
        Offer::new(&self.mechanisms(), visitor.channel, in_clear)
    }

    /// What a SASL exchange asks.
    pub async fn answer(&self, visitor: &Visitor, question: Question) -> Answer<Arc<Account>> {
        let peer = visitor.address;
        Answer::Verdict(match question {
            Question::Keys { hash, user } => match self.known(peer, hash, &user).await {
                Ok(known) => return Answer::Keys(Box::new(known)),
                Err(refusal) => {
                    self.count_login(Some(refusal));
                    Err(refusal)
                }
            },
            Question::Password(credentials) => {
                let password = credentials.password.as_str();
                self.login(peer, &credentials.identity, password).await
            }
            Question::Proof { user, proven } => self.settle(peer, &user, proven),
            Question::Certificate { identity } => self.by_certificate(visitor, identity),
            Question::Token { identity, token } => {
                let token = token.as_str();
                self.by_token(peer, identity.as_deref(), token).await
            }
        })
    }

    /// Checks a password without ever blocking the shard, and slows down whoever guesses.
    pub async fn login(
        &self,
        peer: IpAddr,
        name: &str,
        password: &str,
    ) -> Result<Arc<Account>, Refusal> {
        let outcome = self.check(peer, name, password).await;
        self.count_login(outcome.as_ref().err().copied());
        outcome
    }

    fn count_login(&self, refusal: Option<Refusal>) {
        let label = match refusal {
            None => metric::Login::Ok,
            Some(Refusal::Wrong) => metric::Login::Failed,
            Some(Refusal::Slowed) => metric::Login::Throttled,
            Some(Refusal::Unavailable) => metric::Login::Busy,
            Some(Refusal::Crowded) => metric::Login::Crowded,
        };
        self.metrics.logins.of(label).one();
    }

    async fn check(
        &self,
        peer: IpAddr,
        name: &str,
        password: &str,
    ) -> Result<Arc<Account>, Refusal> {
        let account = self.account(name);
        let key = login_key(name, account.as_deref());
        self.admit(peer, &key).await?;
        if let Some(account) = &account {
            let attempt = attempt(peer, &key);
            let secrets = &account.secrets;
            if self.gate.recall(attempt, secrets, password.as_bytes()) {
                return Ok(Arc::clone(account));
            }
        }
        self.verify(peer, key, account, password.to_owned()).await
    }

    /// Makes whoever guesses wait, or turns them away.
    async fn admit(&self, peer: IpAddr, key: &str) -> Result<(), Refusal> {
        match self.gate.admit(attempt(peer, key)) {
            Admission::Refused { .. } => Err(Refusal::Slowed),
            Admission::After(delay) => {
                if !delay.is_zero() {
                    sleep(delay).await;
                }
                Ok(())
            }
        }
    }

    async fn verify(
        &self,
        peer: IpAddr,
        key: String,
        account: Option<Arc<Account>>,
        password: String,
    ) -> Result<Arc<Account>, Refusal> {
        let gate = Arc::clone(&self.gate);
        let asked = account.clone();
        let verified = self.logins.offload(move || {
            let secrets = asked.as_ref().map(|account| &account.secrets);
            gate.verify(attempt(peer, &key), secrets, password.as_bytes())
        });
        match (verified.await, account) {
            (Ok(Verdict::Accepted), Some(account)) => Ok(account),
            (Ok(Verdict::Throttled), _) => Err(Refusal::Slowed),
            (Ok(_), _) => Err(Refusal::Wrong),
            (Err(_), _) => Err(Refusal::Unavailable),
        }
    }

    /// Settles a dialogue that came to an end: SCRAM, a certificate, a token.
    fn settle(&self, peer: IpAddr, name: &str, proven: bool) -> Result<Arc<Account>, Refusal> {
        let account = self.account(name);
        let key = login_key(name, account.as_deref());
        self.gate.settle(attempt(peer, &key), proven);
        let outcome = account.filter(|_| proven).ok_or(Refusal::Wrong);
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

    /// The keys of a SCRAM dialogue, or decoys for strangers and for accounts whose stored secret
    /// has no such keys.
    async fn known(&self, peer: IpAddr, hash: Hash, user: &str) -> Result<Known, Refusal> {
        let account = self.account(user);
        self.admit(peer, &login_key(user, account.as_deref()))
            .await?;
        let keys = match account {
            Some(account) => self.scram_keys(hash, account).await,
            None => None,
        };
        Ok(Known {
            is_real: keys.is_some(),
            keys: keys.unwrap_or_else(|| self.decoy.keys(hash, user)),
            nonce: nonce(),
        })
    }

    async fn scram_keys(&self, hash: Hash, account: Arc<Account>) -> Option<Keys> {
        let name = account.address.to_string();
        if account.secrets.has_scram(hash) {
            return self.gate.scram_keys(hash, &name, Some(&account.secrets));
        }
        // The keys of a password in clear cost all their iterations, once.
        let gate = Arc::clone(&self.gate);
        let made = self
            .logins
            .offload(move || gate.scram_keys(hash, &name, Some(&account.secrets)));
        made.await.ok()?
    }

    /// Without an identity, the certificate stands for exactly one account.
    fn by_certificate(
        &self,
        visitor: &Visitor,
        identity: Option<String>,
    ) -> Result<Arc<Account>, Refusal> {
        let held = || {
            visitor
                .certified
                .iter()
                .filter_map(|name| self.account(name))
        };
        let held = match &identity {
            Some(wanted) => {
                let wanted = self.account(wanted).map(|account| account.address.clone());
                held().find(|account| Some(&account.address) == wanted.as_ref())
            }
            None => held().next().filter(|_| visitor.certified.len() == 1),
        };
        let name = match &held {
            Some(account) => account.address.to_string(),
            None => identity.unwrap_or_default(),
        };
        self.settle(visitor.address, &name, held.is_some())
    }

    async fn by_token(
        &self,
        peer: IpAddr,
        identity: Option<&str>,
        token: &str,
    ) -> Result<Arc<Account>, Refusal> {
        let Some(bearer) = &self.bearer else {
            return Err(Refusal::Wrong);
        };
        let guessed = identity.unwrap_or_default();
        let key = login_key(guessed, self.account(guessed).as_deref());
        let admitted = self.admit(peer, &key).await;
        if let Err(refusal) = admitted {
            self.count_login(Some(refusal));
            return Err(refusal);
        }
        let named = match bearer.whose(token, self.now().unix_secs()).await {
            Ok(named) => named,
            Err(Bearer::Unavailable) => {
                self.count_login(Some(Refusal::Unavailable));
                return Err(Refusal::Unavailable);
            }
            Err(Bearer::Invalid) => return self.settle(peer, guessed, false),
        };
        let same = |wanted: &str| {
            let (wanted, named) = (self.account(wanted), self.account(&named));
            wanted.map(|it| it.address.clone()) == named.map(|it| it.address.clone())
        };
        let fits = identity.is_none_or(same);
        self.settle(peer, if fits { &named } else { guessed }, fits)
    }
}

fn end_point(hall: &Hall, stream: &Stream) -> Option<EndPoint> {
    let context = hall.live.tls.as_ref()?;
    EndPoint::new(&stream.end_point(context)?)
}

fn attempt(peer: IpAddr, account: &str) -> Attempt<'_> {
    Attempt {
        now: clock::instant(),
        peer,
        account,
    }
}

/// Fresh randomness, printable and without a comma (RFC 5802 §5.1).
fn nonce() -> String {
    let mut nonce = [0; 18];
    getrandom::fill(&mut nonce).expect("the kernel gives randomness after boot");
    STANDARD_NO_PAD.encode(nonce)
}

/// Failures are counted for the account, whatever name it was called by.
fn login_key(name: &str, account: Option<&Account>) -> String {
    account.map_or_else(
        || name.to_ascii_lowercase(),
        |account| account.address.to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The configuration knows the names, and nothing else of the mechanisms.
    #[test]
    fn every_mechanism_can_be_configured() {
        let names: Vec<_> = Mechanism::ALL.into_iter().map(Mechanism::name).collect();
        assert_eq!(names, crate::config::MECHANISMS);
    }
}
