//! Parts of a mailbox by the place of its messages: UIDBATCHES (RFC 10022 §3.1).

/// The mailbox in batches of `messages`, the newest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Batches {
    pub messages: u32,
    /// Numbers of the batches that are asked for, from 1; `None` for all.
    pub wanted: Option<(u32, u32)>,
}
