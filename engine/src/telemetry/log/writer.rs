//! The thread that alone writes the log: batches in, one file or standard error out.

use super::Level;
use super::Shared;
use super::line::{self, Event};
use crossbeam_channel::{Receiver, Sender};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What the thread is told.
pub(super) enum Order {
    Lines {
        text: String,
        lines: u64,
    },
    /// Open the file again: logrotate has moved it.
    Reopen,
    /// Answer when all that came before is written.
    Flush(Sender<()>),
    Stop,
}

/// Where lines go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    Stderr,
    /// Appended to; made with mode 0640.
    File(PathBuf),
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    target: Target,
    out: Box<dyn Write + Send>,
    dropped_told: u64,
}

impl Writer {
    pub(super) fn open(shared: Arc<Shared>, target: Target) -> io::Result<Writer> {
        Ok(Writer {
            out: open(&target)?,
            shared,
            target,
            dropped_told: 0,
        })
    }

    /// Until `Stop`, or until nobody can send any more.
    pub(super) fn run(mut self, orders: &Receiver<Order>) {
        while let Ok(order) = orders.recv() {
            match order {
                Order::Lines { text, lines } => self.lines(&text, lines),
                Order::Reopen => self.reopen(),
                Order::Flush(done) => {
                    let _ = self.out.flush();
                    // Nobody waits any more: then nobody needs the answer.
                    let _ = done.send(());
                }
                Order::Stop => break,
            }
        }
        let _ = self.out.flush();
    }

    /// A log that cannot be written stops nobody; what is lost is counted.
    fn lines(&mut self, text: &str, lines: u64) {
        if self.out.write_all(text.as_bytes()).is_err() {
            self.shared.dropped.fetch_add(lines, Ordering::Relaxed);
            return;
        }
        let dropped = self.shared.dropped.load(Ordering::Relaxed);
        let more = dropped - self.dropped_told;
        if more > 0 {
            self.dropped_told = dropped;
            self.say("log lines dropped", &[("lines", &more)]);
        }
    }

    fn reopen(&mut self) {
        match open(&self.target) {
            Ok(out) => self.out = out,
            // The old file is still there: go on with it, and say so in it.
            Err(error) => self.say("log not reopened", &[("error", &error)]),
        }
    }

    fn say(&mut self, name: &'static str, fields: &[(&str, &dyn super::Value)]) {
        let (mut text, mut scratch) = (String::new(), String::new());
        let event = Event {
            level: Level::Warn,
            name,
            fields,
        };
        let now = (self.shared.clock)();
        line::write(&mut text, &mut scratch, self.shared.format, now, event);
        let _ = self.out.write_all(text.as_bytes());
    }
}

fn open(target: &Target) -> io::Result<Box<dyn Write + Send>> {
    Ok(match target {
        Target::Stderr => Box::new(io::stderr()),
        Target::File(path) => Box::new(append(path)?),
    })
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
}
