//! Runs one script against the listeners of a server and tells what differed.

use super::canonical::canonical;
use super::pattern::{Pattern, Variables};
use super::script::{Block, Expected, Script, Step};
use crate::connection::Connection;
use crate::imap::Imap;
use crate::setup::{Addresses, PASSWORD};
use crate::smtp::{Reply, Smtp};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::net::SocketAddr;

/// Where a script runs, and whose mailboxes it uses.
#[derive(Clone, Debug)]
pub struct World {
    pub addresses: Addresses,
    /// Who `<login>` without a name is.
    pub user: String,
}

/// Runs a script to its end. The error is a text for humans with the place and the transcript.
pub fn run(script: &Script, world: &World) -> Result<(), String> {
    let mut runner = Runner {
        world,
        script,
        connections: BTreeMap::new(),
        current: String::new(),
        variables: Variables::new(),
        message: Vec::new(),
        transcript: Vec::new(),
    };
    let first_connects = matches!(script.steps.first(), Some((_, Step::Connect { .. })));
    if !first_connects {
        let opened = runner.connect("", default_listener(script));
        opened.map_err(|why| runner.told(1, &why.to_string()))?;
    }
    for (line, step) in &script.steps {
        runner.step(step).map_err(|fault| match fault {
            Fault::Differs { line, what } => runner.told(line, &what),
            Fault::Io(error) => runner.told(*line, &error.to_string()),
        })?;
    }
    Ok(())
}

struct Runner<'a> {
    world: &'a World,
    script: &'a Script,
    connections: BTreeMap<String, (Speech, Connection)>,
    current: String,
    variables: Variables,
    message: Vec<u8>,
    transcript: Vec<String>,
}

/// How answers are told apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Speech {
    /// With a code, of one line or several.
    Replies,
    Responses,
    /// Line by line.
    Lines,
}

enum Fault {
    Differs { line: usize, what: String },
    Io(io::Error),
}

impl Speech {
    fn of(listener: &str) -> Speech {
        match listener {
            "imap" | "imaps" => Speech::Responses,
            "pop3" | "pop3s" => Speech::Lines,
            _ => Speech::Replies,
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Io(error)
    }
}

impl Runner<'_> {
    fn step(&mut self, step: &Step) -> Result<(), Fault> {
        match step {
            Step::Send { text, times, line } => self.send(text, *times, *line)?,
            Step::SendMessage => {
                let message = std::mem::take(&mut self.message);
                self.transcript.push(format!("C< {} octets", message.len()));
                self.connection()?.send(&message)?;
                self.message = message;
            }
            Step::Message(message) => {
                self.variables
                    .insert("size".into(), message.len().to_string());
                self.message.clone_from(message);
            }
            Step::Expect(block) => match self.speech()? {
                Speech::Replies => self.expect_replies(block)?,
                Speech::Responses => self.expect_responses(block)?,
                Speech::Lines => self.expect_lines(block)?,
            },
            Step::Connect { name, listener } => self.connect(name, listener)?,
            Step::Use(name) => self.current.clone_from(name),
            Step::Tls => self.connection()?.start_tls()?,
            Step::Login(user) => self.login(user.as_deref())?,
            Step::Close => {
                self.connections.remove(&self.current);
            }
            Step::Shutdown => self.connection()?.shut_down_sending()?,
            Step::Eof => self.connection()?.closes()?,
            Step::Deliver(address) => self.deliver(address)?,
            Step::Await { user, count } => {
                let mut imap = Imap::login(self.world.addresses.imaps, user, PASSWORD)?;
                imap.wait_for_messages("INBOX", *count)?;
            }
        }
        Ok(())
    }

    fn connect(&mut self, name: &str, listener: &str) -> io::Result<()> {
        let (address, tls) = listener_address(&self.world.addresses, listener)?;
        let open = if tls {
            Connection::open_tls
        } else {
            Connection::open
        };
        self.connections
            .insert(name.into(), (Speech::of(listener), open(address)?));
        self.current = name.into();
        self.transcript.push(format!("<connect {name} {listener}>"));
        Ok(())
    }

    fn connection(&mut self) -> io::Result<&mut Connection> {
        let open = self.connections.get_mut(&self.current);
        let open = open.ok_or_else(|| io::Error::other("no such connection is open"))?;
        Ok(&mut open.1)
    }

    fn speech(&self) -> io::Result<Speech> {
        let open = self.connections.get(&self.current);
        open.map(|open| open.0)
            .ok_or_else(|| io::Error::other("no such connection is open"))
    }

    /// Repeated lines go out in one piece: that is what pipelining means.
    fn send(&mut self, text: &str, times: usize, line: bool) -> io::Result<()> {
        let mut octets = Vec::new();
        for count in 1..=times {
            let text = filled(text, &self.variables).replace("<i>", &count.to_string());
            self.transcript.push(format!("C: {text}"));
            match line {
                true => {
                    octets.extend_from_slice(text.as_bytes());
                    octets.extend_from_slice(b"\r\n");
                }
                false => octets.extend(unescaped(&text)),
            }
        }
        self.connection()?.send(&octets)
    }

    fn login(&mut self, user: Option<&str>) -> io::Result<()> {
        let user = user.unwrap_or(&self.world.user).to_string();
        let speech = self.speech()?;
        self.transcript.push(format!("<login {user}>"));
        let connection = self.connection()?;
        connection.line()?;
        if speech == Speech::Lines {
            connection.send_line(&format!("USER {user}"))?;
            logged_in(&connection.line()?, b"+OK")?;
            connection.send_line(&format!("PASS {PASSWORD}"))?;
            return logged_in(&connection.line()?, b"+OK");
        }
        if speech == Speech::Responses {
            connection.send_line(&format!("login LOGIN {user} {PASSWORD}"))?;
            let answer = connection.line()?;
            return logged_in(&answer, b"login OK");
        }
        connection.send_line("EHLO client.test")?;
        while connection.line()?.get(3) == Some(&b'-') {}
        let response = STANDARD.encode(format!("\0{user}\0{PASSWORD}"));
        connection.send_line(&format!("AUTH PLAIN {response}"))?;
        let answer = connection.line()?;
        logged_in(&answer, b"235")
    }

    fn deliver(&mut self, address: &str) -> io::Result<()> {
        let mut lmtp = Smtp::hello_lmtp(self.world.addresses.lmtp)?;
        lmtp.envelope("sender@remote.test", &[address])?;
        for reply in lmtp.lmtp_data(&self.message, 1)? {
            reply.expect(250)?;
        }
        self.transcript.push(format!("<deliver {address}>"));
        Ok(())
    }

    fn expect_replies(&mut self, block: &Block) -> Result<(), Fault> {
        for expected in &block.expected {
            let mut smtp = Smtp {
                connection: self.taken()?,
            };
            let reply = smtp.reply();
            self.connections
                .insert(self.current.clone(), (Speech::Replies, smtp.connection));
            let reply = reply.map_err(|error| differs(expected, &error.to_string()))?;
            self.transcript.push(format!("S: {reply}"));
            let patterns = std::iter::once(&expected.pattern).chain(&expected.also);
            for (number, pattern) in patterns.enumerate() {
                let (code, text) = match number {
                    0 => pattern
                        .text
                        .split_once(' ')
                        .unwrap_or((&pattern.text, "...")),
                    _ => ("xxx", pattern.text.as_str()),
                };
                if !self.reply_fits(&reply, code, text) {
                    return Err(differs(expected, &reply.to_string()));
                }
            }
            for never in &block.never {
                if self.reply_fits(&reply, "xxx", &never.text) {
                    return Err(differs(expected, &format!("{reply} (must not come)")));
                }
            }
        }
        Ok(())
    }

    fn reply_fits(&mut self, reply: &Reply, code: &str, text: &str) -> bool {
        let said = reply.code.to_string();
        let same = |(pattern, digit): (char, char)| pattern == 'x' || pattern == digit;
        let pattern = Pattern::compile(text, false);
        code.chars().zip(said.chars()).all(same)
            && pattern.is_ok_and(|pattern| {
                reply
                    .lines
                    .iter()
                    .any(|line| pattern.matches(line, &mut self.variables))
            })
    }

    fn expect_responses(&mut self, block: &Block) -> Result<(), Fault> {
        let mut open: Vec<&Expected> = block.expected.iter().collect();
        let last_line = block.expected.last().map_or(0, |expected| expected.line);
        while !open.is_empty() {
            let response = self.response();
            let response =
                response.map_err(|error| unmatched(&open, last_line, &error.to_string()))?;
            self.transcript.push(format!("S: {response}"));
            if block
                .never
                .iter()
                .any(|never| never.matches(&response, &mut self.variables))
            {
                return Err(unmatched(
                    &open,
                    last_line,
                    &format!("{response} (must not come)"),
                ));
            }
            let hit = open.iter().position(|expected| {
                let patterns = std::iter::once(&expected.pattern).chain(&expected.also);
                let mut bound = self.variables.clone();
                let all = patterns
                    .into_iter()
                    .all(|p| p.matches(&response, &mut bound));
                if all {
                    self.variables = bound;
                }
                all
            });
            let untagged = response.starts_with("* ");
            if !untagged && (open.len() > 1 || hit.is_none()) {
                return Err(unmatched(&open, last_line, &response));
            }
            if let Some(hit) = hit {
                open.remove(hit);
            }
        }
        Ok(())
    }

    fn expect_lines(&mut self, block: &Block) -> Result<(), Fault> {
        for expected in &block.expected {
            let line = self.connection()?.line();
            let line = line.map_err(|error| differs(expected, &error.to_string()))?;
            let line = String::from_utf8_lossy(&line).into_owned();
            self.transcript.push(format!("S: {line}"));
            let mut patterns = std::iter::once(&expected.pattern).chain(&expected.also);
            if !patterns.all(|pattern| pattern.matches(&line, &mut self.variables)) {
                return Err(differs(expected, &line));
            }
            let mut never = block.never.iter();
            if never.any(|never| never.matches(&line, &mut self.variables)) {
                return Err(differs(expected, &format!("{line} (must not come)")));
            }
        }
        Ok(())
    }

    fn response(&mut self) -> io::Result<String> {
        let mut imap = Imap::over(self.taken()?);
        let response = imap.response();
        self.connections
            .insert(self.current.clone(), (Speech::Responses, imap.connection));
        Ok(canonical(&response?.0))
    }

    fn taken(&mut self) -> io::Result<Connection> {
        let open = self.connections.remove(&self.current);
        open.map(|open| open.1)
            .ok_or_else(|| io::Error::other("no such connection is open"))
    }

    fn told(&self, line: usize, what: &str) -> String {
        let mut text = format!("{}:{line}: {what}\n", self.script.path.display());
        let skipped = self.transcript.len().saturating_sub(TRANSCRIPT_LINES);
        for said in &self.transcript[skipped..] {
            let _ = writeln!(text, "    | {said}");
        }
        text
    }
}

fn logged_in(answer: &[u8], good: &[u8]) -> io::Result<()> {
    if answer.starts_with(good) {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "login: {}",
        String::from_utf8_lossy(answer)
    )))
}

fn differs(expected: &Expected, said: &str) -> Fault {
    let mut what = format!(
        "the server's answer differs\n  - {}\n",
        expected.pattern.text
    );
    for also in &expected.also {
        let _ = writeln!(what, "  - {}", also.text);
    }
    let _ = write!(what, "  + {said}");
    Fault::Differs {
        line: expected.line,
        what,
    }
}

fn unmatched(open: &[&Expected], last_line: usize, said: &str) -> Fault {
    let mut what = String::from("the server's answers differ\n");
    for expected in open {
        let _ = writeln!(what, "  - {}", expected.pattern.text);
        for also in &expected.also {
            let _ = writeln!(what, "    and {}", also.text);
        }
    }
    let _ = write!(what, "  + {said}");
    Fault::Differs {
        line: open.first().map_or(last_line, |expected| expected.line),
        what,
    }
}

fn default_listener(script: &Script) -> &'static str {
    use super::script::Protocol::{Imap, Lmtp, Pop3, Smtp, Submission};
    match script.protocol {
        Smtp => "smtp",
        Submission => "submissions",
        Lmtp => "lmtp",
        Imap => "imaps",
        Pop3 => "pop3s",
    }
}

fn listener_address(addresses: &Addresses, name: &str) -> io::Result<(SocketAddr, bool)> {
    match name {
        "smtp" => Ok((addresses.smtp, false)),
        "submission" => Ok((addresses.submission, false)),
        "submissions" => Ok((addresses.submissions, true)),
        "lmtp" => Ok((addresses.lmtp, false)),
        "imap" => Ok((addresses.imap, false)),
        "imaps" => Ok((addresses.imaps, true)),
        "pop3" => Ok((addresses.pop3, false)),
        "pop3s" => Ok((addresses.pop3s, true)),
        _ => Err(io::Error::other(format!("no listener is called {name}"))),
    }
}

/// Variables that are bound, and `<b64 text>` with `\0` in it, as SASL needs it.
fn filled(text: &str, variables: &Variables) -> String {
    let mut text = text.to_string();
    for (name, value) in variables {
        text = text.replace(&format!("<{name}>"), value);
    }
    while let Some(start) = text.find("<b64 ") {
        let Some(length) = text[start..].find("|>") else {
            break;
        };
        let plain = unescaped(&text[start + "<b64 ".len()..start + length]);
        text.replace_range(start..start + length + 2, &STANDARD.encode(plain));
    }
    text
}

/// The octets that the escapes mean; an unknown escape stands for itself.
fn unescaped(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return octets,
            [b'\\', b'r', behind @ ..] => pushed(&mut octets, b'\r', behind),
            [b'\\', b'n', behind @ ..] => pushed(&mut octets, b'\n', behind),
            [b'\\', b'0', behind @ ..] => pushed(&mut octets, 0, behind),
            [b'\\', b'\\', behind @ ..] => pushed(&mut octets, b'\\', behind),
            [b'\\', b'x', high, low, behind @ ..] => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).unwrap_or("");
                pushed(
                    &mut octets,
                    u8::from_str_radix(digits, 16).unwrap_or(b'?'),
                    behind,
                )
            }
            [octet, behind @ ..] => pushed(&mut octets, *octet, behind),
        };
    }
}

fn pushed<'a>(octets: &mut Vec<u8>, octet: u8, behind: &'a [u8]) -> &'a [u8] {
    octets.push(octet);
    behind
}

const TRANSCRIPT_LINES: usize = 40;

#[cfg(test)]
mod tests {
    use super::super::script::Protocol;
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;
    use std::path::Path;

    /// A server that says everything at once, whatever it is told.
    fn against(protocol: Protocol, script: &str, says: &str) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let says = says.replace('\n', "\r\n").into_bytes();
        let server = std::thread::spawn(move || {
            let mut socket = listener.accept().unwrap().0;
            socket.write_all(&says).unwrap();
            let _ = std::io::copy(&mut socket, &mut std::io::sink());
        });
        let addresses = Addresses {
            smtp: address,
            submission: address,
            submissions: address,
            lmtp: address,
            imap: address,
            imaps: address,
            pop3: address,
            pop3s: address,
            http: address,
        };
        let world = World {
            addresses,
            user: "alice".into(),
        };
        let script = Script::parse(Path::new("x"), protocol, &format!("# why\n{script}")).unwrap();
        let outcome = run(&script, &world);
        server.join().unwrap();
        outcome
    }

    #[test]
    fn replies_are_compared() {
        let script = "S: 220 ...\nC: EHLO x\nS: 250 a\nS| b ...\nS! STARTTLS\nC: X\nS: 50x";
        let smtp = |says| against(Protocol::Smtp, script, says);
        smtp("220 hi\n250-a\n250 b c\n500 5.5.1 no\n").unwrap();
        assert!(smtp("220 hi\n250-a\n250 d\n500 no\n").is_err());
        assert!(smtp("220 hi\n250-a\n250-STARTTLS\n250 b c\n500 no\n").is_err());
        let why = smtp("220 hi\n250-a\n250 b c\n550 no\n").unwrap_err();
        assert!(why.contains(":8:") && why.contains("+ 550 no"), "{why}");
    }

    #[test]
    fn responses_are_compared() {
        let script = "<connect a imap>\nS: * OK ...\nC: a SELECT\nS: * <n> EXISTS\n\
                      S: * FLAGS (x y)\nS! * BYE...\nS: a OK ...";
        let imap = |says| against(Protocol::Imap, script, says);
        imap("* OK hi\n* FLAGS (y x)\n* LIST () NIL a\n* 1 EXISTS\na OK done\n").unwrap();
        assert!(imap("* OK hi\n* FLAGS (y x)\na OK done\n").is_err());
        assert!(imap("* OK hi\n* FLAGS (y x)\n* 1 EXISTS\na NO done\n").is_err());
        assert!(imap("* OK hi\n* BYE\n* FLAGS (y x)\n* 1 EXISTS\na OK done\n").is_err());
    }

    #[test]
    fn lines_are_compared() {
        let script = "<connect a pop3>\nS: +OK ...\nC: LIST\nS: +OK\nS: 1 <#>\nS: .\nS! -ERR...";
        let pop3 = |says| against(Protocol::Pop3, script, says);
        pop3("+OK hi\n+OK\n1 77\n.\n").unwrap();
        assert!(pop3("+OK hi\n+OK\n.\n1 77\n").is_err());
        assert!(pop3("+OK hi\n-ERR no\n1 77\n.\n").is_err());
    }

    #[test]
    fn escapes_and_functions_are_filled_in() {
        assert_eq!(unescaped(r"a\r\n\0\xff\\"), b"a\r\n\0\xff\\");
        let variables = Variables::from([("n".into(), "5".into())]);
        assert_eq!(
            filled(r"<n> <b64 \0a\0b|> <x@y>", &variables),
            "5 AGEAYg== <x@y>"
        );
    }
}
