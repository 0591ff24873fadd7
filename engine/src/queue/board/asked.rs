//! What a recipient is waiting for, as the board knows it.

use super::Board;
use crate::queue::nodes::{Index, State};
use crate::queue::suspend::Field;
use crate::queue::why::Why;

impl Board {
    /// What a recipient is waiting for. `now_millis` is of the monotonic clock.
    pub(in super::super) fn why(
        &mut self,
        index: Index,
        is_retry: bool,
        now: u32,
        now_millis: u64,
    ) -> Why {
        let node = *self.nodes.node(index);
        match node.state() {
            State::Timed => self.why_timed(index, is_retry, now),
            State::Resolving => Why::Dns { until: node.due },
            State::Held => Why::Held { until: node.due },
            State::Ready => self.why_ready(index, now, now_millis),
            State::Sending | State::Gone => Why::Reply {
                site: self.site_of(index),
                until: node.due,
            },
        }
    }

    fn why_timed(&mut self, index: Index, is_retry: bool, now: u32) -> Why {
        let at = self.nodes.node(index).due;
        let domain = self.domain_of(index).to_owned();
        let (tenant, campaign) = self.owner_of(index);
        let (tenant, campaign) = (tenant.to_owned(), campaign.to_owned());
        let is_meant = |field: &Field| {
            field.is_domain(&domain) || field.is_tenant(&tenant) || field.is_campaign(&campaign)
        };
        match self.suspensions.find(now, is_meant) {
            Some(suspension) => Why::Suspended {
                by: suspension.field.to_string(),
                until: suspension.until,
            },
            None => self.why_ruled(index, now).unwrap_or(match is_retry {
                true => Why::Retry { at },
                false => Why::NotBefore { at },
            }),
        }
    }

    /// A rule that suspended its tenant or its campaign at its site.
    fn why_ruled(&self, index: Index, now: u32) -> Option<Why> {
        let at = self.nodes.node(index).due;
        let site = &self.queue(self.queue_of(index, now)?)?.site;
        let found = site.effects.suspended(&self.mail_of(index), now)?;
        Some(Why::Ruled {
            rule: found.by.to_string(),
            mail: format!("{} at {}", found.mail, site.name()),
            until: at,
        })
    }

    fn why_ready(&mut self, index: Index, now: u32, now_millis: u64) -> Why {
        let until = self.nodes.node(index).due;
        let site = self.site_of(index);
        let is_meant = |field: &Field| field.is_site(&site);
        if let Some(suspension) = self.suspensions.find(now, is_meant) {
            return Why::Suspended {
                by: suspension.field.to_string(),
                until: suspension.until,
            };
        }
        let queue = self
            .queue_of(index, now)
            .and_then(|queue| self.queue(queue));
        let Some(queue) = queue else {
            return Why::Dns { until };
        };
        if let Some(found) = queue.suspended(now) {
            return Why::Ruled {
                rule: found.by.to_string(),
                mail: format!("{} at {site}", found.mail),
                until: found.until,
            };
        }
        let source = &queue.source;
        if let Some(obstacle) = source.obstacle(&site, now) {
            return Why::of_source(source.says.name.clone(), site, obstacle);
        }
        if let Some(most) = source.says.connections_max
            && source.open() >= most
        {
            return Why::Crowded {
                source: source.says.name.clone(),
                most,
                until,
            };
        }
        if now < queue.shunned {
            return Why::Paused {
                site,
                at: queue.shunned,
            };
        }
        if let Some(millis) = queue.site.paused_until().checked_sub(now_millis)
            && millis > 0
        {
            let secs = u32::try_from(millis.div_ceil(1000)).unwrap_or(u32::MAX);
            return Why::Paused {
                site,
                at: now.saturating_add(secs),
            };
        }
        Why::Turn {
            site,
            ready: queue.ready(),
            open: queue.site.open(),
            allowed: queue
                .site
                .allowed(queue.site.most(queue.hop.route.pace.connections_max, now)),
            slowed: queue.site.effects.slow(now).map(|slow| slow.by.to_string()),
            until,
        }
    }
}
