//! News of a command that takes long (INPROGRESS, RFC 9585).

use crate::wire::imap::command::Body;
use crate::wire::imap::find::Find;
use crate::wire::imap::response::code::{self, Code};
use crate::wire::imap::response::{Condition, text};
use std::rc::Rc;
use std::time::Duration;
use store::mail::date::InternalDate;

/// Time between two of them (RFC 9585 §4).
pub(super) const EVERY: Duration = Duration::from_secs(10);

/// A command under way.
pub(super) struct Progress {
    tag: String,
    now: Rc<dyn Fn() -> InternalDate>,
    told_secs: i64,
    /// Steps done, of how many, where that is known.
    come: Option<(u64, u64)>,
    /// There is one row of steps, and not one for each of several mailboxes.
    counts: bool,
}

impl Progress {
    /// `None` for what is answered at once, and for what answers as it goes.
    pub(super) fn of(
        tag: &str,
        body: &Body,
        now: &Rc<dyn Fn() -> InternalDate>,
    ) -> Option<Progress> {
        let is_long = matches!(
            body,
            Body::Search { .. }
                | Body::Find(_)
                | Body::Copy { .. }
                | Body::Move { .. }
                | Body::Append(_)
                | Body::Expunge
                | Body::UidExpunge(_)
        );
        is_long.then(|| Progress {
            tag: tag.to_owned(),
            now: Rc::clone(now),
            told_secs: now().unix_secs,
            come: None,
            counts: !matches!(body, Body::Find(Find::Multi { .. })),
        })
    }

    /// So many steps were done, of so many that there are (RFC 9585 §4).
    pub(super) fn come_to(&mut self, done: u64, goal: u64) {
        self.come = (goal > 0 && self.counts).then_some((done.min(goal), goal));
    }

    /// Writes a notice if one is due; whether it did.
    pub(super) fn tell(&mut self, out: &mut Vec<u8>) -> bool {
        let secs = (self.now)().unix_secs;
        let since = secs.saturating_sub(self.told_secs);
        if u64::try_from(since).is_ok_and(|since| since < EVERY.as_secs()) {
            return false;
        }
        self.told_secs = secs;
        let code = Some(Code::InProgress(&self.tag, self.come));
        code::untagged(out, Condition::Ok, code, text::IN_PROGRESS);
        true
    }
}
