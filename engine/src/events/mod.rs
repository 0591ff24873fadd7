//! What becomes of messages, told to programs: JSON lines in a file, and requests to webhooks.
//!
//! ```text
//! shard: tell ─ line ─▶ batch ─ bounded channel ─▶ writer thread ─▶ events.jsonl ─ rotated ─▶ …
//!                                                                        │ place of each hook
//!                                              service thread: webhook ◀─┘ at least once
//! ```
//!
//! [`tell`] is the one way in. It never waits: where the channel is full, lines are dropped and
//! counted. Where the operator wants mail to wait instead, whoever brings about what is told
//! awaits [`settled`] before it makes that durable; so the file knows of it first, and an event is
//! told twice rather than never. Ids of events follow from what they tell, so twice is seen.

mod file;
mod hook;
mod line;
mod place;
mod send;
mod writer;

pub use hook::{Hooks, run as run_hooks};
pub use line::{Event, Fields};
pub use place::Lag;
pub use writer::{Ending, Teller};

use crate::config::EventKind;
use crate::reactor::sleep;
use std::cell::RefCell;
use std::sync::OnceLock;
use std::time::Duration;
use writer::Batch;

/// Tells an event, if anybody wants to hear of its kind. Never waits.
pub fn tell(event: &Event<'_>) {
    with_batch(|batch| batch.put(event));
}

/// Is anything told of this kind? For whoever would have to look up what to tell.
#[must_use]
pub fn wants(kind: EventKind) -> bool {
    PROCESS.get().is_some_and(|teller| teller.wants(kind))
}

/// Sends what this thread has gathered. Never waits.
pub fn flush() {
    with_batch(Batch::send);
}

/// Ready when everything that this shard has told is in the file, where mail waits for that; else
/// at once.
pub async fn settled() {
    let waits = PROCESS.get().is_some_and(Teller::waits);
    while waits && with_batch(Batch::is_done) == Some(false) {
        sleep(LOOK).await;
    }
}

/// Makes this the teller of the process; the first one stays.
pub fn set_for_process(teller: &Teller) {
    let _ = PROCESS.set(teller.clone());
}

fn with_batch<T>(use_it: impl FnOnce(&mut Batch) -> T) -> Option<T> {
    let teller = PROCESS.get()?;
    let used = BATCH.try_with(|held| {
        let mut held = held.try_borrow_mut().ok()?;
        Some(use_it(
            held.get_or_insert_with(|| Batch::new(teller.clone())),
        ))
    });
    used.ok().flatten()
}

static PROCESS: OnceLock<Teller> = OnceLock::new();

thread_local! {
    static BATCH: RefCell<Option<Batch>> = const { RefCell::new(None) };
}

/// How often it is looked whether the file has it.
const LOOK: Duration = Duration::from_millis(2);
