//! What the server acknowledged, and whether a mailbox agrees with it.
//!
//! Every copy of a message is an account and an id that no other message has. After a crash a copy
//! that was acknowledged must be there, none may be there twice, and what was seen once keeps its
//! UID for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// Shared by all senders.
#[derive(Default)]
pub struct Ledger {
    state: Mutex<State>,
    grown: Condvar,
}

#[derive(Clone, Default)]
struct State {
    /// Copies by account and id; the UID where the server told it.
    acknowledged: BTreeMap<(usize, String), Option<u32>>,
    /// Ids whose flag was changed and acknowledged.
    flagged: BTreeMap<(usize, String), ()>,
}

/// What has been seen in one account's mailbox over all rounds.
#[derive(Clone, Default, Debug)]
pub struct Seen {
    pub uid_validity: Option<u64>,
    pub uid_next: u32,
    pub mod_seq: u64,
    /// Ids by UID.
    pub messages: BTreeMap<u32, String>,
}

impl Ledger {
    /// The server said that this copy is its own from now on.
    pub fn acknowledge(&self, account: usize, id: &str, uid: Option<u32>) {
        let mut state = self.state.lock().expect("no holder panics");
        state.acknowledged.insert((account, id.to_string()), uid);
        self.grown.notify_all();
    }

    /// The server said that this copy is `\Flagged`.
    pub fn flag(&self, account: usize, id: &str) {
        let mut state = self.state.lock().expect("no holder panics");
        state.flagged.insert((account, id.to_string()), ());
    }

    /// Copies acknowledged so far.
    pub fn count(&self) -> usize {
        self.state
            .lock()
            .expect("no holder panics")
            .acknowledged
            .len()
    }

    /// What stands in it now, as a ledger of its own.
    pub fn snapshot(&self) -> Ledger {
        let state = self.state.lock().expect("no holder panics").clone();
        Ledger {
            state: Mutex::new(state),
            grown: Condvar::new(),
        }
    }

    /// Waits until so many copies are acknowledged; false when the deadline passes first.
    pub fn reaches(&self, count: usize, deadline: Duration) -> bool {
        let end = Instant::now() + deadline;
        let mut state = self.state.lock().expect("no holder panics");
        while state.acknowledged.len() < count {
            let Some(left) = end.checked_duration_since(Instant::now()) else {
                return false;
            };
            state = self
                .grown
                .wait_timeout(state, left)
                .expect("no holder panics")
                .0;
        }
        true
    }

    /// Copies of this account that were acknowledged flagged.
    pub fn flagged(&self, account: usize) -> Vec<String> {
        let state = self.state.lock().expect("no holder panics");
        let of_account = state.flagged.keys().filter(|(owner, _)| *owner == account);
        of_account.map(|(_, id)| id.clone()).collect()
    }

    /// Acknowledged copies that have not been seen in the account's mailbox.
    pub fn missing(&self, account: usize, seen: &Seen) -> Vec<String> {
        let state = self.state.lock().expect("no holder panics");
        let there: BTreeSet<&String> = seen.messages.values().collect();
        let first = (account, String::new());
        let own = state
            .acknowledged
            .range(first..)
            .take_while(|((owner, _), _)| *owner == account);
        let missing = own.filter(|((_, id), _)| !there.contains(id));
        missing
            .map(|((_, id), _)| format!("account {account}: {id} is missing"))
            .collect()
    }

    /// What is wrong with what is there: double, or under another UID than was told.
    pub fn faults(&self, account: usize, seen: &Seen) -> Vec<String> {
        let state = self.state.lock().expect("no holder panics");
        let mut places: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for (uid, id) in &seen.messages {
            places.entry(id).or_default().push(*uid);
        }
        let mut faults: Vec<String> = places
            .iter()
            .filter(|(_, uids)| uids.len() > 1)
            .map(|(id, uids)| format!("account {account}: {id} comes twice: UIDs {uids:?}"))
            .collect();
        let first = (account, String::new());
        let own = state
            .acknowledged
            .range(first..)
            .take_while(|((owner, _), _)| *owner == account);
        for ((_, id), told) in own {
            if let (Some(uids), Some(uid)) = (places.get(id.as_str()), told)
                && !uids.contains(uid)
            {
                faults.push(format!(
                    "account {account}: {id} moved from {uid} to {uids:?}"
                ));
            }
        }
        faults
    }
}

impl Seen {
    /// Takes in what a mailbox shows after a restart; tells what went backwards.
    pub fn advance(&mut self, uid_validity: u64, uid_next: u32, mod_seq: u64) -> Vec<String> {
        let mut faults = Vec::new();
        if *self.uid_validity.get_or_insert(uid_validity) != uid_validity {
            faults.push(format!(
                "UIDVALIDITY {:?} became {uid_validity}",
                self.uid_validity
            ));
        }
        if uid_next < self.uid_next {
            faults.push(format!("UIDNEXT fell from {} to {uid_next}", self.uid_next));
        }
        if mod_seq < self.mod_seq {
            faults.push(format!(
                "HIGHESTMODSEQ fell from {} to {mod_seq}",
                self.mod_seq
            ));
        }
        (self.uid_next, self.mod_seq) = (uid_next, mod_seq);
        faults
    }

    /// Takes in one message; tells when its UID belonged to another before.
    pub fn message(&mut self, uid: u32, id: &str) -> Option<String> {
        let before = self.messages.insert(uid, id.to_string())?;
        (before != id).then(|| format!("UID {uid} was {before} and is {id}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(messages: &[(u32, &str)]) -> Seen {
        let mut seen = Seen::default();
        for (uid, id) in messages {
            assert_eq!(seen.message(*uid, id), None);
        }
        seen
    }

    #[test]
    fn missing_double_and_moved_copies_are_found() {
        let ledger = Ledger::default();
        ledger.acknowledge(1, "a", None);
        ledger.acknowledge(1, "b", Some(2));
        ledger.acknowledge(2, "c", None);
        assert_eq!(
            ledger
                .faults(1, &seen(&[(1, "a"), (2, "b"), (3, "unacknowledged")]))
                .len(),
            0
        );
        assert_eq!(ledger.missing(1, &seen(&[(1, "a"), (2, "b")])).len(), 0);
        assert_eq!(
            ledger.missing(1, &seen(&[(2, "b")])).len(),
            1,
            "a is missing"
        );
        assert_eq!(
            ledger.faults(1, &seen(&[(1, "a"), (3, "b")])).len(),
            1,
            "b moved"
        );
        assert_eq!(
            ledger
                .faults(1, &seen(&[(1, "a"), (2, "b"), (3, "a")]))
                .len(),
            1,
            "a twice"
        );
        assert_eq!(ledger.missing(2, &seen(&[])).len(), 1, "c is missing");
        assert!(ledger.reaches(3, Duration::ZERO) && !ledger.reaches(4, Duration::ZERO));
    }

    #[test]
    fn going_back_is_found() {
        let mut seen = seen(&[(1, "a")]);
        assert_eq!(seen.advance(7, 5, 9).len(), 0);
        assert_eq!(seen.advance(7, 5, 9).len(), 0);
        assert_eq!(seen.advance(8, 4, 8).len(), 3);
        assert!(seen.message(1, "b").is_some());
    }
}
