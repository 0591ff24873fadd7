//! Commands that look for messages beside SEARCH: SORT and THREAD (RFC 5256, RFC 5957, RFC 5267),
//! ESEARCH over several mailboxes (RFC 7377), CANCELUPDATE (RFC 5267 §4.3.5).

use super::command::{Search, SearchKey};

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Find {
    Sort {
        uid: bool,
        /// One at least, the first counts most.
        criteria: Vec<Criterion>,
        search: Search,
    },
    Thread {
        uid: bool,
        algorithm: Algorithm,
        search: Search,
    },
    /// ESEARCH, which tells UIDs.
    Multi {
        /// `None`: the selected mailbox is searched, as by UID SEARCH.
        sources: Option<Vec<Source>>,
        search: Search,
    },
    /// Tags of commands whose results were updated until now.
    CancelUpdate(Vec<String>),
}

impl Find {
    /// Whether sequence numbers are told, so that no EXPUNGE may be (RFC 5256 §3).
    #[must_use]
    pub fn tells_numbers(&self) -> bool {
        matches!(
            self,
            Find::Sort { uid: false, .. } | Find::Thread { uid: false, .. }
        )
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Criterion {
    pub key: SortKey,
    pub reverse: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SortKey {
    Arrival,
    Cc,
    Date,
    /// RFC 5957.
    DisplayFrom,
    DisplayTo,
    From,
    /// RFC 6203 §6: the highest score first.
    Relevancy,
    Size,
    Subject,
    To,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm {
    OrderedSubject,
    References,
    /// As References, subjects left out, threads by their latest message: what draft-ietf-morg-
    /// inthread named and Dovecot and Cyrus offer.
    Refs,
}

/// Mailboxes to search (RFC 7377 §2.2, RFC 5465 §6); names are decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    Selected,
    Inboxes,
    Personal,
    Subscribed,
    Subtree(Vec<String>),
    SubtreeOne(Vec<String>),
    Mailboxes(Vec<String>),
}

/// Results from one place to another, both counted from 1, from the first result on or from the
/// last (RFC 9394 §3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Partial {
    pub from_last: bool,
    /// As sent: `first` may be above `last`, and means the same.
    pub first: u32,
    pub last: u32,
}

impl Partial {
    /// The places of so many results, from 0, that are wanted.
    #[must_use]
    pub fn places(self, results: usize) -> std::ops::Range<usize> {
        let place = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let (low, high) = (self.first.min(self.last), self.first.max(self.last));
        let (low, high) = (place(low) - 1, place(high).min(results));
        if low >= high {
            return 0..0;
        }
        match self.from_last {
            true => results - high..results - low,
            false => low..high,
        }
    }
}

impl SearchKey {
    /// Whether there is a FUZZY anywhere in it (RFC 6203).
    #[must_use]
    pub fn is_fuzzy(&self) -> bool {
        match self {
            SearchKey::Fuzzy(_) => true,
            SearchKey::Not(key) => key.is_fuzzy(),
            SearchKey::Or(one, other) => one.is_fuzzy() || other.is_fuzzy(),
            SearchKey::And(keys) => keys.iter().any(SearchKey::is_fuzzy),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_results_are_cut_where_there_are_no_more() {
        let places = |from_last, first, last, results| {
            let partial = Partial {
                from_last,
                first,
                last,
            };
            partial.places(results)
        };
        assert_eq!(places(false, 1, 5, 10), 0..5);
        assert_eq!(places(false, 5, 1, 10), 0..5);
        assert_eq!(places(false, 8, 12, 10), 7..10);
        assert_eq!(places(false, 11, 12, 10), 0..0);
        assert_eq!(places(true, 1, 3, 10), 7..10);
        assert_eq!(places(true, 8, 100, 10), 0..3);
        assert_eq!(places(true, u32::MAX, 11, 10), 0..0);
        assert_eq!(places(true, 1, 1, 0), 0..0);
    }
}
