//! How far a long search has come, for whoever says so (INPROGRESS).

use super::super::dialogue::Dialogue;
use super::super::io::Io;

/// The progress of one command.
#[derive(Default)]
pub(super) struct Progress {
    /// Messages that were judged, of those that are to be.
    done: u64,
    goal: u64,
}

impl Progress {
    /// So many messages more are to be judged.
    pub(super) fn begin(&mut self, messages: u64) {
        self.goal += messages;
    }

    /// Of those that were begun last only so many are still open.
    pub(super) fn only(&mut self, open: u64) {
        self.done = self.goal.saturating_sub(open);
    }

    /// One more step; other sessions run.
    pub(super) async fn turn<I: Io>(&mut self, dialogue: &mut Dialogue<I>, steps: u64) {
        self.done = (self.done + steps).min(self.goal);
        dialogue.come_to(self.done, self.goal);
        dialogue.pause().await;
    }
}
