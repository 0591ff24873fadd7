//! A client at the other end of two buffers, and scripts of what both sides say.

use super::fake::Fake;
use crate::session::imap::dialogue::Dialogue;
use crate::session::imap::io::{Ended, Io, StartTls};
use crate::session::imap::{Session, Terms};
use ::store::mail::date::InternalDate;
use ::store::mail::id::AccountId;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Polls of one exchange before a test says that the session hangs.
const POLLS_MAX: u32 = 1_000_000;

#[derive(Default)]
pub(super) struct Pipe {
    inbound: RefCell<Vec<u8>>,
    outbound: RefCell<Vec<u8>>,
    /// The session waits for octets that are not there.
    waiting: Cell<bool>,
    /// What the next `readable` without input answers.
    verdict: Cell<Option<Ended>>,
    /// Octets a `recv` gives at most; 0 is all.
    pub(super) chunk: Cell<usize>,
    pub(super) largest_send: Cell<usize>,
    /// Octets of a body that are taken before the client is slow, if it ever is.
    pub(super) takes: Cell<Option<usize>>,
    pub(super) tls: Cell<bool>,
    pub(super) certificate: Cell<bool>,
}

pub(super) struct Wire(pub(super) Rc<Pipe>);

impl Io for Wire {
    async fn readable(&mut self, _: Duration) -> Result<(), Ended> {
        poll_fn(|_| {
            if !self.0.inbound.borrow().is_empty() {
                return Poll::Ready(Ok(()));
            }
            if let Some(ended) = self.0.verdict.take() {
                return Poll::Ready(Err(ended));
            }
            self.0.waiting.set(true);
            Poll::Pending
        })
        .await
    }

    async fn recv(&mut self, into: &mut Vec<u8>) -> Result<(), Ended> {
        let mut inbound = self.0.inbound.borrow_mut();
        let count = match self.0.chunk.get() {
            0 => inbound.len(),
            chunk => chunk.min(inbound.len()),
        };
        into.extend(inbound.drain(..count));
        Ok(())
    }

    async fn send(&mut self, mut octets: Vec<u8>) -> Result<Vec<u8>, Ended> {
        self.0
            .largest_send
            .set(self.0.largest_send.get().max(octets.len()));
        self.0.outbound.borrow_mut().append(&mut octets);
        Ok(octets)
    }

    async fn send_some(&mut self, octets: &[u8]) -> Result<usize, Ended> {
        let takes = self.0.takes.get().unwrap_or(octets.len()).min(octets.len());
        let largest = self.0.largest_send.get().max(octets.len());
        self.0.largest_send.set(largest);
        self.0.outbound.borrow_mut().extend(&octets[..takes]);
        Ok(takes)
    }

    async fn writable(&mut self) -> Result<(), Ended> {
        Ok(())
    }

    async fn pause(&mut self) {}
}

impl StartTls for Wire {
    fn is_tls(&self) -> bool {
        self.0.tls.get()
    }

    fn can_start_tls(&self) -> bool {
        self.0.certificate.get()
    }

    async fn start_tls(&mut self) -> Result<(), Ended> {
        self.0.tls.set(true);
        Ok(())
    }
}

/// One connection whose session runs only while somebody talks to it.
pub(super) struct Client {
    pub(super) pipe: Rc<Pipe>,
    session: Pin<Box<dyn Future<Output = Ended>>>,
    pub(super) ended: Option<Ended>,
}

impl Client {
    /// A session of `account`, logged in; its greeting is read.
    pub(super) fn new(store: &Fake, account: AccountId) -> Client {
        Client::limited(store, account, None)
    }

    /// As [`Client::new`], with a limit of messages for each command.
    pub(super) fn limited(store: &Fake, account: AccountId, messages_max: Option<u32>) -> Client {
        let terms = Terms {
            ascii_headers: true,
            converters: None,
            autologout: std::time::Duration::from_secs(1800),
            append_bytes_max: 1 << 20,
            messages_max,
            now: Rc::new(|| InternalDate::utc(1_700_000_000)),
        };
        let store = store.clone();
        let mut client = Client::serve(|wire| {
            Box::pin(async move {
                let mut session = Session::new(store, account, terms);
                session.run(&mut Dialogue::new(wire), "x").await
            })
        });
        let greeting = client.listen();
        assert!(
            greeting.starts_with("x OK [CAPABILITY IMAP4rev1 "),
            "{greeting}"
        );
        client
    }

    /// A connection that `serve` looks after.
    pub(super) fn serve(
        serve: impl FnOnce(Wire) -> Pin<Box<dyn Future<Output = Ended>>>,
    ) -> Client {
        let pipe = Rc::new(Pipe::default());
        let session = serve(Wire(Rc::clone(&pipe)));
        Client {
            pipe,
            session,
            ended: None,
        }
    }

    /// As [`Client::new`], with INBOX selected.
    pub(super) fn selected(store: &Fake, account: AccountId) -> Client {
        let mut client = Client::new(store, account);
        let reply = client.say("x SELECT INBOX");
        assert!(reply.contains("x OK [READ-WRITE]"), "{reply}");
        client
    }

    /// Says a line and returns everything that comes back.
    pub(super) fn say(&mut self, line: &str) -> String {
        self.say_octets(format!("{line}\r\n").as_bytes())
    }

    pub(super) fn say_octets(&mut self, octets: &[u8]) -> String {
        self.push(octets);
        self.listen()
    }

    /// Puts octets on the wire; the session does not run yet.
    pub(super) fn push(&mut self, octets: &[u8]) {
        self.pipe.inbound.borrow_mut().extend_from_slice(octets);
    }

    /// Runs the session until it waits for us, and returns what it said.
    pub(super) fn listen(&mut self) -> String {
        String::from_utf8_lossy(&self.listen_octets()).into_owned()
    }

    pub(super) fn listen_octets(&mut self) -> Vec<u8> {
        for _ in 0..POLLS_MAX {
            if !self.step() && !self.goes_on() {
                return self.pipe.outbound.take();
            }
        }
        panic!("the session neither answers nor waits");
    }

    /// Whether a session that waits for us waits for the store as well, and now has it.
    fn goes_on(&mut self) -> bool {
        let said = self.pipe.outbound.borrow().len();
        self.step() || self.pipe.outbound.borrow().len() > said
    }

    /// What the session said until now, without running it.
    pub(super) fn heard_so_far(&mut self) -> String {
        String::from_utf8_lossy(&self.pipe.outbound.take()).into_owned()
    }

    /// Runs the session up to its next suspension; whether there is more to do.
    pub(super) fn step(&mut self) -> bool {
        if self.ended.is_some() {
            return false;
        }
        self.pipe.waiting.set(false);
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(ended) = self.session.as_mut().poll(&mut context) {
            self.ended = Some(ended);
        }
        self.ended.is_none() && !self.pipe.waiting.get()
    }

    /// The wait for input ends without any.
    pub(super) fn end(&mut self, ended: Ended) -> String {
        self.pipe.verdict.set(Some(ended));
        self.listen()
    }

    /// Plays a script: `C: ` lines are said, `S: ` lines are all that comes back. A `…` at the end
    /// of a line stands for any rest of it.
    pub(super) fn play(&mut self, script: &str) {
        let mut lines = script
            .lines()
            .map(str::trim_start)
            .filter(|l| !l.is_empty())
            .peekable();
        while let Some(said) = lines.next() {
            let said = said
                .strip_prefix("C: ")
                .unwrap_or_else(|| panic!("not C: {said}"));
            let answer = self.say(said);
            let mut answer_lines = answer.split_terminator("\r\n");
            while let Some(expected) = lines.next_if(|l| l.starts_with("S:")) {
                let expected = expected[2..].strip_prefix(' ').unwrap_or_default();
                let got = answer_lines.next().unwrap_or("(nothing)");
                let fits = match expected.strip_suffix('…') {
                    Some(start) => got.starts_with(start),
                    None => got == expected,
                };
                assert!(
                    fits,
                    "{said}\n expected {expected}\n got      {got}\n in {answer}"
                );
            }
            let more: Vec<&str> = answer_lines.collect();
            assert!(more.is_empty(), "{said}\n unexpected {more:?}");
        }
    }
}
