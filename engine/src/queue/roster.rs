//! What the operator sees of the egress sources.

use super::dispatch::Dispatcher;
use super::source::{Obstacle, Source};
use crate::post::{SourceLine, WarmSite};
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Dispatcher {
    /// All sources; ready are the recipients of this shard.
    pub(super) fn source_lines(&self) -> Vec<SourceLine> {
        let now = self.second();
        let config = self.live.config.load();
        let sources = self.sources.of(&config.outbound.sources);
        let board = self.board.borrow();
        let ready = |source: &Source| {
            let queues = board.queues().map(|(_, queue)| queue);
            let of_it = queues.filter(|queue| queue.source.id == source.id);
            of_it.map(|queue| queue.ready() as u64).sum()
        };
        let line = |source: &Arc<Source>| SourceLine {
            ready: ready(source),
            ..line(source, now)
        };
        sources.iter().map(line).collect()
    }
}

fn line(source: &Source, now: u32) -> SourceLine {
    let (why, secs) = match source.obstacle("", now) {
        Some(Obstacle::Suspended { why, until }) => (Some(why), until.saturating_sub(now)),
        _ => (None, 0),
    };
    let warm_site = |(site, sent): (String, u32)| {
        let most = source.ration(&site, now)?;
        Some(WarmSite { site, sent, most })
    };
    let mut warming: Vec<WarmSite> = source
        .today(now)
        .into_iter()
        .filter_map(warm_site)
        .collect();
    warming.sort_by_key(|one| std::cmp::Reverse(one.sent));
    warming.truncate(SITES_SHOWN_MAX);
    SourceLine {
        source: source.says.name.clone(),
        hello: source.says.hello.clone(),
        addresses: source
            .says
            .addresses
            .iter()
            .map(ToString::to_string)
            .collect(),
        ready: 0,
        connections: source.open(),
        connections_max: source.says.connections_max,
        sent: source.sent.load(Ordering::Relaxed),
        suspended: why,
        suspended_secs: secs,
        warming,
    }
}

/// Sites of one source that are shown, those with most mail first.
const SITES_SHOWN_MAX: usize = 100;
