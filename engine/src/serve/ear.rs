//! One listening address on one shard.

use crate::config::{self, Protocol, TlsMode};
use crate::event;
use crate::listen::{Believed, Crowded, Hall, Pass, http, imap, pop3, smtp, unwrap};
use crate::reactor::net::Bound;
use crate::reactor::{Listener, Side, Socket, spawn};
use crate::session::smtp::{AuthOffer, FutureRelease, Kind, Settings};
use crate::tls::Stream;
use crate::wire::pop3::reply as pop3_reply;
use crate::wire::smtp::reply;
use futures_util::future::LocalBoxFuture;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// A bound address and what is spoken there.
pub(super) struct Ear {
    pub(super) bound: Bound,
    /// As the configuration says it.
    pub(super) at: String,
    pub(super) protocol: Protocol,
    pub(super) tls: TlsMode,
    pub(super) login_without_tls: bool,
    pub(super) believed: Believed,
}

impl Ear {
    pub(super) fn new(bound: Bound, listener: &config::Listener) -> Ear {
        Ear {
            at: listener.address.to_string(),
            bound,
            protocol: listener.protocol,
            tls: listener.tls,
            login_without_tls: listener.login_without_tls,
            believed: Believed {
                proxies: listener.proxy.clone(),
                trusted: listener.trusted.clone(),
            },
        }
    }
}

/// Accepts until the shard says goodbye.
pub(super) async fn listen(hall: Rc<Hall>, ear: Ear) {
    let address = ear.at.as_str();
    let listener = match Listener::new(ear.bound) {
        Ok(listener) => listener,
        Err(error) => {
            event!(Error, "cannot listen", address = address, error = error);
            return;
        }
    };
    let door = imap::Door {
        tls: ear.tls,
        login_without_tls: ear.login_without_tls,
        is_trusted: false,
    };
    let believed = Rc::new(ear.believed);
    let starved = |error: &io::Error| {
        event!(Warn, "cannot accept", address = address, error = error);
    };
    loop {
        let socket = match hall.drain.or(listener.accept(starved)).await {
            Some(Ok(socket)) => socket,
            Some(Err(error)) => {
                event!(Error, "listener broken", address = address, error = error);
                return;
            }
            None => return,
        };
        let hall = Rc::clone(&hall);
        let (protocol, believed) = (ear.protocol, Rc::clone(&believed));
        match hall.census.enter_for_somebody(hall.room()) {
            Ok(pass) => spawn(attend(hall, socket, pass, believed, (protocol, door))),
            Err(crowded) => spawn(turn_away(hall, socket, protocol, crowded)),
        }
    }
}

/// A connection from its first octet to its last. Each stage has its memory for as long as it
/// lasts, and each protocol its own: who idles keeps neither the room of a handshake nor that of a
/// longer dialogue.
async fn attend(
    hall: Rc<Hall>,
    socket: Socket,
    mut pass: Pass,
    believed: Rc<Believed>,
    (protocol, door): (Protocol, imap::Door),
) {
    let entry = Entry {
        pass: &mut pass,
        believed,
        protocol,
        door,
    };
    let Some((socket, door)) = Box::pin(let_in(&hall, socket, entry)).await else {
        return;
    };
    hall.metrics.connections.of(protocol.into()).one();
    hall.metrics.connections_open.of(protocol.into()).up();
    if let Ok(stream) = Box::pin(begin(&hall, socket, protocol, door.tls)).await {
        dialogue(&hall, stream, protocol, door).await;
    }
    hall.metrics.connections_open.of(protocol.into()).down();
}

/// What is known of a connection that nobody has looked at.
struct Entry<'a> {
    pass: &'a mut Pass,
    believed: Rc<Believed>,
    protocol: Protocol,
    door: imap::Door,
}

/// Finds out whose connection it is, and whether there is room for one more of theirs.
async fn let_in(hall: &Rc<Hall>, socket: Socket, entry: Entry<'_>) -> Option<(Socket, imap::Door)> {
    let socket = unwrap(hall, socket, &entry.believed).await?;
    let door = imap::Door {
        is_trusted: entry.believed.is_trusted(&socket),
        ..entry.door
    };
    if !door.is_trusted
        && let Err(crowded) = entry.pass.is_for(socket.peer_addr().ip(), hall.room())
    {
        turn_away(Rc::clone(hall), socket, entry.protocol, crowded).await;
        return None;
    }
    Some((socket, door))
}

fn dialogue(
    hall: &Rc<Hall>,
    stream: Stream,
    protocol: Protocol,
    door: imap::Door,
) -> LocalBoxFuture<'static, ()> {
    let shared = Rc::clone(hall);
    match protocol {
        Protocol::Imap => Box::pin(imap::serve(shared, stream, door)),
        Protocol::Pop3 => Box::pin(pop3::serve(shared, stream, door)),
        Protocol::Smtp | Protocol::Submission | Protocol::Lmtp => {
            let kind = kind(protocol);
            let settings = settings(hall, kind, door);
            Box::pin(smtp::serve(shared, stream, settings, kind))
        }
        Protocol::Http => Box::pin(http::serve(shared, stream)),
    }
}

/// Implicit TLS begins with the handshake.
async fn begin(
    hall: &Hall,
    socket: Socket,
    protocol: Protocol,
    tls: TlsMode,
) -> io::Result<Stream> {
    let limits = &hall.live.config.load().limits;
    socket.set_send_time_max(Duration::from_secs(limits.write_secs_max));
    if tls != TlsMode::Implicit {
        return Ok(Stream::plain(socket));
    }
    let context = hall.tls(protocol);
    let context = context.ok_or(io::ErrorKind::Unsupported)?;
    socket.set_deadline(
        Side::Read,
        Duration::from_secs(limits.tls_handshake_secs_max),
    );
    let shaken = Stream::plain(socket).start_tls(&context).await;
    if shaken.is_err() {
        hall.metrics.tls_failures.one();
    }
    shaken
}

/// One sentence for a connection that is one too many.
async fn turn_away(hall: Rc<Hall>, socket: Socket, protocol: Protocol, crowded: Crowded) {
    hall.metrics.connections_refused.of(protocol.into()).one();
    let peer = socket.peer_addr();
    event!(
        Info,
        "turned away",
        protocol = protocol.name(),
        peer = peer,
        why = crowded.name()
    );
    let text = match protocol {
        Protocol::Imap => b"* BYE Too many connections, try again later\r\n".to_vec(),
        Protocol::Pop3 => pop3_reply::TOO_MANY_CONNECTIONS.as_bytes().to_vec(),
        Protocol::Http => http::TOO_MANY_CONNECTIONS.to_vec(),
        _ => reply::TOO_MANY_CONNECTIONS.as_bytes().to_vec(),
    };
    socket.set_send_time_max(Duration::from_secs(1));
    let _ = socket.send(text).await;
}

fn kind(protocol: Protocol) -> Kind {
    match protocol {
        Protocol::Submission => Kind::Submission,
        Protocol::Lmtp => Kind::Lmtp,
        Protocol::Smtp | Protocol::Imap | Protocol::Pop3 | Protocol::Http => Kind::Smtp,
    }
}

fn settings(hall: &Hall, kind: Kind, door: imap::Door) -> Arc<Settings> {
    let config = hall.live.config.load();
    let base = match kind {
        Kind::Smtp => Settings::smtp(&config.hostname),
        Kind::Submission => Settings::submission(&config.hostname),
        Kind::Lmtp => Settings::lmtp(&config.hostname),
    };
    let (limits, queue) = (&config.limits, &config.outbound.queue);
    let holds = kind == Kind::Submission && config.outbound.is_on() && queue.hold_secs_max > 0;
    let small = |limit: u64| u32::try_from(limit).unwrap_or(u32::MAX);
    Arc::new(Settings {
        message_octets_max: limits.message_bytes_max,
        recipients_max: limits.recipients_max as usize,
        errors_max: small(limits.wrong_commands_max),
        failed_logins_max: small(limits.login_failures_max),
        hops_max: small(limits.hops_max),
        starttls: door.tls == TlsMode::StartTls && hall.live.tls.is_some(),
        takes_xclient: door.is_trusted,
        mechanisms: match kind {
            Kind::Submission => hall.mechanisms(),
            Kind::Smtp | Kind::Lmtp => Vec::new(),
        },
        auth: match kind {
            Kind::Submission if door.login_without_tls => AuthOffer::Always,
            _ => base.auth,
        },
        future_release: holds.then(|| FutureRelease {
            secs_max: queue.hold_secs_max,
            until_secs: hall.now().unix_secs() as i64 + i64::from(queue.hold_secs_max),
        }),
        deliver_by_secs_min: base.deliver_by_secs_min.map(|_| queue.deliver_by_secs_min),
        campaign_field: match kind {
            Kind::Submission => config.inject.campaign_header.as_deref().map(Into::into),
            Kind::Smtp | Kind::Lmtp => None,
        },
        command_secs_max: small(limits.smtp_idle_secs_max),
        body_secs_max: small(limits.smtp_data_idle_secs_max),
        ..base
    })
}
