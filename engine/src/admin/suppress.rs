//! What an operator asks and orders of the suppression list: each address of its own shard.

use super::office::{Office, say_gone};
use super::wire::{Reply, Request, SUPPRESS_TOGETHER_MAX, SuppressEntry};
use crate::config;
use crate::post::suppress::ENTRIES_MAX;
use crate::post::{Order, SuppressAnswer, SuppressAsk, SuppressReason, Suppressed};
use crate::reactor::Now;
use crate::route::home;
use std::collections::BTreeMap;
use std::fmt::Write;

impl Office {
    pub(super) async fn suppress(&self, request: Request) -> Result<Reply, String> {
        match request {
            Request::SuppressPut { entries } => self.each(entries, SuppressAsk::Put).await,
            Request::SuppressRemove { entries } => {
                let named = |one: Suppressed| (one.address, one.tenant);
                self.each(entries, |entries| {
                    SuppressAsk::Remove(entries.into_iter().map(named).collect())
                })
                .await
            }
            Request::SuppressCheck { address, tenant } => {
                let address = config::address(&address)?;
                let shard = home(&address.domain, self.shards()).0;
                let tenant = tenant.unwrap_or_default();
                match self
                    .asked(shard, SuppressAsk::Check { address, tenant })
                    .await?
                {
                    SuppressAnswer::Found(found) => Ok(Reply::Suppressed {
                        lines: found.into_iter().collect(),
                        next: None,
                    }),
                    _ => Err("the shard said something else".to_owned()),
                }
            }
            Request::SuppressList {
                domain,
                after,
                most,
            } => self.page(domain, after.as_deref(), most as usize).await,
            _ => Err("this is not about the suppression list".to_owned()),
        }
    }

    /// One order to each shard that keeps some of the addresses.
    async fn each(
        &self,
        entries: Vec<SuppressEntry>,
        ask: impl Fn(Vec<Suppressed>) -> SuppressAsk,
    ) -> Result<Reply, String> {
        if entries.len() > SUPPRESS_TOGETHER_MAX {
            return Err(format!("at most {SUPPRESS_TOGETHER_MAX} entries at once"));
        }
        let now = Now::read().unix_secs() as i64;
        let mut by_shard: BTreeMap<u16, Vec<Suppressed>> = BTreeMap::new();
        for entry in entries {
            let address = config::address(&entry.address)?;
            let shard = home(&address.domain, self.shards()).0;
            let entry = suppressed(entry, address.to_string(), now);
            by_shard.entry(shard).or_default().push(entry);
        }
        let mut all = 0;
        for (shard, entries) in by_shard {
            if let SuppressAnswer::Count(count) = self.asked(shard, ask(entries)).await? {
                all += count;
            }
        }
        Ok(Reply::Count(all))
    }

    /// A page of the list: shard by shard, each in the order of its keys.
    async fn page(
        &self,
        domain: Option<String>,
        after: Option<&str>,
        most: usize,
    ) -> Result<Reply, String> {
        let domain = match domain {
            Some(text) => {
                let name = config::domain_name(&text);
                Some(name.ok_or_else(|| format!("{text} is no domain name"))?)
            }
            None => None,
        };
        let most = most.clamp(1, ENTRIES_MAX);
        let (mut shard, mut after) = match after {
            Some(text) => place(text).ok_or("that is no place to go on from")?,
            None => (0, None),
        };
        let mut lines = Vec::new();
        while shard < self.shards() {
            let ask = SuppressAsk::List {
                domain: domain.clone(),
                after: after.take(),
                most: most - lines.len(),
            };
            let answer = self.asked(shard, ask).await?;
            if let SuppressAnswer::Lines { lines: more, next } = answer {
                lines.extend(more);
                after = next;
            }
            if after.is_none() {
                shard += 1;
            }
            if lines.len() >= most || after.is_some() {
                break;
            }
        }
        let next = (shard < self.shards()).then(|| shown_place(shard, after.as_deref()));
        Ok(Reply::Suppressed { lines, next })
    }

    async fn asked(&self, shard: u16, ask: SuppressAsk) -> Result<SuppressAnswer, String> {
        let answer = self.ask(shard, |done| Order::Suppress { ask, done });
        match answer.await.map_err(say_gone)? {
            SuppressAnswer::Failed(why) => Err(why),
            answer => Ok(answer),
        }
    }
}

fn suppressed(entry: SuppressEntry, address: String, now: i64) -> Suppressed {
    Suppressed {
        address,
        tenant: entry.tenant.filter(|tenant| !tenant.is_empty()),
        reason: entry.reason.unwrap_or(SuppressReason::Manual),
        since_secs: entry.since_secs.unwrap_or(now),
        expiry_secs: entry.expiry_secs,
        text: entry.text,
        bounces: Vec::new(),
    }
}

/// Shard and key of `SHARD.HEX`.
fn place(text: &str) -> Option<(u16, Option<Vec<u8>>)> {
    let (shard, hex) = text.split_once('.')?;
    let octet = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    let key: Option<Vec<u8>> = (0..hex.len()).step_by(2).map(octet).collect();
    Some((
        shard.parse().ok()?,
        Some(key?).filter(|key| !key.is_empty()),
    ))
}

fn shown_place(shard: u16, key: Option<&[u8]>) -> String {
    let mut text = format!("{shard}.");
    for octet in key.unwrap_or_default() {
        write!(text, "{octet:02x}").expect("a String takes every text");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_again() {
        for (shard, key) in [(0, None), (7, Some(vec![0, 255, 97]))] {
            let text = shown_place(shard, key.as_deref());
            assert_eq!(place(&text), Some((shard, key)));
        }
        for wrong in ["", "x.", "1", "1.abc", "1.zz", "70000.", "1.\u{e9}\u{e9}"] {
            assert_eq!(place(wrong), None, "{wrong}");
        }
    }
}
