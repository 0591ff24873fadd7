//! A server by script: takes mail by the book, writes down what it heard, and breaks off where it
//! is told to.

use crate::wire::smtp::data::{BareLineEnds, BodyReceiver, Framing};
use rustix::event::{PollFd, PollFlags, Timespec, poll as poll_for};
use rustix::net::sockopt::set_socket_linger;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

#[derive(Clone, Default)]
pub(super) struct Server {
    pub(super) keywords: Vec<&'static str>,
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) is_lmtp: bool,
    /// Said behind the 220 to STARTTLS, in the same packet.
    pub(super) injected: &'static str,
    /// After STARTTLS the connection ends instead of a handshake.
    pub(super) breaks_tls: bool,
    /// Reset behind so many octets that were sent or received.
    pub(super) sends_max: Option<usize>,
    pub(super) receives_max: Option<usize>,
    /// Instead of a reset: nothing more is said, until the client has had enough.
    pub(super) goes_silent: bool,
    /// Behind so many octets every further one comes alone, and late.
    pub(super) drips_from: Option<usize>,
    /// Never answers a command that begins so; `""`: no banner.
    pub(super) silent_at: Option<&'static str>,
    /// Answers a command that begins so in these words.
    pub(super) answers: Vec<(&'static str, &'static str)>,
}

/// What one connection came to.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) commands: Vec<String>,
    /// Those that were read to their end.
    pub(super) messages: Vec<Vec<u8>>,
    pub(super) is_encrypted: bool,
    /// Certificates that the client showed.
    pub(super) shown: usize,
}

/// A socket that breaks.
struct Wire {
    socket: TcpStream,
    sends_left: usize,
    receives_left: usize,
    goes_silent: bool,
    /// Octets until it drips.
    swift: usize,
}

impl Server {
    pub(super) fn offering(keywords: &[&'static str]) -> Server {
        Server {
            keywords: keywords.to_vec(),
            ..Server::default()
        }
    }

    /// Serves one connection after the other, as long as somebody takes the ledgers.
    pub(super) fn serve(self) -> (SocketAddr, Receiver<Ledger>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, ledgers) = channel();
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let mut ledger = Ledger::default();
                // A broken connection is what these tests are about.
                let _ = self.converse(socket.unwrap(), &mut ledger);
                if sender.send(ledger).is_err() {
                    return;
                }
            }
        });
        (address, ledgers)
    }

    fn converse(&self, socket: TcpStream, ledger: &mut Ledger) -> io::Result<()> {
        let wire = Wire {
            socket,
            sends_left: self.sends_max.unwrap_or(usize::MAX),
            receives_left: self.receives_max.unwrap_or(usize::MAX),
            goes_silent: self.goes_silent,
            swift: self.drips_from.unwrap_or(usize::MAX),
        };
        let mut clear = BufReader::new(wire);
        if self.silent_at != Some("") {
            clear.get_mut().write_all(b"220 server.test\r\n")?;
        }
        if !self.listen(&mut clear, ledger)? {
            return Ok(());
        }
        if self.breaks_tls {
            return clear.get_ref().socket.shutdown(Shutdown::Both);
        }
        let config = self.tls.clone().ok_or(io::ErrorKind::Unsupported)?;
        let session = ServerConnection::new(config).map_err(io::Error::other)?;
        let mut secret = BufReader::new(StreamOwned::new(session, clear.into_inner()));
        ledger.is_encrypted = true;
        self.listen(&mut secret, ledger)?;
        let certificates = secret.get_ref().conn.peer_certificates();
        ledger.shown = certificates.map_or(0, <[_]>::len);
        Ok(())
    }

    /// Answers until the end, or until TLS is to begin.
    fn listen<S: Read + Write>(
        &self,
        stream: &mut BufReader<S>,
        ledger: &mut Ledger,
    ) -> io::Result<bool> {
        let mut recipients = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line)? == 0 {
                return Ok(false);
            }
            let command = line.trim_end().to_owned();
            ledger.commands.push(command.clone());
            let verb = command.get(..4).unwrap_or_default();
            let scripted = self
                .answers
                .iter()
                .find(|(start, _)| command.starts_with(start));
            recipients = match verb {
                "RCPT" if scripted.is_none() => recipients + 1,
                "MAIL" => 0,
                _ => recipients,
            };
            if self
                .silent_at
                .is_some_and(|start| !start.is_empty() && command.starts_with(start))
            {
                // Until the client has had enough.
                io::copy(stream, &mut io::sink())?;
                return Ok(false);
            }
            let answer = match (scripted, verb) {
                (Some((_, answer)), _) => (*answer).to_owned(),
                (None, "EHLO" | "LHLO") => self.hello(ledger.is_encrypted),
                (None, "STAR") => format!("220 go\r\n{}", self.injected),
                (None, "DATA") => String::from("354 go\r\n"),
                (None, "BDAT") => {
                    let octets = command.split(' ').nth(1).unwrap().parse().unwrap();
                    let mut message = vec![0; octets];
                    stream.read_exact(&mut message)?;
                    ledger.messages.push(message);
                    self.taken(recipients)
                }
                (None, "QUIT") => String::from("221 bye\r\n"),
                (None, _) => String::from("250 ok\r\n"),
            };
            stream.get_mut().write_all(answer.as_bytes())?;
            match verb {
                "STAR" => return Ok(true),
                "QUIT" => return Ok(false),
                "DATA" if answer.starts_with("354") => {
                    ledger.messages.push(message(stream)?);
                    let end = self.answers.iter().find(|(start, _)| *start == ".");
                    let answer = end.map_or_else(|| self.taken(recipients), |(_, a)| (*a).into());
                    if self.silent_at != Some(".") {
                        stream.get_mut().write_all(answer.as_bytes())?;
                    }
                }
                _ => {}
            }
        }
    }

    fn hello(&self, is_encrypted: bool) -> String {
        let start_tls = (self.tls.is_some() || self.breaks_tls) && !is_encrypted;
        let keywords = self.keywords.iter().copied();
        let keywords = keywords.chain(start_tls.then_some("STARTTLS"));
        let lines: String = keywords
            .map(|keyword| format!("250-{keyword}\r\n"))
            .collect();
        format!("250-server.test\r\n{lines}250 HELP\r\n")
    }

    fn taken(&self, recipients: usize) -> String {
        let times = if self.is_lmtp { recipients } else { 1 };
        "250 2.0.0 taken\r\n".repeat(times)
    }
}

/// A message by DATA, unstuffed.
fn message<S: Read + Write>(stream: &mut BufReader<S>) -> io::Result<Vec<u8>> {
    let mut receiver = BodyReceiver::new(Framing::Stuffed, BareLineEnds::Reject, 1 << 30);
    let mut message = Vec::new();
    loop {
        let octets = stream.fill_buf()?;
        if octets.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (taken, is_whole) = receiver.feed(octets, &mut message);
        stream.consume(taken);
        if is_whole {
            assert!(receiver.finish().is_ok(), "{:?}", receiver.fault());
            return Ok(message);
        }
    }
}

impl Wire {
    /// Lets time pass before the next octet, as long as there is somebody to wait for it.
    fn drip(&self) -> usize {
        let mut poll = [PollFd::new(&self.socket, PollFlags::RDHUP)];
        poll_for(&mut poll, Some(&DRIP)).unwrap();
        1
    }

    fn break_off(&mut self) -> io::Error {
        if self.goes_silent {
            // Until the client has had enough; then there is nobody to reset.
            let _ = io::copy(&mut self.socket, &mut io::sink());
        }
        set_socket_linger(&self.socket, Some(Duration::ZERO)).unwrap();
        io::ErrorKind::ConnectionReset.into()
    }
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.receives_left == 0 {
            return Err(self.break_off());
        }
        let room = into.len().min(self.receives_left);
        let octets = self.socket.read(&mut into[..room])?;
        self.receives_left -= if self.receives_left == usize::MAX {
            0
        } else {
            octets
        };
        Ok(octets)
    }
}

impl Write for Wire {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if self.sends_left == 0 {
            return Err(self.break_off());
        }
        let most = match self.swift {
            0 => self.drip(),
            swift => swift,
        };
        let room = octets.len().min(self.sends_left).min(most);
        let sent = self.socket.write(&octets[..room])?;
        if self.swift != usize::MAX {
            self.swift = self.swift.saturating_sub(sent);
        }
        self.sends_left -= if self.sends_left == usize::MAX {
            0
        } else {
            sent
        };
        Ok(sent)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Between two octets of who drips.
const DRIP: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};
