//! The rows of a mailbox and its expunges, fetched from the index when they are first asked for.
//!
//! ```text
//!  closed ── rows are asked for ──→ open     or damaged: arrivals are kept, the rest is not there
//!    ↑                               │
//!    └──── not used for a while ─────┘       arrivals never open a shelf
//! ```

use super::layer::Layer;
use super::row::Row;
use super::rows::Rows;
use super::tally::Tally;
use super::vanished::Vanished;
use crate::mail::id::{ModSeq, Uid};
use crate::record::Broken;
use std::cell::{Cell, OnceCell};
use std::fmt;
use std::rc::Rc;

/// Reads and composes the layers of one mailbox.
pub type Fetch = Rc<dyn Fn() -> Result<Layer, Broken>>;

pub(super) struct Shelf {
    opened: OnceCell<Opened>,
    fetch: Fetch,
    /// While closed: rows that the index may not have yet.
    fresh: Rows,
    /// While closed: `fresh` has every row from this UID on.
    fresh_from: Uid,
    /// Rows were asked for since the last [`rebase`](Self::rebase).
    used: Cell<bool>,
}

#[derive(Debug)]
pub(super) struct Opened {
    pub(super) rows: Rows,
    pub(super) vanished: Vanished,
    pub(super) damage: Option<Broken>,
}

/// What the rows must agree with: it was counted without them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    pub(super) tally: Tally,
    pub(super) recent_first: Uid,
    pub(super) uid_next: Uid,
    pub(super) highest_modseq: ModSeq,
}

impl Shelf {
    /// A new mailbox: nothing is in the index.
    pub(super) fn empty() -> Shelf {
        let nothing = Opened {
            rows: Rows::new(),
            vanished: Vanished::default(),
            damage: None,
        };
        Shelf {
            opened: OnceCell::from(nothing),
            ..Shelf::closed(Rc::new(|| Ok(Layer::default())), Uid(1))
        }
    }

    /// A mailbox of which the index has everything below `fresh_from`.
    pub(super) fn closed(fetch: Fetch, fresh_from: Uid) -> Shelf {
        Shelf {
            opened: OnceCell::new(),
            fetch,
            fresh: Rows::new(),
            fresh_from,
            used: Cell::new(false),
        }
    }

    pub(super) fn open(&self, expected: &Expected) -> &Opened {
        self.used.set(true);
        self.opened.get_or_init(|| self.fetched(expected))
    }

    pub(super) fn open_mut(&mut self, expected: &Expected) -> &mut Opened {
        self.open(expected);
        // They are among the opened rows now.
        self.fresh = Rows::new();
        self.opened.get_mut().expect("it was opened just now")
    }

    /// The rows as they are, if they are there already.
    pub(super) fn opened(&self) -> Option<&Opened> {
        self.opened.get()
    }

    fn fetched(&self, expected: &Expected) -> Opened {
        let checked = (self.fetch)().and_then(|layer| {
            let mut rows = layer.arrivals;
            let above = rows.last().map_or(Uid(0), |last| last.uid);
            // What was fresh may have come into the index meanwhile.
            let fresh = self.fresh.iter().filter(|row| row.uid > above);
            rows.append(fresh.collect());
            expected.check(&rows)?;
            Ok((rows, layer.vanished))
        });
        match checked {
            Ok((rows, vanished)) => Opened {
                rows,
                vanished,
                damage: None,
            },
            Err(damage) => Opened {
                rows: self.fresh.clone(),
                vanished: Vanished::after(expected.highest_modseq),
                damage: Some(damage),
            },
        }
    }

    pub(super) fn push(&mut self, row: &Row) {
        match self.opened.get_mut() {
            Some(opened) => opened.rows.push(row),
            None => self.fresh.push(row),
        }
    }

    /// The rows from a UID on, if they are known without the index.
    pub(super) fn known_from(&self, first: Uid) -> Option<Rows> {
        let rows = match self.opened.get() {
            Some(opened) => &opened.rows,
            None if first >= self.fresh_from => &self.fresh,
            None => return None,
        };
        Some(rows.between(first, Uid(u32::MAX)).collect())
    }

    /// The index has every row below `fresh_from`. Closes the shelf if `is_clean`, that is when the
    /// index has everything, and nobody has used it since the last time.
    pub(super) fn rebase(&mut self, fetch: Fetch, fresh_from: Uid, is_clean: bool) {
        self.fetch = fetch;
        if !self.used.replace(false) && is_clean {
            self.opened.take();
        }
        if self.opened.get().is_none() {
            self.fresh = self.fresh.between(fresh_from, Uid(u32::MAX)).collect();
            self.fresh_from = fresh_from;
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let opened = self
            .opened
            .get()
            .map_or(0, |opened| opened.rows.heap_bytes());
        opened + self.fresh.heap_bytes()
    }
}

impl Expected {
    fn check(&self, rows: &Rows) -> Result<(), Broken> {
        if rows.last().is_some_and(|last| last.uid >= self.uid_next) {
            return Err(Broken("the index has UIDs that were never given out"));
        }
        if rows.tally(self.recent_first) != self.tally {
            return Err(Broken("the index has other messages than were counted"));
        }
        Ok(())
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf")
            .field("opened", &self.opened)
            .field("fresh", &self.fresh)
            .finish_non_exhaustive()
    }
}
