//! IDLE: changes are told as they happen, until the client says DONE (RFC 9051 §6.3.13).

use super::Session;
use super::dialogue::Dialogue;
use super::io::{Ended, Io};
use super::mailstore::{Mailstore, Wakes};
use super::notify::Moment;
use super::reply::{Reply, say};
use super::sync::Expunges;
use crate::wire::imap::response::{Condition, code, text};
use futures_util::future::{Either, select};
use std::pin::pin;
use std::time::Duration;

/// How often a silent client hears that we are still there: connections die in address translators
/// after a few minutes without traffic, and nobody learns of it.
const STILL_HERE: Duration = Duration::from_secs(4 * 60);

/// Silence of a client in IDLE before it is logged out, in notices: it has to renew its IDLE every
/// 29 minutes (RFC 9051 §6.3.13).
const NOTICES_MAX: u32 = 8;

pub(super) enum Woken {
    Input,
    Change,
    Silence,
}

impl<S: Mailstore> Session<S> {
    /// Small on purpose: most connections spend their life in this future.
    pub(super) async fn idle<I: Io>(&mut self, dialogue: &mut Dialogue<I>) -> Result<Reply, Ended> {
        code::idling(dialogue.out());
        dialogue.receiver().expect_line();
        let mut notices = 0;
        loop {
            match self.notify {
                None => self.tell(dialogue, Expunges::Tell, |_, _, _| false).await?,
                // On the heap: few have it, and it is large.
                Some(_) => Box::pin(self.tell_events(dialogue, Moment::Idle)).await?,
            }
            self.tell_news(dialogue.out());
            if let Some(line) = dialogue.line_here().await? {
                return Ok(match line.eq_ignore_ascii_case(b"DONE") {
                    true => Reply::ok(text::IDLE_DONE),
                    false => Reply::bad(say::EXPECTED_DONE),
                });
            }
            match self.wake(dialogue).await? {
                Woken::Input => dialogue.take_in().await?,
                Woken::Change => {}
                Woken::Silence if notices == NOTICES_MAX => return Err(Ended::TimedOut),
                Woken::Silence => {
                    notices += 1;
                    code::untagged(dialogue.out(), Condition::Ok, None, say::STILL_HERE);
                }
            }
        }
    }

    /// Waits for whatever comes first. Both sides may be dropped half-way.
    async fn wake<I: Io>(&mut self, dialogue: &mut Dialogue<I>) -> Result<Woken, Ended> {
        let woken = self.wait(dialogue, STILL_HERE).await;
        match woken {
            Err(Ended::TimedOut) => Ok(Woken::Silence),
            woken => woken,
        }
    }

    /// For a command, or for a change that this client hears of.
    pub(super) async fn wait<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        patience: Duration,
    ) -> Result<Woken, Ended> {
        dialogue.flush().await?;
        dialogue.rest();
        let input = dialogue.readable(patience);
        let watch = match (&mut self.notify, &mut self.selected) {
            (Some(notify), _) => notify.watch(),
            (None, Some(selected)) => Some(&mut selected.watch),
            (None, None) => None,
        };
        let Some(watch) = watch else {
            return input.await.map(|()| Woken::Input);
        };
        match select(pin!(input), pin!(watch.changed())).await {
            Either::Left((input, _)) => input.map(|()| Woken::Input),
            Either::Right(((), _)) => Ok(Woken::Change),
        }
    }
}
