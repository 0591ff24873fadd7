//! What was left out and what was odd: counted, the first of it shown, all of it in a file.

use super::parcel::Trouble;
use anyhow::Context;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

pub(crate) struct Report {
    pub(crate) left_out: u64,
    pub(crate) remarks: u64,
    shown: Vec<String>,
    file: Option<BufWriter<File>>,
}

impl Report {
    /// Writes every line to `file` too: `left out` or `note`, file, offset, reason, between tabs.
    pub(crate) fn new(file: Option<&Path>) -> anyhow::Result<Report> {
        let create = |path: &Path| {
            let made = File::create(path).map(BufWriter::new);
            made.with_context(|| format!("{}", path.display()))
        };
        Ok(Report {
            left_out: 0,
            remarks: 0,
            shown: Vec::new(),
            file: file.map(create).transpose()?,
        })
    }

    pub(crate) fn left_out(&mut self, trouble: &Trouble) {
        self.left_out += 1;
        self.tell("left out", trouble);
    }

    pub(crate) fn remark(&mut self, trouble: &Trouble) {
        self.remarks += 1;
        self.tell("note", trouble);
    }

    fn tell(&mut self, kind: &str, trouble: &Trouble) {
        let Trouble { spot, why } = trouble;
        // Names come from a disk: they may hold anything.
        let file = spot.file.display().to_string().escape_debug().to_string();
        let offset = spot.offset;
        if let Some(out) = &mut self.file {
            let written = writeln!(out, "{kind}\t{file}\t{offset}\t{why}");
            if written.is_err() {
                self.file = None;
                self.shown.push("the report cannot be written".to_owned());
            }
        }
        if self.shown.len() < SHOWN_MAX {
            self.shown
                .push(format!("{kind}: {file} at {offset}: {why}"));
        }
    }

    /// Shows what there is to show; whether nothing was left out.
    pub(crate) fn conclude(mut self) -> bool {
        if let Some(Err(error)) = self.file.as_mut().map(Write::flush) {
            self.shown
                .push(format!("the report cannot be written: {error}"));
        }
        for line in &self.shown {
            eprintln!("{line}");
        }
        let more = (self.left_out + self.remarks).saturating_sub(self.shown.len() as u64);
        if more > 0 {
            eprintln!("… and {more} more; --report FILE lists all");
        }
        self.left_out == 0
    }
}

/// Lines shown on the terminal.
const SHOWN_MAX: usize = 50;
