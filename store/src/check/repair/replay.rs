//! Facts from wherever they can still be read, applied in the order of the log.
//!
//! LSNs order the facts of archives and log, and tell what is in both; a record that is in neither
//! is lost. Objects lie where a whole record of them is: in the newest pack that has it, else in
//! the log.

use super::super::containers::open_damaged;
use super::super::tail::apply;
use super::super::{Owner, Part};
use super::Needs;
use crate::disk::Disk;
use crate::log::scan::{self, Scanned, Segment};
use crate::log::{OpenError, Place, Position, RecordRef};
use crate::mail::id::{AccountId, FrameSeq, Lsn, ObjectId};
use crate::mailbox::frozen::Frozen;
use crate::mailbox::state::State;
use crate::memo::MemoRun;
use crate::pack::Summary;
use crate::record::{Fact, kind};
use crate::table::locations::{Kind, Location};
use crate::table::manifest::{Manifest, RunName};
use crate::table::run::Run;

pub(super) struct Replay<'a, D> {
    disk: &'a D,
    owner: &'a Owner,
    known: Known,
    /// Facts up to here are applied.
    last: Lsn,
    /// From object 1 on: 16 octets each, as they are frozen.
    objects: Vec<Option<Location>>,
    pub(super) applied: u64,
    pub(super) refused: Vec<String>,
}

/// What the runs say that stay.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) state: State,
    /// Facts before are in the state already.
    pub(super) index: Option<Position>,
    /// The same of memos.
    pub(super) memos: Option<Position>,
    pub(super) needs: Needs,
}

/// How the log was found.
#[derive(Clone, Debug)]
pub(super) struct Walked {
    /// Behind its last frame.
    pub(super) end: Position,
    /// The same place, where the last segment has no frame: as the segment before has it.
    pub(super) before: Option<Position>,
    /// The last segment is damaged, or gone.
    pub(super) needs_segment: bool,
    /// The last segment with damage.
    pub(super) damaged: Option<u32>,
    /// Segments that must be there and are not.
    pub(super) missing: Vec<u32>,
}

impl<'a, D: Disk> Replay<'a, D> {
    pub(super) fn new(disk: &'a D, owner: &'a Owner, known: Known) -> Replay<'a, D> {
        Replay {
            disk,
            owner,
            known,
            last: Lsn(0),
            objects: Vec::new(),
            applied: 0,
            refused: Vec::new(),
        }
    }

    /// Where packs have objects; the newest pack is right.
    pub(super) async fn packs(&mut self, manifest: &Manifest) {
        let mut packs: Vec<u32> = manifest.packs.iter().map(|pack| pack.number).collect();
        packs.sort_unstable();
        for number in packs {
            let Ok(pack) = open_damaged(self.disk, self.owner, Part::Pack, number).await else {
                continue;
            };
            let objects = &mut self.objects;
            pack.scan(|place, record| {
                let fact = record.map(|record| Fact::decode(record.kind, record.payload));
                if let Ok(Ok(fact)) = fact {
                    locate(objects, place, &fact);
                }
            })
            .await;
        }
    }

    /// What segments said that were emptied.
    pub(super) async fn archives(&mut self, manifest: &Manifest) {
        let mut archives = Vec::new();
        for archive in &manifest.archives {
            let Ok(archive) =
                open_damaged(self.disk, self.owner, Part::Archive, archive.number).await
            else {
                continue;
            };
            let mut first = None;
            archive
                .scan(|_, record| first = first.or(record.ok().map(|record| record.lsn)))
                .await;
            archives.push((first.unwrap_or_default(), archive));
        }
        archives.sort_by_key(|(first, archive)| (*first, archive.number()));
        for (_, archive) in archives {
            archive
                .scan(|place, record| {
                    if let Ok(record) = record {
                        self.fact(place, &record);
                    }
                })
                .await;
        }
    }

    /// The log from a segment on.
    pub(super) async fn log(&mut self, first_segment: u32) -> Result<Walked, OpenError> {
        let directory = format!("{}/log", self.owner.directory);
        let numbers = scan::segments(self.disk, &directory).await?;
        let known = self.known.index.map_or(0, |from| from.segment);
        let there = numbers.last().copied().unwrap_or(0);
        let last = there.max(known).max(first_segment - 1);
        let mut walked = Walked {
            end: self.known.index.unwrap_or(nowhere(last)),
            before: None,
            needs_segment: true,
            damaged: None,
            missing: Vec::new(),
        };
        for number in first_segment.min(there)..=last {
            if !numbers.contains(&number) {
                walked
                    .missing
                    .extend((number >= first_segment).then_some(number));
                walked.needs_segment = true;
                continue;
            }
            let next = match numbers.contains(&(number + 1)) {
                true => self.open(&directory, number + 1).await,
                false => None,
            };
            let is_sound = match self.open(&directory, number).await {
                Some(segment) => self.segment(&segment, next.as_ref(), &mut walked).await,
                None => false,
            };
            if !is_sound && number >= first_segment {
                walked.damaged = Some(number);
            }
            walked.needs_segment = !is_sound;
        }
        walked.damaged = walked.damaged.max(walked.missing.last().copied());
        walked.end.segment = last;
        walked.end.lsn = walked.end.lsn.max(Lsn(self.last.0 + 1));
        Ok(walked)
    }

    async fn open(&mut self, directory: &str, number: u32) -> Option<Segment<D::File>> {
        let (store, shard) = (self.owner.store, self.owner.shard);
        let opened = Segment::open(self.disk, directory, store, shard, number).await;
        opened
            .map_err(|error| {
                let file = scan::file(directory, number);
                self.refused.push(format!("{file}: {error}"));
            })
            .ok()
    }

    /// Whether nothing is wrong with the segment.
    async fn segment(
        &mut self,
        segment: &Segment<D::File>,
        next: Option<&Segment<D::File>>,
        walked: &mut Walked,
    ) -> bool {
        let mut is_sound = true;
        let mut scan = segment.scan(next.map(Segment::previous));
        loop {
            match scan.next().await {
                Ok(Some(Scanned::Frame(frame))) => frame
                    .records()
                    .for_each(|(place, record)| self.fact(place, &record)),
                Ok(Some(Scanned::Damage(damage))) => {
                    is_sound = false;
                    damage
                        .records()
                        .for_each(|(place, record)| self.fact(place, &record));
                }
                Ok(None) => break,
                Err(_) => {
                    is_sound = false;
                    break;
                }
            }
        }
        let ended = scan.ended();
        let begin = segment.begin();
        let previous = segment.previous();
        walked.before = (ended.position == begin).then_some(Position {
            segment: begin.segment.saturating_sub(1),
            offset: previous.offset,
            chain: previous.chain,
            ..begin
        });
        let frame = FrameSeq(walked.end.frame.0.max(ended.position.frame.0));
        let lsn = walked.end.lsn.max(ended.position.lsn);
        walked.end = Position {
            frame,
            lsn,
            ..ended.position
        };
        is_sound && !(ended.is_sealed && next.is_none()) && !(ended.is_torn && ended.is_clean)
    }

    /// Applies what a record says that the runs do not.
    fn fact(&mut self, place: Place, record: &RecordRef<'_>) {
        let known = match record.kind {
            kind::MEMO => self.known.memos,
            _ => self.known.index,
        };
        let is_before = |from: Position| {
            place.is_in_pack() || (place.segment(), place.offset()) < (from.segment, from.offset)
        };
        if known.is_some_and(is_before) {
            return;
        }
        let fact = match Fact::decode(record.kind, record.payload) {
            Ok(fact) => fact,
            Err(broken) => {
                let lsn = record.lsn;
                let account = record.account;
                let what = format!("record {lsn} of account {account} cannot be read: {broken}");
                return self.refused.push(what);
            }
        };
        if !place.is_in_pack() {
            locate(&mut self.objects, place, &fact);
        }
        if record.lsn <= self.last {
            return;
        }
        self.last = record.lsn;
        let account = AccountId(record.account);
        if let Some(homeless) = self.homeless(account, &fact) {
            self.refused.push(homeless);
        }
        match apply(&mut self.known.state, account, place, fact) {
            Ok(()) => self.applied += 1,
            Err(what) => {
                let what = format!("record {} of account {account}: {what}", record.lsn);
                self.refused.push(what);
            }
        }
    }

    /// Mail for an account or a mailbox of which nothing is known: the facts that made it are lost.
    fn homeless(&self, account: AccountId, fact: &Fact) -> Option<String> {
        let Fact::Deliver(deliver) = fact else {
            return None;
        };
        let (uid, mailbox) = (deliver.uid, deliver.mailbox);
        let object = deliver.object;
        match self.known.state.account(account) {
            None => Some(format!(
                "object {object}: UID {uid} of mailbox {mailbox} of account {account}: no account"
            )),
            Some(owner) if owner.contents(mailbox).is_none() => Some(format!(
                "object {object}: UID {uid} of mailbox {mailbox} of {}: no mailbox",
                owner.address
            )),
            Some(_) => None,
        }
    }

    /// Memos that archives do not keep, because they were put first and will be over: from what can
    /// be read of the runs that had them. What archives and log say is newer.
    pub(super) async fn salvage_memos(&mut self, runs: &[RunName]) {
        for name in runs.iter().rev() {
            let head = name.head(self.owner);
            let run = Run::load(self.disk, &self.owner.directory, head).await;
            let run = match run.and_then(MemoRun::open) {
                Ok(run) => run,
                Err(error) => {
                    self.refused.push(error.to_string());
                    continue;
                }
            };
            let mut cursor = run.cursor(&[]);
            loop {
                match cursor.next() {
                    Ok(Some((key, entry))) => self.known.state.memos.salvage(key, entry),
                    Ok(None) => break,
                    Err(error) => {
                        self.refused.push(error.to_string());
                        cursor.skip();
                    }
                }
            }
        }
    }

    /// Everything that a checkpoint keeps. With `all` also where every object lies; else where the
    /// new ones do.
    pub(super) fn freeze(mut self, all: bool) -> Frozen {
        let mut frozen = self.known.state.freeze();
        if all {
            let last = frozen.first_object.0 + frozen.places.len() as u64 - 1;
            let last = usize::try_from(last).unwrap_or(usize::MAX);
            let last = last.max(self.objects.len());
            self.objects.resize(last, None);
            frozen.places = self.objects;
            frozen.first_object = ObjectId(1);
        }
        frozen
    }
}

fn locate(objects: &mut Vec<Option<Location>>, place: Place, fact: &Fact) {
    let (object, kind) = match fact {
        Fact::Message(head) => (head.object, Kind::Message),
        Fact::Deliver(deliver) => (deliver.object, Kind::Deliver),
        Fact::Queue(queue) => (queue.object, Kind::Deliver),
        Fact::Attempt { object, .. } => (*object, Kind::Message),
        _ => return,
    };
    let location = Location { place, kind };
    let Some(at) = (object.0 as usize).checked_sub(1) else {
        return;
    };
    if objects.len() <= at {
        objects.resize(at + 1, None);
    }
    let Some(entry) = objects.get_mut(at) else {
        return;
    };
    let known = entry.get_or_insert(location);
    // A message that was moved has its pieces where it was moved to.
    if place.is_in_pack() || !known.place.is_in_pack() {
        *known = location;
    }
}

/// The summary of a pack or an archive; of nothing where it cannot be opened.
pub(super) async fn summary<D: Disk>(disk: &D, owner: &Owner, part: Part, number: u32) -> Summary {
    let pack = open_damaged(disk, owner, part, number).await;
    pack.map_or_else(|_| Summary::default(), |pack| pack.summary())
}

/// Before the first segment of a log of which nothing is there.
fn nowhere(last: u32) -> Position {
    Position {
        segment: last,
        offset: crate::limit::BLOCK_BYTES as u64,
        chain: 0,
        frame: FrameSeq(1),
        lsn: Lsn(1),
    }
}
