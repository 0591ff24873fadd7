//! Holds what was seen against what was acknowledged: exactly once, and octet for octet.
//!
//! | fate | copies that a recipient may have |
//! |---|---|
//! | acknowledged | one |
//! | unanswered | none or one |
//! | declined, never sent whole, of another account | none |

use super::ledger::{Fate, Ledger, Ledgers};
use crate::outcome::Audit;

/// One copy of a message in a mailbox or at a sink.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Sighting {
    pub(crate) number: u64,
    /// The number of the account; of a stranger, some larger one.
    pub(crate) account: u32,
    pub(crate) is_intact: bool,
}

/// Compares. `recipients` gives the accounts a message was for, `name` tells people which copy is
/// meant.
pub(crate) fn audit<R: Iterator<Item = u32>>(
    ledgers: &Ledgers,
    mut sightings: Vec<Sighting>,
    recipients: impl Fn(u64) -> R,
    name: impl Fn(u64, u32) -> String,
) -> Audit {
    sightings.sort_unstable();
    let mut audit = Audit::default();
    for ledger in &ledgers.0 {
        for (number, fate) in ledger.entries() {
            if fate == Fate::Acknowledged {
                expect_copies(&mut audit, ledger, number, &sightings, &recipients, &name);
            }
        }
    }
    for copies in sightings.chunk_by(|a, b| (a.number, a.account) == (b.number, b.account)) {
        let Some(first) = copies.first() else {
            continue;
        };
        let allowed = usize::from(is_allowed(ledgers, first, &recipients));
        if copies.len() > allowed {
            audit.doubled_count += (copies.len() - allowed) as u64;
            note(&mut audit.doubled, || name(first.number, first.account));
        }
        let altered = copies.iter().filter(|copy| !copy.is_intact).count();
        if altered > 0 {
            audit.altered_count += altered as u64;
            note(&mut audit.altered, || name(first.number, first.account));
        }
    }
    audit
}

fn expect_copies<R: Iterator<Item = u32>>(
    audit: &mut Audit,
    ledger: &Ledger,
    number: u64,
    sightings: &[Sighting],
    recipients: impl Fn(u64) -> R,
    name: impl Fn(u64, u32) -> String,
) {
    let from = sightings.partition_point(|seen| seen.number < number);
    let rest = sightings.get(from..).unwrap_or_default();
    let until = rest.partition_point(|seen| seen.number == number);
    let seen = rest.get(..until).unwrap_or_default();
    for account in recipients(number) {
        if ledger.is_declined(number, account) {
            continue;
        }
        audit.acknowledged += 1;
        match seen.iter().any(|copy| copy.account == account) {
            true => audit.found += 1,
            false => {
                audit.missing_count += 1;
                note(&mut audit.missing, || name(number, account));
            }
        }
    }
}

/// Whether one copy may be there.
fn is_allowed<R: Iterator<Item = u32>>(
    ledgers: &Ledgers,
    seen: &Sighting,
    recipients: impl Fn(u64) -> R,
) -> bool {
    let Some(ledger) = ledgers.of(seen.number) else {
        return false;
    };
    let was_sent = matches!(
        ledger.fate(seen.number),
        Fate::Acknowledged | Fate::Unanswered
    );
    was_sent
        && !ledger.is_declined(seen.number, seen.account)
        && recipients(seen.number).any(|account| account == seen.account)
}

fn note(names: &mut Vec<String>, name: impl FnOnce() -> String) {
    if names.len() < Audit::NAMED_MAX {
        names.push(name());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages 0 to 9 on two shards, each for accounts 0 and 1.
    fn ledgers() -> Ledgers {
        let mut ledgers = [Ledger::new(0, 2), Ledger::new(1, 2)];
        for number in 0..10 {
            ledgers[number as usize % 2].settle(number, Fate::Acknowledged);
        }
        ledgers[0].settle(4, Fate::Unanswered);
        ledgers[1].settle(5, Fate::Declined);
        ledgers[0].decline(6, 1);
        Ledgers(ledgers.into())
    }

    fn seen(number: u64, account: u32) -> Sighting {
        Sighting {
            number,
            account,
            is_intact: true,
        }
    }

    /// Everything that must be there.
    fn whole() -> Vec<Sighting> {
        let numbers = (0..10).filter(|number| !matches!(number, 4 | 5));
        let copies = numbers.flat_map(|number| [seen(number, 0), seen(number, 1)]);
        copies.filter(|copy| *copy != seen(6, 1)).collect()
    }

    fn judged(sightings: Vec<Sighting>) -> Audit {
        let name = |number, account| format!("{number} to {account}");
        audit(&ledgers(), sightings, |_| [0, 1].into_iter(), name)
    }

    #[test]
    fn what_was_acknowledged_is_there_once() {
        let audit = judged(whole());
        assert!(audit.is_clean());
        assert_eq!((audit.acknowledged, audit.found), (15, 15));
        let mut more = whole();
        more.push(seen(4, 1));
        assert!(judged(more).is_clean(), "an unanswered one may be there");
    }

    #[test]
    fn a_lost_copy_is_named() {
        let mut sightings = whole();
        sightings.retain(|copy| *copy != seen(3, 1));
        let audit = judged(sightings);
        assert_eq!(audit.missing, ["3 to 1"]);
        assert_eq!((audit.missing_count, audit.doubled_count), (1, 0));
    }

    #[test]
    fn a_copy_that_nobody_may_have_is_named() {
        for (number, account) in [(2, 0), (5, 0), (6, 1), (7, 2), (11, 0), (9, u32::MAX)] {
            let mut sightings = whole();
            sightings.push(seen(number, account));
            let audit = judged(sightings);
            assert_eq!(audit.doubled, [format!("{number} to {account}")]);
            assert_eq!((audit.missing_count, audit.altered_count), (0, 0));
        }
        let mut twice = whole();
        twice.extend([seen(4, 0), seen(4, 0)]);
        assert_eq!(judged(twice).doubled_count, 1, "unanswered, but twice");
    }

    #[test]
    fn an_altered_copy_is_named_and_counts_as_there() {
        let mut sightings = whole();
        sightings[0].is_intact = false;
        let audit = judged(sightings);
        assert_eq!(audit.altered, ["0 to 0"]);
        assert_eq!((audit.altered_count, audit.missing_count), (1, 0));
    }
}
