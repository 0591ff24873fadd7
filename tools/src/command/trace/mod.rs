//! `ringpostctl trace`: the whole story of a message, from the log and from what the log became.
//!
//! ```text
//! question ─→ search: which messages, newest first ─→ follow: what was said of each from then on
//!                                                         └─→ story ─→ show: words or JSON
//! ```
//!
//! It reads the files of the store beside a running server or without one, and asks a running one
//! what a recipient is waiting for. In memory are the messages that are shown, and no others.

mod client;
mod follow;
mod question;
mod search;
mod show;
mod story;

use crate::client::Client;
use crate::command::moment;
use crate::progress;
use crate::usage::Usage;
use anyhow::bail;
use clap::Args;
use engine::config::CONTROL_SOCKET;
use question::Question;
use search::Search;
use std::time::{SystemTime, UNIX_EPOCH};
use store::check::Owner;
use store::disk::blocking::{BlockingDisk, run};
use store::disk::home::{Identity, read_identity, shard_directory};
use store::mail::id::{QueueId, ShardId};
use story::{Found, Story};

/// Tells everything that is known of a message: who brought it, where it went or what it waits
/// for, every attempt with host, TLS and reply. Server running or not; nothing is changed. Exits
/// with 1 if there is no such message.
#[derive(Args)]
pub(crate) struct Trace {
    /// A queue id as replies, logs and Received show it, a Message-ID, an address of the envelope,
    /// or a recipient of the queue as 0.17
    what: String,
    /// Look back no further: 90m, 2d, or a moment as 2026-11-22T08:30:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Tell of so many messages at most, the newest
    #[arg(long, default_value_t = 10, value_name = "COUNT")]
    most: usize,
}

impl Trace {
    pub(crate) fn run(self, client: &Client) -> anyhow::Result<bool> {
        let question: Question = self.what.parse().map_err(Usage::of)?;
        let now = now_secs();
        let since = self.since.as_deref().map(|text| since(text, now));
        let since = since.transpose().map_err(Usage::of)?;
        if self.most == 0 || self.most > MOST_MAX {
            return Err(Usage::of(format!("--most is from 1 to {MOST_MAX}")));
        }
        let identity = read_identity(&client.data().join("store")).map_err(Usage::of)?;
        let mut search = Search {
            question,
            since,
            most: self.most,
        };
        if let Question::Item(shard, _) = search.question {
            match queue_id_of(client, &identity, shard, &search)? {
                Some(queue) => search.question = Question::Queue(queue),
                None => return nothing(client, &self.what, None),
            }
        }
        let (mut found, mut reach) = (Vec::new(), None);
        for shard in 0..identity.shards {
            let in_shard = in_shard(client, &identity, shard, &search)?;
            reach = reach.max(in_shard.reach_secs);
            found.extend(in_shard.found);
        }
        if found.is_empty() {
            return nothing(client, &self.what, reach);
        }
        let mut stories = Story::of(found, self.most);
        if client.data().join(CONTROL_SOCKET).exists() {
            stories.iter_mut().for_each(|story| story.ask(client));
        }
        show::print(client, &stories, now)?;
        Ok(true)
    }
}

/// Says that there is no such message; `false`: exit with 1.
fn nothing(client: &Client, what: &str, reach_secs: Option<i64>) -> anyhow::Result<bool> {
    if client.is_json() {
        println!("[]");
    }
    client.note(&show::nothing(what, reach_secs));
    Ok(false)
}

/// The queue id of the message that an item of the queue is a recipient of.
fn queue_id_of(
    client: &Client,
    identity: &Identity,
    shard: u16,
    search: &Search,
) -> anyhow::Result<Option<QueueId>> {
    if shard >= identity.shards {
        let shards = identity.shards;
        return Err(Usage::of(format!("the store has {shards} shards, from 0")));
    }
    let found = in_shard(client, identity, shard, search)?.found;
    let heads = found.into_iter().filter_map(|one| one.head);
    Ok(heads.map(|head| head.queue).next())
}

/// What one shard knows.
struct InShard {
    found: Vec<Found>,
    /// How far back the log of the shard goes.
    reach_secs: Option<i64>,
}

fn in_shard(
    client: &Client,
    identity: &Identity,
    shard: u16,
    search: &Search,
) -> anyhow::Result<InShard> {
    let owner = Owner {
        store: identity.uuid,
        shard: ShardId(shard),
        directory: shard_directory(shard),
    };
    let disk = BlockingDisk::new(client.data());
    let bar = progress::octets(0);
    bar.set_message(format!("shard {shard}"));
    run(async {
        let hits = search.hits(&disk, &owner, &bar).await?;
        let found = match hits.messages.is_empty() {
            true => Vec::new(),
            false => follow::follow(&disk, &owner, &hits, search.since, &bar).await?,
        };
        anyhow::Ok(InShard {
            found,
            reach_secs: hits.reach_secs,
        })
    })
}

/// `90s`, `15m`, `3h`, `2d`, `1w` ago, or a moment.
fn since(text: &str, now: i64) -> anyhow::Result<i64> {
    let split = text.find(|c: char| !c.is_ascii_digit());
    let Some((count, unit)) = split.and_then(|at| text.split_at_checked(at)) else {
        bail!("{text}: write 90m, 2d, or a moment as 2026-11-22T08:30:00Z");
    };
    let secs = match unit {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return moment::moment(text),
    };
    let back = count.parse::<i64>()?.checked_mul(secs);
    Ok(now.saturating_sub(back.unwrap_or(i64::MAX)))
}

fn now_secs() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() as i64)
}

/// Messages that are in memory at one time.
const MOST_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::since;

    #[test]
    fn a_time_ago_or_a_moment() {
        assert_eq!(since("90m", 10_000).unwrap(), 10_000 - 5_400);
        assert_eq!(since("2d", 200_000).unwrap(), 200_000 - 172_800);
        assert_eq!(since("1970-01-01T00:00:09Z", 0).unwrap(), 9);
        for wrong in ["", "2", "2x", "yesterday", "99999999999999999999d"] {
            assert!(since(wrong, 0).is_err(), "{wrong}");
        }
    }
}
