//! The not-authenticated state: greeting, STARTTLS, AUTHENTICATE and LOGIN (RFC 9051 §3.1, §6.2).
//!
//! ```text
//! greeting ─▶ AwaitCommand ─ STARTTLS ─▶ handshake, all that was said forgotten ─▶ AwaitCommand
//!                 │  └──── AUTHENTICATE ─▶ challenges ─┐
//!                 └─────── LOGIN ──────────────────────┴▶ verdict ─▶ LoggedIn, or AwaitCommand
//! ```
//!
//! It ends with [`LoggedIn`] and no answer: the driver hands the dialogue's parts to the shard that
//! owns the account, and the session there answers the tag (see `session::imap`). Passwords cross
//! only TLS, unless the operator allows it; a stranger and a wrong password look the same.

use super::dialogue::{Dialogue, PATIENCE_WITHIN};
use super::extension;
use super::io::{Ended, StartTls};
use super::reply::Reply;
use super::say_goodbye;
use crate::wire::imap::capability::{self, Stage};
use crate::wire::imap::command::{Body, Command};
use crate::wire::imap::response::code::{self, Code};
use crate::wire::imap::response::{Condition, data, text};
use crate::wire::sasl::scram::{Decoy, Keys};
use crate::wire::sasl::{self, Credentials, Exchange, Mechanism, Password, STRING_BYTES_MAX, Step};
use std::time::Duration;

/// Commands before login: enough for every client, and an end for one that never logs in.
const COMMANDS_MAX: u32 = 64;

/// Wrong passwords on one connection.
const FAILURES_MAX: u32 = 3;

/// Who knows accounts and passwords: `auth`, without blocking the shard.
#[expect(async_fn_in_trait, reason = "a session and its gate share one thread")]
pub trait Gate {
    /// What the driver needs to find the owner shard.
    type Account;

    async fn verify(&mut self, credentials: Credentials) -> Verdict<Self::Account>;

    /// The SCRAM keys of a user; `None` for a stranger, and for one who has none.
    async fn keys(&mut self, user: &str) -> Option<Keys>;

    /// The client did or did not prove that it knows the password behind the keys.
    async fn proven(&mut self, user: &str, proven: bool) -> Verdict<Self::Account>;

    /// Fresh, printable, without a comma (RFC 5802 §5.1).
    fn nonce(&mut self) -> String;

    /// What makes the keys of strangers.
    fn decoy(&self) -> &Decoy;
}

/// What comes of a login.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict<A> {
    Welcome(A),
    /// No such account, wrong password, or locked: the client is not told which.
    Refused,
    /// Nobody can tell now.
    Unavailable,
}

/// What the operator decided.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Passwords may cross the wire in the clear.
    pub plaintext_without_tls: bool,
    /// As in [`super::Terms`].
    pub append_bytes_max: u64,
    /// Silence of a client that has not logged in. The 30 minutes of RFC 9051 §5.4 begin with
    /// login.
    pub patience: Duration,
}

/// A client that is let in and not yet told so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoggedIn<A> {
    /// The command to answer.
    pub tag: String,
    pub account: A,
}

/// One connection before login.
pub struct Login<'a, I, G> {
    dialogue: &'a mut Dialogue<I>,
    gate: &'a mut G,
    rules: Rules,
    failures: u32,
}

/// What a command that may log in comes to.
enum Outcome<A> {
    Welcome(A),
    Reply(Reply),
}

impl<'a, I: StartTls, G: Gate> Login<'a, I, G> {
    pub fn new(dialogue: &'a mut Dialogue<I>, gate: &'a mut G, rules: Rules) -> Login<'a, I, G> {
        Login {
            dialogue,
            gate,
            rules,
            failures: 0,
        }
    }

    /// Greets, and talks until the client is known or gone.
    pub async fn run(mut self) -> Result<LoggedIn<G::Account>, Ended> {
        let words = self.capabilities();
        let code = Some(Code::Capability(&words));
        code::untagged(self.dialogue.out(), Condition::Ok, code, text::GREETING);
        match self.converse().await {
            Ok(logged_in) => Ok(logged_in),
            Err(ended) => Err(say_goodbye(self.dialogue, ended).await),
        }
    }

    async fn converse(&mut self) -> Result<LoggedIn<G::Account>, Ended> {
        for _ in 0..COMMANDS_MAX {
            let Command { tag, body } = self.dialogue.command(self.rules.patience).await?;
            let reply = match body {
                Body::Authenticate { mechanism, initial } => {
                    match self.authenticate(&mechanism, initial).await? {
                        Outcome::Welcome(account) => return Ok(LoggedIn { tag, account }),
                        Outcome::Reply(reply) => reply,
                    }
                }
                Body::Login { user, password } => match self.log_in(&user, &password).await? {
                    Outcome::Welcome(account) => return Ok(LoggedIn { tag, account }),
                    Outcome::Reply(reply) => reply,
                },
                Body::StartTls => {
                    self.start_tls(&tag).await?;
                    continue;
                }
                body => self.answer(&tag, body).await?,
            };
            self.finish(&tag, &reply).await?;
        }
        self.end(text::TOO_MUCH).await
    }

    async fn finish(&mut self, tag: &str, reply: &Reply) -> Result<(), Ended> {
        reply.write(self.dialogue.out(), tag);
        if self.failures >= FAILURES_MAX {
            return self.end(text::LOGIN_FAILED).await;
        }
        match reply.is_bad() {
            true => self.dialogue.count_bad().await,
            false => {
                self.dialogue.forgive();
                Ok(())
            }
        }
    }

    /// BYE, and nothing behind it.
    async fn end<T>(&mut self, why: &'static str) -> Result<T, Ended> {
        code::bye(self.dialogue.out(), None, why);
        self.dialogue.flush().await?;
        Err(Ended::Finished)
    }

    async fn answer(&mut self, tag: &str, body: Body) -> Result<Reply, Ended> {
        match body {
            Body::Capability => {
                let words = self.capabilities();
                data::capability(self.dialogue.out(), &words);
                Ok(Reply::done())
            }
            Body::Noop => Ok(Reply::done()),
            Body::Id(_) => Ok(extension::id(self.dialogue)),
            Body::Logout => {
                code::bye(self.dialogue.out(), None, text::LOGOUT);
                Reply::done().write(self.dialogue.out(), tag);
                self.dialogue.flush().await?;
                Err(Ended::Finished)
            }
            _ => Ok(Reply::bad(text::LOG_IN_FIRST)),
        }
    }

    /// RFC 9051 §6.2.1: whatever the client sent in the clear behind STARTTLS was never said.
    async fn start_tls(&mut self, tag: &str) -> Result<(), Ended> {
        let io = self.dialogue.io();
        let refusal = match (io.is_tls(), io.can_start_tls()) {
            (true, _) => Reply::bad(text::TLS_ACTIVE),
            (false, false) => Reply::bad(text::TLS_UNAVAILABLE),
            (false, true) => {
                Reply::ok(text::STARTTLS_GO).write(self.dialogue.out(), tag);
                self.dialogue.flush().await?;
                self.dialogue.forget_input();
                return self.dialogue.io().start_tls().await;
            }
        };
        self.finish(tag, &refusal).await
    }

    async fn log_in(&mut self, user: &[u8], password: &[u8]) -> Result<Outcome<G::Account>, Ended> {
        if !self.may_show_password() {
            return Ok(Outcome::Reply(privacy_required()));
        }
        let text = |octets: &[u8]| {
            let fits = (1..=STRING_BYTES_MAX).contains(&octets.len()) && !octets.contains(&0);
            String::from_utf8(octets.to_vec()).ok().filter(|_| fits)
        };
        let (Some(identity), Some(password)) = (text(user), text(password)) else {
            return Ok(self.judge(Verdict::Refused));
        };
        let password = Password::new(password);
        let credentials = Credentials {
            mechanism: Mechanism::Plain,
            identity,
            password,
        };
        let verdict = self.gate.verify(credentials).await;
        Ok(self.judge(verdict))
    }

    async fn authenticate(
        &mut self,
        mechanism: &str,
        initial: Option<Vec<u8>>,
    ) -> Result<Outcome<G::Account>, Ended> {
        let Some(mechanism) = Mechanism::from_name(mechanism.as_bytes()) else {
            return Ok(Outcome::Reply(Reply::no(text::MECHANISM_UNKNOWN)));
        };
        if mechanism.shows_password() && !self.may_show_password() {
            return Ok(Outcome::Reply(privacy_required()));
        }
        let mut exchange = Exchange::start(mechanism);
        let mut step = match initial {
            Some(initial) => exchange.respond(&initial),
            None => Step::Challenge(exchange.opening().to_vec()),
        };
        let mut welcome = None;
        loop {
            step = match step {
                Step::Challenge(challenge) => match self.ask(&challenge).await? {
                    Ok(response) => exchange.respond(&response),
                    Err(reply) => return Ok(Outcome::Reply(reply)),
                },
                Step::Verify(credentials) => {
                    let verdict = self.gate.verify(credentials).await;
                    return Ok(self.judge(verdict));
                }
                Step::Secret { user } => {
                    let keys = self.gate.keys(&user).await;
                    let nonce = self.gate.nonce();
                    exchange.keys(keys, &nonce, self.gate.decoy())
                }
                Step::Proven { user, proven } => match self.gate.proven(&user, proven).await {
                    Verdict::Welcome(account) => {
                        welcome = Some(account);
                        exchange.confirm()
                    }
                    verdict => return Ok(self.judge(verdict)),
                },
                Step::Done => {
                    return Ok(self.judge(welcome.map_or(Verdict::Refused, Verdict::Welcome)));
                }
                Step::Unauthorized => return Ok(self.judge(Verdict::Refused)),
                Step::Malformed => return Ok(Outcome::Reply(Reply::bad(text::LOGIN_FAILED))),
            };
        }
    }

    /// Sends a challenge; the client answers it or gives up with `*` (RFC 9051 §6.2.2).
    async fn ask(&mut self, challenge: &[u8]) -> Result<Result<Vec<u8>, Reply>, Ended> {
        code::challenge(self.dialogue.out(), challenge);
        let Some(line) = self.dialogue.line(PATIENCE_WITHIN).await? else {
            return Ok(Err(Reply::bad(text::TOO_MUCH)));
        };
        if line == b"*" {
            return Ok(Err(Reply::bad(text::AUTHENTICATE_CANCELLED)));
        }
        Ok(sasl::decode(&line).map_err(|_| Reply::bad(text::AUTHENTICATE_BASE64)))
    }

    fn judge(&mut self, verdict: Verdict<G::Account>) -> Outcome<G::Account> {
        Outcome::Reply(match verdict {
            Verdict::Welcome(account) => return Outcome::Welcome(account),
            Verdict::Refused => {
                self.failures += 1;
                Reply::no(text::LOGIN_FAILED).with(Code::AuthenticationFailed)
            }
            Verdict::Unavailable => Reply::no(text::LOGIN_UNAVAILABLE).with(Code::Unavailable),
        })
    }

    fn may_show_password(&mut self) -> bool {
        self.rules.plaintext_without_tls || self.dialogue.io().is_tls()
    }

    fn capabilities(&mut self) -> String {
        let login = self.may_show_password();
        let io = self.dialogue.io();
        let starttls = io.can_start_tls() && !io.is_tls();
        let stage = Stage::BeforeLogin { starttls, login };
        capability::words(stage, self.rules.append_bytes_max)
    }
}

fn privacy_required() -> Reply {
    Reply::no(text::LOGIN_DISABLED).with(Code::PrivacyRequired)
}
