//! The octets of a message on its way out: of a small one in memory, of others read while they are
//! sent.
//!
//! A host that is silent, or takes a message a line at a time, may keep it for minutes. Were large
//! messages in memory meanwhile, a few such hosts would have all that the queue may use, and nobody
//! else would get mail. So a connection holds one block of a large message, and that only while it
//! sends.

use super::header;
use crate::config::Rewrites;
use crate::egress;
use crate::intake::Shard;
use std::io;
use std::rc::Rc;
use store::error::ReadError;
use store::shard::{Message, Octets};

/// All octets of a message.
#[derive(Clone)]
pub(super) enum Content {
    Here(Rc<[Octets]>),
    Stored(Rc<Stored>),
}

/// A message that stays in the log.
pub(super) struct Stored {
    store: Rc<Shard>,
    message: Message,
    /// What goes before the rest: its header, under the names that it has outside.
    head: Vec<Octets>,
    /// Where the rest begins.
    from: u64,
}

/// A message that is lent block by block.
pub(super) struct Blocks {
    content: Content,
    /// Of what is in memory, how much was lent.
    at: usize,
    /// Of what is stored, where it goes on.
    from: u64,
    block: Option<Octets>,
    /// Why it could not be read.
    pub(super) fault: Option<ReadError>,
}

impl Content {
    /// Reads all of a message.
    pub(super) async fn read(
        store: &Shard,
        message: &Message,
        rewrites: &Rewrites,
    ) -> Result<Content, ReadError> {
        let pieces = pieces(store, message, message.octets).await?;
        Ok(Content::Here(header::renamed(rewrites, pieces).into()))
    }

    /// Leaves a message where it is.
    pub(super) async fn leave(
        store: &Rc<Shard>,
        message: Message,
        rewrites: &Rewrites,
    ) -> Result<Content, ReadError> {
        let mut stored = Stored {
            store: Rc::clone(store),
            head: Vec::new(),
            from: 0,
            message,
        };
        if rewrites.change_headers() {
            let looked_at = stored.message.octets.min(header::HEADER_BYTES_MAX as u64);
            let head = pieces(store, &stored.message, looked_at).await?;
            stored.from = head.iter().map(|piece| piece.len() as u64).sum();
            stored.head = header::renamed(rewrites, head);
        }
        stored.message.let_go();
        Ok(Content::Stored(Rc::new(stored)))
    }

    /// How many octets it has.
    pub(super) fn octets(&self) -> u64 {
        let sum = |pieces: &[Octets]| pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
        match self {
            Content::Here(pieces) => sum(pieces),
            Content::Stored(stored) => sum(&stored.head) + stored.message.octets - stored.from,
        }
    }

    pub(super) fn blocks(&self) -> Blocks {
        Blocks {
            from: self.rest_from(),
            content: self.clone(),
            at: 0,
            block: None,
            fault: None,
        }
    }

    fn rest_from(&self) -> u64 {
        match self {
            Content::Here(_) => 0,
            Content::Stored(stored) => stored.from,
        }
    }

    pub(super) fn is_stored(&self) -> bool {
        matches!(self, Content::Stored(_))
    }

    /// Shows each block.
    pub(super) async fn each(&self, mut look: impl FnMut(&[u8])) -> Result<(), ReadError> {
        let mut blocks = self.blocks();
        while blocks.advance().await? {
            look(blocks.lent());
        }
        Ok(())
    }

    /// All of it in one run.
    pub(super) async fn whole(&self) -> Result<Vec<u8>, ReadError> {
        let mut whole = Vec::with_capacity(usize::try_from(self.octets()).unwrap_or(0));
        self.each(|block| whole.extend_from_slice(block)).await?;
        Ok(whole)
    }
}

impl Blocks {
    /// Goes on to the next block; `false`: there is none.
    async fn advance(&mut self) -> Result<bool, ReadError> {
        let stored = match &self.content {
            Content::Here(pieces) => {
                self.at += 1;
                return Ok(self.at <= pieces.len());
            }
            Content::Stored(stored) => Rc::clone(stored),
        };
        // Not beside the next one.
        self.block = None;
        if let Some(piece) = stored.head.get(self.at) {
            self.block = Some(piece.clone());
            self.at += 1;
            return Ok(true);
        }
        if self.from >= stored.message.octets {
            return Ok(false);
        }
        let end = stored.message.block_end(self.from);
        self.block = Some(stored.store.octets(&stored.message, self.from).await?);
        stored.message.let_go();
        self.from = end;
        Ok(true)
    }

    /// The block that it went on to.
    fn lent(&self) -> &[u8] {
        match &self.content {
            Content::Here(pieces) => {
                let place = self.at.checked_sub(1);
                let piece = place.and_then(|place| pieces.get(place));
                piece.map_or(&[], |piece| &**piece)
            }
            Content::Stored(_) => self.block.as_deref().unwrap_or_default(),
        }
    }
}

impl egress::Body for Blocks {
    fn octets(&self) -> u64 {
        self.content.octets()
    }

    async fn next(&mut self) -> io::Result<Option<&[u8]>> {
        match self.advance().await {
            Ok(is_there) => Ok(is_there.then(|| self.lent())),
            Err(fault) => {
                let said = io::Error::other(fault.to_string());
                self.fault = Some(fault);
                Err(said)
            }
        }
    }

    fn rewind(&mut self) {
        (self.at, self.from) = (0, self.content.rest_from());
    }
}

/// The first octets of a message, in pieces as they lie in the log.
async fn pieces(store: &Shard, message: &Message, octets: u64) -> Result<Vec<Octets>, ReadError> {
    let (mut pieces, mut from) = (Vec::new(), 0);
    while from < octets {
        pieces.push(store.octets(message, from).await?);
        from = message.block_end(from);
    }
    Ok(pieces)
}
