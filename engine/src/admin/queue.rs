//! What an operator asks and orders of the queue: of all shards, and put together.

use super::office::{Office, say_gone};
use super::wire::{Pick, QueueField, Reply, Request, SiteLine, SuspensionLine};
use crate::post::{Order, QueueAnswer, QueueAsk};
use crate::reactor::Now;
use std::collections::HashMap;

impl Office {
    pub(super) async fn queue(&self, request: Request) -> Result<Reply, String> {
        match request {
            Request::QueueList { pick, most } => self.list(pick, most as usize).await,
            Request::AsOwner { owner, command } => self.as_owner(&owner, command).await,
            Request::QueueShow { item } => self.show(&item).await,
            Request::QueueCarry {
                pick,
                deed,
                is_trial,
            } => {
                let pick = canonical(pick);
                self.count(|| QueueAsk::Carry {
                    pick: pick.clone(),
                    deed,
                    is_trial,
                })
                .await
            }
            Request::QueueReroute { pick, via } => self.reroute(canonical(pick), &via).await,
            Request::Route {
                address,
                from,
                login,
            } => {
                self.explain(&address, from.as_deref(), login.as_deref())
                    .await
            }
            Request::QueueSuspend { field, secs } => {
                let field = canonical_field(field);
                let now = u32::try_from(Now::read().unix_secs()).unwrap_or(u32::MAX);
                let until = secs.map(|secs| now.saturating_add(secs));
                self.count(|| QueueAsk::Suspend {
                    field: field.clone(),
                    until,
                })
                .await
            }
            Request::QueueResume { field } => {
                let field = canonical_field(field);
                self.count(|| QueueAsk::Resume(field.clone())).await
            }
            Request::QueueSuspensions => self.suspensions().await,
            Request::QueueTop => self.top().await,
            Request::QueueSources => self.sources().await,
            Request::TlsReport { day, domain: of } => {
                let domain = of.map(|name| domain(&name));
                let ask = QueueAsk::TlsReports { day, domain };
                // The counts of all shards are one.
                match self.ask_queue(0, ask).await? {
                    QueueAnswer::TlsReports(reports) => Ok(Reply::TlsReports(reports)),
                    _ => Err("there is no report".to_owned()),
                }
            }
            _ => Err("this is not about the queue".to_owned()),
        }
    }

    async fn list(&self, pick: Pick, most: usize) -> Result<Reply, String> {
        let pick = canonical(pick);
        let mut lines = Vec::new();
        for shard in 0..self.shards() {
            let ask = QueueAsk::List {
                pick: pick.clone(),
                most: most.saturating_sub(lines.len()),
            };
            if let QueueAnswer::Lines(more) = self.ask_queue(shard, ask).await? {
                lines.extend(more);
            }
        }
        Ok(Reply::QueueLines(lines))
    }

    async fn show(&self, item: &str) -> Result<Reply, String> {
        let wrong = || format!("{item} is no recipient of the queue; one looks like 0.17");
        let (shard, number) = item.split_once('.').ok_or_else(wrong)?;
        let (shard, number) = (shard.parse::<u16>(), number.parse::<u64>());
        let (Ok(shard), Ok(number)) = (shard, number) else {
            return Err(wrong());
        };
        if shard >= self.shards() {
            return Err(wrong());
        }
        match self.ask_queue(shard, QueueAsk::Show(number)).await? {
            QueueAnswer::Shown(Some(shown)) => Ok(Reply::QueueShown(shown)),
            _ => Err(format!("{item} does not wait in the queue; it has ended")),
        }
    }

    pub(super) async fn count(&self, ask: impl Fn() -> QueueAsk) -> Result<Reply, String> {
        let mut all = 0;
        for shard in 0..self.shards() {
            if let QueueAnswer::Count(count) = self.ask_queue(shard, ask()).await? {
                all += count;
            }
        }
        Ok(Reply::Count(all))
    }

    /// Of all shards, each once.
    async fn suspensions(&self) -> Result<Reply, String> {
        let mut lines: Vec<SuspensionLine> = Vec::new();
        for shard in 0..self.shards() {
            let answer = self.ask_queue(shard, QueueAsk::Suspensions).await?;
            if let QueueAnswer::Suspensions(more) = answer {
                let is_new = |one: &SuspensionLine| !lines.iter().any(|it| it.field == one.field);
                let fresh: Vec<SuspensionLine> = more.into_iter().filter(is_new).collect();
                lines.extend(fresh);
            }
        }
        Ok(Reply::Suspensions(lines))
    }

    /// What there is in any shard; the other columns are those of all shards already.
    async fn top(&self) -> Result<Reply, String> {
        let mut lines: HashMap<String, SiteLine> = HashMap::new();
        for shard in 0..self.shards() {
            let QueueAnswer::Sites(more) = self.ask_queue(shard, QueueAsk::Top).await? else {
                continue;
            };
            for line in more {
                match lines.get_mut(&line.site) {
                    Some(known) => known.join(&line),
                    None => drop(lines.insert(line.site.clone(), line)),
                }
            }
        }
        let mut lines: Vec<SiteLine> = lines.into_values().collect();
        lines.sort_by(|a, b| b.load().cmp(&a.load()).then(a.site.cmp(&b.site)));
        Ok(Reply::Sites(lines))
    }

    /// What is ready in any shard; the rest is that of all shards already.
    async fn sources(&self) -> Result<Reply, String> {
        let mut lines: Vec<super::wire::SourceLine> = Vec::new();
        for shard in 0..self.shards() {
            let answer = self.ask_queue(shard, QueueAsk::Sources).await?;
            let QueueAnswer::Sources(more) = answer else {
                continue;
            };
            for line in more {
                match lines.iter_mut().find(|known| known.source == line.source) {
                    Some(known) => known.ready += line.ready,
                    None => lines.push(line),
                }
            }
        }
        Ok(Reply::Sources(lines))
    }

    pub(super) async fn ask_queue(&self, shard: u16, ask: QueueAsk) -> Result<QueueAnswer, String> {
        let answer = self.ask(shard, |done| Order::Queue { ask, done });
        match answer.await.map_err(say_gone)? {
            QueueAnswer::Off => Err("no mail leaves this host: there is no [[route]]".to_owned()),
            QueueAnswer::Refused(why) => Err(why),
            answer => Ok(answer),
        }
    }
}

fn canonical(mut pick: Pick) -> Pick {
    pick.domain = pick.domain.map(|name| domain(&name));
    pick
}

fn canonical_field(field: QueueField) -> QueueField {
    match field {
        QueueField::Domain(name) => QueueField::Domain(domain(&name)),
        other => other,
    }
}

/// As the queue keeps it: lower-case A-labels, or an address literal.
fn domain(text: &str) -> String {
    crate::config::domain_name(text).unwrap_or_else(|| text.to_ascii_lowercase())
}
