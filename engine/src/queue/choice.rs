//! Which recipients an operator means: by what is in memory, then by what only the log tells.
//!
//! Nodes are walked a piece at a time, and what must be read is read some at a time, so that the
//! shard goes on sending meanwhile. What has moved on while it was read is left out.

use super::dispatch::Dispatcher;
use super::nodes::{Index, State};
use super::origin;
use super::suspend::is_address;
use crate::post::Pick;
use futures_util::future::join_all;
use std::ops::ControlFlow;
use store::shard::Item;

/// Recipients that are meant, among some that were looked at.
pub(super) struct Picked {
    pub(super) found: Vec<(Index, Item)>,
    /// Where to go on; 0: that was all.
    pub(super) next: u32,
}

impl Dispatcher {
    /// Those among some nodes that are meant.
    pub(super) async fn picked(&self, pick: &Pick, from: u32) -> Picked {
        let (near, next) = self.near(pick, from);
        if !asks_log(pick) {
            return Picked { found: near, next };
        }
        let mut found = Vec::new();
        for some in near.chunks(READ_TOGETHER_MAX) {
            let are_meant = some.iter().map(|(_, item)| self.is_meant(pick, item));
            let are_meant = join_all(are_meant).await;
            let meant = some.iter().zip(are_meant).filter(|(_, is_meant)| *is_meant);
            found.extend(meant.map(|(one, _)| one.clone()));
        }
        found.retain(|(index, item)| self.is_still(*index, item));
        Picked { found, next }
    }

    /// Calls `each` with those that are meant, piece by piece.
    pub(super) async fn each_picked(
        &self,
        pick: &Pick,
        mut each: impl AsyncFnMut(Vec<(Index, Item)>) -> ControlFlow<()>,
    ) {
        let mut from = 0;
        loop {
            let Picked { found, next } = self.picked(pick, from).await;
            let is_enough = each(found).await.is_break();
            from = next;
            if is_enough || next == 0 {
                return;
            }
            crate::reactor::yield_now().await;
        }
    }

    /// By what is in memory.
    fn near(&self, pick: &Pick, from: u32) -> (Vec<(Index, Item)>, u32) {
        let now = self.second();
        let (found, next) = {
            let board = self.board.borrow();
            let (found, next) = board.nodes.walk(from, LOOKED_AT_ONCE);
            let item = pick.item.as_deref().map(number);
            let is_meant = |index: &Index| {
                let node = board.nodes.node(*index);
                let is_same = |wanted: &Option<String>, name: &str| {
                    wanted.as_ref().is_none_or(|wanted| wanted == name)
                };
                item.is_none_or(|item| item == Some((self.shard as u64, node.item)))
                    && is_same(&pick.domain, board.domain_of(*index))
                    && is_same(&pick.tenant, board.tenant_of(*index))
                    && is_same(&pick.campaign, board.owner_of(*index).1)
                    && (pick.site.is_none() || is_same(&pick.site, &board.site_of(*index)))
            };
            (found.filter(is_meant).collect::<Vec<Index>>(), next)
        };
        let is_old = |item: &Item| {
            let age = now.saturating_sub(item.enqueued_secs);
            pick.older_secs.is_none_or(|secs| age >= secs)
        };
        let has_reply = |item: &Item| pick.reply.is_none() || item.attempts > 0;
        let items = found
            .into_iter()
            .filter_map(|index| Some((index, self.item_of(index)?)));
        let items = items.filter(|(_, item)| is_old(item) && has_reply(item));
        (items.collect(), next)
    }

    async fn is_meant(&self, pick: &Pick, item: &Item) -> bool {
        if let Some(words) = &pick.reply {
            let last = self.store.last_attempt(item.id).await.ok().flatten();
            if !last.is_some_and(|last| has_words(&last.reply.text, last.reply.code, words)) {
                return false;
            }
        }
        if pick.sender.is_none() && pick.recipient.is_none() {
            return true;
        }
        let Ok(queued) = self.store.queued(&[item.id]).await else {
            return false;
        };
        let (queued, _) = origin::settled(queued);
        let sender = queued.source.reverse_path.as_ref();
        let sender = sender.map(ToString::to_string).unwrap_or_default();
        let recipient = queued
            .recipients
            .first()
            .map(|(_, one)| one.address.to_string());
        let is_one = |wanted: &Option<String>, address: &str| {
            wanted
                .as_ref()
                .is_none_or(|wanted| is_address(wanted, address))
        };
        is_one(&pick.sender, &sender) && is_one(&pick.recipient, &recipient.unwrap_or_default())
    }

    /// Whether the node is still the one that was looked at.
    pub(super) fn is_still(&self, index: Index, item: &Item) -> bool {
        let board = self.board.borrow();
        let node = board.nodes.node(index);
        node.item == item.id.0 && node.state() != State::Gone
    }
}

fn asks_log(pick: &Pick) -> bool {
    pick.sender.is_some() || pick.recipient.is_some() || pick.reply.is_some()
}

/// Whether a reply with its code has these words, in any case.
fn has_words(text: &str, code: u16, words: &str) -> bool {
    let reply = format!("{code} {text}").to_lowercase();
    reply.contains(&words.to_lowercase())
}

/// Shard and number of `SHARD.NUMBER`.
pub(super) fn number(name: &str) -> Option<(u64, u64)> {
    let (shard, item) = name.split_once('.')?;
    Some((shard.parse().ok()?, item.parse().ok()?))
}

/// Nodes that are looked at before others have a turn.
const LOOKED_AT_ONCE: u32 = 4_096;

/// Reads of the log under way for one order.
const READ_TOGETHER_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_reply_are_found_in_any_case() {
        assert!(has_words("Mailbox FULL", 452, "mailbox full"));
        assert!(has_words("x", 452, "452"));
        assert!(!has_words("x", 452, "y"));
    }
}
