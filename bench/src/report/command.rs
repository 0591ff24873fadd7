//! `ringpost-bench report`: says again what files hold, or makes a page of it.

use super::{file, summary, write_page};
use clap::Args;
use std::path::PathBuf;

/// Make a summary or a page with charts of outcomes that were kept as JSON
#[derive(Args, Debug)]
pub(crate) struct Report {
    /// What --json wrote
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Write a page (one file, charts inside) instead of a summary on the terminal
    #[arg(long, value_name = "OUT")]
    html: Option<PathBuf>,
}

impl Report {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let outcomes = file::read(&self.files)?;
        match &self.html {
            Some(out) => {
                write_page(out, &outcomes)?;
                println!("{}", out.display());
            }
            None => print!("{}", summary(&outcomes)),
        }
        Ok(())
    }
}
