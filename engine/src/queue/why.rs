//! What a recipient is waiting for, until when: the answer that every state must be able to give.

use super::board::Board;
use super::nodes::{Index, State};
use super::source::Obstacle;
use super::suspend::Field;
use std::fmt;

/// Times are seconds since 1970.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Why {
    /// It was tried and is tried again.
    Retry {
        at: u32,
    },
    /// The sender wants it later, or it waits for a suspension to end.
    NotBefore {
        at: u32,
    },
    Suspended {
        by: String,
        until: Option<u32>,
    },
    /// DNS is asked for the hosts of its domain.
    Dns {
        until: u32,
    },
    /// Others are before it, all connections are busy.
    Turn {
        site: String,
        ready: usize,
        open: u32,
        allowed: u32,
        until: u32,
    },
    /// The site cannot be reached and is left alone.
    Paused {
        site: String,
        at: u32,
    },
    /// The egress source cannot be used, and no other one of its pool can.
    Unusable {
        source: String,
        why: String,
        at: u32,
    },
    /// The egress source warms up, and had its messages of today for the site.
    Rationed {
        source: String,
        site: String,
        most: u32,
        at: u32,
    },
    /// The egress source has all the connections that it may have.
    Crowded {
        source: String,
        most: u32,
        until: u32,
    },
    /// It is being sent.
    Reply {
        site: String,
        until: u32,
    },
    /// The operator holds it.
    Held {
        until: u32,
    },
}

impl Board {
    /// What a recipient is waiting for. `now_millis` is of the monotonic clock.
    pub(super) fn why(&mut self, index: Index, is_retry: bool, now: u32, now_millis: u64) -> Why {
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
        let (domain, tenant) = (
            self.domain_of(index).to_owned(),
            self.tenant_of(index).to_owned(),
        );
        let is_meant = |field: &Field| field.is_domain(&domain) || field.is_tenant(&tenant);
        match self.suspensions.find(now, is_meant) {
            Some(suspension) => Why::Suspended {
                by: suspension.field.to_string(),
                until: suspension.until,
            },
            None if is_retry => Why::Retry { at },
            None => Why::NotBefore { at },
        }
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
            allowed: queue.site.allowed(queue.hop.route.pace.connections_max),
            until,
        }
    }
}

impl Why {
    pub(super) fn of_source(source: String, site: String, obstacle: Obstacle) -> Why {
        match obstacle {
            Obstacle::Suspended { why, until } => Why::Unusable {
                source,
                why,
                at: until,
            },
            Obstacle::Rationed { most, until } => Why::Rationed {
                source,
                site,
                most,
                at: until,
            },
        }
    }

    /// The moment by which this wait is over, one way or another.
    #[must_use]
    pub fn until(&self) -> Option<u32> {
        match self {
            Why::Retry { at }
            | Why::NotBefore { at }
            | Why::Paused { at, .. }
            | Why::Unusable { at, .. }
            | Why::Rationed { at, .. } => Some(*at),
            Why::Suspended { until, .. } => *until,
            Why::Dns { until }
            | Why::Turn { until, .. }
            | Why::Crowded { until, .. }
            | Why::Reply { until, .. }
            | Why::Held { until } => Some(*until),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Retry { .. } => f.write_str("for its next attempt"),
            Why::NotBefore { .. } => f.write_str("for the time that its sender wants"),
            Why::Suspended { by, until: None } => {
                write!(f, "for the operator, who suspended {by}")
            }
            Why::Suspended { by, .. } => write!(f, "for the end of a suspension of {by}"),
            Why::Dns { .. } => f.write_str("for DNS to name the hosts of its domain"),
            Why::Turn {
                site,
                ready,
                open,
                allowed,
                ..
            } => write!(
                f,
                "for its turn at {site}: {ready} are ready, {open} of {allowed} connections open"
            ),
            Why::Paused { site, .. } => {
                write!(f, "for {site} to be tried again: it cannot be reached")
            }
            Why::Unusable { source, why, .. } => {
                write!(
                    f,
                    "for the egress source {source}, which is suspended: {why}"
                )
            }
            Why::Rationed {
                source, site, most, ..
            } => write!(
                f,
                "for tomorrow: the egress source {source} warms up and has sent its {most} \
                 messages of today to {site}"
            ),
            Why::Crowded { source, most, .. } => write!(
                f,
                "for its turn at the egress source {source}: all of its {most} connections are open"
            ),
            Why::Reply { site, .. } => write!(f, "for the reply of {site}: it is being sent"),
            Why::Held { .. } => f.write_str("for the operator, who holds it"),
        }
    }
}
