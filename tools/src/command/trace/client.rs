//! What the running server says of one recipient of its queue.

use crate::client::Client;
use crate::command::queue::waiting;
use engine::admin::wire::{Reply, Request};
use store::mail::id::ItemId;

/// For what it waits, until when; `None`: it does not wait any more, or nobody can say.
pub(super) fn waits(client: &Client, shard: u16, item: ItemId) -> Option<String> {
    let item = format!("{shard}.{item}");
    match client.order(Request::QueueShow { item }) {
        Ok(Reply::QueueShown(shown)) => Some(waiting(&shown.line)),
        _ => None,
    }
}
