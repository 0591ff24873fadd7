//! The inner operations that a message and a client cost, each alone: for criterion and for
//! counting instructions.
//!
//! An operation is prepared once, outside of what is measured, and then run as often as one likes;
//! a run leaves things as it found them, or grows them by what it delivers.

pub(crate) mod frame;
pub(crate) mod hop;
pub(crate) mod smtp;
pub(crate) mod store;
pub(crate) mod view;

/// What one run of an operation does.
pub(crate) type Run = Box<dyn FnMut()>;

pub(crate) struct Operation {
    pub(crate) name: &'static str,
    /// For people: what is done once in a run.
    pub(crate) what: &'static str,
    /// Runs that are enough for a steady count.
    pub(crate) runs: u32,
    pub(crate) prepare: fn() -> Run,
}

pub(crate) const ALL: [Operation; 11] = [
    smtp::COMMANDS,
    smtp::END_OF_DATA,
    smtp::DIALOGUE,
    frame::FRAME,
    store::RECORD,
    store::DELIVERY,
    view::OPEN,
    view::SYNC,
    view::FLAG,
    view::FETCH,
    hop::HOP,
];
