//! Which UIDVALIDITYs were taken over, so that none is taken over twice.
//!
//! ```text
//! DATA/imported    alice@example.org<TAB>1795331235     a line each, appended before the mailbox
//! ```
//!
//! A mailbox can be deleted and imported again. If it kept its UIDVALIDITY once more, the UIDs that
//! it gave out here in between would be given out again, and a client would show the wrong message
//! (RFC 9051 §2.3.1.1). So the second time it gets a new one.

use anyhow::Context;
use std::collections::HashSet;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

pub(crate) struct Receipts {
    file: PathBuf,
    address: String,
    taken: HashSet<u32>,
}

impl Receipts {
    /// Those of one account.
    pub(crate) fn read(data: &Path, address: &str) -> anyhow::Result<Receipts> {
        let file = data.join(FILE);
        let text = match std::fs::read_to_string(&file) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            other => other.with_context(|| format!("{}", file.display()))?,
        };
        let own = text.lines().filter_map(|line| {
            let (whose, number) = line.split_once('\t')?;
            number.parse().ok().filter(|_| whose == address)
        });
        Ok(Receipts {
            taken: own.collect(),
            address: address.to_owned(),
            file,
        })
    }

    /// Takes one; `false` where it was taken before. It is durable before this returns.
    pub(crate) fn take(&mut self, uid_validity: u32) -> anyhow::Result<bool> {
        if !self.taken.insert(uid_validity) {
            return Ok(false);
        }
        let append = || {
            let mut file = File::options().create(true).append(true).open(&self.file)?;
            writeln!(file, "{}\t{uid_validity}", self.address)?;
            file.sync_all()?;
            File::open(self.file.parent().unwrap_or(Path::new(".")))?.sync_all()
        };
        append().with_context(|| format!("{}", self.file.display()))?;
        Ok(true)
    }
}

const FILE: &str = "imported";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uidvalidity_is_taken_once() {
        let data = tempfile::tempdir().unwrap();
        let read = |address| Receipts::read(data.path(), address).unwrap();
        assert!(read("a@b").take(7).unwrap());
        assert!(!read("a@b").take(7).unwrap());
        assert!(read("a@b").take(8).unwrap());
        assert!(read("other@b").take(7).unwrap());
        let mut receipts = read("a@b");
        assert!(receipts.take(9).unwrap() && !receipts.take(9).unwrap());
    }
}
