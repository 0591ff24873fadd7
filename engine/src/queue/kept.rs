//! Counts that outlive a restart: warm-ups and TLS reports, kept as memos of shard 0, whose
//! dispatcher writes down what is new once a second.
//!
//! A crash forgets what came in its last second; an end in order forgets nothing.

use super::dispatch::Dispatcher;
use super::{tls_report, warmup};
use crate::event;
use crate::reactor::sleep;
use std::rc::Rc;
use std::time::Duration;
use store::shard::{Memo, MemoChange, Space};

impl Dispatcher {
    /// At the start, before anything is sent.
    pub(super) fn recall(&self) {
        if self.shard != KEEPER {
            return;
        }
        self.each_memo(WARMUP, |key, value| {
            if let Some((source, kept)) = read_warmup(key, value) {
                self.sources.days(source).restore(&kept);
            }
        });
        self.each_memo(TLS_REPORT, |key, value| self.reports.restore(key, value));
    }

    fn each_memo(&self, book: &[u8], mut each: impl FnMut(&[u8], &[u8])) {
        let mut after: Option<Vec<u8>> = None;
        for _ in 0..PAGES_MAX {
            let page = self
                .store
                .memos(Space::COUNTER, book, after.as_deref(), MEMOS_AT_ONCE);
            let page = match page {
                Ok(page) => page,
                Err(error) => {
                    let why = error.to_string();
                    return event!(Error, "counts cannot be read", why = why);
                }
            };
            for memo in &page {
                if let Some(key) = memo.key.strip_prefix(book) {
                    each(key, &memo.value);
                }
            }
            match page.last() {
                Some(last) if page.len() == MEMOS_AT_ONCE => after = Some(last.key.clone()),
                _ => return,
            }
        }
    }

    /// Once a second, as long as the shard runs.
    pub(super) async fn keep_counts(self: Rc<Self>) {
        if self.shard != KEEPER {
            return;
        }
        loop {
            sleep(PAUSE).await;
            self.remember().await;
        }
    }

    /// Writes down what is new.
    pub async fn remember(&self) {
        self.keep_orders().await;
        if self.shard != KEEPER {
            return;
        }
        let mut changes = Vec::new();
        for source in self.sources.all() {
            let name = &source.says.name;
            let new = self.sources.days(name).take_new(MEMOS_AT_ONCE);
            changes.extend(new.iter().map(|kept| put(warmup_memo(name, kept))));
        }
        let new = self.reports.take_new(MEMOS_AT_ONCE);
        changes.extend(new.into_iter().map(|kept| put(report_memo(kept))));
        for some in changes.chunks(MEMOS_AT_ONCE) {
            if let Err(error) = self.store.write_memos(some.to_vec()).await {
                let why = error.to_string();
                event!(Warn, "counts not written down", why = why);
            }
        }
    }
}

fn put(memo: Memo) -> MemoChange {
    MemoChange::Put(memo)
}

/// `SOURCE \0 SITE` → day and count.
fn warmup_memo(source: &str, kept: &warmup::Kept) -> Memo {
    let key = [WARMUP, source.as_bytes(), b"\0", kept.site.as_bytes()].concat();
    let value = [kept.day.to_be_bytes(), kept.used.to_be_bytes()].concat();
    Memo {
        space: Space::COUNTER,
        key,
        value,
        // Two days later: the clock may have gone back by one.
        expiry_secs: i64::from(kept.day.saturating_add(3)) * DAY_SECS,
    }
}

fn read_warmup<'a>(key: &'a [u8], value: &[u8]) -> Option<(&'a str, warmup::Kept)> {
    let (source, site) = std::str::from_utf8(key).ok()?.split_once('\0')?;
    let (day, used) = value.split_first_chunk::<4>()?;
    let kept = warmup::Kept {
        site: site.to_owned(),
        day: u32::from_be_bytes(*day),
        used: u32::from_be_bytes(used.try_into().ok()?),
    };
    Some((source, kept))
}

fn report_memo(kept: tls_report::Kept) -> Memo {
    Memo {
        space: Space::COUNTER,
        key: [TLS_REPORT, &kept.key].concat(),
        value: kept.value,
        expiry_secs: kept.expiry_secs,
    }
}

/// The shard whose store keeps the counts of all.
const KEEPER: usize = 0;

const WARMUP: &[u8] = b"warm\0";
const TLS_REPORT: &[u8] = b"tls\0";

const PAUSE: Duration = Duration::from_secs(1);

const MEMOS_AT_ONCE: usize = 256;

/// More than the bounds of the counts allow.
const PAGES_MAX: usize = 4_096;

const DAY_SECS: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_reads_back() {
        let kept = warmup::Kept {
            site: "mx.example".to_owned(),
            day: 20_779,
            used: 4_321,
        };
        let memo = warmup_memo("main", &kept);
        let key = memo.key.strip_prefix(WARMUP).unwrap();
        assert_eq!(read_warmup(key, &memo.value), Some(("main", kept)));
        assert_eq!(read_warmup(b"main", &memo.value), None);
        assert_eq!(read_warmup(key, b"123"), None);
    }
}
