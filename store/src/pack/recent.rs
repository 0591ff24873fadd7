//! What was used last, within a bound of bytes and of number.

use std::collections::VecDeque;
use std::rc::Rc;

pub(crate) struct Recent<K, V> {
    /// Least recently used first: key, value, bytes.
    entries: VecDeque<(K, Rc<V>, usize)>,
    bytes: usize,
    bytes_max: usize,
    entries_max: usize,
}

impl<K: Copy + PartialEq, V> Recent<K, V> {
    pub(crate) fn new(bytes_max: usize, entries_max: usize) -> Recent<K, V> {
        Recent {
            entries: VecDeque::new(),
            bytes: 0,
            bytes_max,
            entries_max,
        }
    }

    /// The value of a key; it counts as used now.
    pub(crate) fn find(&mut self, key: K) -> Option<Rc<V>> {
        let at = self.entries.iter().position(|(known, ..)| *known == key)?;
        let entry = self.entries.remove(at)?;
        let value = Rc::clone(&entry.1);
        self.entries.push_back(entry);
        Some(value)
    }

    /// Keeps a value of so many bytes, and forgets what is over the bounds; that may be itself.
    pub(crate) fn keep(&mut self, key: K, value: Rc<V>, bytes: usize) {
        self.forget(|known| known == key);
        self.bytes += bytes;
        self.entries.push_back((key, value, bytes));
        while self.bytes > self.bytes_max || self.entries.len() > self.entries_max {
            let Some((.., bytes)) = self.entries.pop_front() else {
                return;
            };
            self.bytes -= bytes;
        }
    }

    pub(crate) fn forget(&mut self, which: impl Fn(K) -> bool) {
        self.entries.retain(|(known, ..)| !which(*known));
        self.bytes = self.entries.iter().map(|(.., bytes)| bytes).sum();
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut recent = Recent::new(100, 3);
        for key in 0..3 {
            recent.keep(key, Rc::new(key), 30);
        }
        assert_eq!(recent.find(0).as_deref(), Some(&0));
        recent.keep(3, Rc::new(3), 30);
        assert!(recent.find(1).is_none(), "too many");
        recent.keep(4, Rc::new(4), 60);
        assert_eq!(recent.bytes(), 90);
        assert!(
            recent.find(2).is_none() && recent.find(0).is_none(),
            "too long"
        );
        recent.keep(5, Rc::new(5), 101);
        assert_eq!(recent.bytes(), 0);
    }

    #[test]
    fn a_key_is_held_once() {
        let mut recent = Recent::new(100, 3);
        recent.keep(1, Rc::new('a'), 40);
        recent.keep(1, Rc::new('b'), 50);
        assert_eq!(
            (recent.bytes(), recent.find(1).as_deref()),
            (50, Some(&'b'))
        );
        recent.forget(|key| key == 1);
        assert!(recent.find(1).is_none());
    }
}
