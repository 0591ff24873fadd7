//! How long a host that may be dead is waited for.
//!
//! RFC 5321 §4.5.3.2 gives a host minutes for its banner. Thousands of silent hosts would hold all
//! connections for as long, so hosts that have not answered yet share half of them, and the more
//! of these are in use, the shorter is the wait: the living, who answer at once, always get one.

use crate::egress::Patience;
use std::time::Duration;

/// The patience with a host that has not answered yet, when so many hundredths of the connections
/// for such hosts are in use.
pub(super) fn patience(used_percent: u64) -> Patience {
    let usual = Patience::default();
    let secs = match used_percent {
        0..10 => return usual,
        10..30 => 60,
        30..60 => 15,
        _ => 3,
    };
    let most = Duration::from_secs(secs);
    Patience {
        connect: usual.connect.min(most),
        banner: usual.banner.min(most),
        ..usual
    }
}

/// Connections for hosts that have not answered yet: one part of all, so many.
pub(super) const PROBES_PART: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fuller_the_shorter() {
        let waits: Vec<u64> = (0..=100)
            .map(|percent| patience(percent).banner.as_secs())
            .collect();
        assert!(
            waits.is_sorted_by(|before, after| before >= after),
            "{waits:?}"
        );
        assert_eq!((waits.first(), waits.last()), (Some(&300), Some(&3)));
        assert!((0..=100).all(|percent| patience(percent).connect <= patience(percent).banner));
        assert_eq!(patience(99).end, Patience::default().end);
    }
}
