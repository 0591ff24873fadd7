//! The sending side of one thread's mail: letters out, and questions that wait for their answers.

use super::letter::{Answer, Letter, Question};
use crate::reactor::inbox::Sender;
use slab::Slab;
use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// One thread's lanes to all others.
pub struct Post {
    me: usize,
    lanes: Vec<Option<Sender<Letter>>>,
    waiting: RefCell<Slab<Waiting>>,
}

/// A question's life. Its ticket is given out again only when no answer can come any more.
///
/// ```text
///   Unsent → Asleep → Answered → (taken) Unsent → removed
///               └──── asker gone ────→ Forgotten ── answer comes ──→ removed
/// ```
enum Waiting {
    Unsent,
    Asleep(Option<Waker>),
    Answered(Answer),
    Forgotten,
}

/// The other thread is gone, or there is none of that number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Undelivered;

impl Post {
    pub fn new(me: usize, lanes: Vec<Option<Sender<Letter>>>) -> Rc<Post> {
        Rc::new(Post {
            me,
            lanes,
            waiting: RefCell::default(),
        })
    }

    pub fn me(&self) -> usize {
        self.me
    }

    /// Sends a letter; waits for credit, which is what holds back a session's socket.
    pub async fn send(&self, to: usize, letter: Letter) -> Result<(), Undelivered> {
        let lane = self
            .lanes
            .get(to)
            .and_then(Option::as_ref)
            .ok_or(Undelivered)?;
        let bytes = weight(&letter);
        lane.send(letter, bytes).await.map_err(|_| Undelivered)
    }

    /// Asks another shard and waits for its answer.
    pub async fn ask(&self, to: usize, question: Question) -> Result<Answer, Undelivered> {
        let asked = Asked {
            post: self,
            ticket: self.waiting.borrow_mut().insert(Waiting::Unsent),
        };
        let ticket = u32::try_from(asked.ticket).map_err(|_| Undelivered)?;
        asked.put(Waiting::Asleep(None));
        let letter = Letter::Ask {
            ticket,
            from: self.me,
            question,
        };
        if let Err(undelivered) = self.send(to, letter).await {
            asked.put(Waiting::Unsent);
            return Err(undelivered);
        }
        Ok(asked.answer().await)
    }

    /// Hands an answer that arrived to the task that waits for it.
    pub fn answered(&self, ticket: u32, answer: Answer) {
        let mut waiting = self.waiting.borrow_mut();
        let ticket = ticket as usize;
        match waiting.get_mut(ticket) {
            Some(slot @ Waiting::Asleep(_)) => {
                let before = std::mem::replace(slot, Waiting::Answered(answer));
                if let Waiting::Asleep(Some(waker)) = before {
                    waker.wake();
                }
            }
            Some(Waiting::Forgotten) => {
                waiting.remove(ticket);
            }
            Some(Waiting::Unsent | Waiting::Answered(_)) | None => {}
        }
    }

    /// How many questions wait for an answer.
    pub fn waiting(&self) -> usize {
        self.waiting.borrow().len()
    }
}

/// A question that was asked.
struct Asked<'a> {
    post: &'a Post,
    ticket: usize,
}

impl Asked<'_> {
    fn put(&self, state: Waiting) {
        if let Some(slot) = self.post.waiting.borrow_mut().get_mut(self.ticket) {
            *slot = state;
        }
    }

    async fn answer(self) -> Answer {
        poll_fn(|context| {
            let mut waiting = self.post.waiting.borrow_mut();
            let Some(slot) = waiting.get_mut(self.ticket) else {
                return Poll::Pending;
            };
            match std::mem::replace(slot, Waiting::Unsent) {
                Waiting::Answered(answer) => Poll::Ready(answer),
                _ => {
                    *slot = Waiting::Asleep(Some(context.waker().clone()));
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let mut waiting = self.post.waiting.borrow_mut();
        match waiting.get_mut(self.ticket) {
            Some(slot @ Waiting::Asleep(_)) => *slot = Waiting::Forgotten,
            Some(_) => {
                waiting.remove(self.ticket);
            }
            None => {}
        }
    }
}

/// What a letter weighs against the credit of its lane, in bytes.
fn weight(letter: &Letter) -> usize {
    let octets = match letter {
        Letter::Ask {
            question: Question::Piece { octets, .. },
            ..
        } => octets.len(),
        Letter::Ask {
            question: Question::Take(submitted),
            ..
        } => submitted.tail.len(),
        Letter::Ask {
            question: Question::Offer(offered),
            ..
        } => offered.submitted.tail.len(),
        Letter::Ask {
            question: Question::Visit(ask),
            ..
        } => ask.octets(),
        Letter::Answer {
            answer: Answer::Visited(answer),
            ..
        } => answer.octets(),
        Letter::Connection(handover) => handover.unread.len(),
        _ => 0,
    };
    octets + ENVELOPE_BYTES
}

/// What a letter weighs beside its octets.
const ENVELOPE_BYTES: usize = 512;
