//! The keeper: a process of its own that owns a yard (folder and servers) and always clears it.
//!
//! Whatever becomes of the tool, its end of the keeper's standard input closes, also after
//! Ctrl-C, a panic or `kill -9`. Then the keeper ends the programs it started, and what they
//! started (it is their subreaper and, where cgroup v2 is writable, everything sits in one
//! group), and removes the folder. A detached keeper waits for SIGTERM instead, or for its folder
//! to vanish. Nothing is ever ended by name.
//!
//! ```text
//! AwaitOrder ──Start──▶ AwaitOrder      ──Detach──▶ AwaitSignal
//!     └──── input closed, signal ──▶ clear: TERM, wait, KILL, remove ◀──┘
//! ```

mod group;
mod reaper;

use super::order::{Answer, Order};
use anyhow::Context;
use group::Group;
use reaper::Reaper;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::fs::{self, File};
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// The file in the folder that says who keeps it.
pub(super) const KEEPER_FILE: &str = "keeper";

enum Event {
    Order(Order),
    /// The tool has ended or let go.
    Closed,
    ChildEnded,
    Asked,
}

/// Runs until the tool ends or a signal comes; the folder must not exist yet.
pub(crate) fn keep(folder: &Path) -> anyhow::Result<()> {
    let events = listen()?;
    let keeper = Keeper::begin(folder);
    match &keeper {
        Ok(keeper) => answer(&Answer::Ready {
            cgroup: keeper
                .group
                .as_ref()
                .map(|group| group.folder().to_path_buf()),
        }),
        Err(why) => answer(&failed(why)),
    }
    let mut keeper = keeper?;
    keeper.obey(&events);
    let cleared = keeper.clear(&events);
    answer(&match &cleared {
        Ok(()) => Answer::Done,
        Err(why) => failed(why),
    });
    cleared
}

struct Keeper {
    folder: PathBuf,
    group: Option<Group>,
    reaper: Reaper,
    is_detached: bool,
}

impl Keeper {
    fn begin(folder: &Path) -> anyhow::Result<Keeper> {
        fs::create_dir(folder).with_context(|| format!("{}", folder.display()))?;
        let group = Group::enter(std::process::id());
        let told = group
            .as_ref()
            .map(|group| group.folder().display().to_string());
        let text = format!("{}\n{}\n", std::process::id(), told.unwrap_or_default());
        let keeper = Keeper {
            folder: folder.to_path_buf(),
            group,
            reaper: Reaper::begin()?,
            is_detached: false,
        };
        fs::write(folder.join(KEEPER_FILE), text)?;
        Ok(keeper)
    }

    fn obey(&mut self, events: &Receiver<Event>) {
        loop {
            let event = match events.recv_timeout(LOOK) {
                Ok(event) => event,
                // Somebody has removed the yard by hand: nothing is left to be kept.
                Err(RecvTimeoutError::Timeout) if !self.folder.exists() => return,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            match event {
                Event::Order(order) => answer(&match self.carry_out(order) {
                    Ok(answer) => answer,
                    Err(why) => failed(&why),
                }),
                Event::ChildEnded => self.reaper.reap(),
                Event::Closed if self.is_detached => {}
                Event::Closed | Event::Asked => return,
            }
        }
    }

    fn carry_out(&mut self, order: Order) -> anyhow::Result<Answer> {
        match order {
            Order::Start { argv, log } => self.start(&argv, &log)?,
            Order::Count => {
                self.reaper.reap();
                let programs = self.reaper.programs();
                return Ok(Answer::Running { programs });
            }
            Order::Detach => self.is_detached = true,
        }
        Ok(Answer::Done)
    }

    fn start(&mut self, argv: &[String], log: &Path) -> anyhow::Result<()> {
        let (program, arguments) = argv.split_first().context("an empty command")?;
        let log = File::options().create(true).append(true).open(log)?;
        let child = Command::new(program)
            .args(arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| program.clone())?;
        self.reaper.adopt(child.id());
        Ok(())
    }

    /// Ends everything, politely first, and removes what was written.
    fn clear(mut self, events: &Receiver<Event>) -> anyhow::Result<()> {
        self.wait_until_none(events, TERM_SECS_MAX);
        for _ in 0..KILL_ROUNDS_MAX {
            if self.reaper.is_empty() {
                break;
            }
            self.reaper.kill();
            if let Some(group) = &self.group {
                group.kill_others();
            }
            self.wait_until_none(events, 1);
        }
        if let Some(group) = self.group.take() {
            group.leave();
        }
        removed(&self.folder).with_context(|| format!("{}", self.folder.display()))
    }

    fn wait_until_none(&mut self, events: &Receiver<Event>, secs_max: u64) {
        let end = Instant::now() + Duration::from_secs(secs_max);
        loop {
            self.reaper.reap();
            let rest = end.saturating_duration_since(Instant::now());
            if self.reaper.is_empty() || rest.is_zero() {
                return;
            }
            self.reaper.ask_to_end();
            // An event only wakes us; a second is for what ended before we looked.
            match events.recv_timeout(rest.min(Duration::from_secs(1))) {
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

/// Orders and signals, in one queue.
fn listen() -> anyhow::Result<Receiver<Event>> {
    let (sender, events) = channel();
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGCHLD])?;
    let asked = sender.clone();
    std::thread::spawn(move || {
        for signal in signals.forever() {
            let event = if signal == SIGCHLD {
                Event::ChildEnded
            } else {
                Event::Asked
            };
            if asked.send(event).is_err() {
                return;
            }
        }
    });
    std::thread::spawn(move || read_orders(&sender));
    Ok(events)
}

fn read_orders(sender: &Sender<Event>) {
    let lines = std::io::stdin().lock().lines().map_while(Result::ok);
    let orders = lines.map_while(|line| serde_json::from_str(&line).ok());
    for order in orders {
        if sender.send(Event::Order(order)).is_err() {
            return;
        }
    }
    // Nobody listens any more when this fails.
    let _ = sender.send(Event::Closed);
}

/// A program of the tool's (a download) may still write there for a moment after the tool is gone.
fn removed(folder: &Path) -> std::io::Result<()> {
    for _ in 1..REMOVE_TRIES_MAX {
        if fs::remove_dir_all(folder).is_ok() || !folder.exists() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    fs::remove_dir_all(folder)
}

fn answer(answer: &Answer) {
    let line = serde_json::to_string(answer).expect("an answer is plain data");
    // The tool may be gone; its closed input tells us.
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn failed(why: &anyhow::Error) -> Answer {
    Answer::Failed {
        why: format!("{why:#}"),
    }
}

const TERM_SECS_MAX: u64 = 20;
/// How often an idle keeper sees whether its yard is still there.
const LOOK: Duration = Duration::from_secs(5);
const REMOVE_TRIES_MAX: usize = 10;
/// One for each generation of orphans, a second each.
const KILL_ROUNDS_MAX: usize = 20;
