//! UIDBATCHES: the UIDs at which a mailbox falls into batches of equal size (RFC 10022).

use super::Session;
use super::dialogue::Dialogue;
use super::io::Io;
use super::mailstore::{Mailstore, Picture};
use super::reply::{Reply, say};
use crate::wire::imap::portion::Batches;
use crate::wire::imap::response::code::Code;
use crate::wire::imap::response::resync::uid_batches;

/// RFC 10022 §3.1: batches of fewer messages need not be made, and are no help.
const BATCH_MESSAGES_LEAST: u32 = 500;

/// RFC 10022 §3.1.5: messages that a range of batches may span.
const RANGE_MESSAGES_MAX: u64 = 100_000;

impl<S: Mailstore> Session<S> {
    pub(super) fn uid_batches<I: Io>(
        &self,
        dialogue: &mut Dialogue<I>,
        tag: &str,
        asked: Batches,
    ) -> Reply {
        let Some(selected) = &self.selected else {
            return Reply::not_selected();
        };
        if asked.messages < BATCH_MESSAGES_LEAST {
            return Reply::no(say::SMALL_BATCHES).with(Code::TooFew);
        }
        if let Some((first, last)) = asked.wanted {
            if first > last {
                return Reply::bad(say::BATCHES_UPWARDS).with(Code::ClientBug);
            }
            let batches = u64::from(last - first) + 1;
            if batches * u64::from(asked.messages) > RANGE_MESSAGES_MAX {
                return Reply::no(say::MANY_BATCHES).with(Code::TooMany);
            }
        }
        let (first, last) = asked.wanted.unwrap_or((1, u32::MAX));
        let skipped = usize::try_from(first - 1).unwrap_or(usize::MAX);
        let count = usize::try_from(last - first).unwrap_or(usize::MAX);
        // RFC 9738: what a batch is for cannot work on more than a command may.
        let most = self.terms.messages_max.unwrap_or(u32::MAX);
        let messages = asked.messages.min(most).max(1);
        let batches = batches(selected.view.uids(), messages as usize);
        let batches = batches.skip(skipped).take(count.saturating_add(1));
        uid_batches(dialogue.out(), tag, batches);
        Reply::done()
    }
}

/// Highest and lowest UID of each batch, the newest first. They lie one behind the other without a
/// gap, down to UID 1.
fn batches(uids: &[u32], messages: usize) -> impl Iterator<Item = (u32, u32)> + '_ {
    let mut left = uids;
    std::iter::from_fn(move || {
        let highest = left.last().copied()?;
        let rest = left.len().saturating_sub(messages);
        left = left.get(..rest).unwrap_or_default();
        let below = left.last().copied().unwrap_or(0);
        Some((highest, below))
    })
    .scan(None, |above: &mut Option<u32>, (highest, below)| {
        let top = above.replace(below).unwrap_or(highest);
        Some((top, below + 1))
    })
}

#[cfg(test)]
mod tests {
    use super::batches;

    #[test]
    fn batches_hold_as_many_and_leave_no_gap() {
        let uids = [3, 4, 9, 10, 11, 20, 21];
        let of = |messages| batches(&uids, messages).collect::<Vec<_>>();
        assert_eq!(of(3), [(21, 11), (10, 4), (3, 1)]);
        assert_eq!(of(7), [(21, 1)]);
        assert_eq!(of(100), [(21, 1)]);
        assert_eq!(of(4), [(21, 10), (9, 1)]);
        assert_eq!(batches(&[], 3).count(), 0);
    }
}
