//! Which clients run, with which load: one room a scenario, and what all of them need.

pub(crate) mod basin;
pub(crate) mod board;
pub(crate) mod brief;
pub(crate) mod crew;
pub(crate) mod disk;
pub(crate) mod imap;
pub(crate) mod inbox;
pub(crate) mod kill;
pub(crate) mod live;
pub(crate) mod mixed;
pub(crate) mod options;
pub(crate) mod pop3;
pub(crate) mod proof;
pub(crate) mod relay;
pub(crate) mod run;
pub(crate) mod search;
pub(crate) mod sink;
pub(crate) mod submit;
