//! What several runs and tails say together: keys rise, and of each the newest counts.

use super::Tail;
use super::block::Entry;
use super::run::{Cursor, Shelf};
use crate::table::TableError;
use std::collections::btree_map;

/// Sources from the newest to the oldest.
#[derive(Debug, Default)]
pub(crate) struct Merged<'a> {
    sources: Vec<Source<'a>>,
    /// A source could not be read: nothing behind that is known.
    failed: Option<TableError>,
}

#[derive(Debug)]
struct Source<'a> {
    rest: Rest<'a>,
    next: Option<(Vec<u8>, Entry<'a>)>,
}

#[derive(Debug)]
enum Rest<'a> {
    Tail(btree_map::Range<'a, Box<[u8]>, Entry<'static>>),
    Run(Cursor<'a>),
}

impl<'a> Merged<'a> {
    /// A tail, from a key on; what was added before is newer.
    pub(crate) fn add_tail(&mut self, tail: &'a Tail, from: &[u8]) {
        let bounds = (std::ops::Bound::Included(from), std::ops::Bound::Unbounded);
        self.add(Rest::Tail(tail.range::<[u8], _>(bounds)));
    }

    /// Runs, from a key on; what was added before is newer.
    pub(crate) fn add_shelf(&mut self, shelf: &'a Shelf, from: &[u8]) {
        for run in shelf.runs().iter().rev() {
            self.add(Rest::Run(run.cursor(from)));
        }
    }

    fn add(&mut self, rest: Rest<'a>) {
        let mut source = Source { rest, next: None };
        self.failed = self.failed.take().or(source.advance().err());
        self.sources.push(source);
    }

    /// The next key, and what the newest says of it.
    pub(crate) fn next(&mut self) -> Result<Option<(Vec<u8>, Entry<'a>)>, TableError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let Some(at) = self.newest_of_lowest() else {
            return Ok(None);
        };
        let found = self.sources.get_mut(at).and_then(|it| it.next.take());
        if let Some((key, _)) = &found
            && let Err(error) = self.pass(at, key)
        {
            self.failed = Some(error);
        }
        Ok(found)
    }

    fn newest_of_lowest(&self) -> Option<usize> {
        let heads = self.sources.iter().enumerate();
        let heads = heads.filter_map(|(at, source)| Some((&source.next.as_ref()?.0, at)));
        heads.min().map(|(_, at)| at)
    }

    /// Goes on behind `key`; the source at `at` has given its entry away.
    fn pass(&mut self, at: usize, key: &[u8]) -> Result<(), TableError> {
        for source in self.sources.iter_mut().skip(at) {
            let is_here = source.next.as_ref().is_none_or(|(next, _)| next == key);
            if is_here {
                source.advance()?;
            }
        }
        Ok(())
    }
}

impl Source<'_> {
    fn advance(&mut self) -> Result<(), TableError> {
        self.next = match &mut self.rest {
            Rest::Run(cursor) => cursor.next()?,
            Rest::Tail(tail) => tail.next().map(|(key, entry)| (key.to_vec(), entry.lent())),
        };
        Ok(())
    }
}
