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
use crate::wire::sasl::{
    self, Answer, Credentials, Mechanism, Offer, Password, Question, Refusal, STRING_BYTES_MAX,
    Step,
};
use std::time::Duration;

/// Commands before login: enough for every client, and an end for one that never logs in.
const COMMANDS_MAX: u32 = 64;

/// Wrong passwords on one connection.
const FAILURES_MAX: u32 = 3;

/// Who knows accounts and passwords, without blocking the shard.
#[expect(async_fn_in_trait, reason = "a session and its gate share one thread")]
pub trait Gate {
    /// What the driver needs to find the owner shard.
    type Account;

    /// What may be logged in with now. Asked again behind STARTTLS.
    fn offer(&self) -> Offer;

    /// Answers what a SASL exchange asks.
    async fn answer(&mut self, question: Question) -> Answer<Self::Account>;

    /// ID names whose connection this is; believed or not, the session goes on (RFC 2971).
    fn named(&mut self, _fields: &[(Vec<u8>, Option<Vec<u8>>)]) {}
}

/// What the operator decided.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
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
    pub async fn run(self) -> Result<LoggedIn<G::Account>, Ended> {
        let mut login = self;
        let words = login.capabilities();
        let code = Some(Code::Capability(&words));
        code::untagged(login.dialogue.out(), Condition::Ok, code, text::GREETING);
        login.resume().await
    }

    /// As [`run`](Self::run), for a client that was here before (RFC 8437).
    pub async fn resume(mut self) -> Result<LoggedIn<G::Account>, Ended> {
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
            Body::Id(fields) => {
                self.gate.named(&fields);
                Ok(extension::id(self.dialogue))
            }
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
        let is_compressed = self.dialogue.is_compressed();
        let io = self.dialogue.io();
        let refusal = match (io.is_tls(), io.can_start_tls()) {
            (true, _) => Reply::bad(text::TLS_ACTIVE),
            // What is compressed cannot be told from what follows it.
            (false, _) if is_compressed => Reply::bad(text::TLS_UNAVAILABLE),
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
        if !self.gate.offer().takes_passwords() {
            return Ok(Outcome::Reply(self.not_offered()));
        }
        let text = |octets: &[u8]| {
            let fits = (1..=STRING_BYTES_MAX).contains(&octets.len()) && !octets.contains(&0);
            String::from_utf8(octets.to_vec()).ok().filter(|_| fits)
        };
        let (Some(identity), Some(password)) = (text(user), text(password)) else {
            return Ok(self.refuse(Refusal::Wrong));
        };
        let password = Password::new(password);
        let question = Question::Password(Credentials { identity, password });
        Ok(match self.gate.answer(question).await {
            Answer::Verdict(Ok(account)) => Outcome::Welcome(account),
            Answer::Verdict(Err(refusal)) => self.refuse(refusal),
            Answer::Keys(_) => self.refuse(Refusal::Unavailable),
        })
    }

    async fn authenticate(
        &mut self,
        mechanism: &str,
        initial: Option<Vec<u8>>,
    ) -> Result<Outcome<G::Account>, Ended> {
        let offer = self.gate.offer();
        let Some(mechanism) = offer.find(mechanism.as_bytes()) else {
            let is_known = Mechanism::from_name(mechanism.as_bytes());
            return Ok(Outcome::Reply(match is_known {
                Some(known) if known.shows_password() => self.not_offered(),
                _ => Reply::no(text::MECHANISM_UNKNOWN),
            }));
        };
        let mut exchange = offer.start(mechanism);
        let mut step = match initial {
            Some(initial) => exchange.respond(&initial),
            None => Step::Challenge(exchange.opening().to_vec()),
        };
        loop {
            step = match step {
                Step::Challenge(challenge) => match self.ask(&challenge).await? {
                    Ok(response) => exchange.respond(&response),
                    Err(reply) => return Ok(Outcome::Reply(reply)),
                },
                Step::Ask(question) => exchange.answered(self.gate.answer(question).await),
                Step::Welcome(account) => return Ok(Outcome::Welcome(account)),
                Step::Refused(refusal) => return Ok(self.refuse(refusal)),
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

    fn refuse(&mut self, refusal: Refusal) -> Outcome<G::Account> {
        Outcome::Reply(match refusal {
            Refusal::Wrong => {
                self.failures += 1;
                Reply::no(text::LOGIN_FAILED).with(Code::AuthenticationFailed)
            }
            Refusal::Slowed | Refusal::Unavailable => {
                Reply::no(text::LOGIN_UNAVAILABLE).with(Code::Unavailable)
            }
            // RFC 5530 §3: the client is to give a connection back first.
            Refusal::Crowded => Reply::no(text::TOO_MANY_CONNECTIONS).with(Code::Limit),
        })
    }

    /// What is asked for may be had under TLS only, or not at all.
    fn not_offered(&mut self) -> Reply {
        match self.dialogue.io().is_tls() {
            true => Reply::no(text::MECHANISM_UNKNOWN),
            false => Reply::no(text::LOGIN_DISABLED).with(Code::PrivacyRequired),
        }
    }

    fn capabilities(&mut self) -> String {
        let io = self.dialogue.io();
        let starttls = io.can_start_tls() && !io.is_tls();
        let offer = &self.gate.offer();
        let stage = Stage::BeforeLogin { starttls, offer };
        capability::words(stage, self.rules.append_bytes_max)
    }
}
