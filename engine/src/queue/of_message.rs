//! The recipients of one message that wait, by its queue id.
//!
//! The queue has no index of ids: an id says when it was given out, and only records of that time
//! are read, so that a question costs a look at the memory of the queue and some records.

use super::dispatch::Dispatcher;
use crate::intake::queue_id;
use crate::post::QueueShown;
use crate::reactor::yield_now;
use std::collections::BTreeSet;
use store::mail::id::{ItemId, ObjectId, QueueId};

impl Dispatcher {
    pub(super) async fn of_message(&self, id: &str) -> Vec<QueueShown> {
        let Some(id) = queue_id::parse(id) else {
            return Vec::new();
        };
        let (mut shown, mut looked) = (Vec::new(), BTreeSet::new());
        let mut after = ItemId(0);
        loop {
            let about = queue_id::secs(id);
            let listed = self.store.queue_list(after, LISTED_TOGETHER, |item| {
                about.abs_diff(u64::from(item.enqueued_secs)) <= SLACK_SECS
            });
            let mut of_id: Option<ObjectId> = None;
            for item in &listed.items {
                if looked.len() >= RECORDS_MAX || shown.len() >= SHOWN_MAX {
                    return shown;
                }
                if looked.insert(item.record) && self.is_of(item.id, id).await {
                    of_id = Some(item.record);
                }
                if of_id == Some(item.record) {
                    shown.extend(self.show(item.id.0).await);
                }
            }
            match listed.next {
                Some(next) => after = next,
                None => return shown,
            }
            yield_now().await;
        }
    }

    async fn is_of(&self, item: ItemId, id: QueueId) -> bool {
        let queued = self.store.queued(&[item]).await;
        queued.is_ok_and(|queued| queued.queue == id)
    }
}

/// Between the moment an id was reserved and the custody of its message.
const SLACK_SECS: u64 = 60;

/// Recipients that are looked at before others have a turn.
const LISTED_TOGETHER: usize = 1_024;

/// Records that one question reads.
const RECORDS_MAX: usize = 20_000;

/// Recipients that one answer shows.
const SHOWN_MAX: usize = 100;
