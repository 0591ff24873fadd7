//! Domains and tenants by small numbers, so that a million items of one domain name it once.

use std::collections::HashMap;
use std::rc::Rc;

#[derive(Debug, Default)]
pub(crate) struct Names {
    numbers: HashMap<Rc<str>, u32>,
    entries: Vec<Entry>,
    /// Entries that nobody uses.
    free: Vec<u32>,
}

#[derive(Debug)]
struct Entry {
    text: Rc<str>,
    uses: u32,
}

impl Names {
    /// The number of a name, with so many uses more.
    pub(crate) fn take(&mut self, text: &str, uses: u32) -> u32 {
        let number = match self.numbers.get(text) {
            Some(number) => *number,
            None => self.enter(Rc::from(text)),
        };
        if let Some(entry) = self.entries.get_mut(number as usize) {
            entry.uses += uses;
        }
        number
    }

    fn enter(&mut self, text: Rc<str>) -> u32 {
        let entry = Entry {
            text: Rc::clone(&text),
            uses: 0,
        };
        let number = match self.free.pop() {
            Some(number) => number,
            None => u32::try_from(self.entries.len()).expect("there are no more names than items"),
        };
        match self.entries.get_mut(number as usize) {
            Some(free) => *free = entry,
            None => self.entries.push(entry),
        }
        self.numbers.insert(text, number);
        number
    }

    /// One use less. A name that nobody uses any more is forgotten.
    pub(crate) fn give_back(&mut self, number: u32) {
        let Some(entry) = self.entries.get_mut(number as usize) else {
            return;
        };
        entry.uses = entry.uses.saturating_sub(1);
        if entry.uses == 0 && self.numbers.remove(&entry.text).is_some() {
            entry.text = Rc::from("");
            self.free.push(number);
        }
    }

    /// Numbers are below.
    pub(super) fn numbers(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn text(&self, number: u32) -> Rc<str> {
        let entry = self.entries.get(number as usize);
        entry.map_or_else(|| Rc::from(""), |entry| Rc::clone(&entry.text))
    }

    /// How many names are in use.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.numbers.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_lives_as_long_as_it_is_used() {
        let mut names = Names::default();
        let (a, b) = (names.take("a", 2), names.take("b", 1));
        assert_eq!((names.take("a", 1), names.len()), (a, 2));
        names.give_back(b);
        assert_eq!((&*names.text(b), names.len()), ("", 1));
        assert_eq!(names.take("c", 1), b, "its number is used again");
        (0..3).for_each(|_| names.give_back(a));
        assert_eq!((&*names.text(b), names.len()), ("c", 1));
        assert_ne!(names.take("a", 1), b);
    }
}
