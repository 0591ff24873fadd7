//! Stories: what the records of emptied segments said of mail, for whoever asks what became of it.
//!
//! Nothing else reads them and no manifest names them: a store without them is whole. So whatever
//! goes wrong with one ends that one only, and what gives space back goes on. A story is a pack:
//! the records of transactions in the order of the log, as they were; but a MESSAGE has, instead of
//! its body, the fields by which it is looked for. Stories are removed from the oldest on, when
//! they are too many or too old.

use super::Site;
use crate::disk::Disk;
use crate::limit::{STORY_BYTES_MAX, STORY_SECS_MAX};
use crate::log::{Place, RecordRef};
use crate::mail::header::{message_id, notice_of, put_message_id, put_notice_of};
use crate::mail::id::Lsn;
use crate::pack::{Dictionary, Pack, PackError, PackWriter, Reader};
use crate::record::{Fact, MessageHead, Piece, kind};
use crate::table::manifest::Manifest;
use crate::table::name::{self, STORIES};
use std::collections::VecDeque;

/// How much is told of mail that left the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stories {
    /// All stories of a shard together; 0: none are written, and those that are there go.
    pub bytes_max: u64,
    /// How long they are kept.
    pub secs_max: u64,
}

impl Stories {
    pub const NONE: Stories = Stories {
        bytes_max: 0,
        secs_max: 0,
    };

    /// All are told, and none goes: for whoever does not know what its server keeps.
    pub const ALL: Stories = Stories {
        bytes_max: u64::MAX,
        secs_max: u64::MAX,
    };
}

impl Default for Stories {
    fn default() -> Stories {
        Stories {
            bytes_max: STORY_BYTES_MAX,
            secs_max: STORY_SECS_MAX,
        }
    }
}

/// Writes one story.
pub(super) struct Chronicler<D: Disk> {
    /// `None`: none is wanted, or it failed.
    writer: Option<PackWriter<D>>,
    /// Octets of records that may still come, before compression.
    room: u64,
    has_time: bool,
    payload: Vec<u8>,
    /// Message-IDs of bodies whose MESSAGE is still to come.
    begun: VecDeque<(Place, Vec<u8>)>,
}

impl<D: Disk> Chronicler<D> {
    pub(super) async fn begin(
        site: &Site<'_, D>,
        manifest: &mut Manifest,
        stories: Stories,
    ) -> Chronicler<D> {
        Chronicler {
            writer: match stories.bytes_max {
                0 => None,
                _ => create(site, manifest.take_number()).await,
            },
            room: stories.bytes_max,
            has_time: false,
            payload: Vec::new(),
            begun: VecDeque::new(),
        }
    }

    pub(super) async fn take(&mut self, place: Place, record: &RecordRef<'_>) {
        if self.writer.is_none() {
            return;
        }
        match record.kind {
            kind::BODY => self.note_begun(place, record.payload),
            kind::MESSAGE => {
                let mut payload = std::mem::take(&mut self.payload);
                payload.clear();
                if self.shorten(record.payload, &mut payload).is_some() {
                    self.add(record, &payload).await;
                }
                self.payload = payload;
            }
            kind::TIME if !std::mem::replace(&mut self.has_time, true) => {
                self.add(record, record.payload).await;
            }
            kind::DELIVER if !is_of_envelope(record.payload) => {}
            kind::DELIVER | kind::QUEUE | kind::OFFER | kind::ATTEMPT | kind::END | kind::HOLD => {
                self.add(record, record.payload).await;
            }
            _ => {}
        }
    }

    /// Whether all of it was written is seen by who opens it.
    pub(super) async fn finish(&mut self) {
        if let Some(writer) = self.writer.take() {
            let _ = writer.finish().await;
        }
    }

    fn note_begun(&mut self, place: Place, piece: &[u8]) {
        let Some(id) = message_id(piece) else { return };
        if self.begun.len() == BEGUN_MAX {
            self.begun.pop_front();
        }
        self.begun.push_back((place, id.to_vec()));
    }

    /// A MESSAGE of a transaction with the fields that it is looked for by; `None`: of another.
    fn shorten(&self, payload: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let (mut head, body) = MessageHead::split(payload).ok()?;
        if !head.source.is_transaction {
            return None;
        }
        let first = head.pieces.first().map(|piece| piece.place);
        let begun = self.begun.iter().find(|(place, _)| Some(*place) == first);
        let mut fields = Vec::new();
        if let Some(id) = message_id(body).or(begun.map(|(_, id)| id.as_slice())) {
            put_message_id(id, &mut fields);
        }
        if head.source.reverse_path.is_none()
            && let Some(queue) = notice_of(body)
        {
            put_notice_of(queue, &mut fields);
        }
        let left = match head.octets.checked_sub(fields.len() as u64) {
            Some(left) => u32::try_from(left).ok()?,
            // Shorter than what is said of it.
            None => {
                fields.clear();
                u32::try_from(head.octets).ok()?
            }
        };
        // Its octets are told, and lie nowhere.
        let nowhere = Piece {
            place: Place(0),
            octets: left,
        };
        head.pieces = [nowhere].into_iter().filter(|_| left > 0).collect();
        Fact::Message(head).encode(out);
        out.extend_from_slice(&fields);
        Some(())
    }

    async fn add(&mut self, record: &RecordRef<'_>, payload: &[u8]) {
        self.room = self.room.saturating_sub(payload.len() as u64);
        let Some(writer) = self.writer.as_mut().filter(|_| self.room > 0) else {
            return;
        };
        let (kind, account, lsn): (u8, u32, Lsn) = (record.kind, record.account, record.lsn);
        if writer.add(kind, account, lsn, &[payload]).await.is_err() {
            self.writer = None;
        }
    }
}

async fn create<D: Disk>(site: &Site<'_, D>, number: u32) -> Option<PackWriter<D>> {
    let directory = &site.owner.directory;
    let stories = format!("{directory}/{STORIES}");
    site.disk.create_directory(&stories).await.ok()?;
    let path = name::story(directory, number);
    let without = Dictionary::Without;
    let writer = PackWriter::create_with(site.disk.clone(), &path, site.head(number), without);
    writer.await.ok()
}

/// Removes what a task that came to nothing has left: its number was never given.
pub(super) async fn remove_unborn<D: Disk>(site: &Site<'_, D>, manifest: &Manifest) {
    let directory = format!("{}/{STORIES}", site.owner.directory);
    for name in site.disk.list(&directory).await.unwrap_or_default() {
        let number = name::number(&name).filter(|_| name::is_pack(&name));
        if number.is_some_and(|number| number >= manifest.next_number) {
            let _ = site.disk.remove(&format!("{directory}/{name}")).await;
        }
    }
}

/// Removes what is too much, too old, or no whole story.
pub(super) async fn prune<D: Disk>(site: &Site<'_, D>, stories: Stories, now_secs: i64) {
    let directory = format!("{}/{STORIES}", site.owner.directory);
    let mut names = site.disk.list(&directory).await.unwrap_or_default();
    names.retain(|name| name::is_pack(name));
    names.sort_unstable();
    let mut found = Vec::new();
    for name in names.iter().rev() {
        let path = format!("{directory}/{name}");
        let number = name::number(&path).unwrap_or(0);
        match Pack::open(site.disk, &path, site.head(number)).await {
            Ok(pack) => found.push((path, pack.summary().bytes, begun_secs(&pack).await)),
            Err(PackError::Io { .. }) => {}
            Err(_) => drop(site.disk.remove(&path).await),
        }
    }
    let sizes = found.iter().map(|(_, bytes, begun)| (*bytes, *begun));
    let kept = kept(sizes, stories, now_secs);
    for (path, ..) in found.iter().skip(kept) {
        let _ = site.disk.remove(path).await;
    }
}

/// How many stories are kept, of these from the newest on: octets, and when they begin.
fn kept(found: impl Iterator<Item = (u64, Option<i64>)>, stories: Stories, now_secs: i64) -> usize {
    let oldest = now_secs.saturating_sub_unsigned(stories.secs_max);
    let (mut bytes, mut is_old) = (0u64, false);
    let is_kept = |(octets, begun): &(u64, Option<i64>)| {
        // What lies before one that began so long ago is older still.
        let was_old = std::mem::replace(&mut is_old, begun.is_some_and(|begun| begun < oldest));
        bytes += octets;
        !was_old && bytes <= stories.bytes_max
    };
    found.take_while(is_kept).count()
}

/// When the first of its records were written, seconds since 1970.
async fn begun_secs<F: crate::disk::File>(pack: &Pack<F>) -> Option<i64> {
    let unpacked = Reader::new(pack).unpack(0).await.ok()?;
    let mut records = unpacked.records().filter_map(|(_, record)| record.ok());
    let time = records.find(|record| record.kind == kind::TIME)?;
    match Fact::decode(time.kind, time.payload) {
        Ok(Fact::Time { secs }) => Some(secs),
        _ => None,
    }
}

/// What clients put into mailboxes themselves was never on its way.
fn is_of_envelope(payload: &[u8]) -> bool {
    match Fact::decode(kind::DELIVER, payload) {
        Ok(Fact::Deliver(deliver)) => deliver.recipient.is_some(),
        _ => false,
    }
}

/// Bodies whose MESSAGE is still to come, of which the Message-ID is known.
const BEGUN_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_or_too_old_goes() {
        let found = [
            (10, Some(900)),
            (10, None),
            (10, Some(700)),
            (10, Some(600)),
        ];
        let kept = |bytes_max, secs_max| {
            let stories = Stories {
                bytes_max,
                secs_max,
            };
            kept(found.into_iter(), stories, 1_000)
        };
        assert_eq!(kept(u64::MAX, u64::MAX), 4);
        assert_eq!((kept(29, 999), kept(30, 999), kept(0, 999)), (2, 3, 0));
        // One that began before may tell of what came since.
        assert_eq!((kept(99, 300), kept(99, 299), kept(99, 50)), (4, 3, 1));
    }
}
