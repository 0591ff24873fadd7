//! What rules ordered, as memos of the store: taken up at the start, written down once a second.
//!
//! Orders are about sites, which all shards share; each shard keeps what it heard itself, and a
//! start puts together what all of them kept. A crash forgets what was ordered in its last second:
//! the next reply brings it back.

use super::dispatch::Dispatcher;
use super::site::Site;
use crate::event;
use std::collections::BTreeMap;
use std::sync::Arc;
use store::shard::{Memo, MemoChange, Space};

/// Sites of which something is to be written down, by name.
pub(super) type Ordered = BTreeMap<Box<str>, Arc<Site>>;

impl Dispatcher {
    /// At the start, before anything is sent.
    pub(super) fn recall_orders(&self) {
        let now = self.second();
        let mut after: Option<Vec<u8>> = None;
        for _ in 0..PAGES_MAX {
            let after_this = after.take();
            let page = self
                .store
                .memos(Space::RULED, b"", after_this.as_deref(), MEMOS_AT_ONCE);
            let page = page.unwrap_or_else(|error| {
                let why = error.to_string();
                event!(Error, "orders of rules lost", shard = self.shard, why = why);
                Vec::new()
            });
            for memo in &page {
                if let Ok(name) = std::str::from_utf8(&memo.key) {
                    self.sites.site(name).effects.restore(&memo.value, now);
                }
            }
            match page.last() {
                Some(last) if page.len() == MEMOS_AT_ONCE => after = Some(last.key.clone()),
                _ => return,
            }
        }
    }

    /// Something was ordered of a site, or taken back.
    pub(super) fn note_orders(&self, site: &Arc<Site>) {
        if site.name().len() <= SITE_BYTES_MAX {
            let mut ordered = self.ordered.borrow_mut();
            ordered.insert(site.name().into(), Arc::clone(site));
        }
    }

    /// Writes down what is new, some at a time.
    pub(super) async fn keep_orders(&self) {
        let mut some = Ordered::new();
        {
            let mut ordered = self.ordered.borrow_mut();
            while some.len() < MEMOS_AT_ONCE
                && let Some((name, site)) = ordered.pop_first()
            {
                some.insert(name, site);
            }
        }
        if some.is_empty() {
            return;
        }
        let now = self.second();
        let changes = some.values().map(|site| change(site, now)).collect();
        let written = self.store.write_memos(changes).await;
        let (shard, sites) = (self.shard, some.len());
        match &written {
            Ok(()) => event!(Info, "orders of rules kept", shard = shard, sites = sites),
            Err(error) => {
                let why = error.to_string();
                event!(Warn, "orders of rules not kept", shard = shard, why = why);
            }
        }
        if written.is_err() {
            let mut ordered = self.ordered.borrow_mut();
            some.extend(std::mem::take(&mut *ordered));
            *ordered = some;
        }
    }
}

fn change(site: &Site, now: u32) -> MemoChange {
    let key = site.name().as_bytes().to_vec();
    match site.effects.kept(now) {
        None => MemoChange::Remove(Space::RULED, key),
        Some((value, until)) => MemoChange::Put(Memo {
            space: Space::RULED,
            key,
            value,
            expiry_secs: i64::from(until),
        }),
    }
}

/// Sites whose names are no key of a memo are not kept.
const SITE_BYTES_MAX: usize = store::limit::MEMO_KEY_BYTES_MAX;

const MEMOS_AT_ONCE: usize = 64;

/// More than there are sites.
const PAGES_MAX: usize = 4_096;
