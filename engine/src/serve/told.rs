//! What tells programs of messages, made before the shards begin.

use super::begin::Refusal;
use crate::config::{Config, Events};
use crate::events::{self, Ending, Hooks, Teller};
use crate::reactor::clock;
use crate::telemetry::metric::{EventSample, HookSample, Metrics};

pub(super) struct Told {
    teller: Teller,
    ending: Ending,
    hooks: Hooks,
    names: Vec<String>,
}

/// Opens the file; `None` where nothing is told.
pub(super) fn start(config: &Config) -> Result<Option<Told>, Refusal> {
    let Some(settings) = &config.events else {
        return Ok(None);
    };
    let refused = |error| {
        let file = settings.file.display();
        Refusal(format!("[events] file {file} cannot be written: {error}"))
    };
    let (teller, ending) = Teller::start(settings, clock::wall).map_err(refused)?;
    let hooks = Hooks::new(&teller, settings).map_err(Refusal)?;
    events::set_for_process(&teller);
    Ok(Some(Told {
        teller,
        ending,
        hooks,
        names: names(settings),
    }))
}

fn names(settings: &Events) -> Vec<String> {
    let hooks = settings.webhooks.iter();
    hooks.map(|hook| hook.name.clone()).collect()
}

impl Told {
    /// The metrics show what becomes of events from now on.
    pub(super) fn show(self, metrics: &Metrics) -> (Hooks, Ending) {
        let (teller, names) = (self.teller, self.names);
        metrics.show_events(Box::new(move || sample(&teller, &names)));
        (self.hooks, self.ending)
    }
}

fn sample(teller: &Teller, names: &[String]) -> EventSample {
    let (written, dropped) = teller.counts();
    let hooks = names.iter().zip(teller.lags());
    EventSample {
        written,
        dropped,
        is_stuck: teller.is_stuck(),
        hooks: hooks
            .map(|(name, lag)| HookSample {
                name: name.clone(),
                lag_bytes: lag.octets,
                delivered: lag.delivered,
                failures: lag.failures,
                skipped: lag.skipped,
            })
            .collect(),
    }
}
