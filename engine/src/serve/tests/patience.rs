//! How long a client may be silent, and how long it may take in all: the shard's clock runs a
//! thousand times as fast as the test.

use super::{on_a_shard, open_store, run_log};
use crate::auth::{Gate, ThrottleLimits};
use crate::config::{Config, Limits, Protocol, TlsMode};
use crate::intake::{Claims, Heirs, Intake, QueueIds};
use crate::listen::pop3::Maildrops;
use crate::listen::{Believed, Census, Guests, Hall, http, imap};
use crate::post::{Handover, Post, Via};
use crate::reactor::net::Bound;
use crate::reactor::{Clock, Drain, Pool, Socket, oneshot, spawn};
use crate::route::{Live, Plan};
use crate::serve::ear::{Ear, listen};
use crate::telemetry::metric::ShardMetrics;
use crate::tls::Stream;
use crate::wire::sasl::scram::Decoy;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Seconds of the shard in one second of the test.
const HASTE: u64 = 1_000;

const ALICE: &str = "alice@example.test";

#[test]
fn an_idler_hears_us_every_four_minutes_and_is_let_go_after_thirty_six() {
    let ended = with_client(slow_login(), Protocol::Imap, |client| {
        client.log_in();
        client.say("a IDLE");
        assert_eq!(client.line(), "+ idling");
        let start = client.minutes();
        for notice in 1..=8 {
            assert_eq!(client.line(), "* OK Still here");
            assert!(client.minutes() - start >= 4.0 * f64::from(notice));
        }
        assert_eq!(client.line(), "* BYE Idle for too long");
        assert!(
            client.minutes() - start >= 36.0,
            "RFC 9051 §5.4: 30 at least"
        );
        client.is_closed()
    });
    assert!(ended);
}

/// RFC 9051 §6.3.13: "clients using IDLE are advised to terminate IDLE and reissue it at least
/// every 29 minutes to avoid being logged off".
#[test]
fn an_idler_that_renews_stays() {
    with_client(slow_login(), Protocol::Imap, |client| {
        client.log_in();
        let start = client.minutes();
        for _ in 0..2 {
            client.say("a IDLE");
            assert_eq!(client.line(), "+ idling");
            for _ in 0..6 {
                assert_eq!(client.line(), "* OK Still here");
            }
            client.say("DONE");
            // This thread may be late for the next notice.
            while client.line() == "* OK Still here" {}
        }
        assert!(client.minutes() - start >= 48.0);
        client.say("b NOOP");
        assert_eq!(client.line(), "b OK Done");
    });
}

#[test]
fn a_client_that_says_nothing_is_logged_out_after_half_an_hour() {
    with_client(slow_login(), Protocol::Imap, |client| {
        client.log_in();
        let start = client.minutes();
        assert_eq!(client.line(), "* BYE Idle for too long");
        assert!(client.minutes() - start >= 30.0, "RFC 9051 §5.4");
    });
}

#[test]
fn a_client_that_keeps_talking_must_still_log_in() {
    let answered = with_client(Limits::default(), Protocol::Imap, |client| {
        assert!(client.line().starts_with("* OK "));
        let start = client.connected;
        let mut answered = 0;
        loop {
            // An open command each time, so that no limit of commands ends it.
            client.say_part(".");
            answered += 1;
            if client.waits_for_a_line(Duration::from_millis(2)) {
                break;
            }
        }
        assert_eq!(client.line(), "* BYE Idle for too long");
        assert!(client.minutes() - start >= 0.5, "imap_login_secs_max");
        answered
    });
    assert!(answered > 1, "it was not silence");
}

/// Slow-loris by HTTP: however often a head drips, its time is over some day.
#[test]
fn a_head_by_http_cannot_be_dragged_out() {
    with_client(Limits::default(), Protocol::Http, |client| {
        client.say_part("POST /v1/messages HTTP/1.1\r\n");
        loop {
            client.say_part("X: y\r\n");
            if client.waits_for_a_line(Duration::from_millis(1)) {
                break;
            }
        }
        let line = client.line();
        assert!(line.starts_with("HTTP/1.1 4"), "{line}");
    });
}

#[test]
fn a_transaction_cannot_be_dragged_out_for_ever() {
    let limits = Limits {
        smtp_connection_secs_max: 600,
        smtp_idle_secs_max: 3_600,
        ..Limits::default()
    };
    with_client(limits, Protocol::Smtp, |client| {
        assert!(client.line().starts_with("220 "));
        let start = client.connected;
        let end = loop {
            client.say("NOOP");
            match client.line() {
                ok if ok.starts_with("250 ") => {}
                end => break end,
            }
        };
        assert!(end.starts_with("421 4.4.2 "), "{end}");
        // The server counts from its accept, which may come before the client looks at the clock.
        assert!(client.minutes() - start >= 7.0);
    });
}

#[test]
fn a_connection_moves_only_where_there_is_room() {
    let limits = Limits {
        connections_max: 0,
        ..Limits::default()
    };
    let directory = tempfile::tempdir().unwrap();
    let (_, told) = on_a_shard(Clock::Kernel, directory.path(), move |path| async move {
        let hall = hall(&path, limits).await;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let stream = Stream::plain(Socket::from_parts(accepted.try_into().unwrap()).unwrap());
        let tag = "a1".to_owned();
        let handover = Handover {
            via: Via::Imap {
                tag,
                tls: TlsMode::None,
                login_without_tls: true,
                is_trusted: false,
                layer: None,
            },
            stream: stream.into_parts().ok().unwrap(),
            unread: Vec::new(),
            account: ALICE.to_owned(),
        };
        imap::receive(Rc::clone(&hall), handover).await;
        assert_eq!(hall.census.open(), 0);
        lines(client)
    });
    let limit = "a1 NO [LIMIT] Too many connections".to_owned();
    assert_eq!(told, [limit, "* BYE Try again later".to_owned()]);
}

fn lines(client: TcpStream) -> Vec<String> {
    BufReader::new(client).lines().map(Result::unwrap).collect()
}

/// A minute to log in is a sixteenth of a second here.
fn slow_login() -> Limits {
    Limits {
        imap_login_secs_max: 3_600,
        ..Limits::default()
    }
}

/// A client that blocks, and the shard's clock.
struct Client {
    stream: BufReader<TcpStream>,
    began: Instant,
    /// Minutes of the shard's clock.
    connected: f64,
}

impl Client {
    fn log_in(&mut self) {
        assert!(self.line().starts_with("* OK "));
        self.say(&format!("l LOGIN {ALICE} secret"));
        assert!(self.line().starts_with("l OK "));
    }

    fn say(&mut self, line: &str) {
        self.say_part(&format!("{line}\r\n"));
    }

    fn say_part(&mut self, octets: &str) {
        self.stream.get_mut().write_all(octets.as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        self.stream
            .get_mut()
            .set_read_timeout(Some(FOREVER))
            .unwrap();
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Whether a line begins to arrive within `time`.
    fn waits_for_a_line(&mut self, time: Duration) -> bool {
        self.stream.get_mut().set_read_timeout(Some(time)).unwrap();
        self.stream.fill_buf().is_ok()
    }

    fn is_closed(&mut self) -> bool {
        self.line().is_empty()
    }

    /// Of the shard's clock, since it began.
    fn minutes(&self) -> f64 {
        minutes_since(self.began)
    }
}

fn minutes_since(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * HASTE as f64 / 60.0
}

/// Runs `talk` against a shard that listens, until it is done.
fn with_client<T: Send + 'static>(
    limits: Limits,
    protocol: Protocol,
    talk: impl FnOnce(&mut Client) -> T + Send + 'static,
) -> T {
    let directory = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let fast = move || began.elapsed().as_millis() as u64 * HASTE;
    let clock = Clock::Given(Arc::new(fast));
    let (_, said) = on_a_shard(clock, directory.path(), move |path| async move {
        let hall = hall(&path, limits).await;
        let loopback: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let bound = Bound::bind(loopback, false, 16).unwrap();
        let address = bound.local_addr();
        let ear = Ear {
            bound,
            at: address.to_string(),
            protocol,
            tls: TlsMode::None,
            login_without_tls: true,
            believed: Believed::default(),
        };
        spawn(listen(hall, ear));
        let (done, said) = oneshot::oneshot();
        let client = std::thread::spawn(move || {
            let connected = minutes_since(began);
            let stream = BufReader::new(TcpStream::connect(address).unwrap());
            let mut client = Client {
                stream,
                began,
                connected,
            };
            let _ = done.send(talk(&mut client));
        });
        let said = said.await;
        client.join().unwrap();
        said.ok().unwrap()
    });
    said
}

async fn hall(path: &Path, limits: Limits) -> Rc<Hall> {
    let config = Config {
        limits,
        ..Config::demo(path, "secret")
    };
    let (directory, _) = Plan::from_config(&config, 1).unwrap().build(None);
    let live = Arc::new(Live::new(config, directory, None));
    let store = open_store(path, 0, &live).await;
    drop(run_log(&store));
    let post = Post::new(0, vec![None]);
    let metrics = Arc::<ShardMetrics>::default();
    let heirs = Heirs::new(Arc::clone(&live), Arc::clone(&metrics), 0);
    let throttle = ThrottleLimits {
        address_failures_max: 10,
        network_failures_max: 10,
    };
    Rc::new(Hall {
        converters: None,
        shard: 0,
        intake: Intake::new(Rc::clone(&store), Rc::clone(&post), heirs),
        queue_ids: Rc::new(QueueIds::new(0)),
        gate: Arc::new(Gate::new(throttle, &[7; 32], &mut |octets| octets.fill(7))),
        live,
        logins: Pool::start("login", 1, 16).unwrap(),
        decoy: Decoy::new([7; 32]),
        bearer: None,
        metrics,
        drain: Drain::new(),
        census: Census::new(),
        maildrops: Maildrops::default(),
        inject: http::Desk::new(Claims::new(Rc::clone(&store))),
        known: Rc::default(),
        guests: Guests::default(),
        store,
        post,
    })
}

/// A test that waits longer has failed.
const FOREVER: Duration = Duration::from_secs(60);
