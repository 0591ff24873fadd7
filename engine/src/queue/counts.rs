//! What is counted of a site, a tenant or an egress source: outcomes, replies, delays, the pace of
//! the last minute. Written by all shards, read by whoever asks; each cell is an atomic.

use super::notice::class_of;
use super::outcome::Result as Came;
use crate::post::LastReply;
use crate::telemetry::metric::{DELAY_BOUNDS_MILLIS, Delays, Flow};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use store::shard::HostReply;

/// Since the start.
#[derive(Debug, Default)]
pub struct Counts {
    pub sent: AtomicU64,
    pub deferred: AtomicU64,
    pub failed: AtomicU64,
    pub unreached: AtomicU64,
    /// By the first digit: 2, 4, 5, and none at all.
    replies: [AtomicU64; 4],
    /// From the transaction to the begin of the first attempt.
    pub(super) first: Clocked,
    /// From the transaction to the end of what was taken.
    pub(super) delivery: Clocked,
    recent: Recent,
    last: Mutex<Option<LastReply>>,
}

/// How often which delay came.
#[derive(Debug, Default)]
pub(super) struct Clocked {
    counts: [AtomicU32; DELAY_BOUNDS_MILLIS.len() + 1],
    millis: AtomicU64,
}

/// Events of this minute and of the one before.
#[derive(Debug, Default)]
struct Recent {
    /// Number of the minute above 32 bits of events.
    this: AtomicU64,
    before: AtomicU64,
}

impl Counts {
    /// What came of one recipient.
    pub(super) fn came(&self, result: &Came, said: &HostReply, now_secs: u64) {
        let cell = match result {
            Came::Delivered(_) => return self.took(said, now_secs),
            Came::Deferred | Came::Later(_) => &self.deferred,
            Came::Failed => &self.failed,
            Came::Untried => return,
        };
        cell.fetch_add(1, Ordering::Relaxed);
        self.replied(said.code);
        self.said(LastReply {
            at_secs: now_secs as i64,
            host: said.host.clone(),
            code: said.code,
            text: said.text.clone(),
            class: class_of(said).name().to_owned(),
        });
    }

    /// One recipient was answered with this code; 0: not at all.
    fn replied(&self, code: u16) {
        let place = match code / 100 {
            2 => 0,
            4 => 1,
            5 => 2,
            _ => 3,
        };
        if let Some(count) = self.replies.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn took(&self, said: &HostReply, now_secs: u64) {
        self.replied(said.code);
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.recent.event(now_secs / 60);
    }

    /// Recipients taken within a minute, about: the last whole one and this one, weighed.
    pub(super) fn per_minute(&self, now_secs: u64) -> u64 {
        self.recent.rate(now_secs)
    }

    /// Something that was no yes.
    fn said(&self, reply: LastReply) {
        *self
            .last
            .lock()
            .unwrap_or_else(|broken| broken.into_inner()) = Some(reply);
    }

    pub(super) fn last(&self) -> Option<LastReply> {
        let last = self
            .last
            .lock()
            .unwrap_or_else(|broken| broken.into_inner());
        last.clone()
    }

    pub(super) fn flow(&self) -> Flow {
        let read = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        Flow {
            sent: read(&self.sent),
            deferred: read(&self.deferred),
            failed: read(&self.failed),
            unreached: read(&self.unreached),
            replies: self.replies.each_ref().map(read),
            first: self.first.delays(),
            delivery: self.delivery.delays(),
        }
    }
}

impl Clocked {
    pub(super) fn record(&self, millis: u64) {
        let place = DELAY_BOUNDS_MILLIS.partition_point(|bound| *bound < millis);
        if let Some(count) = self.counts.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.millis.fetch_add(millis, Ordering::Relaxed);
    }

    fn delays(&self) -> Delays {
        let read = |cell: &AtomicU32| u64::from(cell.load(Ordering::Relaxed));
        Delays {
            counts: self.counts.each_ref().map(read),
            millis: self.millis.load(Ordering::Relaxed),
        }
    }
}

impl Recent {
    fn event(&self, minute: u64) {
        let this = self.this.load(Ordering::Relaxed);
        if this >> 32 == minute & MINUTE_MASK {
            self.this.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // Whoever comes first in a minute turns the page; an event that crosses is lost to the
        // rate, and to nothing else.
        let fresh = (minute & MINUTE_MASK) << 32 | 1;
        let turned = self
            .this
            .compare_exchange(this, fresh, Ordering::Relaxed, Ordering::Relaxed);
        match turned {
            Ok(_) => self.before.store(this, Ordering::Relaxed),
            Err(_) => drop(self.this.fetch_add(1, Ordering::Relaxed)),
        }
    }

    fn rate(&self, now_secs: u64) -> u64 {
        let (minute, passed) = (now_secs / 60, now_secs % 60);
        let pages = [&self.this, &self.before].map(|page| page.load(Ordering::Relaxed));
        let of = |minute: u64| {
            let page = pages
                .iter()
                .find(|page| **page >> 32 == minute & MINUTE_MASK);
            page.map_or(0, |page| page & u64::from(u32::MAX))
        };
        of(minute) + of(minute.wrapping_sub(1)) * (60 - passed) / 60
    }
}

const MINUTE_MASK: u64 = u32::MAX as u64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_minute() {
        let counts = Counts::default();
        for second in 0..120 {
            counts.took(&HostReply::default(), 6_000 + second);
        }
        assert_eq!(counts.per_minute(6_119), 61);
        assert_eq!(counts.per_minute(6_150), 30);
        assert_eq!(counts.per_minute(7_000), 0);
        assert_eq!(counts.flow().sent, 120);
    }

    #[test]
    fn delays_and_replies_fall_where_they_belong() {
        let counts = Counts::default();
        for millis in [0, 50, 51, 10_000_000_000] {
            counts.first.record(millis);
        }
        let flow = counts.flow();
        assert_eq!(flow.first.counts.iter().sum::<u64>(), 4);
        assert_eq!(flow.first.counts.last(), Some(&1));
        for code in [250, 421, 450, 550, 0, 999] {
            counts.replied(code);
        }
        assert_eq!(counts.flow().replies, [1, 2, 1, 2]);
    }
}
