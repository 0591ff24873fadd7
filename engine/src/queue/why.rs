//! What a recipient is waiting for, until when: the answer that every state must be able to give.

use super::source::Obstacle;
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
    /// A reply met a rule that wants this mail to wait.
    Ruled {
        rule: String,
        /// Whose mail, and where.
        mail: String,
        until: u32,
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
        /// The rule that wants the site to be sent to more slowly.
        slowed: Option<String>,
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
            | Why::Ruled { until, .. }
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
            Why::Ruled { rule, mail, .. } => {
                write!(f, "for the end of a suspension of {mail} by rule {rule}")
            }
            Why::Dns { .. } => f.write_str("for DNS to name the hosts of its domain"),
            Why::Turn {
                site,
                ready,
                open,
                allowed,
                slowed,
                ..
            } => {
                write!(
                    f,
                    "for its turn at {site}: {ready} are ready, {open} of {allowed} connections \
                     open"
                )?;
                match slowed {
                    Some(rule) => write!(f, ", slowed by rule {rule}"),
                    None => Ok(()),
                }
            }
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
