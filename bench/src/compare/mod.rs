//! The same load against several servers in turn, and what follows from it.

pub(crate) mod command;
mod mailboxes;
mod relaying;
mod source;
mod turns;
