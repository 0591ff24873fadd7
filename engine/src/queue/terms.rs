//! What the sender asked of the way, as the log keeps it: marks and times of each recipient.
//!
//! ```text
//! mark  1  REQUIRETLS (RFC 8689)         4  BY=…;R: not after the time (RFC 2852)
//!       2  TLS-Required: No              8  BY=…;…T: whoever relays it says so
//! ```
//!
//! The marks are in the log: a bit keeps its meaning for ever.

use crate::session::smtp;
use crate::wire::smtp::param::{ByMode, DeliverBy, Hold};
use store::shard::{Leaving, Outbound};

/// What is asked of the way of one recipient's mail.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Terms {
    pub(super) require_tls: bool,
    pub(super) tls_optional: bool,
    /// Seconds since 1970; 0 for at once (RFC 4865).
    pub(super) not_before_secs: i64,
    pub(super) by: Option<By>,
}

/// RFC 2852.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct By {
    /// Seconds since 1970.
    pub(super) at_secs: i64,
    pub(super) mode: ByMode,
    pub(super) trace: bool,
}

/// Writes into a recipient what its sender asked for. `now_secs` is the moment of custody,
/// `elapsed_secs` what has passed since MAIL; the usual expiry counts from when it may be sent.
pub fn agree(
    outbound: &mut Outbound,
    asked: &smtp::Terms,
    now_secs: i64,
    elapsed_secs: i64,
    expire_secs: u32,
) {
    let release = match asked.hold {
        None => 0,
        Some(Hold::For(secs)) => now_secs.saturating_add(i64::from(secs)),
        Some(Hold::Until(moment)) => moment,
    };
    let is_held = release > now_secs;
    outbound.not_before_secs = if is_held { release } else { 0 };
    let begin = release.max(now_secs);
    outbound.expiry_secs = begin.saturating_add(i64::from(expire_secs));
    outbound.priority = asked.priority;
    let by = asked.by.map(|by| By {
        at_secs: match is_held {
            true => begin.saturating_add(i64::from(by.secs)),
            false => now_secs - elapsed_secs + i64::from(by.secs),
        },
        mode: by.mode,
        trace: by.trace,
    });
    if let Some(by) = by.filter(|by| by.mode == ByMode::Return) {
        outbound.expiry_secs = outbound.expiry_secs.min(by.at_secs);
    }
    // Zero says that there is none; nobody wants mail delivered by 1970.
    outbound.by_secs = by.map_or(0, |by| by.at_secs.max(1));
    let terms = Terms {
        require_tls: asked.require_tls,
        tls_optional: asked.tls_optional,
        not_before_secs: outbound.not_before_secs,
        by,
    };
    outbound.marks = terms.marks();
}

impl Terms {
    pub(super) fn of(leaving: &Leaving) -> Terms {
        let has = |mark| leaving.marks & mark != 0;
        let by = By {
            at_secs: leaving.by_secs,
            mode: match has(BY_RETURN) {
                true => ByMode::Return,
                false => ByMode::Notify,
            },
            trace: has(BY_TRACE),
        };
        Terms {
            require_tls: has(REQUIRE_TLS),
            tls_optional: has(TLS_OPTIONAL),
            not_before_secs: leaving.not_before_secs,
            by: (leaving.by_secs != 0).then_some(by),
        }
    }

    pub(super) fn marks(self) -> u16 {
        let mark = |is_so: bool, mark: u16| if is_so { mark } else { 0 };
        let returns = self.by.is_some_and(|by| by.mode == ByMode::Return);
        mark(self.require_tls, REQUIRE_TLS)
            | mark(self.tls_optional, TLS_OPTIONAL)
            | mark(returns, BY_RETURN)
            | mark(self.by.is_some_and(|by| by.trace), BY_TRACE)
    }

    /// The second from which on its sender is to hear that it is late (RFC 2852 §4, mode N).
    pub(super) fn late_from(self) -> Option<i64> {
        let by = self.by.filter(|by| by.mode == ByMode::Notify);
        by.map(|by| by.at_secs)
    }

    /// Whether it must not be delivered any more.
    pub(super) fn is_over(self, now_secs: i64) -> bool {
        let by = self.by.filter(|by| by.mode == ByMode::Return);
        by.is_some_and(|by| by.at_secs <= now_secs)
    }
}

impl By {
    /// What the next host is told: the time that is left.
    pub(super) fn left(self, now_secs: i64) -> DeliverBy {
        let left = self.at_secs.saturating_sub(now_secs);
        DeliverBy {
            secs: i32::try_from(left.clamp(-BY_SECS_MAX, BY_SECS_MAX)).unwrap_or_default(),
            mode: self.mode,
            trace: self.trace,
        }
    }
}

const REQUIRE_TLS: u16 = 1;
const TLS_OPTIONAL: u16 = 1 << 1;
const BY_RETURN: u16 = 1 << 2;
const BY_TRACE: u16 = 1 << 3;

/// RFC 2852 §4: nine digits.
const BY_SECS_MAX: i64 = 999_999_999;

#[cfg(test)]
mod tests {
    use super::*;
    use store::mail::address::Address;
    use store::mail::envelope::Notify;

    const NOW: i64 = 1_800_000_000;

    fn agreed(asked: smtp::Terms) -> Outbound {
        let mut outbound = Outbound {
            recipient: Address::new("a", "b.test"),
            notify: Notify::UNSET,
            orcpt: None,
            tenant: String::new(),
            expiry_secs: 0,
            not_before_secs: 0,
            priority: 0,
            marks: 0,
            by_secs: 0,
            prefix: [].into(),
        };
        agree(&mut outbound, &asked, NOW, 5, 1_000);
        outbound
    }

    fn kept(outbound: &Outbound) -> Terms {
        Terms::of(&Leaving {
            address: outbound.recipient.clone(),
            notify: outbound.notify,
            orcpt: None,
            expiry_secs: outbound.expiry_secs,
            not_before_secs: outbound.not_before_secs,
            priority: outbound.priority,
            marks: outbound.marks,
            by_secs: outbound.by_secs,
        })
    }

    fn by(secs: i32, mode: ByMode) -> Option<DeliverBy> {
        let trace = true;
        Some(DeliverBy { secs, mode, trace })
    }

    #[test]
    fn nothing_asked_is_the_usual_life() {
        let outbound = agreed(smtp::Terms::default());
        assert_eq!(
            (outbound.expiry_secs, outbound.not_before_secs),
            (NOW + 1_000, 0)
        );
        assert_eq!(kept(&outbound), Terms::default());
    }

    #[test]
    fn times_count_from_mail_or_from_the_release() {
        let asked = smtp::Terms {
            by: by(60, ByMode::Return),
            ..smtp::Terms::default()
        };
        let outbound = agreed(asked);
        assert_eq!(
            (outbound.expiry_secs, outbound.by_secs),
            (NOW + 55, NOW + 55)
        );
        let terms = kept(&outbound);
        assert!(!terms.is_over(NOW + 54) && terms.is_over(NOW + 55));
        assert_eq!(
            terms.by.unwrap().left(NOW + 15),
            by(40, ByMode::Return).unwrap()
        );
        let held = agreed(smtp::Terms {
            hold: Some(Hold::For(500)),
            ..asked
        });
        assert_eq!(held.not_before_secs, NOW + 500);
        assert_eq!((held.expiry_secs, held.by_secs), (NOW + 560, NOW + 560));
        let past = agreed(smtp::Terms {
            hold: Some(Hold::Until(NOW - 1)),
            ..smtp::Terms::default()
        });
        assert_eq!((past.not_before_secs, past.expiry_secs), (0, NOW + 1_000));
    }

    #[test]
    fn a_late_notice_ends_nothing() {
        let outbound = agreed(smtp::Terms {
            by: by(-10, ByMode::Notify),
            ..smtp::Terms::default()
        });
        let terms = kept(&outbound);
        assert_eq!(outbound.expiry_secs, NOW + 1_000);
        assert_eq!(terms.late_from(), Some(NOW - 15));
        assert!(!terms.is_over(NOW));
        assert_eq!(terms.by.unwrap().left(NOW).secs, -15);
    }

    #[test]
    fn marks_are_kept_apart() {
        let outbound = agreed(smtp::Terms {
            require_tls: true,
            ..smtp::Terms::default()
        });
        assert_eq!(outbound.marks, 1);
        let optional = agreed(smtp::Terms {
            tls_optional: true,
            by: by(9, ByMode::Notify),
            ..smtp::Terms::default()
        });
        assert_eq!(optional.marks, 2 | 8);
        assert!(kept(&optional).tls_optional && !kept(&optional).require_tls);
    }
}
