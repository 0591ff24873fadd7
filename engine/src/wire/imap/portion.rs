//! Parts of a mailbox by the place of its messages: PARTIAL and UIDBATCHES (RFC 9394 §3, RFC 10022
//! §3.1).

/// `1:100` counts from the oldest message, `-1:-100` from the newest. The ends are in order, from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Partial {
    Oldest(u32, u32),
    Newest(u32, u32),
}

impl Partial {
    /// How many messages it can have.
    #[must_use]
    pub fn messages(self) -> u32 {
        let (Partial::Oldest(first, last) | Partial::Newest(first, last)) = self;
        (last - first).saturating_add(1)
    }
}

/// UIDBATCHES: the mailbox in batches of `messages`, the newest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Batches {
    pub messages: u32,
    /// Numbers of the batches that are asked for, from 1; `None` for all.
    pub wanted: Option<(u32, u32)>,
}
