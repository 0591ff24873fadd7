//! A directory of a disk as a disk of its own, so that store and backup share one world.

use std::io;
use store::disk::{Disk, Map, Mode};

/// A directory of a disk.
#[derive(Clone)]
pub(crate) struct Below<D> {
    disk: D,
    directory: String,
}

impl<D: Disk> Below<D> {
    pub(crate) fn new(disk: &D, directory: &str) -> Below<D> {
        Below {
            disk: disk.clone(),
            directory: directory.to_owned(),
        }
    }

    fn path(&self, path: &str) -> String {
        format!("{}/{path}", self.directory)
    }
}

impl<D: Disk> Disk for Below<D> {
    type File = D::File;

    async fn open(&self, path: &str, mode: Mode) -> io::Result<D::File> {
        self.disk.open(&self.path(path), mode).await
    }

    async fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        self.disk.list(&self.path(directory)).await
    }

    async fn create_directory(&self, path: &str) -> io::Result<()> {
        self.disk.create_directory(&self.path(path)).await
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(&self.path(from), &self.path(to)).await
    }

    async fn remove(&self, path: &str) -> io::Result<()> {
        self.disk.remove(&self.path(path)).await
    }

    async fn map(&self, path: &str) -> io::Result<Map> {
        self.disk.map(&self.path(path)).await
    }

    fn is_direct(&self) -> bool {
        self.disk.is_direct()
    }
}
