//! Texts that many recipients share, each held once and as long as somebody needs it.

use slab::Slab;
use std::collections::HashMap;

/// Texts with something known of each.
pub(super) struct Names<T> {
    by_text: HashMap<Box<str>, u32>,
    entries: Slab<Entry<T>>,
}

struct Entry<T> {
    text: Box<str>,
    users: u32,
    value: T,
}

impl<T> Default for Names<T> {
    fn default() -> Names<T> {
        Names {
            by_text: HashMap::new(),
            entries: Slab::new(),
        }
    }
}

impl<T: Default> Names<T> {
    /// The number of a text, which has one user more from now on.
    pub(super) fn enter(&mut self, text: &str) -> u32 {
        if let Some(number) = self.by_text.get(text) {
            if let Some(entry) = self.entries.get_mut(*number as usize) {
                entry.users += 1;
            }
            return *number;
        }
        let entry = Entry {
            text: text.into(),
            users: 1,
            value: T::default(),
        };
        // Each is used by a node at least, of which there are fewer.
        let number = self.entries.insert(entry) as u32;
        self.by_text.insert(text.into(), number);
        number
    }
}

impl<T> Names<T> {
    /// One user less; the last one takes the text along.
    pub(super) fn leave(&mut self, number: u32) {
        let Some(entry) = self.entries.get_mut(number as usize) else {
            return;
        };
        entry.users = entry.users.saturating_sub(1);
        if entry.users == 0 {
            let entry = self.entries.remove(number as usize);
            self.by_text.remove(&entry.text);
        }
    }

    #[must_use]
    pub(super) fn text(&self, number: u32) -> &str {
        let entry = self.entries.get(number as usize);
        entry.map_or("", |entry| &entry.text)
    }

    #[must_use]
    pub(super) fn users(&self, number: u32) -> u32 {
        let entry = self.entries.get(number as usize);
        entry.map_or(0, |entry| entry.users)
    }

    #[must_use]
    pub(super) fn value(&self, number: u32) -> Option<&T> {
        self.entries.get(number as usize).map(|entry| &entry.value)
    }

    pub(super) fn value_mut(&mut self, number: u32) -> Option<&mut T> {
        let entry = self.entries.get_mut(number as usize);
        entry.map(|entry| &mut entry.value)
    }

    #[must_use]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().map(|(_, entry)| &entry.value)
    }

    /// Texts with what is known of each.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &T)> {
        self.entries
            .iter()
            .map(|(_, entry)| (&*entry.text, &entry.value))
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.iter_mut().map(|(_, entry)| &mut entry.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_lives_as_long_as_its_users() {
        let mut names = Names::<u8>::default();
        let a = names.enter("a.example");
        assert_eq!(names.enter("a.example"), a);
        let b = names.enter("b.example");
        *names.value_mut(b).unwrap() = 7;
        names.leave(a);
        assert_eq!((names.text(a), names.users(a)), ("a.example", 1));
        names.leave(a);
        assert_eq!(names.text(a), "");
        assert_eq!(names.enter("c.example"), a, "numbers are given out again");
        assert_eq!(names.value(a), Some(&0));
        assert_eq!(names.value(b), Some(&7));
    }
}
