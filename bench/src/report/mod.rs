//! What outcomes say: a summary for the terminal, JSON for programs, a page with charts for people.
//!
//! Everything here is made of outcomes alone, so that a report can be made anew from a file.

mod chart;
pub(crate) mod command;
mod figure;
mod file;
mod group;
mod html;
#[cfg(test)]
mod sample;
mod summary;
mod table;

pub(crate) use file::write;
pub(crate) use summary::{line, summary};

use crate::outcome::Outcome;
use std::path::Path;

/// Writes the page; what was there before is replaced whole or not at all.
pub(crate) fn write_page(path: &Path, outcomes: &[Outcome]) -> anyhow::Result<()> {
    file::replace(path, &html::page(outcomes))
}
