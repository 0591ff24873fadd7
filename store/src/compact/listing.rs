//! What the listing of a pack says of a record, and holding a listing against its records.

use super::{CompactError, Site, unread};
use crate::codec::Put;
use crate::codec::checksum::plain;
use crate::disk::{Disk, File};
use crate::log::{Place, RecordRef};
use crate::pack::PackError;
use crate::pack::listing::{Listed, ListingFile, key_of, of_header, of_prefix};
use crate::record::{Fact, MessageHead, kind};
use crate::table::name;
use std::collections::HashMap;

/// What is kept of a MESSAGE or a DELIVER; `first` is what is kept of the first piece of a body
/// that does not lie in the record.
pub(crate) fn listed(kind: u8, payload: &[u8], first: Option<&[u8]>) -> Option<Listed> {
    match kind {
        kind::MESSAGE => {
            let (head, body) = MessageHead::split(payload).ok()?;
            let fields = match head.pieces.is_empty() {
                true => of_header(body)?,
                false => first?.to_vec(),
            };
            Some(Listed {
                object: head.object,
                message: None,
                fields,
            })
        }
        kind::DELIVER => match Fact::decode(kind, payload) {
            Ok(Fact::Deliver(deliver)) => Some(Listed {
                object: deliver.object,
                message: Some(deliver.message),
                fields: of_prefix(&deliver.prefix)?,
            })
            .filter(|listed| listed.message < Some(listed.object)),
            _ => None,
        },
        _ => None,
    }
}

/// Holds the listing of a pack against its records, which are shown in their order.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    marks: Vec<Mark>,
    /// How many of them have met their record, or were passed over.
    met: usize,
    passed_over: usize,
    /// What is kept of BODY records, until their MESSAGE comes.
    pieces: HashMap<Place, Vec<u8>>,
}

/// An entry: 8 octets, as a pack may have millions.
#[derive(Clone, Copy, Debug)]
struct Mark {
    key: u32,
    crc: u32,
}

impl Audit {
    /// Reads all of a listing. The first damage stands for all.
    pub(crate) async fn of<F: File>(listing: &ListingFile<F>) -> Result<Audit, PackError> {
        let mut outcome = Ok(Audit::default());
        listing
            .scan(|entry| match (entry, &mut outcome) {
                (Ok((place, listed)), Ok(audit)) => {
                    let mark = key_of(place).map(|key| Mark {
                        key,
                        crc: crc_of(&listed),
                    });
                    audit.marks.extend(mark);
                }
                (Err(error), Ok(_)) => outcome = Err(error),
                (_, Err(_)) => {}
            })
            .await;
        outcome
    }

    /// Whether what is kept of a record, if anything is, is what it says.
    pub(crate) fn look(&mut self, place: Place, record: &RecordRef<'_>) -> bool {
        if record.kind == kind::BODY {
            let fields = of_header(record.payload);
            self.pieces.extend(fields.map(|fields| (place, fields)));
            return true;
        }
        let pieces = std::mem::take(&mut self.pieces);
        let Some(mark) = self.mark_of(place) else {
            return true;
        };
        let first = first_piece(record).and_then(|first| pieces.get(&first));
        let listed = listed(record.kind, record.payload, first.map(Vec::as_slice));
        listed.is_some_and(|listed| crc_of(&listed) == mark.crc)
    }

    /// Passes over a record that was seen earlier.
    pub(crate) fn pass(&mut self, place: Place) {
        let _ = self.mark_of(place);
    }

    fn mark_of(&mut self, place: Place) -> Option<Mark> {
        let key = key_of(place)?;
        loop {
            let mark = *self.marks.get(self.met)?;
            if mark.key > key {
                return None;
            }
            self.met += 1;
            if mark.key == key {
                return Some(mark);
            }
            self.passed_over += 1;
        }
    }

    /// Whether each entry has met its record.
    pub(crate) fn is_done(&self) -> bool {
        self.met == self.marks.len() && self.passed_over == 0
    }
}

/// The listing of a pack, if it has one.
pub(super) async fn open<D: Disk>(
    site: &Site<'_, D>,
    number: u32,
) -> Result<Option<ListingFile<D::File>>, CompactError> {
    let head = site.head(number);
    let path = name::pack(&site.owner.directory, number);
    let opened = ListingFile::open(site.disk, &path, head).await;
    opened.map_err(unread)
}

fn first_piece(record: &RecordRef<'_>) -> Option<Place> {
    if record.kind != kind::MESSAGE {
        return None;
    }
    let head = MessageHead::decode(record.payload).ok()?;
    head.pieces.first().map(|piece| piece.place)
}

fn crc_of(listed: &Listed) -> u32 {
    let mut out = Vec::with_capacity(listed.fields.len() + 16);
    out.put_u64(listed.object.0);
    out.put_u64(listed.message.map_or(0, |message| message.0));
    out.put(&listed.fields);
    plain(&out)
}
