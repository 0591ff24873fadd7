//! Writes a run: parts, then cards, then the directory, and the header last.

use super::directory::{self, Row};
use super::{RunHead, Sections};
use crate::codec::Put;
use crate::codec::checksum::{append, plain};
use crate::disk::Disk;
use crate::disk::create::Creator;
use crate::limit::{BLOCK_BYTES, CARD_BYTES_MAX};
use crate::table::head::{Head, Seats};
use std::io;

/// Holds 24 bytes for each part that it has written.
pub struct RunWriter<D: Disk> {
    creator: Creator<D>,
    head: RunHead,
    seats: Seats,
    rows: Vec<Row>,
    cards: Cards,
}

#[derive(Default)]
struct Cards {
    /// Where they begin, once there is one.
    from: Option<u64>,
    last: Option<u32>,
    count: u32,
    crc: u32,
}

impl<D: Disk> RunWriter<D> {
    /// Makes the file of a run; it must not be there, its directory must. After an error of any
    /// call the file is gone.
    pub async fn create(disk: D, directory: &str, head: RunHead) -> io::Result<RunWriter<D>> {
        let path = crate::table::name::run(directory, head.number);
        let mut creator = Creator::new(disk, &path).await?;
        creator.append(&[0; BLOCK_BYTES]).await?;
        Ok(RunWriter {
            creator,
            head,
            seats: head.identity().seats(),
            rows: Vec::new(),
            cards: Cards::default(),
        })
    }

    /// Adds the part of a mailbox; mailbox 0 may stand for the account itself.
    ///
    /// # Panics
    /// When the key does not rise, or a card was written before.
    pub async fn part(&mut self, account: u32, mailbox: u32, bytes: &[u8]) -> io::Result<()> {
        let key = (account, mailbox);
        let is_above = self.rows.last().is_none_or(|row| row.key < key);
        assert!(
            is_above && self.cards.from.is_none(),
            "parts rise, and precede the cards"
        );
        let is_full = self.rows.len() == u32::MAX as usize;
        let length = u32::try_from(bytes.len()).ok().filter(|_| !is_full);
        let length = length.ok_or(io::ErrorKind::FileTooLarge)?;
        let offset = self.creator.position();
        self.rows.push(Row {
            key,
            offset,
            length,
            crc: plain(bytes) ^ self.seats.at(offset),
        });
        self.creator.append(bytes).await
    }

    /// Adds the card of an account, behind all parts.
    ///
    /// # Panics
    /// When the account does not rise, or the card is larger than `CARD_BYTES_MAX`.
    pub async fn card(&mut self, account: u32, bytes: &[u8]) -> io::Result<()> {
        let is_above = self.cards.last.is_none_or(|last| last < account);
        assert!(
            is_above && bytes.len() <= CARD_BYTES_MAX,
            "cards rise, and are small"
        );
        self.cards.from.get_or_insert(self.creator.position());
        self.cards.last = Some(account);
        self.cards.count += 1;
        let mut start = Vec::with_capacity(8);
        start.put_u32(account);
        start.put_u32(bytes.len() as u32);
        self.cards.crc = append(append(self.cards.crc, &start), bytes);
        self.creator.append(&start).await?;
        self.creator.append(bytes).await
    }

    /// Writes the directory and the header; returns the length of the file, in bytes.
    pub async fn finish(mut self) -> io::Result<u64> {
        let cards_end = self.creator.position();
        let cards_from = self.cards.from.unwrap_or(cards_end);
        self.creator.pad().await?;
        let directory = self.creator.position();
        for page in directory::encode(&self.rows, directory, self.seats) {
            self.creator.append(page.as_slice()).await?;
        }
        let sections = Sections {
            parts: self.rows.len() as u32,
            cards: self.cards.count,
            cards_from,
            cards_bytes: cards_end - cards_from,
            directory,
            cards_crc: self.cards.crc ^ self.seats.at(cards_from),
        };
        let header = Head {
            identity: self.head.identity(),
            length: self.creator.position(),
            own: sections.encode(),
        };
        self.creator.finish_with_header(header.encode()).await
    }

    /// Gives the run up and removes its file.
    pub async fn abandon(self) {
        self.creator.abandon().await;
    }
}
