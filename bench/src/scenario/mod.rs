//! Which clients run, with which load: one room a scenario, and what all of them need.

pub(crate) mod board;
pub(crate) mod crew;
pub(crate) mod live;
pub(crate) mod options;
pub(crate) mod run;
pub(crate) mod submit;
pub(crate) mod summary;
