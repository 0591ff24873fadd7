//! How many connections each account has, by protocol and over all shards.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts the connections of accounts; one too many gets no [`Seat`].
#[derive(Clone, Default)]
pub struct Seats(Arc<Mutex<Taken>>);

/// By what is spoken and the account; nothing is kept of accounts without a connection.
type Taken = HashMap<(&'static str, Arc<str>), u64>;

/// Held as long as the connection is open.
pub struct Seat {
    seats: Seats,
    key: (&'static str, Arc<str>),
}

impl Seats {
    /// A seat for one more connection; `None` where the account has as many as it may.
    #[must_use]
    pub fn take(&self, protocol: &'static str, account: &str, most: u64) -> Option<Seat> {
        let key = (protocol, Arc::from(account));
        let mut taken = self.taken();
        let count = taken.get(&key).copied().unwrap_or(0);
        if count >= most {
            return None;
        }
        taken.insert((protocol, Arc::clone(&key.1)), count + 1);
        let seats = self.clone();
        Some(Seat { seats, key })
    }

    /// No code that can panic runs under it.
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        if let Some(count) = taken.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_so_many_seats_of_each_protocol_and_gives_them_back() {
        let seats = Seats::default();
        let first = seats.take("imap", "alice", 2);
        let second = seats.take("imap", "alice", 2);
        assert!(first.is_some() && second.is_some());
        assert!(seats.take("imap", "alice", 2).is_none());
        assert!(seats.take("pop3", "alice", 2).is_some());
        assert!(seats.take("imap", "bob", 2).is_some());
        drop(first);
        assert!(seats.take("imap", "alice", 2).is_some());
        drop(second);
        assert!(seats.taken().is_empty());
        assert!(seats.take("imap", "alice", 0).is_none());
    }
}
