//! The other host breaks off behind any octet of a whole transaction: nothing is lost, and what
//! comes twice was cut between the end of the message and its reply.
//!
//! Every place has a site of its own, an address of 127/8 whose last digits say where its first
//! connection breaks; so all are tried at once, and a test takes as long as one retry. Breaks
//! before the connection is usable pause only their own site.

use super::ALICE;
use rustix::net::sockopt::set_socket_linger;
use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use tests::dns::DnsServer;
use tests::server::Server;
use tests::setup::{PASSWORD, Setup};
use tests::smtp::Smtp;

/// Which direction is counted, and how it breaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Break {
    /// RST behind so many octets that the sink has sent.
    ResetSent,
    /// RST behind so many octets that it has received.
    ResetReceived,
    /// FIN behind so many octets that it has sent.
    CloseSent,
}

#[test]
fn a_reset_behind_any_octet_of_the_replies() {
    every_place(Break::ResetSent, "PIPELINING", 180);
}

#[test]
fn a_reset_behind_any_octet_of_the_commands_and_the_message() {
    every_place(Break::ResetReceived, "PIPELINING", 700);
}

#[test]
fn an_end_behind_any_octet_of_the_replies_to_chunks() {
    every_place(Break::CloseSent, "CHUNKING", 180);
}

/// Sends one message to each of so many sites; the n-th breaks behind n octets, once.
fn every_place(how: Break, keyword: &'static str, places: usize) {
    let dns = DnsServer::start();
    let zone: String = (0..places).map(site).collect();
    dns.zone(&zone);
    let mut setup = Setup::usual().top("shards = 2");
    let port = setup.spare_port().port();
    let tables = format!(
        "[resolver]\nservers = \"{}\"\nloopback_hosts = true\nmx_port = {port}\n\
         mta_sts = false\ndnssec = \"off\"\n\
         [[route]]\ndomains = \"*\"\nvia = \"mx\"\ntls = \"never\"\nretry = \"1s\"\n",
        dns.address()
    );
    let sink = Sink::start(port, how, keyword);
    let server = Server::start(setup.table(&tables));
    let mut smtp = Smtp::submit(server.addresses().submissions, ALICE, PASSWORD).unwrap();
    for n in 0..places {
        let text = format!("Subject: {n}\r\n\r\n.a line with a dot\r\n");
        let to = [format!("u@d{n}.test")];
        let taken = smtp.deliver(ALICE, &to, text.as_bytes()).unwrap();
        taken.expect(250).unwrap();
    }
    let ledger = sink.wait_for(places);
    let broken = ledger.values().filter(|site| site.is_broken).count();
    assert!(
        broken > places / 2,
        "only {broken} of {places} places were reached"
    );
    let twice: Vec<&Site> = ledger.values().filter(|site| site.whole > 1).collect();
    for site in &twice {
        assert!(site.whole == 2 && site.is_in_doubt, "{site:?}");
    }
    let reached_the_end = ledger.values().any(|site| !site.is_broken);
    assert!(
        reached_the_end,
        "some places lie behind the whole transaction"
    );
    // A reply is what is cut there: nothing that is received lies between a message and its reply.
    let may_be_cut = how != Break::ResetReceived;
    assert_eq!(
        !twice.is_empty(),
        may_be_cut,
        "a cut in the reply makes a second copy"
    );
    println!(
        "{how:?}: {broken} of {places} broken, {} second copies",
        twice.len()
    );
}

/// The records of the n-th site.
fn site(n: usize) -> String {
    format!(
        "d{n}.test 300 MX 10 mx{n}.test\nmx{n}.test 300 A {}\n",
        address(n)
    )
}

fn address(n: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 9, (n / 250) as u8, (n % 250 + 1) as u8)
}

fn place(address: SocketAddr) -> usize {
    match address.ip() {
        IpAddr::V4(address) => {
            let [_, _, high, low] = address.octets();
            usize::from(high) * 250 + usize::from(low) - 1
        }
        IpAddr::V6(_) => unreachable!("the sink listens on IPv4"),
    }
}

/// What came to one site.
#[derive(Clone, Debug, Default)]
struct Site {
    connections: usize,
    is_broken: bool,
    /// Messages whose end came.
    whole: usize,
    /// The connection broke when the message was whole and its reply was not yet.
    is_in_doubt: bool,
    /// Messages that were answered with 250, the reply sent to its end.
    answered: usize,
}

struct Sink {
    ledger: Arc<Ledger>,
}

#[derive(Default)]
struct Ledger {
    sites: Mutex<HashMap<usize, Site>>,
    changed: Condvar,
}

impl Sink {
    fn start(port: u16, how: Break, keyword: &'static str) -> Sink {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
        let ledger = Arc::new(Ledger::default());
        let shared = Arc::clone(&ledger);
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let ledger = Arc::clone(&shared);
                // A broken connection is what this is about.
                std::thread::spawn(move || drop(converse(socket, how, keyword, &ledger)));
            }
        });
        Sink { ledger }
    }

    /// What came, once so many sites have answered for a message.
    fn wait_for(&self, count: usize) -> HashMap<usize, Site> {
        let end = Instant::now() + DEADLINE;
        let mut sites = self.ledger.sites.lock().unwrap();
        loop {
            let done = sites.values().filter(|site| site.answered > 0).count();
            if done >= count {
                return sites.clone();
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "{done} of {count} sites have their message"
            );
            sites = self.ledger.changed.wait_timeout(sites, left).unwrap().0;
        }
    }
}

impl Ledger {
    fn note<T>(&self, place: usize, change: impl FnOnce(&mut Site) -> T) -> T {
        let told = change(self.sites.lock().unwrap().entry(place).or_default());
        self.changed.notify_all();
        told
    }
}

/// A socket that breaks behind so many octets of one direction.
struct Wire {
    socket: TcpStream,
    how: Break,
    left: usize,
}

fn converse(
    socket: TcpStream,
    how: Break,
    keyword: &'static str,
    ledger: &Ledger,
) -> io::Result<()> {
    let place = place(socket.local_addr()?);
    let is_first = ledger.note(place, |site| {
        site.connections += 1;
        site.connections == 1
    });
    socket.set_read_timeout(Some(DEADLINE))?;
    let wire = Wire {
        socket,
        how,
        left: if is_first { place } else { usize::MAX },
    };
    let mut stream = BufReader::with_capacity(1, wire);
    let mut is_open_question = false;
    let ended = serve(&mut stream, keyword, place, ledger, &mut is_open_question);
    if ended.is_err() && is_first {
        ledger.note(place, |site| {
            site.is_broken = true;
            site.is_in_doubt |= is_open_question;
        });
    }
    ended
}

/// `in_doubt`: a message is whole, and its reply is not said to its end.
fn serve(
    stream: &mut BufReader<Wire>,
    keyword: &str,
    place: usize,
    ledger: &Ledger,
    in_doubt: &mut bool,
) -> io::Result<()> {
    stream.get_mut().say("220 sink.test ESMTP\r\n")?;
    loop {
        let line = line(stream)?;
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        let reply = match verb.as_str() {
            "EHLO" => format!("250-sink.test\r\n250-{keyword}\r\n250 8BITMIME\r\n"),
            "DATA" => {
                stream.get_mut().say("354 Go ahead\r\n")?;
                while self::line(stream)? != "." {}
                *in_doubt = true;
                "250 2.0.0 Taken\r\n".to_owned()
            }
            "BDAT" => {
                let octets = line
                    .split(' ')
                    .nth(1)
                    .and_then(|octets| octets.parse().ok());
                let mut chunk = vec![0; octets.unwrap_or(0)];
                stream.read_exact(&mut chunk)?;
                *in_doubt = line.ends_with("LAST");
                "250 2.0.0 Taken\r\n".to_owned()
            }
            "QUIT" => return stream.get_mut().say("221 2.0.0 Bye\r\n"),
            _ => "250 2.0.0 OK\r\n".to_owned(),
        };
        if *in_doubt {
            ledger.note(place, |site| site.whole += 1);
        }
        stream.get_mut().say(&reply)?;
        if std::mem::take(in_doubt) {
            ledger.note(place, |site| site.answered += 1);
        }
    }
}

/// A line without its end.
fn line(stream: &mut BufReader<Wire>) -> io::Result<String> {
    let mut line = String::new();
    match stream.read_line(&mut line)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(line.trim_end().to_owned()),
    }
}

impl Wire {
    fn say(&mut self, text: &str) -> io::Result<()> {
        let octets = text.as_bytes();
        if self.how == Break::ResetReceived {
            return self.socket.write_all(octets);
        }
        let sent = octets.len().min(self.left);
        self.socket.write_all(&octets[..sent])?;
        self.left -= sent;
        match sent < octets.len() {
            true => self.break_off(),
            false => Ok(()),
        }
    }

    fn break_off(&self) -> io::Result<()> {
        if self.how != Break::CloseSent {
            set_socket_linger(&self.socket, Some(Duration::ZERO))?;
        }
        // What was sent so far is to arrive, also before a reset.
        let _ = self.socket.shutdown(Shutdown::Write);
        Err(io::ErrorKind::ConnectionAborted.into())
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.how != Break::ResetReceived {
            return self.socket.read(buffer);
        }
        if self.left == 0 {
            self.break_off()?;
        }
        let most = buffer.len().min(self.left);
        let read = self.socket.read(&mut buffer[..most])?;
        self.left -= read;
        Ok(read)
    }
}

/// All of it, retries included.
const DEADLINE: Duration = Duration::from_secs(90);
