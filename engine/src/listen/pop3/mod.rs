//! Drives a POP3 session: octets to the machine, its actions to the world; login on the shard that
//! accepted, the maildrop on the shard that owns the account.
//!
//! A connection that waits for its client holds the list of its messages and no buffer. A client
//! that does not read what is sent holds one piece of a message and what was made of it.

mod maildrop;
mod message;

pub use maildrop::Maildrops;

use self::maildrop::{Open, Outcome};
use super::hall::Hall;
use super::imap::Door;
use super::login::Visitor;
use crate::config::{Config, Protocol, TlsMode};
use crate::event;
use crate::post::{Handover, Letter, Via};
use crate::reactor::{Side, buffer};
use crate::route::Account;
use crate::session::pop3::{Action, Answer, Output, REPLY_BYTES_MAX, Session, Settings};
use crate::telemetry::metric::{Pop3End, Pop3Verb};
use crate::tls::Stream;
use crate::wire::pop3::command::Keyword;
use crate::wire::pop3::reply;
use crate::wire::sasl::{self, Mechanism, Question};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// A connection, from the greeting on; to its end, if its account lives here.
pub async fn serve(hall: Rc<Hall>, stream: Stream, door: Door) {
    let settings = settings(&hall, door);
    let visitor = Visitor::of(&hall, &stream);
    let session = Session::new(settings, visitor.channel);
    let login_secs_max = hall.live.config.load().limits.pop3_login_secs_max;
    let ends_ms = hall.now_ms() + login_secs_max * 1000;
    let mut conversation = Conversation::new(hall, stream, visitor, session);
    conversation.ends_ms = Some(ends_ms);
    conversation.session.greet(&mut conversation.out);
    if let Ok(Next::Move(login)) = conversation.run().await {
        if !conversation.is_at_home() {
            return Box::pin(conversation.hand_over(&login)).await;
        }
        let utf8 = conversation.session.utf8();
        conversation.resume(utf8);
        // Whatever ends a connection is said to the peer, or there is nobody to say it to.
        let _ = conversation.run().await;
    }
    Box::pin(conversation.finish()).await;
}

/// A connection that another shard let in.
pub async fn receive(hall: Rc<Hall>, handover: Handover) {
    let Via::Pop3 { utf8 } = handover.via else {
        return;
    };
    let Some(account) = hall.account(&handover.account) else {
        return;
    };
    let Ok(mut stream) = Stream::from_parts(handover.stream) else {
        return;
    };
    let write_secs_max = hall.live.config.load().limits.write_secs_max;
    stream.set_send_time_max(Duration::from_secs(write_secs_max));
    let Ok(_pass) = hall.census.enter(stream.peer_addr().ip(), hall.room()) else {
        let text = reply::TOO_MANY_CONNECTIONS.as_bytes().to_vec();
        let _ = stream.send(text).await;
        return Box::pin(stream.close()).await;
    };
    let metrics = Arc::clone(&hall.metrics);
    let open = metrics.connections_open.of(Protocol::Pop3.into());
    open.up();
    let visitor = Visitor::of(&hall, &stream);
    let session = Session::new(settings(&hall, INSIDE), visitor.channel);
    let mut conversation = Conversation::new(hall, stream, visitor, session);
    conversation.account = Some(account);
    conversation.unread = handover.unread;
    conversation.resume(utf8);
    let _ = conversation.run().await;
    Box::pin(conversation.finish()).await;
    open.down();
}

struct Conversation {
    hall: Rc<Hall>,
    /// Who logs in.
    visitor: Visitor,
    /// Away only while the handshake has it.
    stream: Option<Stream>,
    session: Session,
    out: Output,
    /// When the client must have logged in.
    ends_ms: Option<u64>,
    /// Who was let in.
    account: Option<Arc<Account>>,
    /// Octets that came behind the login.
    unread: Vec<u8>,
    /// The maildrop, which nobody else has as long as this is held.
    open: Option<Box<Open>>,
}

/// Whether the dialogue goes on.
#[derive(PartialEq, Eq)]
enum Next {
    Listen,
    Close,
    /// With this account, where it lives.
    Move(Rc<str>),
}

impl Conversation {
    fn new(hall: Rc<Hall>, stream: Stream, visitor: Visitor, session: Session) -> Conversation {
        Conversation {
            hall,
            visitor,
            stream: Some(stream),
            session,
            out: Output::default(),
            ends_ms: None,
            account: None,
            unread: Vec::new(),
            open: None,
        }
    }

    /// Goes on behind the login, on the shard that owns the account.
    fn resume(&mut self, utf8: bool) {
        let settings = settings(&self.hall, INSIDE);
        self.session = Session::resume(settings, utf8, &mut self.out);
    }

    fn is_at_home(&self) -> bool {
        let account = self.account.as_ref();
        account.is_some_and(|account| usize::from(account.shard.0) == self.hall.shard)
    }

    /// Until the connection ends, or belongs elsewhere. Begins with what is unread.
    async fn run(&mut self) -> io::Result<Next> {
        loop {
            let received = std::mem::take(&mut self.unread);
            let next = self.feed(received).await?;
            self.flush().await?;
            if next != Next::Listen {
                return Ok(next);
            }
            self.out = Output::default();
            match self.receive().await? {
                Some(octets) => self.unread = octets,
                None => {
                    self.flush().await?;
                    return Ok(Next::Close);
                }
            }
        }
    }

    /// Octets of the client; `None`: the dialogue is over.
    async fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(stream) = &mut self.stream else {
            return Ok(None);
        };
        let patience = match self.ends_ms {
            Some(end) => Duration::from_millis(end.saturating_sub(self.hall.now_ms())),
            None => {
                let limits = &self.hall.live.config.load().limits;
                Duration::from_secs(limits.pop3_idle_secs_max)
            }
        };
        if patience.is_zero() {
            self.session.timed_out(&mut self.out);
            return Ok(None);
        }
        stream.set_deadline(Side::Read, patience);
        if self.hall.drain.or(stream.readable()).await.is_none() {
            self.session.shutting_down(&mut self.out);
            return Ok(None);
        }
        match stream.recv_lent().await {
            Ok(received) if received.is_empty() => Ok(None),
            Ok(received) => {
                let counter = &self.hall.metrics.received_bytes;
                counter.of(Protocol::Pop3.into()).add(received.len() as u64);
                Ok(Some(received))
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                self.session.timed_out(&mut self.out);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn feed(&mut self, mut received: Vec<u8>) -> io::Result<Next> {
        let mut taken = 0;
        loop {
            let rest = received.get(taken..).unwrap_or_default();
            taken += self.session.handle(rest, &mut self.out);
            self.count_heard();
            if self.out.action.is_some() {
                // Those who wait for the disk are many and hold no lent buffer.
                received = unread(received, taken);
                taken = 0;
            }
            match self.settle().await? {
                Next::Listen => {}
                next => {
                    self.unread = received;
                    return Ok(next);
                }
            }
            if self.out.reply.len() >= REPLY_BYTES_MAX {
                self.flush().await?;
            }
            if taken >= received.len() && self.session.is_idle() {
                buffer::give_back(received);
                return Ok(Next::Listen);
            }
        }
    }

    /// Carries out what the session wants until it wants input again.
    async fn settle(&mut self) -> io::Result<Next> {
        while let Some(action) = self.out.action.take() {
            let answer = match action {
                Action::Close => return Ok(Next::Close),
                Action::Move { login } => return Ok(Next::Move(login)),
                // Boxed: what most connections do is wait, and what they hold then is small.
                action => Box::pin(self.act(action)).await?,
            };
            self.session.answer(answer, &mut self.out);
        }
        Ok(Next::Listen)
    }

    async fn act(&mut self, action: Action) -> io::Result<Answer> {
        Ok(match action {
            Action::StartTls => self.start_tls().await?,
            Action::Ask(question) => Answer::Login(self.ask(question).await),
            Action::Open => Answer::Opened(self.open().await),
            Action::Send(retrieval) => Answer::Sent(self.send_message(retrieval).await?),
            Action::Update(update) => Answer::Updated(self.update(*update).await),
            Action::Move { .. } | Action::Close => unreachable!("settle carries these out"),
        })
    }

    async fn ask(&mut self, question: Question) -> sasl::Answer<Rc<str>> {
        match self.hall.answer(&self.visitor, question).await {
            sasl::Answer::Keys(known) => sasl::Answer::Keys(known),
            sasl::Answer::Verdict(Err(refusal)) => sasl::Answer::Verdict(Err(refusal)),
            sasl::Answer::Verdict(Ok(account)) => {
                let name = account.address.to_string().into();
                self.account = Some(account);
                sasl::Answer::Verdict(Ok(name))
            }
        }
    }

    async fn start_tls(&mut self) -> io::Result<Answer> {
        self.flush().await?;
        let limits = &self.hall.live.config.load().limits;
        let patience = Duration::from_secs(limits.tls_handshake_secs_max);
        let context = self.hall.tls(Protocol::Pop3);
        let context = context.ok_or(io::ErrorKind::Unsupported)?;
        let stream = self.stream.take().ok_or(io::ErrorKind::NotConnected)?;
        stream.set_deadline(Side::Read, patience);
        let shaken = stream.start_tls(&context).await;
        if shaken.is_err() {
            self.hall.metrics.tls_failures.one();
        }
        let stream = self.stream.insert(shaken?);
        self.visitor = self.visitor.behind_tls(&self.hall, stream);
        Ok(Answer::Tls(self.visitor.channel))
    }

    /// To the shard where the account lives.
    async fn hand_over(self, login: &str) {
        let utf8 = self.session.utf8();
        let (Some(stream), Some(account)) = (self.stream, self.account) else {
            return;
        };
        let Ok(stream) = stream.into_parts() else {
            return;
        };
        let handover = Handover {
            via: Via::Pop3 { utf8 },
            stream,
            unread: self.unread,
            account: login.to_owned(),
        };
        let owner = usize::from(account.shard.0);
        let letter = Letter::Connection(Box::new(handover));
        // A shard that takes no letters has ended, and its connections with it.
        let _ = self.hall.post.send(owner, letter).await;
    }

    fn count_heard(&mut self) {
        for keyword in self.out.heard.drain(..) {
            let verb = keyword.map_or(Pop3Verb::NotUnderstood, Pop3Verb::from);
            self.hall.metrics.pop3_commands.of(verb).one();
        }
    }

    /// Says how it ended, and closes.
    async fn finish(mut self) {
        if let Some(open) = self.open.take() {
            self.hall.metrics.pop3_sessions.of(Pop3End::Lost).one();
            self.report(&open, &Outcome::LOST);
        }
        if let Some(stream) = self.stream {
            stream.close().await;
        }
    }

    fn report(&self, open: &Open, outcome: &Outcome) {
        let login = self
            .account
            .as_ref()
            .map(|account| account.address.to_string());
        event!(
            Info,
            "pop3 session",
            peer = self.visitor.address,
            login = login.as_deref().unwrap_or(""),
            end = outcome.name,
            messages = open.messages,
            retrieved = open.retrieved,
            octets = open.octets,
            deleted = outcome.deleted,
            millis = self.hall.now_ms().saturating_sub(open.since_ms),
        );
    }
}

/// The door of a session that is let in already.
const INSIDE: Door = Door {
    tls: TlsMode::None,
    login_without_tls: false,
    is_trusted: false,
};

/// What is left of octets that were received.
fn unread(received: Vec<u8>, taken: usize) -> Vec<u8> {
    let rest = received.get(taken..).unwrap_or_default().to_vec();
    buffer::give_back(received);
    rest
}

fn settings(hall: &Hall, door: Door) -> Arc<Settings> {
    let config = hall.live.config.load();
    let small = |limit: u64| u32::try_from(limit).unwrap_or(u32::MAX);
    Arc::new(Settings {
        starttls: door.tls == TlsMode::StartTls && hall.live.tls.is_some(),
        login_in_clear: door.login_without_tls,
        mechanisms: mechanisms(hall, &config),
        errors_max: small(config.limits.wrong_commands_max),
        failed_logins_max: small(config.limits.login_failures_max),
        expire: config.pop3.expire,
        login_delay_secs: config.pop3.login_delay_secs,
    })
}

/// Without the bound forms of SCRAM, unless somebody configured them: mutt chooses them, cannot do
/// them, and does not read the answer to its `*`, so that nothing works for it any more.
fn mechanisms(hall: &Hall, config: &Config) -> Vec<Mechanism> {
    let mut mechanisms = hall.mechanisms();
    if config.auth.mechanisms.is_none() {
        mechanisms.retain(|mechanism| !matches!(mechanism.scram(), Some((_, true))));
    }
    mechanisms
}

impl From<Keyword> for Pop3Verb {
    fn from(keyword: Keyword) -> Pop3Verb {
        match keyword {
            Keyword::Capa => Pop3Verb::Capa,
            Keyword::Stls => Pop3Verb::Stls,
            Keyword::Auth => Pop3Verb::Auth,
            Keyword::User => Pop3Verb::User,
            Keyword::Pass => Pop3Verb::Pass,
            Keyword::Apop => Pop3Verb::Apop,
            Keyword::Utf8 => Pop3Verb::Utf8,
            Keyword::Lang => Pop3Verb::Lang,
            Keyword::Stat => Pop3Verb::Stat,
            Keyword::List => Pop3Verb::List,
            Keyword::Uidl => Pop3Verb::Uidl,
            Keyword::Retr => Pop3Verb::Retr,
            Keyword::Top => Pop3Verb::Top,
            Keyword::Dele => Pop3Verb::Dele,
            Keyword::Noop => Pop3Verb::Noop,
            Keyword::Rset => Pop3Verb::Rset,
            Keyword::Quit => Pop3Verb::Quit,
        }
    }
}
