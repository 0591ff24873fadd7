//! What a sink remembers: every copy with its id, counts, and how long messages took to get there.

use crate::load::stamp::Stamp;
use crate::measure::audit::Sighting;
use crate::measure::histogram::{Latencies, Step};
use crate::measure::seconds::Seconds;
use crate::outcome::Counts;
use engine::reactor::clock::monotonic_micros;

/// Of one thread, or of all.
#[derive(Default)]
pub(crate) struct Record {
    pub(crate) counts: Counts,
    pub(crate) octets: u64,
    pub(crate) connections: u64,
    pub(crate) handshakes: Handshakes,
    pub(crate) copies: Vec<Copy>,
    /// Messages without a stamp: not of a load of ours.
    pub(crate) unstamped: u64,
    pub(crate) latencies: Latencies,
    pub(crate) seconds: Seconds,
    pub(crate) began_micros: u64,
    pub(crate) ended_micros: u64,
}

/// How connections began TLS.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Handshakes {
    pub(crate) full: u64,
    pub(crate) resumed: u64,
    pub(crate) failed: u64,
}

/// One copy, and of which run it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Copy {
    pub(crate) run: u32,
    pub(crate) sighting: Sighting,
}

impl Record {
    pub(crate) fn new() -> Record {
        Record::default()
    }

    /// Takes in a message that the sink acknowledges; gives the number of copies.
    pub(crate) fn take(&mut self, message: &[u8], accounts: &[u32], times: u64) -> u64 {
        let Some((stamp, line)) = Stamp::find(message.get(..HEAD_BYTES_MAX).unwrap_or(message))
        else {
            self.unstamped += 1;
            return 0;
        };
        let is_intact = stamp.fits(message.get(line.end..).unwrap_or_default());
        for account in accounts {
            let sighting = Sighting {
                number: stamp.number,
                account: *account,
                is_intact,
            };
            let copy = Copy {
                run: stamp.run,
                sighting,
            };
            self.copies.extend((0..times).map(|_| copy));
        }
        let now = monotonic_micros();
        // Another machine has another clock.
        if let Some(took) = now.checked_sub(stamp.start_micros) {
            self.latencies.record(Step::Inbox, took);
        }
        accounts.len() as u64 * times
    }

    /// Counts an answer to a message; which count is the caller's to say.
    pub(crate) fn count(&mut self, octets: usize, class: fn(&mut Counts) -> &mut u64) {
        let now = monotonic_micros();
        if self.began_micros == 0 {
            self.began_micros = now;
            self.seconds.begin(now);
        }
        self.ended_micros = now;
        let acknowledged = self.counts.acknowledged;
        self.counts.attempted += 1;
        *class(&mut self.counts) += 1;
        let is_done = self.counts.acknowledged > acknowledged;
        self.octets += octets as u64;
        self.seconds.count(now, 0, is_done);
    }

    pub(crate) fn merge(&mut self, other: Record) {
        self.counts.add(other.counts);
        self.octets += other.octets;
        self.connections += other.connections;
        self.handshakes.add(other.handshakes);
        self.copies.extend(other.copies);
        self.unstamped += other.unstamped;
        self.latencies.merge(&other.latencies);
        self.seconds.merge(&other.seconds);
        self.began_micros = match (self.began_micros, other.began_micros) {
            (0, began) | (began, 0) => began,
            (own, others) => own.min(others),
        };
        self.ended_micros = self.ended_micros.max(other.ended_micros);
    }

    /// The copies of one run.
    pub(crate) fn of_run(&self, run: u32) -> Vec<Sighting> {
        let copies = self.copies.iter().filter(|copy| copy.run == run);
        copies.map(|copy| copy.sighting).collect()
    }
}

impl Handshakes {
    fn add(&mut self, other: Handshakes) {
        self.full += other.full;
        self.resumed += other.resumed;
        self.failed += other.failed;
    }

    /// A sentence, if there was one.
    pub(crate) fn told(self) -> Option<String> {
        let Handshakes {
            full,
            resumed,
            failed,
        } = self;
        (self != Handshakes::default()).then(|| {
            format!("TLS at the sink: {full} full handshakes, {resumed} resumed, {failed} failed")
        })
    }
}

/// Where a stamp may stand: servers on the way put their headers before it.
const HEAD_BYTES_MAX: usize = 64 << 10;
