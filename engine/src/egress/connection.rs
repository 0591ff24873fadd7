//! One connection to another host: the dialogue driven over a socket of the reactor.
//!
//! The dialogue decides, the connection carries out: it sends what is to be sent, performs the
//! handshake, hands the message over, and turns deadlines of the dialogue into deadlines of the
//! socket. Between letters it owns no buffer.

use super::dialogue::{Dialogue, Framing, Input, Output, Security, StartTls, Wish};
use super::sending::{Around, Sending, Unsent, is_seven_bit};
use super::{Body, Demand, Disposition, Failure, Fate, Letter, Origin, Outcome, Stage};
use super::{Target, TlsUse, Tools};
use crate::reactor::{Now, Side, net};
use crate::tls::{Doubt, Proof, Stream, TlsAsk, TlsFault};
use crate::wire::sasl::client::{Derivation, Salted};
use crate::wire::smtp::client::offer::Offer;
use crate::wire::smtp::client::reply::{Reply, Status};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

/// A connection that is ready for a letter, or has ended.
pub struct Connection {
    /// `None`: it has ended.
    stream: Option<Stream>,
    dialogue: Dialogue,
    tls: TlsUse,
    doubt: Option<TlsFault>,
    /// For a block of a message.
    block: Duration,
    /// A letter is under way; one that was dropped in the middle leaves this behind.
    is_busy: bool,
}

/// A connection in its opening.
struct Opening<'a> {
    target: &'a Target,
    tools: &'a Tools,
    start_tls: StartTls,
    /// What the peer has to prove.
    proof: Proof,
    /// What a proof that is only tried found wrong.
    doubt: Option<Doubt>,
}

/// Octets taken from the socket at once: some replies.
const RECEIVE_BYTES_MAX: usize = 4096;

/// Octets of randomness in a nonce.
const NONCE_BYTES: usize = 18;

impl Connection {
    /// Connects, and goes through the opening up to the first MAIL. Where TLS is opportunistic and
    /// the handshake fails, a second connection goes on in clear.
    pub async fn open(target: &Target, tools: &Tools) -> Result<Connection, Failure> {
        let opening = Opening::new(target, tools);
        match opening.open().await {
            Err(failure) if failure.stage == Stage::Handshake && opening.may_go_on() => {
                let mut connection = opening.in_clear().open().await?;
                connection.tls = TlsUse::Failed(failure.tls.unwrap_or_else(unnamed));
                Ok(connection)
            }
            opened => opened,
        }
    }

    /// Sends one letter. Never fails as a whole: every recipient has a disposition. `body` is at
    /// its beginning. Dropped in the middle it ends the connection.
    pub async fn send<B: Body>(&mut self, letter: &Letter, body: &mut B) -> Outcome {
        self.send_before(letter, body, None).await
    }

    /// As [`Connection::send`]. Where the peer takes commands in groups, the envelope of `next`, a
    /// letter and the octets of its body, goes out with the end of this one. Whoever sends another
    /// letter then, or none, has an ended connection.
    pub async fn send_before<B: Body>(
        &mut self,
        letter: &Letter,
        body: &mut B,
        next: Option<(&Letter, u64)>,
    ) -> Outcome {
        if !self.dialogue.expects(letter) {
            self.lose(&mut Output::default());
            self.stream = None;
        }
        if !self.is_open() {
            return ended(letter);
        }
        self.is_busy = true;
        let outcome = self.transact(letter, body, next).await;
        self.is_busy = false;
        if self.dialogue.is_closed() {
            self.stream = None;
        }
        if let Some(stream) = &self.stream {
            stream.clear_deadline(Side::Read);
        }
        Outcome {
            is_open: self.is_open(),
            ..outcome
        }
    }

    /// Says goodbye, and waits a moment for the answer (RFC 5321 §4.1.1.10).
    pub async fn quit(mut self) {
        if self.is_busy || self.stream.is_none() {
            return;
        }
        let mut out = Output::default();
        self.dialogue.handle(now_ms(), Input::Quit, &mut out);
        while out.wish.is_none() {
            out = self.turn(out).await;
        }
        if let Some(stream) = self.stream {
            stream.close().await;
        }
    }

    /// Waits until the connection, kept without a letter, ends: the peer closed it, or said
    /// something that nobody asked for. May be dropped.
    pub async fn ended(&mut self) {
        while self.is_open() {
            let Some(stream) = &mut self.stream else {
                return;
            };
            let mut received = Vec::new();
            let octets = stream.recv(&mut received, RECEIVE_BYTES_MAX).await;
            let input = match octets {
                Ok(1..) => Input::Octets(&received),
                Ok(0) | Err(_) => Input::Lost,
            };
            self.dialogue
                .handle(now_ms(), input, &mut Output::default());
            if self.dialogue.is_closed() {
                self.stream = None;
            }
        }
    }

    /// Whether it takes a letter.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.stream.is_some() && !self.is_busy && self.dialogue.is_ready()
    }

    /// Which letter the next one is, from 1.
    #[must_use]
    pub fn next_number(&self) -> u32 {
        self.dialogue.next_number()
    }

    /// What the peer offers, for whoever chooses what to send.
    #[must_use]
    pub fn offer(&self) -> &Offer {
        self.dialogue.offer()
    }

    #[must_use]
    pub fn tls(&self) -> &TlsUse {
        &self.tls
    }

    /// What a proof that is only tried found wrong.
    #[must_use]
    pub fn doubt(&self) -> Option<&TlsFault> {
        self.doubt.as_ref()
    }

    /// The address that we have on it.
    #[must_use]
    pub fn local_ip(&self) -> Option<IpAddr> {
        let address = self.stream.as_ref()?.local_addr().ok()?;
        Some(address.ip())
    }

    async fn transact<B: Body>(
        &mut self,
        letter: &Letter,
        body: &mut B,
        next: Option<(&Letter, u64)>,
    ) -> Outcome {
        let is_seven_bit = match self.dialogue.asks_for_seven_bit(letter) {
            false => false,
            true => match is_seven_bit(&letter.prefix, body).await {
                Ok(is_seven_bit) => is_seven_bit,
                Err(why) => return unread(letter, &why),
            },
        };
        let mut out = Output::default();
        let begin = Input::Begin {
            letter,
            octets: letter.octets(body.octets()),
            is_seven_bit,
        };
        self.dialogue.handle(now_ms(), begin, &mut out);
        loop {
            match out.wish.take() {
                None if self.dialogue.is_closed() => return ended(letter),
                None => out = self.turn(out).await,
                Some(Wish::SendBody(framing)) => {
                    let after = self.say_ahead(next);
                    let around = Around {
                        command: &out.octets,
                        prefix: &letter.prefix,
                        after: &after,
                    };
                    out = self.send_body(framing, around, body).await;
                }
                Some(Wish::Settled(outcome)) => {
                    self.send_rest(&out.octets).await;
                    return outcome;
                }
                Some(Wish::Close | Wish::Open | Wish::StartTls) => self.lose(&mut out),
                Some(Wish::Derive(_) | Wish::Failed(_)) => self.lose(&mut out),
            }
        }
    }

    /// Sends, receives, and gives what follows.
    async fn turn(&mut self, out: Output) -> Output {
        let mut next = Output::default();
        let Some(stream) = &mut self.stream else {
            self.lose(&mut next);
            return next;
        };
        let left = left(self.dialogue.due_ms());
        if left.is_zero() {
            self.dialogue.handle(now_ms(), Input::TimedOut, &mut next);
            return next;
        }
        stream.set_deadline(Side::Read, left);
        if !out.octets.is_empty() {
            stream.set_send_time_max(left);
            // An error shows in what is received: the peer may have said why.
            let _ = stream.send(out.octets).await;
        }
        let mut received = Vec::new();
        let input = match stream.recv(&mut received, RECEIVE_BYTES_MAX).await {
            Ok(1..) => Input::Octets(&received),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Input::TimedOut,
            Ok(0) | Err(_) => Input::Lost,
        };
        self.dialogue.handle(now_ms(), input, &mut next);
        next
    }

    /// What is said of the next letter behind the end of this one's message.
    fn say_ahead(&mut self, next: Option<(&Letter, u64)>) -> Vec<u8> {
        let mut out = Output::default();
        if let Some((letter, body_octets)) = next {
            let octets = letter.octets(body_octets);
            let next = Input::Next { letter, octets };
            self.dialogue.handle(now_ms(), next, &mut out);
        }
        out.octets
    }

    async fn send_body<B: Body>(
        &mut self,
        framing: Framing,
        around: Around<'_>,
        body: &mut B,
    ) -> Output {
        let mut next = Output::default();
        let (block, whole) = (self.block, self.dialogue.whole_due_ms());
        let has_time = move |stream: &Stream| {
            let left = left(Some(whole));
            stream.set_send_time_max(left.min(block));
            !left.is_zero()
        };
        let sent = match &mut self.stream {
            None => Err(Unsent::Stuck),
            Some(stream) => {
                // Nothing is awaited meanwhile: the time for the reply to DATA is over.
                stream.clear_deadline(Side::Read);
                let sending = Sending::new(stream, framing, &has_time);
                sending.send(around, body).await
            }
        };
        let input = match &sent {
            Ok(()) => Input::BodySent,
            Err(Unsent::Stuck) => Input::BodyStuck,
            Err(Unsent::Unreadable(why)) => Input::BodyUnreadable(why),
        };
        self.dialogue.handle(now_ms(), input, &mut next);
        next
    }

    /// What is said behind the end of a letter: RSET. Its answer is heard with the next one.
    async fn send_rest(&mut self, octets: &[u8]) {
        if octets.is_empty() {
            return;
        }
        if let Some(stream) = &mut self.stream
            && stream.send(octets.to_vec()).await.0.is_err()
        {
            self.lose(&mut Output::default());
        }
    }

    fn lose(&mut self, out: &mut Output) {
        self.dialogue.handle(now_ms(), Input::Lost, out);
    }
}

impl<'a> Opening<'a> {
    fn new(target: &'a Target, tools: &'a Tools) -> Opening<'a> {
        let mut doubt = None;
        let (start_tls, proof) = match &target.demand {
            Demand::Clear => (StartTls::Never, Proof::Nothing),
            Demand::Opportunistic => (StartTls::IfOffered, Proof::Nothing),
            Demand::Trial(proof) => {
                let noted = doubt.insert(Doubt::default()).clone();
                (
                    StartTls::IfOffered,
                    Proof::Trial(Box::new(proof.clone()), noted),
                )
            }
            Demand::Required(proof) => (StartTls::Demanded, proof.clone()),
        };
        Opening {
            target,
            tools,
            start_tls,
            proof,
            doubt,
        }
    }

    fn may_go_on(&self) -> bool {
        self.start_tls == StartTls::IfOffered && !self.target.implicit_tls
    }

    fn in_clear(self) -> Opening<'a> {
        Opening {
            start_tls: StartTls::Never,
            ..self
        }
    }

    async fn open(&self) -> Result<Connection, Failure> {
        let due_ms = now_ms().saturating_add(millis(self.target.patience.open));
        let mut stream = self.connect().await?;
        let mut security = Security::Clear;
        if self.target.implicit_tls {
            stream = self.shake_hands(stream, due_ms).await?;
            security = self.secured();
        }
        let nonce = nonce()?;
        let dialogue = Dialogue::new(self.target, self.start_tls, security, nonce, now_ms());
        let mut connection = Connection {
            stream: Some(stream),
            dialogue,
            tls: TlsUse::Unwanted,
            doubt: None,
            block: self.target.patience.block,
            is_busy: false,
        };
        self.introduce(&mut connection, due_ms).await?;
        connection.tls = self.tls_use(&connection);
        connection.doubt = self.doubt.as_ref().and_then(Doubt::fault).cloned();
        if let Some(stream) = &connection.stream {
            stream.clear_deadline(Side::Read);
        }
        Ok(connection)
    }

    async fn introduce(&self, connection: &mut Connection, due_ms: u64) -> Result<(), Failure> {
        let mut out = Output::default();
        let mut has_shaken = false;
        loop {
            match out.wish.take() {
                None => out = connection.turn(out).await,
                Some(Wish::Open) => return Ok(()),
                Some(Wish::Failed(failure)) if has_shaken => return Err(unconfirmed(failure)),
                Some(Wish::Failed(failure)) => return Err(failure),
                Some(Wish::StartTls) => {
                    let stream = connection.stream.take().ok_or_else(lost)?;
                    connection.stream = Some(self.shake_hands(stream, due_ms).await?);
                    has_shaken = true;
                    let Security::Encrypted { is_verified } = self.secured() else {
                        return Err(lost());
                    };
                    let secured = Input::Secured { is_verified };
                    connection.dialogue.handle(now_ms(), secured, &mut out);
                }
                Some(Wish::Derive(derivation)) => {
                    let salted = self.derive(derivation).await?;
                    let derived = Input::Derived(salted);
                    connection.dialogue.handle(now_ms(), derived, &mut out);
                }
                Some(Wish::Close | Wish::SendBody(_) | Wish::Settled(_)) => return Err(lost()),
            }
        }
    }

    async fn connect(&self) -> Result<Stream, Failure> {
        let Target {
            source,
            address,
            patience,
            proxy,
            ..
        } = self.target;
        let time = patience.connect.min(patience.open);
        let Some(proxy) = proxy else {
            let socket = net::connect(*source, *address, time).await;
            let stage = |error: &io::Error| match source.is_some() && is_of_bind(error) {
                true => Stage::Source,
                false => Stage::Connect,
            };
            return Ok(Stream::plain(
                socket.map_err(|e| unconnected(stage(&e), &e))?,
            ));
        };
        let socket = net::connect(None, proxy.address(), time).await;
        let socket = socket.map_err(|error| unconnected(Stage::Source, &error))?;
        let mut stream = Stream::plain(socket);
        stream.set_deadline(Side::Read, time);
        stream.set_send_time_max(time);
        proxy.pass(&mut stream, *address).await?;
        stream.clear_deadline(Side::Read);
        Ok(stream)
    }

    async fn shake_hands(&self, stream: Stream, due_ms: u64) -> Result<Stream, Failure> {
        let time = self.target.patience.handshake.min(left(Some(due_ms)));
        stream.set_deadline(Side::Read, time);
        stream.set_send_time_max(time);
        let ask = TlsAsk {
            name: &self.target.server_name,
            proof: &self.proof,
            terms: &self.target.terms,
        };
        let shaken = stream.start_tls_as_client(&self.tools.tls, &ask).await;
        shaken.map_err(|error| {
            let fault = TlsFault::from(&error);
            let status = match fault {
                TlsFault::Handshake(_) => Status(4, 7, 0),
                _ => Status(4, 7, 5),
            };
            Failure {
                tls: Some(fault.clone()),
                ..ours(Stage::Handshake, status, &fault.to_string())
            }
        })
    }

    async fn derive(&self, derivation: Derivation) -> Result<Salted, Failure> {
        let Some(pool) = &self.tools.pool else {
            return Ok(derivation.derive());
        };
        let derived = pool.offload(move || derivation.derive()).await;
        derived.map_err(|why| ours(Stage::Login, Status(4, 3, 2), &why.to_string()))
    }

    fn secured(&self) -> Security {
        Security::Encrypted {
            is_verified: self.is_verified(),
        }
    }

    fn is_verified(&self) -> bool {
        let is_in_doubt = self
            .doubt
            .as_ref()
            .is_some_and(|doubt| doubt.fault().is_some());
        !is_in_doubt && !matches!(self.proof, Proof::Nothing)
    }

    fn tls_use(&self, connection: &Connection) -> TlsUse {
        let info = connection.stream.as_ref().and_then(Stream::info);
        let fault = connection.dialogue.tls_fault().cloned();
        match (info, fault) {
            (Some(info), _) => TlsUse::Encrypted {
                info,
                is_verified: self.is_verified(),
            },
            (None, Some(fault)) => TlsUse::Failed(fault),
            (None, None) if self.start_tls == StartTls::Never => TlsUse::Unwanted,
            (None, None) => TlsUse::NotOffered,
        }
    }
}

/// For whoever did not ask first whether it is open.
fn ended(letter: &Letter) -> Outcome {
    Outcome {
        is_stale: true,
        ..deferred(
            letter,
            Stage::Mail,
            Status(4, 4, 2),
            "the connection has ended",
        )
    }
}

/// Nothing was said to the peer yet.
fn unread(letter: &Letter, why: &str) -> Outcome {
    let text = format!("the message cannot be read here: {why}");
    deferred(letter, Stage::Body, Status(4, 3, 0), &text)
}

fn deferred(letter: &Letter, stage: Stage, status: Status, text: &str) -> Outcome {
    let disposition = Disposition {
        fate: Fate::Deferred,
        stage,
        origin: Origin::Us,
        reply: Reply::own(451, status, text),
    };
    Outcome {
        recipients: vec![disposition; letter.envelope.recipients.len()],
        is_open: false,
        is_stale: false,
    }
}

/// RFC 8446 §4.4: in TLS 1.3 the server may still refuse us when our side of the handshake is over,
/// and shows it by breaking off before it says anything.
fn unconfirmed(failure: Failure) -> Failure {
    if failure.stage != Stage::Hello || failure.origin != Origin::Us {
        return failure;
    }
    Failure {
        stage: Stage::Handshake,
        tls: Some(TlsFault::Handshake(failure.reply.text.to_string())),
        ..failure
    }
}

/// What `bind` says of an address that is none of this host's, or not ours to use.
fn is_of_bind(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable
            | io::ErrorKind::AddrInUse
            | io::ErrorKind::PermissionDenied
    )
}

fn unconnected(stage: Stage, error: &io::Error) -> Failure {
    let text = match error.kind() {
        io::ErrorKind::TimedOut => String::from("no answer to connecting in time"),
        _ => format!("cannot connect: {error}"),
    };
    ours(stage, Status(4, 4, 1), &text)
}

pub(super) fn ours(stage: Stage, status: Status, text: &str) -> Failure {
    Failure {
        stage,
        origin: Origin::Us,
        reply: Reply::own(451, status, text),
        tls: None,
    }
}

fn lost() -> Failure {
    ours(Stage::Hello, Status(4, 4, 2), "connection lost")
}

fn unnamed() -> TlsFault {
    TlsFault::Handshake(String::from("the handshake failed"))
}

fn nonce() -> Result<String, Failure> {
    let mut octets = [0; NONCE_BYTES];
    let filled = getrandom::fill(&mut octets);
    filled.map_err(|_| ours(Stage::Login, Status(4, 3, 0), "no randomness"))?;
    Ok(STANDARD_NO_PAD.encode(octets))
}

fn now_ms() -> u64 {
    Now::here().monotonic_millis
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The time until then.
fn left(due_ms: Option<u64>) -> Duration {
    let due_ms = due_ms.unwrap_or(u64::MAX);
    Duration::from_millis(due_ms.saturating_sub(now_ms()))
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("dialogue", &self.dialogue)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}
