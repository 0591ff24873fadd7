//! Webhooks: each reads the files at its own pace, and is told again until it says that it has it.
//!
//! A place is written down when its events were delivered, so that after a start the last batch
//! may come again and none is left out. A webhook that is dead costs a try now and then; what is
//! removed before it was read is counted.

use super::file;
use super::line::kind_of;
use super::place::{Lag, Place};
use super::send::{Client, Unsent};
use super::writer::{Shared, Teller};
use crate::config::{Events, Webhook};
use crate::event;
use crate::reactor::clock;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// All webhooks of a configuration.
pub struct Hooks {
    teller: Teller,
    path: PathBuf,
    hooks: Vec<(Webhook, Client)>,
}

impl Hooks {
    /// Reads the authorities; `Err` names the webhook that cannot be verified.
    pub fn new(teller: &Teller, events: &Events) -> Result<Hooks, String> {
        let client = |hook: &Webhook| {
            let client = Client::new(hook).map_err(|why| format!("webhook {}: {why}", hook.name));
            Ok::<_, String>((hook.clone(), client?))
        };
        Ok(Hooks {
            teller: teller.clone(),
            path: events.file.clone(),
            hooks: events
                .webhooks
                .iter()
                .map(client)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl Teller {
    /// How far each webhook is behind, in the order of the configuration.
    #[must_use]
    pub fn lags(&self) -> Vec<Lag> {
        self.shared().reached.lags()
    }
}

/// Begins all of them, on the service thread; they end with it.
pub fn run(hooks: Hooks) {
    for (number, (hook, client)) in hooks.hooks.into_iter().enumerate() {
        let runner = Runner {
            shared: Arc::clone(hooks.teller.shared()),
            number,
            aside: place_file(&hooks.path, &hook.name),
            path: hooks.path.clone(),
            hook,
            client,
            place: Place::default(),
            lag: Lag::default(),
            failing: false,
        };
        tokio::task::spawn_local(runner.run());
    }
}

struct Runner {
    shared: Arc<Shared>,
    number: usize,
    hook: Webhook,
    client: Client,
    path: PathBuf,
    /// Where its place is kept.
    aside: PathBuf,
    place: Place,
    lag: Lag,
    failing: bool,
}

/// Events that go out together, and where the next ones begin.
struct Load {
    body: Vec<u8>,
    count: u64,
    from: Place,
    end: Place,
}

impl Runner {
    async fn run(mut self) {
        self.place = self.begin().await;
        loop {
            self.shared.reached.read(self.number, self.place, self.lag);
            let shared = Arc::clone(&self.shared);
            let more = shared.reached.more.notified();
            match self.gather().await {
                Ok(Some(load)) => self.deliver(load).await,
                // A notice between the look and the wait is made up for by the time.
                Ok(None) => drop(tokio::time::timeout(LOOK, more).await),
                Err(error) => {
                    self.say(&format!("its events cannot be read: {error}"));
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
    }

    /// Where it was; a new one begins with what is told from now on.
    async fn begin(&self) -> Place {
        let (aside, present) = (self.aside.clone(), self.shared.reached.present());
        let read = tokio::task::spawn_blocking(move || load(&aside)).await;
        let place = read.ok().flatten().unwrap_or(present);
        // Files of another life may have been taken away.
        match place > present {
            true => present,
            false => place,
        }
    }

    /// The next events that it wants, from the file where it is or the one behind it.
    async fn gather(&mut self) -> io::Result<Option<Load>> {
        loop {
            let written = self.shared.reached.file();
            let (path, place) = (self.path.clone(), self.place);
            let read = tokio::task::spawn_blocking(move || file::read(&path, place, written));
            let read = read.await.map_err(io::Error::other)?;
            // It was renamed meanwhile: what was read may be of another file.
            if self.shared.reached.file() != written {
                continue;
            }
            let octets = match read {
                Ok(octets) => octets,
                Err(error) if error.kind() == io::ErrorKind::NotFound && place.file < written => {
                    self.skip(written).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            if !octets.is_empty() {
                match self.pick(&octets) {
                    Some(load) => return Ok(Some(load)),
                    None => continue,
                }
            }
            if place.file >= written {
                return Ok(None);
            }
            let path = self.path.clone();
            let next = tokio::task::spawn_blocking(move || file::next_of(&path, place.file)).await;
            let file = next.ok().flatten().unwrap_or(written);
            self.place = Place { file, at: 0 };
        }
    }

    /// A file is gone that it had not read.
    async fn skip(&mut self, written: u64) {
        let (path, file) = (self.path.clone(), self.place.file);
        let next = tokio::task::spawn_blocking(move || file::next_of(&path, file)).await;
        let next = next.ok().flatten().unwrap_or(written);
        self.lag.skipped += next.saturating_sub(file);
        self.place = Place { file: next, at: 0 };
        event!(
            Error,
            "webhook was too far behind: events were removed before it had them",
            webhook = self.hook.name.as_str(),
            files = next.saturating_sub(file),
        );
    }

    /// Up to a batch of whole lines; what it does not want is passed over.
    fn pick(&mut self, octets: &[u8]) -> Option<Load> {
        let (from, mut end) = (self.place, self.place);
        let (mut body, mut count) = (vec![b'['], 0);
        for line in octets.split_inclusive(|octet| *octet == b'\n') {
            if count == u64::from(self.hook.batch_max) {
                break;
            }
            end.at += line.len() as u64;
            if kind_of(line).is_some_and(|kind| self.hook.kinds.has(kind)) {
                if count > 0 {
                    body.push(b',');
                }
                body.extend_from_slice(line.trim_ascii_end());
                count += 1;
            }
        }
        body.push(b']');
        if count == 0 {
            self.place = end;
            return None;
        }
        Some(Load {
            body,
            count,
            from,
            end,
        })
    }

    /// Tells it again and again, with growing pauses, until it has them.
    async fn deliver(&mut self, load: Load) {
        let id = format!(
            "{}-{}-{}-{}",
            self.hook.name, load.from.file, load.from.at, load.count
        );
        let timeout = Duration::from_secs(self.hook.timeout_secs.into());
        let mut tries = 0;
        loop {
            let secs = clock::wall().duration_since(UNIX_EPOCH);
            let secs = secs.unwrap_or_default().as_secs();
            let sent = self.client.send(&id, secs, load.body.clone());
            let sent = tokio::time::timeout(timeout, sent).await;
            match sent.unwrap_or(Err(Unsent::Silent)) {
                Ok(()) => break,
                Err(why) => {
                    self.lag.failures += 1;
                    self.say(&why.to_string());
                }
            }
            self.shared.reached.read(self.number, self.place, self.lag);
            let pauses = &self.hook.retry_secs;
            let pause = pauses.get(tries).or(pauses.last()).copied().unwrap_or(1);
            tries += 1;
            tokio::time::sleep(Duration::from_secs(pause.into())).await;
        }
        if std::mem::take(&mut self.failing) {
            event!(
                Info,
                "webhook answers again",
                webhook = self.hook.name.as_str()
            );
        }
        self.lag.delivered += load.count;
        self.place = load.end;
        let (aside, place) = (self.aside.clone(), self.place);
        let kept = tokio::task::spawn_blocking(move || keep(&aside, place)).await;
        if let Ok(Err(error)) = kept {
            self.say(&format!("its place cannot be kept: {error}"));
        }
    }

    /// The beginning of trouble is one line.
    fn say(&mut self, why: &str) {
        if !std::mem::replace(&mut self.failing, true) {
            let name = self.hook.name.as_str();
            event!(Warn, "webhook fails", webhook = name, why = why);
        }
    }
}

fn place_file(path: &Path, name: &str) -> PathBuf {
    path.with_file_name(format!("webhook-{name}.place"))
}

fn load(aside: &Path) -> Option<Place> {
    let text = std::fs::read_to_string(aside).ok()?;
    let (file, at) = text.trim().split_once(' ')?;
    Some(Place {
        file: file.parse().ok()?,
        at: at.parse().ok()?,
    })
}

fn keep(aside: &Path, place: Place) -> io::Result<()> {
    let new = aside.with_extension("new");
    std::fs::write(&new, format!("{} {}\n", place.file, place.at))?;
    std::fs::rename(&new, aside)
}

/// How long nothing is looked at where nothing is told.
const LOOK: Duration = Duration::from_millis(500);
