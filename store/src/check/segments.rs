//! The log: every frame and record, the chain through all segments, the place of the replay.

use super::damage::{Damage, Part};
use super::objects::Objects;
use super::{Check, Tell, tail};
use crate::disk::Disk;
use crate::log::scan::{self, Ended, Frame, Scanned, Segment, SegmentEnd};
use crate::log::{Place, Position, RecordRef};
use crate::mail::id::AccountId;
use crate::mailbox::state::State;
use crate::record::Fact;
use crate::table::manifest::Manifest;

/// What is held against the log while it is read.
struct Walk<'a, 'b> {
    tell: &'a mut Tell<'b>,
    objects: &'a mut Objects,
    /// Facts behind `replay` are applied to it.
    state: Option<&'a mut State>,
    replay: Option<Position>,
    file: String,
}

impl<D: Disk> Check<'_, D> {
    /// `is_known`: the manifest says with which segment the log begins.
    pub(super) async fn segments(
        &mut self,
        manifest: &Manifest,
        is_known: bool,
        mut state: Option<&mut State>,
    ) {
        let directory = self.log_directory();
        let found = match scan::segments(self.disk, &directory).await {
            Ok(found) => found,
            Err(error) => return self.tell.damage(Damage::log(&directory, &error)),
        };
        let first = match (is_known, found.first()) {
            (false, Some(first)) => *first,
            _ => manifest.first_segment,
        };
        let Some(last) = found.last().copied().filter(|last| *last >= first) else {
            return self.no_log(manifest, is_known);
        };
        let left = found.iter().filter(|number| **number < first).count();
        if left > 0 {
            let what = "segments before the log's first; the next start recycles them";
            self.tell.note(format!("{directory}: {left} {what}"));
        }
        let mut end = None;
        let mut next = self.segment(&directory, first).await;
        for number in first..=last {
            let segment = next.take();
            if number < last {
                next = self.segment(&directory, number + 1).await;
            }
            let successor = next.as_ref().map(Segment::previous);
            if let Some(segment) = segment {
                let ended = self.walk(manifest, &segment, successor, state.as_deref_mut());
                end = ended.await;
                if number == last {
                    self.last(&segment, end);
                }
            }
        }
        self.reaches_replay(manifest, end);
    }

    fn no_log(&mut self, manifest: &Manifest, is_known: bool) {
        if is_known && *manifest == Manifest::default() {
            self.tell.summary.is_absent = true;
            return;
        }
        let file = scan::file(&self.log_directory(), manifest.first_segment);
        let what = "it is missing, and the log goes on in it";
        self.tell.damage(Damage::new(Part::Log, &file, None, what));
    }

    async fn segment(&mut self, directory: &str, number: u32) -> Option<Segment<D::File>> {
        let (store, shard) = (self.owner.store, self.owner.shard);
        let opened = Segment::open(self.disk, directory, store, shard, number).await;
        opened
            .map_err(|error| {
                let file = scan::file(directory, number);
                self.tell.damage(Damage::log(&file, &error));
            })
            .ok()
    }

    async fn walk(
        &mut self,
        manifest: &Manifest,
        segment: &Segment<D::File>,
        end: Option<SegmentEnd>,
        state: Option<&mut State>,
    ) -> Option<Ended> {
        let mut walk = Walk {
            tell: &mut self.tell,
            objects: &mut self.objects,
            state,
            replay: manifest.replay,
            file: scan::file(&format!("{}/log", self.owner.directory), segment.number()),
        };
        walk.tell.summary.segments += 1;
        let mut scan = segment.scan(end);
        loop {
            match scan.next().await {
                Ok(Some(scanned)) => walk.see(&scanned),
                Ok(None) => break,
                Err(error) => {
                    let damage = Damage::log(&walk.file, &error);
                    walk.tell.damage(damage);
                    return None;
                }
            }
        }
        let ended = scan.ended();
        walk.tell
            .bytes(segment.bytes().saturating_sub(ended.position.offset));
        Some(ended)
    }

    /// What lies behind the last frame of the log.
    fn last(&mut self, segment: &Segment<D::File>, ended: Option<Ended>) {
        let Some(ended) = ended else {
            return;
        };
        let directory = self.log_directory();
        let file = scan::file(&directory, segment.number());
        if ended.is_sealed {
            let file = scan::file(&directory, segment.number() + 1);
            let what = "it is missing: the segment before says that it is there";
            self.tell.damage(Damage::new(Part::Log, &file, None, what));
        }
        let at = ended.position.offset;
        match (ended.is_torn, ended.is_clean) {
            (false, _) => {}
            (true, true) => {
                let what = "behind a clean end lies something that is no frame";
                self.tell
                    .damage(Damage::new(Part::Log, &file, Some(at), what));
            }
            (true, false) => {
                let what = "a frame was being written when the last life ended; nobody was told";
                self.tell.note(format!(
                    "{file} at {at}: {what}, and the next start cuts it"
                ));
            }
        }
    }

    /// What was applied already must be in the log.
    fn reaches_replay(&mut self, manifest: &Manifest, end: Option<Ended>) {
        let (Some(replay), Some(Ended { position: end, .. })) = (manifest.replay, end) else {
            return;
        };
        if end.frame < replay.frame {
            let file = scan::file(&self.log_directory(), replay.segment);
            let what = "the log ends before the place up to which the index has it";
            let damage = Damage::new(Part::Log, &file, Some(replay.offset), what);
            self.tell.damage(damage);
        }
    }
}

impl Walk<'_, '_> {
    fn see(&mut self, scanned: &Scanned) {
        match scanned {
            Scanned::Frame(frame) => {
                self.tell.summary.frames += 1;
                self.tell.bytes(u64::from(frame.bytes));
                if self.is_not_replayed_from(frame) {
                    let what = "it is not the frame up to which the index has the log";
                    self.damage(frame.offset, what);
                }
                frame
                    .records()
                    .for_each(|(place, record)| self.record(place, &record));
            }
            Scanned::Damage(damage) => {
                self.tell.bytes(damage.bytes);
                self.damage(
                    damage.offset,
                    &format!("{} ({} bytes)", damage.what, damage.bytes),
                );
                damage
                    .records()
                    .for_each(|(place, record)| self.record(place, &record));
            }
        }
    }

    /// Whether the frame has the number of the last one in the index and is another.
    fn is_not_replayed_from(&self, frame: &Frame) -> bool {
        let end = frame.offset + u64::from(frame.bytes);
        self.replay.is_some_and(|replay| {
            frame.number.0 + 1 == replay.frame.0
                && (end != replay.offset || frame.chain != replay.chain)
        })
    }

    fn damage(&mut self, offset: u64, what: &str) {
        let damage = Damage::new(Part::Log, &self.file, Some(offset), what);
        self.tell.damage(damage);
    }

    fn record(&mut self, place: Place, record: &RecordRef<'_>) {
        self.tell.summary.records += 1;
        let fact = match Fact::decode(record.kind, record.payload) {
            Ok(fact) => fact,
            Err(broken) => {
                let what = format!("a record is whole and cannot be read: {broken}");
                return self.damage(place.offset(), &what);
            }
        };
        note(self.objects, place, record, &fact);
        if self.is_behind_replay(place)
            && let Some(state) = self.state.as_deref_mut()
            && let Err(what) = tail::apply(state, AccountId(record.account), place, fact)
        {
            self.damage(place.offset(), what);
        }
    }

    fn is_behind_replay(&self, place: Place) -> bool {
        self.replay.is_none_or(|replay| {
            (place.segment(), place.offset()) >= (replay.segment, replay.offset)
        })
    }
}

/// Remembers what a record says of an object.
pub(super) fn note(objects: &mut Objects, place: Place, record: &RecordRef<'_>, fact: &Fact) {
    match fact {
        Fact::Body => objects.body(place, record.payload.len()),
        Fact::Message(head) => objects.message(place, head),
        Fact::Deliver(deliver) => objects.deliver(place, AccountId(record.account), deliver),
        Fact::Queue(queue) => objects.queue(place, queue),
        Fact::Attempt { object, .. } => objects.attempt(place, *object),
        _ => {}
    }
}
