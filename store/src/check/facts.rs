//! What a shard's files say, record by record, for whoever asks what became of a message.
//!
//! Nothing is changed, and one frame or block is in memory at a time. It reads beside a running
//! server too: files that are written once are whole, and the log ends where it was when it was
//! looked at. Damage is passed over; what is whole behind it is shown.

use super::Owner;
use crate::disk::Disk;
use crate::log::scan::{self, Scanned, Segment};
use crate::log::{OpenError, Place, RecordRef};
use crate::mail::id::{AccountId, MailboxId};
use crate::mailbox::index::Index;
use crate::pack::{Pack, PackError, PackHead, Reader};
use crate::record::{Fact, kind};
use crate::table::TableError;
use crate::table::manifest::Manifest;
use crate::table::name::{self, STORIES};
use crate::table::run::Run;
use std::collections::HashMap;
use std::fmt;
use std::ops::ControlFlow;
use std::rc::Rc;

/// The files of one shard.
pub struct Facts<'a, D> {
    disk: &'a D,
    owner: &'a Owner,
    manifest: Manifest,
}

/// A file with records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holder {
    pub kind: HolderKind,
    pub number: u32,
    /// Length of the file.
    pub bytes: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HolderKind {
    /// Facts of segments that were emptied, without texts and bodies.
    Archive,
    /// Records that were moved out of the log because something still needs them.
    Pack,
    /// What segments that were emptied said of mail, as long as it is kept; of a MESSAGE the fields
    /// that it is looked for by.
    Story,
    Segment,
}

/// A record, and how far into its file the reading has come.
pub struct Shown<'a> {
    pub place: Place,
    pub record: RecordRef<'a>,
    pub read_bytes: u64,
}

/// Who and where, by number.
#[derive(Debug, Default)]
pub struct Directory {
    pub accounts: HashMap<AccountId, String>,
    pub mailboxes: HashMap<(AccountId, MailboxId), String>,
}

/// Why a file cannot be read any further.
#[derive(Debug)]
pub enum FactsError {
    Log(OpenError),
    Pack(PackError),
    Table(TableError),
}

impl<'a, D: Disk> Facts<'a, D> {
    /// Reads what the shard's files are.
    pub async fn open(disk: &'a D, owner: &'a Owner) -> Result<Facts<'a, D>, FactsError> {
        let read = Manifest::read(disk, &owner.directory, owner.store, owner.shard).await;
        Ok(Facts {
            disk,
            owner,
            manifest: read.map_err(FactsError::Table)?.unwrap_or_default(),
        })
    }

    /// The segments of the log, oldest first.
    pub async fn segments(&self) -> Result<Vec<Holder>, FactsError> {
        let found = scan::segments(self.disk, &self.log_directory()).await;
        let mut segments = Vec::new();
        for number in found.map_err(FactsError::Log)? {
            if number < self.manifest.first_segment {
                continue;
            }
            let bytes = self.segment(number).await?.bytes();
            segments.push(Holder {
                kind: HolderKind::Segment,
                number,
                bytes,
            });
        }
        Ok(segments)
    }

    /// Archives in the order of the segments that they stand for, then packs as they were made.
    #[must_use]
    pub fn emptied(&self) -> Vec<Holder> {
        let archives = self.manifest.archives.iter().map(|archive| Holder {
            kind: HolderKind::Archive,
            number: archive.number,
            bytes: archive.bytes,
        });
        let packs = self.manifest.packs.iter().map(|pack| Holder {
            kind: HolderKind::Pack,
            number: pack.number,
            bytes: pack.bytes,
        });
        archives.chain(packs).collect()
    }

    /// Stories in the order of the log.
    pub async fn stories(&self) -> Vec<Holder> {
        let directory = &self.owner.directory;
        let listed = self.disk.list(&format!("{directory}/{STORIES}")).await;
        let mut stories = Vec::new();
        for name in listed.unwrap_or_default() {
            let Some(number) = name::number(&name).filter(|_| name::is_pack(&name)) else {
                continue;
            };
            // One whose number was not given is of a task that came to nothing.
            let pack = self.pack(&name::story(directory, number), number).await;
            if let Ok(pack) = pack
                && number < self.manifest.next_number
            {
                stories.push(Holder {
                    kind: HolderKind::Story,
                    number,
                    bytes: pack.summary().bytes,
                });
            }
        }
        stories.sort_unstable_by_key(|story| story.number);
        stories
    }

    /// Shows the records of a file in their order until `each` breaks.
    pub async fn read(
        &self,
        holder: &Holder,
        each: &mut dyn FnMut(Shown<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, FactsError> {
        let directory = &self.owner.directory;
        match holder.kind {
            HolderKind::Segment => self.read_segment(holder.number, each).await,
            HolderKind::Pack => {
                let path = name::pack(directory, holder.number);
                self.read_pack(&path, holder, each).await
            }
            HolderKind::Story => {
                let path = name::story(directory, holder.number);
                self.read_pack(&path, holder, each).await
            }
            HolderKind::Archive => {
                let path = name::archive(directory, holder.number);
                self.read_pack(&path, holder, each).await
            }
        }
    }

    /// When the first records of a segment or a story were written, in seconds since 1970; `None`
    /// where they do not say it.
    pub async fn begun_secs(&self, holder: &Holder) -> Result<Option<i64>, FactsError> {
        let (mut begun, mut looked) = (None, 0);
        let mut first_time = |shown: Shown<'_>| {
            looked += 1;
            if shown.record.kind == kind::TIME
                && let Ok(Fact::Time { secs }) = Fact::decode(kind::TIME, shown.record.payload)
            {
                begun = Some(secs);
            }
            match begun.is_some() || looked == LOOKED_FOR_TIME_MAX {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        // Whether it was found or the looking had to end is seen in `begun`.
        let _ = self.read(holder, &mut first_time).await?;
        Ok(begun)
    }

    /// Accounts and mailboxes, as the last checkpoint has them.
    pub async fn directory(&self) -> Result<Directory, FactsError> {
        let mut runs = Vec::with_capacity(self.manifest.runs.len());
        for name in &self.manifest.runs {
            let run = Run::load(self.disk, &self.owner.directory, name.head(self.owner)).await;
            runs.push(Rc::new(run.map_err(FactsError::Table)?));
        }
        let index = Index::new(runs);
        let mut directory = Directory::default();
        for (account, card) in index.cards().map_err(FactsError::Table)? {
            directory.accounts.insert(account, card.address);
        }
        Ok(directory)
    }

    /// Adds the names of an account's mailboxes, as the last checkpoint has them.
    pub async fn name_mailboxes(
        &self,
        account: AccountId,
        directory: &mut Directory,
    ) -> Result<(), FactsError> {
        // The newest run that has the account has its metadata.
        for name in self.manifest.runs.iter().rev() {
            let run = Run::load(self.disk, &self.owner.directory, name.head(self.owner)).await;
            let run = Rc::new(run.map_err(FactsError::Table)?);
            let index = Index::new(vec![run]);
            if index.newest(account, MailboxId(0)).is_none() {
                continue;
            }
            let meta = index.meta(account).map_err(FactsError::Table)?;
            for mailbox in meta.mailboxes {
                let key = (account, mailbox.id);
                directory.mailboxes.entry(key).or_insert(mailbox.name);
            }
            break;
        }
        Ok(())
    }

    async fn read_segment(
        &self,
        number: u32,
        each: &mut dyn FnMut(Shown<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, FactsError> {
        let segment = self.segment(number).await?;
        // Without its successor a segment ends where its frames do.
        let next = self.segment(number + 1).await.ok();
        let mut scan = segment.scan(next.as_ref().map(Segment::previous));
        while let Some(scanned) = scan.next().await.map_err(FactsError::Log)? {
            let (read_bytes, records): (_, Box<dyn Iterator<Item = _> + '_>) = match &scanned {
                Scanned::Frame(frame) => (frame.offset, Box::new(frame.records())),
                Scanned::Damage(damage) => (damage.offset, Box::new(damage.records())),
            };
            for (place, record) in records {
                let shown = Shown {
                    place,
                    record,
                    read_bytes,
                };
                if each(shown).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    async fn read_pack(
        &self,
        path: &str,
        holder: &Holder,
        each: &mut dyn FnMut(Shown<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, FactsError> {
        let pack = self.pack(path, holder.number).await?;
        let blocks = pack.summary().blocks;
        let mut reader = Reader::new(&pack);
        for block in 0..blocks {
            let Ok(unpacked) = reader.unpack(block).await else {
                continue;
            };
            let read_bytes = holder.bytes * u64::from(block) / u64::from(blocks.max(1));
            for (place, record) in unpacked.records() {
                let Ok(record) = record else { continue };
                let shown = Shown {
                    place,
                    record,
                    read_bytes,
                };
                if each(shown).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    async fn pack(&self, path: &str, number: u32) -> Result<Pack<D::File>, FactsError> {
        let head = PackHead {
            store: self.owner.store,
            shard: self.owner.shard,
            number,
        };
        let pack = Pack::open(self.disk, path, head).await;
        pack.map_err(FactsError::Pack)
    }

    async fn segment(&self, number: u32) -> Result<Segment<D::File>, FactsError> {
        let (store, shard) = (self.owner.store, self.owner.shard);
        let directory = self.log_directory();
        let opened = Segment::open(self.disk, &directory, store, shard, number);
        opened.await.map_err(FactsError::Log)
    }

    fn log_directory(&self) -> String {
        format!("{}/log", self.owner.directory)
    }
}

impl fmt::Display for FactsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FactsError::Log(error) => error.fmt(f),
            FactsError::Pack(error) => error.fmt(f),
            FactsError::Table(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for FactsError {}

/// Records that are looked at for the time of a segment: those of a few frames.
const LOOKED_FOR_TIME_MAX: u32 = 4_096;
