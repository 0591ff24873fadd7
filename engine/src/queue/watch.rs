//! The watchdog: no recipient outlives the deadline of its state, whatever the state is.
//!
//! Every state has a moment by which it is over. Each node is looked at within a minute; one that
//! is late is of a state that only a look can end (it waits for others, and its message may have
//! expired), or something is wrong here: that is counted, said, and mended where it can be.

use super::board::{Board, LOOK_SECS};
use super::destination::Destination;
use super::dispatch::Dispatcher;
use super::nodes::{Index, State};
use super::outcome::{Result as Came, Tried};
use super::terms::Terms;
use crate::event;
use crate::reactor::spawn;
use std::rc::Rc;
use store::shard::{Enhanced, HostReply, Item};

/// What a late recipient is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It waits for others, and may.
    Later,
    /// Its time is over: it is in no list any more, for somebody to end it.
    Expired(Index),
    /// Its item has ended, and nothing is left of it.
    Ended,
    /// It should not be in this state any more. Where nobody has it, it starts again.
    Overdue(State),
}

impl Board {
    /// Judges one that is late, and puts it where it belongs. `expires`: when its message does;
    /// `None`: the item has ended.
    pub(super) fn judge(&mut self, index: Index, expires: Option<u32>, now: u32) -> Verdict {
        let state = self.nodes.node(index).state();
        let Some(expires) = expires else {
            return self.judge_ended(index, state, now);
        };
        match state {
            State::Ready | State::Resolving | State::Held if now >= expires => {
                let Some(index) = self.take_out(index) else {
                    return Verdict::Later;
                };
                self.give_up(index, now);
                Verdict::Expired(index)
            }
            State::Ready | State::Resolving | State::Held => {
                self.look_later(index, now);
                Verdict::Later
            }
            State::Timed => {
                // The wheel has lost it: nobody else has it.
                if let Some(index) = self.take_out(index) {
                    self.defer(index, now, now);
                }
                Verdict::Overdue(state)
            }
            // Whoever sends it may still say how it went.
            State::Sending | State::Gone => {
                self.look_later(index, now);
                Verdict::Overdue(state)
            }
        }
    }

    /// Whoever sends one whose item has ended is about to let it go.
    fn judge_ended(&mut self, index: Index, state: State, now: u32) -> Verdict {
        if state == State::Sending {
            self.look_later(index, now);
            return Verdict::Later;
        }
        if let Some(index) = self.take_out(index) {
            self.end(index);
        }
        Verdict::Ended
    }
}

impl Dispatcher {
    /// Looks at some of the recipients: each within a minute.
    pub(super) fn watch(self: &Rc<Self>, now: u32) {
        let share = (self.board.borrow().nodes.live() / WATCH_SECS).max(WATCH_MIN);
        let most = u32::try_from(share).unwrap_or(u32::MAX);
        let from = self.looked.get();
        let (late, next) = self.board.borrow_mut().survey(from, most, now);
        self.looked.set(next);
        for index in late {
            self.look_at(index, now);
        }
    }

    fn look_at(self: &Rc<Self>, index: Index, now: u32) {
        let item = self.item_of(index);
        let expires = item.as_ref().map(|item| item.expiry_secs);
        let verdict = self.board.borrow_mut().judge(index, expires, now);
        match (verdict, item) {
            (Verdict::Expired(index), Some(item)) => {
                let this = Rc::clone(self);
                spawn(async move { this.expire(index, item).await });
            }
            (Verdict::Overdue(state), Some(item)) => {
                self.metrics.queue_overdue.one();
                event!(
                    Error,
                    "overdue",
                    shard = self.shard,
                    item = item.id.0,
                    domain = &*item.domain,
                    state = state.name(),
                );
            }
            _ => {}
        }
    }

    async fn expire(self: Rc<Self>, index: Index, item: Item) {
        let last = self.store.last_attempt(item.id).await.ok().flatten();
        let said = last.map_or_else(never_tried, |last| last.reply);
        let tried = Tried {
            index,
            item,
            terms: Terms::default(),
            result: Came::Deferred,
            said,
        };
        let pace = {
            let board = self.board.borrow();
            let to = Destination::of(board.destination_of(index));
            to.pace(&self.live.config.load().outbound)
        };
        self.settle(vec![tried], &pace).await;
    }
}

/// What is said of one that had no attempt.
pub(super) fn never_tried() -> HostReply {
    HostReply {
        enhanced: Some(Enhanced {
            class: 4,
            subject: 4,
            detail: 7,
        }),
        text: "its time was over before it could be tried".to_owned(),
        ..HostReply::default()
    }
}

/// The watchdog has seen all within so many seconds.
const WATCH_SECS: usize = 60;

/// What it looks at in a second, at least.
const WATCH_MIN: usize = 4_096;

const _: () = assert!(LOOK_SECS as usize >= WATCH_SECS);
