//! Drives an IMAP dialogue: login on the shard that accepted, the rest on the shard that owns the
//! account.

use super::guests;
use super::hall::Hall;
use super::login::Visitor;
use crate::config::{Protocol, TlsMode};
use crate::event;
use crate::post::{Handover, Letter, Via};
use crate::reactor::{Side, sleep, yield_now};
use crate::route::Account;
use crate::session::imap::dialogue::Dialogue;
use crate::session::imap::io::{Ended, Io, StartTls};
use crate::session::imap::login::{Gate, LoggedIn, Login, Rules};
use crate::session::imap::{Report, Session, Terms, Trouble};
use crate::telemetry::metric::Verb;
use crate::tls::Stream;
use crate::wire::imap::command::Body;
use crate::wire::imap::deflate::Layer;
use crate::wire::imap::receive::Receiver;
use crate::wire::sasl::{Answer, Offer, Question};
use futures_util::future::{Either, select};
use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use store::mail::date::InternalDate;

/// How one listener lets clients in.
#[derive(Clone, Copy, Debug)]
pub struct Door {
    pub tls: TlsMode,
    pub login_without_tls: bool,
    /// The client may name the one that it speaks for.
    pub is_trusted: bool,
}

/// A connection that nobody is logged in on. Boxed wherever it is awaited: a future keeps room for
/// each place that it was moved through.
struct Guest {
    stream: Stream,
    unread: Vec<u8>,
    /// COMPRESS was said by one who was here before (RFC 8437).
    layer: Option<Layer>,
    is_greeted: bool,
    door: Door,
}

/// A connection before login, from the greeting on.
pub fn serve(hall: Rc<Hall>, stream: Stream, door: Door) -> impl Future<Output = ()> {
    let guest = Box::new(Guest {
        stream,
        unread: Vec::new(),
        layer: None,
        is_greeted: false,
        door,
    });
    receive_guest(hall, guest)
}

/// As often as somebody logs in and out again. Each stage has its memory for as long as it lasts:
/// who idles does not keep the room that a login took.
async fn receive_guest(hall: Rc<Hall>, mut guest: Box<Guest>) {
    while let Some((known, account, tag)) = Box::pin(log_in(&hall, guest)).await {
        let owner = usize::from(account.shard.0);
        if owner != hall.shard {
            return Box::pin(hand_over(&hall, owner, known, &account, tag)).await;
        }
        let Some(next) = Box::pin(go_on(Rc::clone(&hall), known, account, tag)).await else {
            return;
        };
        guest = next;
    }
}

async fn log_in(hall: &Rc<Hall>, guest: Box<Guest>) -> Option<(Box<Guest>, Arc<Account>, String)> {
    let visitor = Rc::new(RefCell::new(Visitor::of(hall, &guest.stream)));
    let limits = hall.live.config.load().limits.clone();
    let ends_ms = hall.now().monotonic_millis + limits.imap_login_secs_max * 1000;
    let door = guest.door;
    let line = Line {
        hall: Rc::clone(hall),
        stream: Some(guest.stream),
        door,
        ends_ms: Some(ends_ms),
        visitor: Some(Rc::clone(&visitor)),
    };
    let dialogue = Dialogue::resume(line, Receiver::new(), guest.unread);
    let mut dialogue = dialogue.compressed_by(guest.layer);
    let mut porter = Porter {
        hall: Rc::clone(hall),
        visitor: Rc::clone(&visitor),
        in_clear: door.login_without_tls,
        is_trusted: door.is_trusted,
    };
    let rules = Rules {
        append_bytes_max: limits.message_bytes_max,
        patience: Duration::from_secs(limits.imap_login_secs_max),
    };
    let login = Login::new(&mut dialogue, &mut porter, rules);
    let logged_in = match guest.is_greeted {
        false => login.run().await,
        true => login.resume().await,
    };
    let mut guest = guest_of(dialogue, door)?;
    // Limits and logs of the owner shard are for the client that was named.
    guest.stream.is_for(SocketAddr::new(
        visitor.borrow().address,
        guest.stream.peer_addr().port(),
    ));
    match logged_in {
        Ok(LoggedIn { tag, account }) => Some((guest, account, tag)),
        Err(_) => {
            guest.stream.close().await;
            None
        }
    }
}

/// What a dialogue leaves behind; nothing when its connection broke in a handshake.
fn guest_of(mut dialogue: Dialogue<Line>, door: Door) -> Option<Box<Guest>> {
    let layer = dialogue.take_layer();
    let (mut line, _, unread) = dialogue.into_parts();
    Some(Box::new(Guest {
        stream: line.stream.take()?,
        unread,
        layer,
        is_greeted: true,
        door,
    }))
}

async fn hand_over(hall: &Hall, owner: usize, guest: Box<Guest>, account: &Account, tag: String) {
    let Guest {
        stream,
        unread,
        layer,
        door,
        ..
    } = *guest;
    let Ok(stream) = stream.into_parts() else {
        return;
    };
    let handover = Handover {
        via: Via::Imap {
            tag,
            tls: door.tls,
            login_without_tls: door.login_without_tls,
            is_trusted: door.is_trusted,
            layer,
        },
        stream,
        unread,
        account: account.address.to_string(),
    };
    let _ = hall
        .post
        .send(owner, Letter::Connection(Box::new(handover)))
        .await;
}

/// A connection that another shard let in.
pub async fn receive(hall: Rc<Hall>, handover: Handover) {
    let Some((guest, account, tag)) = admitted(&hall, handover) else {
        return;
    };
    let pass = hall
        .census
        .enter(guest.stream.peer_addr().ip(), hall.room());
    let Ok(_pass) = pass else {
        return Box::pin(turn_away(guest.stream, &tag)).await;
    };
    let protocol = Protocol::Imap.into();
    hall.metrics.connections_open.of(protocol).up();
    let left = Box::pin(go_on(Rc::clone(&hall), guest, account, tag)).await;
    if let Some(guest) = left {
        Box::pin(receive_guest(Rc::clone(&hall), guest)).await;
    }
    hall.metrics.connections_open.of(protocol).down();
}

/// Who came in by another shard, if it still is somebody of ours.
fn admitted(hall: &Hall, handover: Handover) -> Option<(Box<Guest>, Arc<Account>, String)> {
    let Via::Imap {
        tag,
        tls,
        login_without_tls,
        is_trusted,
        layer,
    } = handover.via
    else {
        return None;
    };
    let account = hall.account(&handover.account)?;
    let stream = Stream::from_parts(handover.stream).ok()?;
    let write_secs_max = hall.live.config.load().limits.write_secs_max;
    stream.set_send_time_max(Duration::from_secs(write_secs_max));
    let guest = Box::new(Guest {
        stream,
        unread: handover.unread,
        layer,
        is_greeted: true,
        door: Door {
            tls,
            login_without_tls,
            is_trusted,
        },
    });
    Some((guest, account, tag))
}

/// The owner shard has as many connections as it may.
async fn turn_away(mut stream: Stream, tag: &str) {
    let text = format!("{tag} NO [LIMIT] Too many connections\r\n* BYE Try again later\r\n");
    let _ = stream.send(text.into_bytes()).await;
    stream.close().await;
}

/// The dialogue from login on, on the owner shard; what is left when the user leaves and the
/// connection stays.
async fn go_on(
    hall: Rc<Hall>,
    guest: Box<Guest>,
    account: Arc<Account>,
    tag: String,
) -> Option<Box<Guest>> {
    let Some(_seat) = hall.seat(Protocol::Imap, &account) else {
        Box::pin(turn_away(guest.stream, &tag)).await;
        return None;
    };
    let (door, mut dialogue) = resumed(&hall, guest);
    let user = account.address.to_string();
    let account = match Box::pin(hall.store.open_account(&user)).await {
        Ok(account) => account,
        Err(error) => {
            Box::pin(unavailable(dialogue, &tag, &error.to_string())).await;
            return None;
        }
    };
    let house = Rc::new(guests::house(&hall, &user));
    let session = Session::new(Rc::clone(&hall.store), account, terms(&hall));
    let session = session.knowing(Rc::clone(&hall.known));
    let mut session = session.housed(house).reporting_to(report());
    let ended = session.run(&mut dialogue, &tag).await;
    let guest = guest_of(dialogue, door)?;
    if ended == Ended::Unauthenticated {
        return Some(guest);
    }
    Box::pin(guest.stream.close()).await;
    None
}

fn resumed(hall: &Rc<Hall>, guest: Box<Guest>) -> (Door, Dialogue<Line>) {
    let line = Line {
        hall: Rc::clone(hall),
        stream: Some(guest.stream),
        door: guest.door,
        ends_ms: None,
        visitor: None,
    };
    let dialogue = Dialogue::resume(line, Receiver::new(), guest.unread);
    (guest.door, dialogue.compressed_by(guest.layer))
}

/// What the operator decided, and the clock.
pub(super) fn terms(hall: &Hall) -> Terms {
    let config = hall.live.config.load();
    let limits = &config.limits;
    Terms {
        ascii_headers: config.imap.ascii_headers,
        converters: hall.converters.clone(),
        append_bytes_max: limits.message_bytes_max,
        autologout: Duration::from_secs(limits.imap_idle_secs_max),
        messages_max: u32::try_from(limits.imap_messages_max)
            .ok()
            .filter(|limit| *limit < u32::MAX),
        now: Rc::new(|| InternalDate::utc(crate::reactor::Now::read().unix_secs() as i64)),
    }
}

/// Where messages that cannot be read are named.
pub(super) fn report() -> Report {
    Rc::new(|trouble: &Trouble| {
        event!(
            Error,
            "message cannot be read",
            account = trouble.account,
            mailbox = trouble.mailbox,
            uid = trouble.uid,
            error = trouble.error.to_string(),
        );
    })
}

/// RFC 5530 §3: the mailstore is down, not the client wrong.
async fn unavailable(dialogue: Dialogue<Line>, tag: &str, why: &str) {
    let (mut line, _, _) = dialogue.into_parts();
    let text = format!("{tag} NO [UNAVAILABLE] {why}\r\n* BYE Try again later\r\n");
    let _ = line.send(text.into_bytes()).await;
}

/// The connection as a dialogue sees it.
struct Line {
    hall: Rc<Hall>,
    /// Away only while the handshake has it.
    stream: Option<Stream>,
    door: Door,
    /// When the client must have logged in.
    ends_ms: Option<u64>,
    /// Until login: told of TLS.
    visitor: Option<Rc<RefCell<Visitor>>>,
}

impl Line {
    fn stream(&mut self) -> Result<&mut Stream, Ended> {
        self.stream.as_mut().ok_or(Ended::Closed)
    }
}

impl Io for Line {
    async fn readable(&mut self, patience: Duration) -> Result<(), Ended> {
        let stream = self.stream.as_ref().ok_or(Ended::Closed)?;
        let now_ms = self.hall.now().monotonic_millis;
        let left = self
            .ends_ms
            .map(|end| Duration::from_millis(end.saturating_sub(now_ms)));
        let patience = left.map_or(patience, |left| left.min(patience));
        // Not a deadline of the socket: that one ends the connection, and silence in IDLE must not.
        let (ready, silence) = (pin!(stream.readable()), pin!(sleep(patience)));
        match self.hall.drain.or(select(ready, silence)).await {
            Some(Either::Left((ready, _))) => ready.map_err(|error| ended(&error)),
            Some(Either::Right(_)) => Err(Ended::TimedOut),
            None => Err(Ended::Shutdown),
        }
    }

    async fn recv(&mut self, into: &mut Vec<u8>) -> Result<(), Ended> {
        let before = into.len();
        let stream = self.stream()?;
        // The rest of a TLS record must not be awaited for ever.
        stream.set_deadline(Side::Read, RECORD_WAIT);
        let received = stream.recv(into, RECEIVE_BYTES).await;
        stream.clear_deadline(Side::Read);
        match received {
            Ok(0) => Err(Ended::Closed),
            Ok(_) => {
                let received = &self.hall.metrics.received_bytes;
                received
                    .of(Protocol::Imap.into())
                    .add((into.len() - before) as u64);
                Ok(())
            }
            Err(error) => Err(ended(&error)),
        }
    }

    async fn send(&mut self, octets: Vec<u8>) -> Result<Vec<u8>, Ended> {
        self.hall
            .metrics
            .sent_bytes
            .of(Protocol::Imap.into())
            .add(octets.len() as u64);
        let (sent, mut octets) = self.stream()?.send(octets).await;
        octets.clear();
        sent.map(|()| octets).map_err(|error| ended(&error))
    }

    async fn send_some(&mut self, octets: &[u8]) -> Result<usize, Ended> {
        let sent = self.stream()?.send_some(octets, SLOW).await;
        let sent = sent.map_err(|error| ended(&error))?;
        let counter = &self.hall.metrics.sent_bytes;
        counter.of(Protocol::Imap.into()).add(sent as u64);
        Ok(sent)
    }

    async fn writable(&mut self) -> Result<(), Ended> {
        let ready = self.stream()?.writable().await;
        ready.map_err(|error| ended(&error))
    }

    async fn pause(&mut self) {
        yield_now().await;
    }

    async fn after(&mut self, time: Duration) {
        sleep(time).await;
    }

    fn heard(&mut self, command: Option<&Body>) {
        let verb = command.map_or(Verb::NotUnderstood, Verb::from);
        self.hall.metrics.imap_commands.of(verb).one();
    }
}

impl StartTls for Line {
    fn is_tls(&self) -> bool {
        self.stream.as_ref().is_some_and(Stream::is_tls)
    }

    fn can_start_tls(&self) -> bool {
        self.door.tls == TlsMode::StartTls && self.hall.live.tls.is_some()
    }

    async fn start_tls(&mut self) -> Result<(), Ended> {
        let limits = &self.hall.live.config.load().limits;
        let patience = Duration::from_secs(limits.tls_handshake_secs_max);
        let context = self.hall.tls(Protocol::Imap).ok_or(Ended::Closed)?;
        let stream = self.stream.take().ok_or(Ended::Closed)?;
        stream.set_deadline(Side::Read, patience);
        let stream = stream
            .start_tls(&context)
            .await
            .map_err(|error| ended(&error))?;
        if let Some(visitor) = &self.visitor {
            let secured = visitor.borrow().behind_tls(&self.hall, &stream);
            visitor.replace(secured);
        }
        self.stream = Some(stream);
        Ok(())
    }
}

fn ended(error: &io::Error) -> Ended {
    match error.kind() {
        io::ErrorKind::TimedOut => Ended::TimedOut,
        _ => Ended::Closed,
    }
}

/// Asks the hall who may come in.
struct Porter {
    hall: Rc<Hall>,
    visitor: Rc<RefCell<Visitor>>,
    in_clear: bool,
    is_trusted: bool,
}

impl Gate for Porter {
    type Account = Arc<Account>;

    fn offer(&self) -> Offer {
        self.hall.offer(&self.visitor.borrow(), self.in_clear)
    }

    async fn answer(&mut self, question: Question) -> Answer<Arc<Account>> {
        let visitor = self.visitor.borrow().clone();
        self.hall.answer(&visitor, question).await
    }

    fn named(&mut self, fields: &[(Vec<u8>, Option<Vec<u8>>)]) {
        if let Some(client) = originating(fields).filter(|_| self.is_trusted) {
            self.visitor.borrow_mut().address = client.to_canonical();
        }
    }
}

/// As Dovecot's proxies and webmails name their clients.
fn originating(fields: &[(Vec<u8>, Option<Vec<u8>>)]) -> Option<IpAddr> {
    let said = fields
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(b"x-originating-ip"));
    let (_, value) = said?;
    let text = str::from_utf8(value.as_deref()?).ok()?;
    text.trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .ok()
}

/// How long the rest of a TLS record may take.
const RECORD_WAIT: Duration = Duration::from_secs(60);

/// A client that takes nothing for so long is not worth the memory of what it will take next.
const SLOW: Duration = Duration::from_millis(200);

/// Octets received in one go.
const RECEIVE_BYTES: usize = 16 << 10;
