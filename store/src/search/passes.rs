//! How the store has messages read: each passes twice, in pieces, because one may be larger than
//! what may lie in memory. What it is built like is seen when it passes for the first time, its
//! texts are told when it passes again.
//!
//! ```text
//! begin ─▶ FirstPass ── feed … ─▶ texts(header) ─▶ SecondPass ── feed … ─▶ finish
//!                                                      └──▶ text, text, …
//! ```

use super::{Column, Field};

/// What texts and columns are made by: another one may make others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Version {
    /// Raised when the reader makes others of the same octets.
    pub reader: u16,
    /// A fingerprint of the programs that read attachments for it; 0 where none does.
    pub helpers: u32,
}

/// Without helpers.
impl From<u16> for Version {
    fn from(reader: u16) -> Version {
        Version { reader, helpers: 0 }
    }
}

/// Reads messages for the store. Pure: the same octets give the same texts and columns as long as
/// the version is the same, in whatever pieces they come. Called on the compactor's thread.
pub trait Texts: Send + Sync {
    /// What another version made is not believed, and is made anew.
    fn version(&self) -> Version;

    /// Begins a message (prefix and body).
    fn begin(&self) -> Box<dyn FirstPass>;

    /// Appends what a column keeps of a message whose header (prefix and header, with the empty
    /// line where there is one) is given; nothing appended, or more than
    /// [`COLUMN_BYTES_MAX`](super::COLUMN_BYTES_MAX): it keeps nothing.
    fn column(&self, header: &[u8], column: Column, out: &mut Vec<u8>) {
        let _ = (header, column, out);
    }
}

/// Takes every searchable text of a message, decoded to Unicode and folded, field by field. A text
/// that is searched for is found only within one of these.
pub type TextSink<'a> = &'a mut dyn FnMut(Field, &str);

/// A message that passes for the first time.
pub trait FirstPass {
    /// Takes the next octets.
    fn feed(&mut self, piece: &[u8]);

    /// The message is over and will pass again; its texts go to `each`. The header is that of
    /// [`Texts::column`].
    fn texts<'a>(self: Box<Self>, header: &[u8], each: TextSink<'a>) -> Box<dyn SecondPass + 'a>;
}

/// A message that passes for the second time, octet by octet as it did before.
pub trait SecondPass {
    /// Takes the next octets.
    fn feed(&mut self, piece: &[u8]);

    /// The message is over: tells what is left of its texts.
    fn finish(self: Box<Self>);
}

/// Reads messages that are small enough to lie in memory whole: for who knows that they are.
pub struct InMemory<R>(pub R);

struct Gathered<'a, R> {
    octets: Vec<u8>,
    read: R,
    each: TextSink<'a>,
}

impl<R: Fn(&[u8], TextSink<'_>) + 'static> FirstPass for InMemory<R> {
    fn feed(&mut self, _: &[u8]) {}

    fn texts<'a>(self: Box<Self>, _: &[u8], each: TextSink<'a>) -> Box<dyn SecondPass + 'a> {
        Box::new(Gathered {
            octets: Vec::new(),
            read: self.0,
            each,
        })
    }
}

impl<R: Fn(&[u8], TextSink<'_>)> SecondPass for Gathered<'_, R> {
    fn feed(&mut self, piece: &[u8]) {
        self.octets.extend_from_slice(piece);
    }

    fn finish(self: Box<Self>) {
        let Gathered { octets, read, each } = *self;
        read(&octets, each);
    }
}
