//! Where the octets of a message come from while it is sent.

use std::io;
use std::rc::Rc;

/// The message behind its prefix: lent block by block, so that nothing is copied on the way to the
/// socket.
pub trait Body {
    /// How many octets all blocks have together.
    fn octets(&self) -> u64;

    /// The next block; `None` behind the last one. Blocks of 64 KiB keep both memory and system
    /// calls low.
    fn next(&mut self) -> impl Future<Output = io::Result<Option<&[u8]>>>;

    /// Begins anew.
    fn rewind(&mut self);
}

/// A message in memory.
#[derive(Clone, Debug)]
pub struct Pieces {
    pieces: Rc<[Rc<[u8]>]>,
    at: usize,
}

impl Pieces {
    #[must_use]
    pub fn new(pieces: Rc<[Rc<[u8]>]>) -> Pieces {
        Pieces { pieces, at: 0 }
    }
}

impl From<&[u8]> for Pieces {
    fn from(octets: &[u8]) -> Pieces {
        Pieces::new(Rc::new([Rc::from(octets)]))
    }
}

impl Body for Pieces {
    fn octets(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.len() as u64).sum()
    }

    async fn next(&mut self) -> io::Result<Option<&[u8]>> {
        let piece = self.pieces.get(self.at);
        self.at += 1;
        Ok(piece.map(|piece| &**piece))
    }

    fn rewind(&mut self) {
        self.at = 0;
    }
}
