//! On which terms a sender hands a message over: how urgent, not before when, by when, how private.
//!
//! HOLDFOR and HOLDUNTIL (RFC 4865) are for our own users, BY (RFC 2852) and REQUIRETLS (RFC 8689)
//! for everybody who speaks SMTP, REQUIRETLS under TLS only. What was not offered is an unknown
//! parameter.

use super::Session;
use crate::wire::smtp::moment;
use crate::wire::smtp::param::{ByMode, DeliverBy, Hold, MailParams};
use crate::wire::smtp::reply::{self, Reply};
use std::fmt::Write;

/// What is asked of the way of a message, beside its envelope.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Terms {
    /// RFC 6710, of a client that has logged in; else 0.
    pub priority: i8,
    pub hold: Option<Hold>,
    /// Counted from MAIL, or from the end of `hold`.
    pub by: Option<DeliverBy>,
    pub require_tls: bool,
    /// `TLS-Required: No` in the header, and no `require_tls` (RFC 8689 §3).
    pub tls_optional: bool,
}

/// How long messages are held for their senders.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FutureRelease {
    pub secs_max: u32,
    /// The last moment that may be asked for, in seconds since 1970.
    pub until_secs: i64,
}

impl Terms {
    /// RFC 6710 §5: who is not logged in is not believed.
    pub(super) fn new(params: &MailParams, has_login: bool) -> Terms {
        Terms {
            priority: params.priority.filter(|_| has_login).unwrap_or(0),
            hold: params.hold,
            by: params.by,
            require_tls: params.require_tls,
            tls_optional: false,
        }
    }
}

impl Session {
    /// Adds what EHLO says of terms.
    pub(super) fn list_terms(&self, out: &mut String) {
        // Into memory: it cannot fail.
        if let Some(hold) = self.settings.future_release {
            let until = moment::show(hold.until_secs);
            let _ = write!(out, "250-FUTURERELEASE {} {until}\r\n", hold.secs_max);
        }
        match self.settings.deliver_by_secs_min {
            None => {}
            Some(0) => out.push_str("250-DELIVERBY\r\n"),
            Some(least) => _ = write!(out, "250-DELIVERBY {least}\r\n"),
        }
        if self.offers_require_tls() {
            out.push_str("250-REQUIRETLS\r\n");
        }
    }

    pub(super) fn judge_terms(&self, params: &MailParams) -> Result<(), Reply> {
        if let Some(hold) = params.hold {
            let offer = self.settings.future_release;
            let offer = offer.ok_or(reply::UNKNOWN_PARAMETER)?;
            let is_short = match hold {
                Hold::For(secs) => secs <= offer.secs_max,
                Hold::Until(moment) => moment <= offer.until_secs,
            };
            if !is_short {
                return Err(reply::HELD_TOO_LONG);
            }
        }
        if let Some(by) = params.by {
            let least = self.settings.deliver_by_secs_min;
            let least = i64::from(least.ok_or(reply::UNKNOWN_PARAMETER)?);
            // RFC 2852 §4: late notices are never too much to ask.
            if by.mode == ByMode::Return && i64::from(by.secs) < least {
                return Err(reply::TOO_LITTLE_TIME);
            }
        }
        if params.require_tls && !self.offers_require_tls() {
            return Err(match self.settings.require_tls {
                true => reply::REQUIRETLS_NEEDS_TLS,
                false => reply::UNKNOWN_PARAMETER,
            });
        }
        Ok(())
    }

    /// RFC 8689 §2 (4): only where TLS is there already.
    fn offers_require_tls(&self) -> bool {
        self.settings.require_tls && self.peer.tls.is_some()
    }
}
