//! A name server on loopback that says what the test wants, or misbehaves as the test wants.
//!
//! It plays the recursive server next to Ringpost: it follows aliases, sets the AD bit below secure
//! zones when asked for it, answers over UDP and TCP on one port, and notes every question.
//!
//! ```text
//! let dns = DnsServer::start();
//! dns.zone("example.test 300 MX 10 mx.example.test\nmx.example.test 300 A 127.0.0.2");
//! dns.fault("dead.test", Fault::Silent);
//! // servers = [dns.address()]
//! ```

pub mod signed;
mod wire;
mod zone;

pub use wire::Kind;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use wire::{Query, Record};
use zone::Zone;

/// A running server; it ends when dropped.
pub struct DnsServer {
    address: SocketAddr,
    stage: Arc<Stage>,
}

/// How questions for a name go wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// No answer at all.
    Silent,
    /// A response code and nothing else: 2 is SERVFAIL, 5 REFUSED.
    Code(u8),
    /// TC over UDP with nothing in it; the truth over TCP.
    Truncated,
    /// TC over UDP, and TCP closes without an answer.
    TruncatedForEver,
    /// Octets that are no message.
    Garbage,
    /// The right answer, broken off in the middle.
    CutShort,
    /// The right answer to a question with another id.
    WrongId,
    /// The right answer to another question.
    WrongName,
    /// "Ask those": a referral, as an authoritative server gives that is lame here.
    Referral,
}

/// A question that came in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    pub name: String,
    pub kind: Kind,
    pub over_tcp: bool,
}

impl DnsServer {
    /// On a free port of 127.0.0.1.
    pub fn start() -> DnsServer {
        for _ in 0..PORTS_TRIED {
            let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
            let address = tcp.local_addr().expect("it is bound");
            if let Ok(udp) = UdpSocket::bind(address) {
                return DnsServer::serve(address, udp, tcp);
            }
        }
        panic!("no port is free for both UDP and TCP");
    }

    fn serve(address: SocketAddr, udp: UdpSocket, tcp: TcpListener) -> DnsServer {
        let stage = Arc::new(Stage::default());
        let (datagrams, streams) = (Arc::clone(&stage), Arc::clone(&stage));
        std::thread::spawn(move || serve_datagrams(&udp, &datagrams));
        std::thread::spawn(move || serve_streams(&tcp, &streams));
        DnsServer { address, stage }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds records, one a line: `name ttl type data`.
    pub fn zone(&self, text: &str) {
        self.stage.script().zone.read(text);
    }

    /// Adds one record of any type, its data as on the wire; a signature (46) goes along with what
    /// it signs. The root is the empty name.
    pub fn add(&self, name: &str, kind: Kind, data: Vec<u8>) {
        let record = Record {
            name: name.to_owned(),
            kind,
            ttl: 300,
            data,
        };
        self.stage.script().zone.add(record);
    }

    /// Forgets all records of a name.
    pub fn forget(&self, name: &str) {
        self.stage.script().zone.forget(name);
    }

    /// Everything at and below this name is signed and valid.
    pub fn secure(&self, name: &str) {
        self.stage.script().zone.secure(name);
    }

    /// Questions for this name, whatever the type, go wrong from now on.
    pub fn fault(&self, name: &str, fault: Fault) {
        let faults = &mut self.stage.script().faults;
        faults.insert((name.to_owned(), None), fault);
    }

    /// Only questions for this name and type go wrong.
    pub fn fault_of(&self, name: &str, kind: Kind, fault: Fault) {
        let faults = &mut self.stage.script().faults;
        faults.insert((name.to_owned(), Some(kind)), fault);
    }

    /// All questions for this name are answered again.
    pub fn mend(&self, name: &str) {
        let faults = &mut self.stage.script().faults;
        faults.retain(|(faulty, _), _| faulty != name);
    }

    /// Questions so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.stage.script().asked.clone()
    }

    /// How often a name was asked for a type.
    pub fn count(&self, name: &str, kind: Kind) -> usize {
        let asked = self.asked();
        let same = asked
            .iter()
            .filter(|asked| asked.name == name && asked.kind == kind);
        same.count()
    }

    /// Waits until a name was asked for a type.
    pub fn wait_for(&self, name: &str, kind: Kind) {
        let deadline = Instant::now() + WAIT_MAX;
        let mut script = self.stage.script();
        while !script
            .asked
            .iter()
            .any(|asked| asked.name == name && asked.kind == kind)
        {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{name} was never asked for {kind:?}");
            let waited = self.stage.arrival.wait_timeout(script, left);
            script = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.stage.is_ending.store(true, Ordering::Release);
        // Both threads wait in the kernel: something arrives, and they see the flag.
        drop(TcpStream::connect(self.address));
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
        drop(socket.and_then(|socket| socket.send_to(&[], self.address)));
    }
}

/// What the test and the threads of the server share.
#[derive(Default)]
struct Stage {
    script: Mutex<Script>,
    arrival: Condvar,
    is_ending: AtomicBool,
}

#[derive(Default)]
struct Script {
    zone: Zone,
    faults: HashMap<(String, Option<Kind>), Fault>,
    asked: Vec<Asked>,
}

/// What is sent back.
enum Reply {
    Octets(Vec<u8>),
    Nothing,
}

impl Stage {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Acquire)
    }

    fn reply(&self, octets: &[u8], over_tcp: bool) -> Reply {
        let Some(query) = Query::parse(octets) else {
            return Reply::Nothing;
        };
        let mut script = self.script();
        script.asked.push(Asked {
            name: query.name.clone(),
            kind: query.kind,
            over_tcp,
        });
        self.arrival.notify_all();
        script.reply(&query, over_tcp)
    }
}

impl Script {
    fn reply(&self, query: &Query, over_tcp: bool) -> Reply {
        let of_kind = self.faults.get(&(query.name.clone(), Some(query.kind)));
        let fault = of_kind.or_else(|| self.faults.get(&(query.name.clone(), None)));
        let truth = || {
            let answer = self.zone.answer(query);
            answer.encode(
                query,
                if over_tcp {
                    usize::MAX
                } else {
                    query.udp_bytes_max
                },
            )
        };
        let Some(fault) = fault else {
            return Reply::Octets(truth());
        };
        Reply::Octets(match fault {
            Fault::Silent => return Reply::Nothing,
            Fault::TruncatedForEver if over_tcp => return Reply::Nothing,
            Fault::Truncated if over_tcp => truth(),
            Fault::Truncated | Fault::TruncatedForEver => wire::truncated(query),
            Fault::Code(code) => wire::refused(query, *code),
            Fault::Garbage => b"these octets are no DNS message at all".to_vec(),
            Fault::CutShort => {
                let whole = truth();
                whole[..whole.len() - 3].to_vec()
            }
            Fault::WrongId => wire::with_other_id(truth()),
            Fault::WrongName => {
                let answer = self.zone.answer(query);
                let other = query.for_name("some.other.test");
                answer.encode(&other, usize::MAX)
            }
            Fault::Referral => wire::referral(query),
        })
    }
}

fn serve_datagrams(socket: &UdpSocket, stage: &Stage) {
    let mut buffer = [0; MESSAGE_BYTES_MAX];
    while let Ok((octets, from)) = socket.recv_from(&mut buffer) {
        if stage.is_ending() {
            return;
        }
        if let Reply::Octets(reply) = stage.reply(&buffer[..octets], false) {
            // A client that is gone needs no answer.
            drop(socket.send_to(&reply, from));
        }
    }
}

fn serve_streams(listener: &TcpListener, stage: &Arc<Stage>) {
    for stream in listener.incoming() {
        if stage.is_ending() {
            return;
        }
        let (Ok(stream), stage) = (stream, Arc::clone(stage)) else {
            return;
        };
        std::thread::spawn(move || serve_stream(stream, &stage));
    }
}

/// RFC 1035 §4.2.2: each message behind its length.
fn serve_stream(mut stream: TcpStream, stage: &Stage) -> Option<()> {
    stream.set_read_timeout(Some(WAIT_MAX)).ok()?;
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length).ok()?;
        let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut query).ok()?;
        let Reply::Octets(reply) = stage.reply(&query, true) else {
            return None;
        };
        let length = u16::try_from(reply.len()).expect("scripts stay below 64 KiB");
        stream
            .write_all(&[&length.to_be_bytes()[..], &reply].concat())
            .ok()?;
    }
}

const MESSAGE_BYTES_MAX: usize = 65_535;

const PORTS_TRIED: usize = 50;

const WAIT_MAX: Duration = Duration::from_secs(30);
