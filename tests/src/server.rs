//! A running server: started from a [`Setup`], awaited by its own word, ended gently or not.
//!
//! Its standard error is read all the time by a thread and kept; waiting for a log line is waiting
//! for an event of that thread.

use crate::binary;
use crate::http;
use crate::imap::Imap;
use crate::setup::{Addresses, PASSWORD, Setup};
use crate::smtp::Smtp;
use crate::tidy::source::has_word;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// A server process with its configuration; killed when dropped.
pub struct Server {
    pub setup: Setup,
    child: Child,
    log: Arc<Log>,
}

/// The lines of standard error so far.
#[derive(Default)]
struct Log {
    state: Mutex<LogState>,
    changed: Condvar,
}

#[derive(Default)]
struct LogState {
    lines: Vec<String>,
    closed: bool,
}

impl Server {
    /// Starts and waits until it is ready; panics with the log when it does not get there.
    pub fn start(setup: Setup) -> Server {
        setup.write();
        let mut command = Command::new(binary::ringpost());
        command.arg("--config").arg(setup.config_file());
        Server::start_with(setup, command)
    }

    /// Alice and bob of `example.test`.
    pub fn usual() -> Server {
        Server::start(Setup::usual())
    }

    /// Starts where it must not get ready; gives the exit code and all it said.
    pub fn refused(setup: &Setup) -> (Option<i32>, String) {
        setup.write();
        let mut command = Command::new(binary::ringpost());
        command.arg("--config").arg(setup.config_file());
        let (mut child, log) = spawn(command);
        let closed = log.wait(LOG_DEADLINE, |state| {
            let ended = state.closed.then_some(true);
            ended.or_else(|| {
                state
                    .lines
                    .iter()
                    .any(|line| is_ready(line))
                    .then_some(false)
            })
        });
        if closed != Some(true) {
            let _ = child.kill();
        }
        let status = child.wait().expect("our child can be awaited");
        let said = log.state.lock().expect("no holder panics").lines.join("\n");
        assert_eq!(closed, Some(true), "it became ready, or hung:\n{said}");
        (status.code(), said)
    }

    /// Starts the given command, which must end up as the server with this setup.
    pub fn start_with(setup: Setup, command: Command) -> Server {
        let (child, log) = spawn(command);
        let server = Server { setup, child, log };
        server.wait_ready();
        server
    }

    fn wait_ready(&self) {
        self.wait_for_line("\"ready\"", 0, is_ready);
        let health = http::page(self.addresses().http, "/healthz");
        let healthy = matches!(&health, Ok((200, _)));
        assert!(
            healthy,
            "ready, but /healthz says {health:?}\n{}",
            self.log_tail()
        );
    }

    pub fn addresses(&self) -> Addresses {
        self.setup.addresses
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills the process as a power cut would, and starts it again on the same data.
    pub fn kill_and_restart(&mut self) {
        self.kill();
        self.restart();
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&mut self) {
        self.child.kill().expect("our child can be killed");
        self.child.wait().expect("our child can be awaited");
    }

    /// Starts again after an end of any kind.
    pub fn restart(&mut self) {
        self.setup.write();
        let mut command = Command::new(binary::ringpost());
        command.arg("--config").arg(self.setup.config_file());
        let (child, log) = spawn(command);
        (self.child, self.log) = (child, log);
        self.wait_ready();
    }

    /// Starts again where it may refuse to: then the exit code and all it said.
    pub fn try_restart(&mut self) -> Result<(), (Option<i32>, String)> {
        let mut command = Command::new(binary::ringpost());
        command.arg("--config").arg(self.setup.config_file());
        (self.child, self.log) = spawn(command);
        let ready = self.log.wait(LOG_DEADLINE, |state| {
            let is_up = state.lines.iter().any(|line| is_ready(line));
            is_up.then_some(true).or(state.closed.then_some(false))
        });
        assert!(ready.is_some(), "it hangs:\n{}", self.log_tail());
        if ready == Some(true) {
            return Ok(());
        }
        let status = self.child.wait().expect("our child can be awaited");
        Err((status.code(), self.log_tail()))
    }

    /// Ends it and gives back what another server may go on with.
    pub fn into_setup(mut self) -> Setup {
        self.kill();
        std::mem::replace(&mut self.setup, Setup::empty())
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).expect("a process id is not zero");
        kill_process(pid, signal).expect("our child takes signals");
    }

    /// SIGTERM, and waits for the end; panics when it takes longer than `deadline`.
    pub fn terminate(&mut self, deadline: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended(deadline)
    }

    /// Waits for the end: standard error closes when the process is gone.
    pub fn ended(&mut self, deadline: Duration) -> ExitStatus {
        let closed = self.log.wait(deadline, |state| state.closed.then_some(()));
        assert!(
            closed.is_some(),
            "still running after {deadline:?}\n{}",
            self.log_tail()
        );
        self.child.wait().expect("our child can be awaited")
    }

    /// Panics with the log if the process is gone; other checks follow after attacks.
    pub fn assert_alive(&mut self) {
        let ended = self.child.try_wait().expect("our child can be asked");
        assert!(
            ended.is_none(),
            "the server ended: {ended:?}\n{}",
            self.log_tail()
        );
    }

    /// Waits for a line that contains `text`, from line `from` on; gives its number and the line.
    pub fn wait_for_log(&self, text: &str, from: usize) -> (usize, String) {
        self.wait_for_line(text, from, |line| line.contains(text))
    }

    fn wait_for_line(
        &self,
        what: &str,
        from: usize,
        wanted: impl Fn(&str) -> bool,
    ) -> (usize, String) {
        let found = self.log.wait(LOG_DEADLINE, |state| {
            let mut fresh = state.lines.iter().enumerate().skip(from);
            match fresh.find(|(_, line)| wanted(line)) {
                Some((number, line)) => Some(Some((number, line.clone()))),
                None => state.closed.then_some(None),
            }
        });
        let found = found.flatten();
        found.unwrap_or_else(|| panic!("the log never said {what}:\n{}", self.log_tail()))
    }

    /// How many lines the log has now: the place to wait from.
    pub fn log_position(&self) -> usize {
        self.log.state.lock().expect("no holder panics").lines.len()
    }

    /// The log so far.
    pub fn log_lines(&self) -> Vec<String> {
        self.log
            .state
            .lock()
            .expect("no holder panics")
            .lines
            .clone()
    }

    /// The last lines, for messages.
    pub fn log_tail(&self) -> String {
        let lines = self.log_lines();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// A logged-in IMAP session of an account with the usual password.
    pub fn imap(&self, user: &str) -> Imap {
        let session = Imap::login(self.addresses().imaps, user, PASSWORD);
        session.unwrap_or_else(|error| panic!("login of {user}: {error}\n{}", self.log_tail()))
    }

    /// The same with a mailbox selected.
    pub fn imap_in(&self, user: &str, mailbox: &str) -> Imap {
        let mut imap = self.imap(user);
        imap.ok(&format!("SELECT {mailbox}"))
            .expect("the mailbox can be selected");
        imap
    }

    /// Waits until an account's INBOX holds so many messages.
    pub fn wait_for_messages(&self, user: &str, count: u32) {
        let there = self.imap(user).wait_for_messages("INBOX", count);
        let there = there.unwrap_or_else(|why| panic!("{user}: no {count} messages: {why}"));
        assert_eq!(there, count, "{user} has more messages than were sent");
    }

    pub fn smtp(&self) -> Smtp {
        Smtp::hello(self.addresses().smtp).expect("SMTP greets")
    }

    pub fn lmtp(&self) -> Smtp {
        Smtp::hello_lmtp(self.addresses().lmtp).expect("LMTP greets")
    }

    /// Delivers over LMTP; panics unless every recipient is accepted.
    pub fn deliver(&self, to: &[&str], message: &[u8]) {
        let mut lmtp = self.lmtp();
        lmtp.envelope("sender@remote.test", to)
            .expect("the envelope is taken");
        for reply in lmtp
            .lmtp_data(message, to.len())
            .expect("the message is taken")
        {
            reply.expect(250).expect("every recipient is served");
        }
    }

    /// The texts of the first `count` messages of an INBOX, once they are there.
    pub fn inbox(&self, user: &str, count: u32) -> Vec<String> {
        self.wait_for_messages(user, count);
        let mut imap = self.imap_in(user, "INBOX");
        let fetched = imap.fetch(&format!("FETCH 1:{count} (BODY.PEEK[])"));
        let text = |one: &crate::imap::Fetched| {
            let octets = one.octets("BODY[]").expect("the body was asked for");
            String::from_utf8_lossy(octets).into_owned()
        };
        fetched
            .expect("messages are given")
            .iter()
            .map(text)
            .collect()
    }

    /// The metrics page as samples.
    pub fn metrics(&self) -> std::collections::BTreeMap<String, f64> {
        let (status, text) = http::page(self.addresses().http, "/metrics").expect("metrics answer");
        assert_eq!(status, 200);
        http::samples(&text).expect("every line is a sample")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the server's log ends so:\n{}", self.log_tail());
        }
    }
}

impl Log {
    /// Waits until `ready` gives something, at most `deadline`.
    fn wait<T>(&self, deadline: Duration, ready: impl Fn(&LogState) -> Option<T>) -> Option<T> {
        let end = Instant::now() + deadline;
        let mut state = self.state.lock().expect("no holder panics");
        loop {
            if let Some(found) = ready(&state) {
                return Some(found);
            }
            let left = end.checked_duration_since(Instant::now())?;
            state = self
                .changed
                .wait_timeout(state, left)
                .expect("no holder panics")
                .0;
        }
    }

    fn read(&self, stream: impl io::Read) {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { break };
            let mut state = self.state.lock().expect("no holder panics");
            // A server in a loop must not fill the memory of its test.
            if state.lines.len() < LOG_LINES_MAX {
                state.lines.push(line);
            }
            self.changed.notify_all();
        }
        self.state.lock().expect("no holder panics").closed = true;
        self.changed.notify_all();
    }
}

/// Not what is `already` there.
fn is_ready(line: &str) -> bool {
    has_word(line, "ready")
}

fn spawn(mut command: Command) -> (Child, Arc<Log>) {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stream = child.stderr.take().expect("standard error is piped");
    let log = Arc::new(Log::default());
    let reader = log.clone();
    std::thread::spawn(move || reader.read(stream));
    (child, log)
}

/// A first start writes megabytes and may meet a slow disk.
const LOG_DEADLINE: Duration = Duration::from_secs(60);
const LOG_LINES_MAX: usize = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn says(script: &str) -> Server {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let (child, log) = spawn(command);
        Server {
            setup: Setup::empty(),
            child,
            log,
        }
    }

    #[test]
    fn log_lines_are_awaited() {
        let mut server = says("echo one >&2; echo two >&2");
        assert_eq!(server.wait_for_log("two", 0), (1, "two".to_string()));
        assert!(server.ended(LOG_DEADLINE).success());
    }

    #[test]
    #[should_panic(expected = "the log never said \"ready\"")]
    fn an_early_end_is_told_with_the_log() {
        says("echo it stands there already >&2; exit 2").wait_ready();
    }
}
