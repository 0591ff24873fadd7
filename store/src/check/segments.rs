//! The log: every frame and record, the chain through all segments, the place of the replay.

use super::damage::{Damage, Part};
use super::objects::Objects;
use super::{Check, Tell, tail};
use crate::disk::Disk;
use crate::log::scan::{self, Ended, Seen, Segment};
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
    /// What was told so far, in bytes.
    told: u64,
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
        let headers = self.headers(&directory, first..=last).await;
        let mut before: Option<Position> = None;
        for (at, (number, header)) in headers.iter().enumerate() {
            let next = headers.get(at + 1).map(|(_, next)| next.as_ref());
            let Some(header) = header else {
                before = None;
                continue;
            };
            if before.is_some_and(|before| !header.continues(&before)) {
                let file = scan::file(&directory, *number);
                let what = "it does not go on where the segment before ends";
                self.tell
                    .damage(Damage::new(Part::Log, &file, Some(0), what));
            }
            let end = next.map(|next| next.map_or(u64::MAX, |next| next.previous_end));
            let ended = self.segment(manifest, header, end, state.as_deref_mut());
            before = ended.await.map(|ended| ended.position);
        }
        self.reaches_replay(manifest, before);
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

    /// The header of each segment; nothing where it cannot be had.
    async fn headers(
        &mut self,
        directory: &str,
        numbers: std::ops::RangeInclusive<u32>,
    ) -> Vec<(u32, Option<Segment>)> {
        let mut headers = Vec::new();
        for number in numbers {
            let header = self.scope(directory).header(self.disk, number).await;
            headers.push((
                number,
                header
                    .map_err(|error| {
                        let file = scan::file(directory, number);
                        self.tell.damage(Damage::log(&file, &error));
                    })
                    .ok(),
            ));
        }
        headers
    }

    /// `end` is where the successor says that the segment ends, or everything where that cannot be
    /// read.
    async fn segment(
        &mut self,
        manifest: &Manifest,
        header: &Segment,
        end: Option<u64>,
        state: Option<&mut State>,
    ) -> Option<Ended> {
        let directory = self.log_directory();
        let scope = self.scope(&directory);
        let mut walk = Walk {
            tell: &mut self.tell,
            objects: &mut self.objects,
            state,
            replay: manifest.replay,
            file: scan::file(&directory, header.number),
            told: 0,
        };
        let is_open = end.is_none_or(|end| end == u64::MAX);
        let promised = end.filter(|_| !is_open);
        let scanned = scope
            .scan(self.disk, header, promised, &mut |seen| walk.see(seen))
            .await;
        let ended = match scanned {
            Ok(ended) => ended,
            Err(error) => {
                let file = walk.file.clone();
                walk.tell.damage(Damage::log(&file, &error));
                return None;
            }
        };
        let file = walk.file.clone();
        self.count(&file, &ended, header, end);
        Some(ended)
    }

    fn count(&mut self, file: &str, ended: &Ended, header: &Segment, end: Option<u64>) {
        let summary = &mut self.tell.summary;
        summary.segments += 1;
        summary.frames += ended.frames;
        summary.records += ended.records;
        if end.is_some() {
            return;
        }
        if ended.is_sealed {
            let file = scan::file(&self.log_directory(), header.number + 1);
            let what = "it is missing: the segment before says that it is there";
            self.tell.damage(Damage::new(Part::Log, &file, None, what));
        }
        if ended.is_torn {
            let at = ended.position.offset;
            if ended.is_clean {
                let what = "behind a clean end lies something that is no frame";
                self.tell
                    .damage(Damage::new(Part::Log, file, Some(at), what));
                return;
            }
            let what = "a frame was being written when the last life ended; nobody was told of it";
            self.tell.note(format!(
                "{file} at {at}: {what}, and the next start cuts it"
            ));
        }
    }

    /// What was applied already must be in the log.
    fn reaches_replay(&mut self, manifest: &Manifest, end: Option<Position>) {
        let (Some(replay), Some(end)) = (manifest.replay, end) else {
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
    fn see(&mut self, seen: Seen<'_>) {
        match seen {
            Seen::Frame(frame) => {
                self.told += u64::from(frame.bytes);
                self.tell.bytes(u64::from(frame.bytes));
                let end = frame.offset + u64::from(frame.bytes);
                if self.replay.is_some_and(|replay| {
                    frame.number.0 + 1 == replay.frame.0
                        && (end != replay.offset || frame.chain != replay.chain)
                }) {
                    let what = "it is not the frame up to which the index has the log";
                    self.damage(frame.offset, what);
                }
            }
            Seen::Damage {
                offset,
                bytes,
                what,
            } => self.damage(offset, &format!("{what} ({bytes} bytes)")),
            Seen::Record(place, record) => self.record(place, &record),
        }
    }

    fn damage(&mut self, offset: u64, what: &str) {
        let damage = Damage::new(Part::Log, &self.file, Some(offset), what);
        self.tell.damage(damage);
    }

    fn record(&mut self, place: Place, record: &RecordRef<'_>) {
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
        _ => {}
    }
}
