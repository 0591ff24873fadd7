//! A guest session and what is said to it: asks in, answers out, nobody waits in it for a socket.
//!
//! ```text
//! Resting ── Obey ──▶ Busy ── Next ──▶ Octets, Pause ─▶ Busy
//!    ▲                 │  └── Next ──▶ Listens ── Hear ─▶ Busy
//!    └──── Done ───────┘
//! ```
//!
//! The command's future runs only while somebody awaits the next answer. It owns its half of the
//! connection: the receiver and the octets behind the command come with [`Ask::Obey`] and go back
//! with [`Said::Done`], so that literals of any kind are read here as they would be at home. What
//! it says waits until it is taken: 64 KiB at most.

use super::super::Session;
use super::super::dialogue::{Dialogue, OUT_BYTES_FULL};
use super::super::io::{Ended, Io};
use super::super::mailstore::Mailstore;
use super::carry::Deposited;
use crate::post::visit::{Ask, Errand, Said};
use futures_util::future::LocalBoxFuture;
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A guest session, wherever it is.
pub trait Guest {
    /// Answered in order; only [`Ask::Hear`] may be asked while another answer is awaited.
    fn ask(&self, ask: Ask) -> LocalBoxFuture<'_, Said>;
}

/// A guest session on this shard.
pub struct Booth<S: Mailstore> {
    state: RefCell<State<S>>,
    slot: Rc<Slot>,
}

enum State<S: Mailstore> {
    Resting(Box<Resting<S>>),
    Busy(Pin<Box<dyn Future<Output = Over<S>>>>),
    Gone,
}

struct Resting<S: Mailstore> {
    session: Session<S>,
    deposit: Option<Deposited<S::Body>>,
}

/// A command that is over.
struct Over<S: Mailstore> {
    session: Session<S>,
    dialogue: Dialogue<Counter>,
    outcome: Result<(), Ended>,
}

impl<S: Mailstore + 'static> Booth<S> {
    /// A session of the account of `owner` for who visits it; with `owner` the visitor, their own.
    #[must_use]
    pub fn new(session: Session<S>, owner: &str) -> Booth<S> {
        let session = match session.sharing.house.user == owner {
            true => session,
            false => session.guest_at(owner),
        };
        Booth {
            state: RefCell::new(State::Resting(Box::new(Resting {
                session,
                deposit: None,
            }))),
            slot: Rc::default(),
        }
    }

    fn obey(&self, errand: Errand) -> bool {
        let mut state = self.state.borrow_mut();
        let State::Resting(resting) = std::mem::replace(&mut *state, State::Gone) else {
            return false;
        };
        let mut session = resting.session;
        let Errand {
            command,
            receiver,
            input,
        } = errand;
        let mut dialogue = Dialogue::resume(Counter(Rc::clone(&self.slot)), receiver, input);
        *state = State::Busy(Box::pin(async move {
            let outcome = match session.obey(&mut dialogue, command).await {
                Ok(()) => dialogue.flush().await,
                Err(ended) => Err(ended),
            };
            Over {
                session,
                dialogue,
                outcome,
            }
        }));
        true
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Said> {
        let mut state = self.state.borrow_mut();
        let State::Busy(future) = &mut *state else {
            return Poll::Ready(Said::Gone);
        };
        match future.as_mut().poll(context) {
            Poll::Ready(over) => {
                let (said, resting) = self.over(over);
                *state = resting;
                Poll::Ready(said)
            }
            Poll::Pending => self.slot.wait(context.waker()),
        }
    }

    fn over(&self, over: Over<S>) -> (Said, State<S>) {
        let (_, receiver, mut input) = over.dialogue.into_parts();
        if let Some(Ok(unread)) = self.slot.0.borrow_mut().heard.take() {
            input.extend_from_slice(&unread);
        }
        let said = Said::Done {
            receiver,
            input,
            outcome: over.outcome,
            is_selected: over.session.selected.is_some(),
        };
        let resting = State::Resting(Box::new(Resting {
            session: over.session,
            deposit: None,
        }));
        (said, resting)
    }

    /// Does something with a session at rest.
    async fn at_rest(&self, ask: Ask) -> Said {
        let before = std::mem::replace(&mut *self.state.borrow_mut(), State::Gone);
        let State::Resting(mut resting) = before else {
            *self.state.borrow_mut() = before;
            return Said::Gone;
        };
        let said = match ask {
            Ask::Tell(telling) => Said::Lines(resting.session.lines(&telling).await),
            Ask::Deposit(deposit) => resting.session.deposit(&mut resting.deposit, deposit).await,
            _ => Said::Gone,
        };
        *self.state.borrow_mut() = State::Resting(resting);
        said
    }
}

impl<S: Mailstore + 'static> Guest for Booth<S> {
    fn ask(&self, ask: Ask) -> LocalBoxFuture<'_, Said> {
        Box::pin(async move {
            match ask {
                Ask::Obey(errand) => match self.obey(*errand) {
                    true => poll_fn(|context| self.poll(context)).await,
                    false => Said::Gone,
                },
                Ask::Next => poll_fn(|context| self.poll(context)).await,
                Ask::Hear(heard) => {
                    self.slot.hear(heard);
                    Said::Heard
                }
                ask => self.at_rest(ask).await,
            }
        })
    }
}

/// What passes over the counter.
#[derive(Default)]
struct Slot(RefCell<Passing>);

#[derive(Default)]
struct Passing {
    said: Option<Vec<u8>>,
    heard: Option<Result<Vec<u8>, Ended>>,
    listens: Option<Duration>,
    pauses: bool,
    /// Who waits for the next answer.
    waker: Option<Waker>,
}

impl Slot {
    fn hear(&self, heard: Result<Vec<u8>, Ended>) {
        let mut passing = self.0.borrow_mut();
        match (&mut passing.heard, heard) {
            (Some(Ok(before)), Ok(more)) => before.extend_from_slice(&more),
            (before, heard) => *before = Some(heard),
        }
        if let Some(waker) = passing.waker.take() {
            waker.wake();
        }
    }

    /// What a command that cannot go on by itself wants.
    fn wait(&self, waker: &Waker) -> Poll<Said> {
        let mut passing = self.0.borrow_mut();
        if let Some(octets) = passing.said.take() {
            return Poll::Ready(Said::Octets(octets));
        }
        if std::mem::take(&mut passing.pauses) {
            return Poll::Ready(Said::Pause);
        }
        if let Some(patience) = passing.listens.take() {
            return Poll::Ready(Said::Listens(patience));
        }
        passing.waker = Some(waker.clone());
        Poll::Pending
    }
}

/// The connection as the guest session has it.
struct Counter(Rc<Slot>);

impl Counter {
    async fn say(&self, octets: Vec<u8>) {
        self.0.0.borrow_mut().said = Some(octets);
        poll_fn(|_| match self.0.0.borrow().said {
            Some(_) => Poll::Pending,
            None => Poll::Ready(()),
        })
        .await;
    }
}

impl Io for Counter {
    async fn readable(&mut self, patience: Duration) -> Result<(), Ended> {
        let mut is_told = false;
        poll_fn(|_| {
            let mut passing = self.0.0.borrow_mut();
            match &passing.heard {
                Some(Ok(_)) => Poll::Ready(Ok(())),
                Some(Err(ended)) => {
                    let ended = *ended;
                    passing.heard = None;
                    Poll::Ready(Err(ended))
                }
                None => {
                    if !std::mem::replace(&mut is_told, true) {
                        passing.listens = Some(patience);
                    }
                    Poll::Pending
                }
            }
        })
        .await
    }

    async fn recv(&mut self, into: &mut Vec<u8>) -> Result<(), Ended> {
        if let Some(Ok(mut octets)) = self.0.0.borrow_mut().heard.take() {
            into.append(&mut octets);
        }
        Ok(())
    }

    async fn send(&mut self, octets: Vec<u8>) -> Result<Vec<u8>, Ended> {
        self.say(octets).await;
        Ok(Vec::new())
    }

    async fn send_some(&mut self, octets: &[u8]) -> Result<usize, Ended> {
        for piece in octets.chunks(OUT_BYTES_FULL) {
            self.say(piece.to_vec()).await;
        }
        Ok(octets.len())
    }

    async fn writable(&mut self) -> Result<(), Ended> {
        Ok(())
    }

    async fn pause(&mut self) {
        self.0.0.borrow_mut().pauses = true;
        poll_fn(|_| match self.0.0.borrow().pauses {
            true => Poll::Pending,
            false => Poll::Ready(()),
        })
        .await;
    }
}
