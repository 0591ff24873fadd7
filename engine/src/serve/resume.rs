//! Before anything is offered or accepted, shards compare how far they are with each other: the
//! files of a live copy or of a restored backup may be of different moments (`store::shard`).
//!
//! ```text
//! service   Seen ─→ every shard   ResumeOffers ─→ every source   ResumeTaking ─→ every target
//! ```
//!
//! A log that takes nothing does not hold up the start: what was found holds until the end, and
//! the next start finds it again.

use super::shard::Desk;
use crate::admin::office::{Gone, Office};
use crate::event;
use crate::post::Order;
use std::fmt::Display;

/// Lets all shards agree.
pub(super) async fn resume(office: &Office, shards: u16) -> Result<(), Gone> {
    let mut seen = Vec::new();
    for target in 0..shards {
        seen.push(office.ask(target, Order::Seen).await?);
    }
    let mut through = Vec::new();
    for source in 0..shards {
        let seen = column(&seen, source);
        let order = |done| Order::ResumeOffers { seen, done };
        through.push(office.ask(source, order).await?);
    }
    for target in 0..shards {
        let through = column(&through, target);
        let order = |done| Order::ResumeTaking { through, done };
        office.ask(target, order).await?;
    }
    Ok(())
}

/// What every shard said of `shard`.
fn column(said: &[Vec<u64>], shard: u16) -> Vec<u64> {
    let of_shard = |row: &Vec<u64>| row.get(usize::from(shard)).copied().unwrap_or(0);
    said.iter().map(of_shard).collect()
}

/// How far this shard has taken what others offer, by source.
pub(super) fn seen(desk: &Desk) -> Vec<u64> {
    let seen = |source| desk.hall.store.seen_from(source as u16);
    (0..desk.shards).map(seen).collect()
}

/// As the source of offers, for each target.
pub(super) async fn offers(desk: &Desk, seen: &[u64]) -> Vec<u64> {
    let (store, shard) = (&desk.hall.store, desk.hall.shard);
    let mut through = Vec::with_capacity(seen.len());
    for (target, &seen) in seen.iter().enumerate() {
        let resumed = store.resume_offers(target as u16, seen);
        through.push(resumed.through);
        if resumed.is_behind {
            event!(
                Warn,
                "the store of this shard is older than that of the target: it goes on behind it",
                shard = shard,
                target = target,
                seen = seen,
            );
            let logged = store.settle_offers(target as u16, seen).await;
            logged.unwrap_or_else(|error| say_unlogged(shard, &error));
        }
    }
    desk.hall
        .metrics
        .spool_offers
        .set(store.offers_waiting() as u64);
    through
}

/// As the target of offers, for each source.
pub(super) async fn taking(desk: &Desk, through: &[u64]) {
    let (store, shard) = (&desk.hall.store, desk.hall.shard);
    for (source, &through) in through.iter().enumerate() {
        let Some(skipped) = store.resume_taking(source as u16, through) else {
            continue;
        };
        let (first, last) = skipped.into_inner();
        let metrics = &desk.hall.metrics;
        metrics.spool_offers_skipped.add(last - first + 1);
        event!(
            Warn,
            "the store of this shard is older than that of the source: what the source has \
             handed over since is not in it",
            shard = shard,
            source = source,
            first_offer = first,
            last_offer = last,
        );
        let logged = store.log_seen(source as u16, last).await;
        logged.unwrap_or_else(|error| say_unlogged(shard, &error));
    }
}

fn say_unlogged(shard: usize, error: &dyn Display) {
    event!(
        Warn,
        "the next start will find it again",
        shard = shard,
        why = error.to_string(),
    );
}
