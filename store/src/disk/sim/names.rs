//! The names of a simulated disk: those that everybody sees, and those that a power cut leaves.

use super::image::Image;
use crate::disk::fault::Seed;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
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
    Create(String, Rc<RefCell<Image>>),
    Rename(String, String),
    Remove(String),
}

impl NameChange {
    pub(super) fn create(path: &str) -> NameChange {
        NameChange::Create(path.to_owned(), Rc::new(RefCell::new(Image::new(path))))
    }

    /// Of the file that has or gets the name.
    fn path(&self) -> &str {
        match self {
            NameChange::Create(path, _)
            | NameChange::Rename(_, path)
            | NameChange::Remove(path) => path,
        }
    }

    fn is_in(&self, directory: &str) -> bool {
        let from = match self {
            NameChange::Rename(from, _) => directory_of(from) == directory,
            _ => false,
        };
        from || directory_of(self.path()) == directory
    }

    /// `false` when the file is not there.
    fn apply(&self, names: &mut Table) -> bool {
        match self {
            NameChange::Create(path, image) => {
                names
                    .entry(path.clone())
                    .or_insert_with(|| Rc::clone(image));
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
            self.sync(|directory| change.is_in(directory));
        }
        is_there
    }

    /// The names in these directories are durable from now on.
    pub(super) fn sync(&mut self, is_meant: impl Fn(&str) -> bool) {
        for change in std::mem::take(&mut self.unsynced) {
            match is_meant(directory_of(change.path())) {
                true => drop(change.apply(&mut self.durable)),
                false => self.unsynced.push(change),
            }
        }
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
    pub(super) fn replace_images(&mut self, image_after: impl FnMut(&Rc<RefCell<Image>>) -> Image) {
        let mut renewed = Renewed {
            images: HashMap::new(),
            image_after,
        };
        for table in [&mut self.live, &mut self.durable] {
            let images = table.values_mut();
            images.for_each(|image| *image = renewed.image(image));
        }
        for change in &mut self.unsynced {
            if let NameChange::Create(_, image) = change {
                *image = renewed.image(image);
            }
        }
    }
}

/// What has become of images, by their address.
struct Renewed<F> {
    images: HashMap<*const RefCell<Image>, Rc<RefCell<Image>>>,
    image_after: F,
}

impl<F: FnMut(&Rc<RefCell<Image>>) -> Image> Renewed<F> {
    fn image(&mut self, image: &Rc<RefCell<Image>>) -> Rc<RefCell<Image>> {
        let known = self.images.entry(Rc::as_ptr(image));
        let renewed = known.or_insert_with(|| Rc::new(RefCell::new((self.image_after)(image))));
        Rc::clone(renewed)
    }
}

fn directory_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}
