//! What a reader sends to the store, in the order of the source, and the sink it sends it through.
//!
//! ```text
//! small    Whole
//! large    Open → Octets … → Close | Void
//! beside   LeftOut, Remark, Read
//! ```

use super::flags::Marks;
use crossbeam_channel::Sender;
use memchr::memchr;
use std::path::Path;
use std::sync::Arc;
use store::limit::{CHUNK_BYTES, MESSAGE_BYTES_MAX};
use store::mail::date::InternalDate;

/// A place in a source.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    pub(crate) file: Arc<Path>,
    /// In octets.
    pub(crate) offset: u64,
}

/// Something that was not as it should be.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) spot: Spot,
    pub(crate) why: String,
}

/// A message without its octets.
#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) spot: Spot,
    pub(crate) uid: Option<u32>,
    pub(crate) marks: Marks,
    pub(crate) date: InternalDate,
}

#[derive(Debug)]
pub(crate) enum Parcel {
    Whole(Letter, Vec<u8>),
    /// A large message begins, with this date.
    Open(InternalDate),
    Octets(Vec<u8>),
    Close(Letter),
    /// The large message that began is given up.
    Void,
    LeftOut(Trouble),
    Remark(Trouble),
    /// So many octets of the source are behind us.
    Read(u64),
}

/// Nobody takes parcels any more.
#[derive(Debug)]
pub(crate) struct HungUp;

/// Why a message cannot be taken in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Refusal {
    TooLarge,
}

/// Cuts messages into parcels. Between [`begin`](Self::begin) and [`end`](Self::end) or
/// [`drop_message`](Self::drop_message) octets are pushed.
pub(crate) struct Sink {
    parcels: Sender<Parcel>,
    spot: Spot,
    date: InternalDate,
    octets: Vec<u8>,
    sent: u64,
    has_nul: bool,
    has_text: bool,
    refusal: Option<Refusal>,
}

impl Sink {
    pub(crate) fn new(parcels: Sender<Parcel>, file: Arc<Path>) -> Sink {
        Sink {
            parcels,
            spot: Spot { file, offset: 0 },
            date: InternalDate::default(),
            octets: Vec::new(),
            sent: 0,
            has_nul: false,
            has_text: false,
            refusal: None,
        }
    }

    /// From now on what is sent is about this file.
    pub(crate) fn turn_to(&mut self, file: Arc<Path>) {
        self.spot = Spot { file, offset: 0 };
    }

    pub(crate) fn begin(&mut self, offset: u64, date: InternalDate) {
        self.spot.offset = offset;
        self.date = date;
        self.octets.clear();
        self.sent = 0;
        (self.has_nul, self.has_text) = (false, false);
        self.refusal = None;
    }

    /// The zone that the date of the message was given in.
    pub(crate) fn set_zone(&mut self, zone_minutes: i16) {
        self.date.zone_minutes = zone_minutes;
    }

    /// Octets of the message so far.
    pub(crate) fn len(&self) -> u64 {
        self.sent + self.octets.len() as u64
    }

    /// Where the message is put together; [`settle`](Self::settle) follows.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.octets
    }

    /// Sends on what is more than a chunk.
    pub(crate) fn settle(&mut self) -> Result<(), HungUp> {
        if self.octets.len() <= CHUNK_BYTES {
            return Ok(());
        }
        self.look();
        if self.len() > MESSAGE_BYTES_MAX {
            self.refusal = Some(Refusal::TooLarge);
        }
        if self.refusal.is_some() {
            self.octets.clear();
            return Ok(());
        }
        if self.sent == 0 {
            self.send(Parcel::Open(self.date))?;
        }
        self.sent += self.octets.len() as u64;
        let octets = std::mem::replace(&mut self.octets, Vec::with_capacity(CHUNK_BYTES));
        self.send(Parcel::Octets(octets))
    }

    /// The message is complete.
    pub(crate) fn end(&mut self, uid: Option<u32>, marks: Marks) -> Result<(), HungUp> {
        self.look();
        if self.len() > MESSAGE_BYTES_MAX {
            self.refusal = Some(Refusal::TooLarge);
        }
        if self.refusal == Some(Refusal::TooLarge) {
            let why = format!("larger than {} MiB", MESSAGE_BYTES_MAX >> 20);
            return self.abandon(why);
        }
        if !self.has_text {
            let why = match self.len() {
                0 => "empty".to_owned(),
                octets => format!("{octets} octets, all of them NUL"),
            };
            return self.abandon(why);
        }
        if self.has_nul {
            self.remark("holds NUL octets; they were kept".to_owned())?;
        }
        let letter = Letter {
            spot: self.spot.clone(),
            uid,
            marks,
            date: self.date,
        };
        let octets = std::mem::take(&mut self.octets);
        match self.sent {
            0 => self.send(Parcel::Whole(letter, octets)),
            _ => {
                self.send(Parcel::Octets(octets))?;
                self.send(Parcel::Close(letter))
            }
        }
    }

    /// The message is no mail, and not missed.
    pub(crate) fn drop_message(&mut self) -> Result<(), HungUp> {
        self.octets.clear();
        match std::mem::take(&mut self.sent) {
            0 => Ok(()),
            _ => self.send(Parcel::Void),
        }
    }

    /// The message cannot be taken.
    pub(crate) fn abandon(&mut self, why: String) -> Result<(), HungUp> {
        self.drop_message()?;
        self.left_out(self.spot.offset, why)
    }

    /// Something of the file is left out.
    pub(crate) fn left_out(&mut self, offset: u64, why: String) -> Result<(), HungUp> {
        let trouble = self.trouble(offset, why);
        self.send(Parcel::LeftOut(trouble))
    }

    /// The message is odd, and taken.
    pub(crate) fn remark(&mut self, why: String) -> Result<(), HungUp> {
        let trouble = self.trouble(self.spot.offset, why);
        self.send(Parcel::Remark(trouble))
    }

    pub(crate) fn read(&mut self, octets: u64) -> Result<(), HungUp> {
        self.send(Parcel::Read(octets))
    }

    fn trouble(&self, offset: u64, why: String) -> Trouble {
        let file = Arc::clone(&self.spot.file);
        Trouble {
            spot: Spot { file, offset },
            why,
        }
    }

    fn look(&mut self) {
        self.has_nul |= memchr(0, &self.octets).is_some();
        self.has_text |= self.octets.iter().any(|octet| *octet != 0);
    }

    fn send(&self, parcel: Parcel) -> Result<(), HungUp> {
        self.parcels.send(parcel).map_err(|_| HungUp)
    }
}
