//! A mail host that is told how to answer, and keeps what it took: the other side of our queue.
//!
//! One thread a connection. The policy is asked for a reply at RCPT and at the end of data; who
//! waits for messages waits for an event of those threads. With a certificate it offers STARTTLS.

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// A running sink; its threads end with the test.
pub struct Sink {
    pub address: SocketAddr,
    kept: Arc<Kept>,
}

/// One message that was taken, or refused at its end.
#[derive(Clone, Debug)]
pub struct Taken {
    pub from: String,
    pub to: Vec<String>,
    pub text: String,
    /// The reply to the end of data.
    pub reply: String,
    /// Which connection brought it, counted from 1.
    pub connection: usize,
    pub client: Client,
    /// The MAIL command, and those of the recipients that were taken.
    pub mail: String,
    pub rcpts: Vec<String>,
}

/// Who brought a message.
#[derive(Clone, Debug)]
pub struct Client {
    pub address: SocketAddr,
    /// What it called itself.
    pub hello: String,
    /// `None`: it came in clear.
    pub tls: Option<ClientTls>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientTls {
    /// The name that it asked for.
    pub server_name: Option<String>,
    /// Certificates that it showed.
    pub certificates: usize,
}

/// How a sink does TLS.
#[derive(Clone)]
pub struct SinkTls {
    pub config: Arc<ServerConfig>,
    /// Said behind the 220 to STARTTLS, in the same packet.
    pub injected: &'static str,
}

/// When the sink asks how to answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment<'a> {
    /// Before the banner of the n-th connection.
    Connect(usize),
    /// At RCPT, with the address and how often it was asked before.
    Rcpt(&'a str, usize),
    /// At the end of data, with the text and how many messages came before.
    Data(&'a str, usize),
}

/// `None` is the usual yes. `"drop"` closes the connection without a word.
pub type Policy = dyn Fn(Moment<'_>) -> Option<String> + Send + Sync;

#[derive(Default)]
struct Kept {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    taken: Vec<Taken>,
    rcpts: Vec<String>,
    connections: usize,
}

impl Sink {
    /// Takes everything.
    pub fn start(address: SocketAddr) -> Sink {
        Sink::with(address, |_| None)
    }

    /// Answers as `policy` wants.
    pub fn with(
        address: SocketAddr,
        policy: impl Fn(Moment<'_>) -> Option<String> + Send + Sync + 'static,
    ) -> Sink {
        Sink::offering(address, USUAL, policy)
    }

    /// The same, with these keywords in its answer to EHLO.
    pub fn offering(
        address: SocketAddr,
        keywords: &[&str],
        policy: impl Fn(Moment<'_>) -> Option<String> + Send + Sync + 'static,
    ) -> Sink {
        Sink::begin(address, None, keywords, policy)
    }

    /// Takes everything, and offers STARTTLS.
    pub fn with_tls(address: SocketAddr, config: Arc<ServerConfig>) -> Sink {
        let tls = SinkTls {
            config,
            injected: "",
        };
        Sink::open(address, Some(tls), |_| None)
    }

    /// Answers as `policy` wants, with TLS or without.
    pub fn open(
        address: SocketAddr,
        tls: Option<SinkTls>,
        policy: impl Fn(Moment<'_>) -> Option<String> + Send + Sync + 'static,
    ) -> Sink {
        Sink::begin(address, tls, USUAL, policy)
    }

    fn begin(
        address: SocketAddr,
        tls: Option<SinkTls>,
        keywords: &[&str],
        policy: impl Fn(Moment<'_>) -> Option<String> + Send + Sync + 'static,
    ) -> Sink {
        let greeting: String = keywords
            .iter()
            .map(|word| format!("250-{word}\r\n"))
            .collect();
        let greeting: Arc<str> = greeting.into();
        let listener = TcpListener::bind(address).expect("the port is free");
        let kept = Arc::new(Kept::default());
        let (shared, policy): (_, Arc<Policy>) = (Arc::clone(&kept), Arc::new(policy));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (kept, policy) = (Arc::clone(&shared), Arc::clone(&policy));
                let (tls, greeting) = (tls.clone(), Arc::clone(&greeting));
                // A client that goes away ends its thread, and nobody asks why.
                std::thread::spawn(move || drop(serve(stream, tls, &kept, &*policy, &greeting)));
            }
        });
        Sink { address, kept }
    }

    /// Messages that were answered with 250, once there are `count`; panics when they do not come.
    pub fn wait_for(&self, count: usize) -> Vec<Taken> {
        self.wait(|state| {
            let good: Vec<Taken> = accepted(state).cloned().collect();
            (good.len() >= count).then_some(good)
        })
        .unwrap_or_else(|| panic!("{} of {count} messages came", self.taken().len()))
    }

    /// Recipients that were asked about, once there are `count`.
    pub fn wait_for_rcpts(&self, count: usize) -> Vec<String> {
        self.wait(|state| (state.rcpts.len() >= count).then(|| state.rcpts.clone()))
            .unwrap_or_else(|| panic!("fewer than {count} recipients were asked about"))
    }

    /// Messages that were answered with 250 so far.
    pub fn taken(&self) -> Vec<Taken> {
        accepted(&self.kept.state.lock().expect("no holder panics"))
            .cloned()
            .collect()
    }

    pub fn connections(&self) -> usize {
        self.kept
            .state
            .lock()
            .expect("no holder panics")
            .connections
    }

    fn wait<T>(&self, ready: impl Fn(&State) -> Option<T>) -> Option<T> {
        let end = Instant::now() + DEADLINE;
        let mut state = self.kept.state.lock().expect("no holder panics");
        loop {
            if let Some(found) = ready(&state) {
                return Some(found);
            }
            let left = end.checked_duration_since(Instant::now())?;
            let waited = self.kept.changed.wait_timeout(state, left);
            state = waited.expect("no holder panics").0;
        }
    }
}

fn accepted(state: &State) -> impl Iterator<Item = &Taken> {
    let taken = state.taken.iter();
    taken.filter(|taken| taken.reply.starts_with("250"))
}

fn serve(
    stream: TcpStream,
    tls: Option<SinkTls>,
    kept: &Kept,
    policy: &Policy,
    greeting: &str,
) -> io::Result<()> {
    stream.set_read_timeout(Some(DEADLINE))?;
    let connection = kept.note(|state| {
        state.connections += 1;
        state.connections
    });
    let client = Client {
        address: stream.peer_addr()?,
        hello: String::new(),
        tls: None,
    };
    let mut dialogue = Dialogue {
        kept,
        policy,
        connection,
        greeting,
        client,
        offers_tls: tls.is_some(),
        stream: BufReader::new(stream),
        from: String::new(),
        to: Vec::new(),
        mail: String::new(),
        rcpts: Vec::new(),
    };
    match policy(Moment::Connect(connection)) {
        Some(reply) if reply == DROP => return Ok(()),
        Some(reply) => return dialogue.say(&reply),
        None => dialogue.say("220 sink.test ESMTP")?,
    }
    let wants_tls = dialogue.run()?;
    match tls.filter(|_| wants_tls) {
        Some(tls) => dialogue.start_tls(&tls)?.run().map(drop),
        None => Ok(()),
    }
}

/// One connection.
struct Dialogue<'a, S> {
    kept: &'a Kept,
    policy: &'a Policy,
    connection: usize,
    greeting: &'a str,
    client: Client,
    offers_tls: bool,
    stream: BufReader<S>,
    from: String,
    to: Vec<String>,
    mail: String,
    rcpts: Vec<String>,
}

type Secret = StreamOwned<ServerConnection, TcpStream>;

impl<'a> Dialogue<'a, TcpStream> {
    fn start_tls(self, tls: &SinkTls) -> io::Result<Dialogue<'a, Secret>> {
        let mut socket = self.stream.into_inner();
        socket.write_all(format!("220 2.0.0 Go ahead\r\n{}", tls.injected).as_bytes())?;
        let session = ServerConnection::new(Arc::clone(&tls.config)).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(session, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        let shown = ClientTls {
            server_name: stream.conn.server_name().map(str::to_owned),
            certificates: stream.conn.peer_certificates().map_or(0, <[_]>::len),
        };
        Ok(Dialogue {
            kept: self.kept,
            policy: self.policy,
            connection: self.connection,
            greeting: self.greeting,
            client: Client {
                tls: Some(shown),
                ..self.client
            },
            offers_tls: false,
            stream: BufReader::new(stream),
            from: String::new(),
            to: Vec::new(),
            mail: String::new(),
            rcpts: Vec::new(),
        })
    }
}

impl<S: Read + Write> Dialogue<'_, S> {
    /// Answers until the end; `true`: until TLS is to begin.
    fn run(&mut self) -> io::Result<bool> {
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Ok(false);
            }
            let command = line.trim_end();
            if self.offers_tls && command.eq_ignore_ascii_case("STARTTLS") {
                return Ok(true);
            }
            let reply = self.obey(command)?;
            if reply == DROP {
                return Ok(false);
            }
            self.say(&reply)?;
            if reply.starts_with("221") {
                return Ok(false);
            }
        }
    }

    fn obey(&mut self, command: &str) -> io::Result<String> {
        let verb = command.split([' ', ':']).next().unwrap_or("");
        Ok(match verb.to_ascii_uppercase().as_str() {
            "EHLO" | "LHLO" => {
                let (_, name) = command.split_once(' ').unwrap_or_default();
                name.clone_into(&mut self.client.hello);
                let start_tls = if self.offers_tls { START_TLS } else { "" };
                format!("250-sink.test\r\n{start_tls}{}250 HELP", self.greeting)
            }
            "MAIL" => {
                (self.from, self.to) = (path(command), Vec::new());
                (self.mail, self.rcpts) = (command.to_owned(), Vec::new());
                "250 2.1.0 OK".to_owned()
            }
            "RCPT" => self.recipient(path(command), command),
            "DATA" if self.to.is_empty() => "554 5.5.1 No valid recipients".to_owned(),
            "DATA" => self.data()?,
            "QUIT" => "221 2.0.0 Bye".to_owned(),
            "RSET" | "NOOP" => "250 2.0.0 OK".to_owned(),
            _ => "502 5.5.1 What?".to_owned(),
        })
    }

    fn recipient(&mut self, address: String, command: &str) -> String {
        let before = self.kept.note(|state| {
            let before = state.rcpts.iter().filter(|known| **known == address);
            let before = before.count();
            state.rcpts.push(address.clone());
            before
        });
        let refusal = (self.policy)(Moment::Rcpt(&address, before));
        refusal.unwrap_or_else(|| {
            self.to.push(address);
            self.rcpts.push(command.to_owned());
            "250 2.1.5 OK".to_owned()
        })
    }

    fn data(&mut self) -> io::Result<String> {
        self.say("354 Go ahead")?;
        let text = body(&mut self.stream)?;
        let before = self.kept.note(|state| state.taken.len());
        let reply = (self.policy)(Moment::Data(&text, before));
        let reply = reply.unwrap_or_else(|| "250 2.0.0 Taken".to_owned());
        let taken = Taken {
            from: std::mem::take(&mut self.from),
            to: std::mem::take(&mut self.to),
            text,
            reply: reply.clone(),
            connection: self.connection,
            client: self.client.clone(),
            mail: std::mem::take(&mut self.mail),
            rcpts: std::mem::take(&mut self.rcpts),
        };
        self.kept.note(|state| state.taken.push(taken));
        Ok(reply)
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        let stream = self.stream.get_mut();
        stream.write_all(format!("{text}\r\n").as_bytes())?;
        stream.flush()
    }
}

impl Kept {
    fn note<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().expect("no holder panics");
        let told = change(&mut state);
        self.changed.notify_all();
        told
    }
}

/// The message without dot-stuffing.
fn body(reader: &mut impl BufRead) -> io::Result<String> {
    let mut text = Vec::new();
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" {
            return Ok(String::from_utf8_lossy(&text).into_owned());
        }
        text.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}

fn path(command: &str) -> String {
    let path = command
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'));
    path.map_or_else(String::new, |(path, _)| path.to_owned())
}

const USUAL: &[&str] = &["PIPELINING", "8BITMIME", "SIZE", "ENHANCEDSTATUSCODES"];
const START_TLS: &str = "250-STARTTLS\r\n";

const DROP: &str = "drop";
const DEADLINE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Ports;
    use crate::smtp::Smtp;

    #[test]
    fn a_sink_answers_as_it_is_told() {
        let mut ports = Ports::take();
        let sink = Sink::with(ports.port(), |moment| match moment {
            Moment::Rcpt("no@x.test", _) => Some("550 5.1.1 No".to_owned()),
            Moment::Rcpt("late@x.test", 0) => Some("450 4.2.0 Later".to_owned()),
            _ => None,
        });
        let mut smtp = Smtp::hello(sink.address).unwrap();
        smtp.command("MAIL FROM:<a@b.test>")
            .unwrap()
            .expect(250)
            .unwrap();
        smtp.command("RCPT TO:<no@x.test>")
            .unwrap()
            .expect(550)
            .unwrap();
        smtp.command("RCPT TO:<late@x.test>")
            .unwrap()
            .expect(450)
            .unwrap();
        smtp.command("RCPT TO:<late@x.test>")
            .unwrap()
            .expect(250)
            .unwrap();
        smtp.data(b".dot\r\n").unwrap().expect(250).unwrap();
        let taken = sink.wait_for(1);
        assert_eq!((taken[0].text.as_str(), taken[0].to.len()), (".dot\r\n", 1));
        assert_eq!(sink.connections(), 1);
    }
}
