//! The names of a simulated disk: those that everybody sees, and those that a power cut leaves.

use super::image::Image;
use crate::disk::fault::Seed;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

type Table = BTreeMap<String, Rc<RefCell<Image>>>;

#[derive(Clone, Default)]
pub(super) struct Names {
    live: Table,
    durable: Table,
    /// In `live` and not in `durable`, in order.
    unsynced: Vec<NameChange>,
}

#[derive(Clone)]
pub(super) enum NameChange {
    Create(Rc<RefCell<Image>>),
    Rename(String, String),
    Remove(String),
}

impl NameChange {
    pub(super) fn create(path: &str) -> NameChange {
        NameChange::Create(Rc::new(RefCell::new(Image::new(path))))
    }

    /// `false` when the file is not there.
    fn apply(&self, names: &mut Table) -> bool {
        match self {
            NameChange::Create(image) => {
                let path = image.borrow().path.clone();
                names.entry(path).or_insert_with(|| Rc::clone(image));
                true
            }
            NameChange::Rename(from, to) => match names.remove(from) {
                Some(image) => {
                    names.insert(to.clone(), image);
                    true
                }
                None => false,
            },
            NameChange::Remove(path) => names.remove(path).is_some(),
        }
    }
}

impl Names {
    pub(super) fn image(&self, path: &str) -> Option<Rc<RefCell<Image>>> {
        self.live.get(path).cloned()
    }

    pub(super) fn images(&self) -> impl Iterator<Item = &Rc<RefCell<Image>>> {
        self.live.values()
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.live.keys().map(String::as_str)
    }

    /// `false` when the file is not there.
    pub(super) fn change(&mut self, change: &NameChange, is_synced: bool) -> bool {
        self.unsynced.push(change.clone());
        let is_there = change.apply(&mut self.live);
        if let NameChange::Rename(_, to) = change
            && let Some(image) = self.live.get(to)
        {
            image.borrow_mut().path.clone_from(to);
        }
        if is_synced {
            for change in self.unsynced.drain(..) {
                change.apply(&mut self.durable);
            }
        }
        is_there
    }

    pub(super) fn lose(&mut self, path: &str) {
        self.change(&NameChange::Remove(path.to_owned()), true);
    }

    /// After a power cut: the first of those changes that were not synced have been made.
    pub(super) fn crashed(&self, seed: &mut Seed) -> Names {
        let mut left = self.durable.clone();
        let made = seed.below(self.unsynced.len() as u64 + 1) as usize;
        for change in self.unsynced.iter().take(made) {
            change.apply(&mut left);
        }
        Names {
            live: left.clone(),
            durable: left,
            unsynced: Vec::new(),
        }
    }

    /// Every file becomes one of its own.
    pub(super) fn replace_images(
        &mut self,
        mut image_after: impl FnMut(&Rc<RefCell<Image>>) -> Image,
    ) {
        let replace = |(path, image): (&String, &Rc<RefCell<Image>>)| {
            let mut after = image_after(image);
            after.path.clone_from(path);
            (path.clone(), Rc::new(RefCell::new(after)))
        };
        self.live = self.live.iter().map(replace).collect();
        // Whoever is killed leaves the names that everybody saw.
        self.durable = self.live.clone();
        self.unsynced.clear();
    }
}
