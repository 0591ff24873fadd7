//! Who is told of what (RFC 3461 §4.1, §5.2).
//!
//! ```text
//!               NEVER   unset   SUCCESS   FAILURE   DELAY
//! Failed          –       ×        –         ×        –
//! Delayed         –       ×        –         –        ×
//! Delivered       –       –        ×         –        –
//! Relayed         –       –        ×         –        –     to a host without DSN
//! Expanded        –       –        ×         –        –
//! Traced          –       ×        ×         ×        ×     BY=…;…T, or N to no DELIVERBY
//! PassedOn        –       –        –         –        –     to a host that tells by itself
//! ```
//!
//! Nobody is told at a null reverse-path (RFC 3464 §2, RFC 5321 §6.1): it is that of notices.

use store::mail::address::Address;
use store::mail::envelope::Notify;

/// What happened to a recipient.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Event {
    /// It is given up.
    Failed,
    /// It is still tried.
    Delayed,
    /// It lies in its mailbox.
    Delivered,
    /// A host took it that will tell nothing.
    Relayed,
    /// A host took it and, by NOTIFY, the duty to tell.
    PassedOn,
    /// A list took it that does not say who is on it.
    Expanded,
    /// A host took it, and its sender wants to hear that (RFC 2852 §4).
    Traced,
}

impl Event {
    /// The Action field (RFC 3464 §2.3.3).
    #[must_use]
    pub fn action(self) -> &'static str {
        match self {
            Event::Failed => "failed",
            Event::Delayed => "delayed",
            Event::Delivered => "delivered",
            Event::Relayed | Event::PassedOn | Event::Traced => "relayed",
            Event::Expanded => "expanded",
        }
    }

    /// The word of NOTIFY that asks for it.
    fn asked_by(self) -> Option<Notify> {
        match self {
            Event::Failed => Some(Notify::FAILURE),
            Event::Delayed => Some(Notify::DELAY),
            Event::Delivered | Event::Relayed | Event::Expanded => Some(Notify::SUCCESS),
            Event::PassedOn | Event::Traced => None,
        }
    }

    fn is_told_unasked(self) -> bool {
        matches!(self, Event::Failed | Event::Delayed)
    }
}

/// Whether the sender is told.
#[must_use]
pub fn is_due(event: Event, notify: Notify, reverse_path: Option<&Address>) -> bool {
    let has = |bit: Notify| notify.0 & bit.0 != 0;
    let wanted = match event.asked_by() {
        None => event == Event::Traced && !has(Notify::NEVER),
        Some(_) if has(Notify::NEVER) => false,
        Some(_) if notify == Notify::UNSET => event.is_told_unasked(),
        Some(word) => has(word),
    };
    wanted && reverse_path.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [Event; 7] = [
        Event::Failed,
        Event::Delayed,
        Event::Delivered,
        Event::Relayed,
        Event::Expanded,
        Event::PassedOn,
        Event::Traced,
    ];

    #[test]
    fn the_table_holds() {
        let sender = Address::new("a", "b");
        for (notify, told) in [
            (
                Notify::NEVER,
                [false, false, false, false, false, false, false],
            ),
            (
                Notify::UNSET,
                [true, true, false, false, false, false, true],
            ),
            (
                Notify::SUCCESS,
                [false, false, true, true, true, false, true],
            ),
            (
                Notify::FAILURE,
                [true, false, false, false, false, false, true],
            ),
            (
                Notify::DELAY,
                [false, true, false, false, false, false, true],
            ),
            (
                Notify(Notify::SUCCESS.0 | Notify::FAILURE.0 | Notify::DELAY.0),
                [true, true, true, true, true, false, true],
            ),
        ] {
            for (event, told) in EVENTS.into_iter().zip(told) {
                assert_eq!(
                    is_due(event, notify, Some(&sender)),
                    told,
                    "{event:?} {notify:?}"
                );
                assert!(
                    !is_due(event, notify, None),
                    "a null path is told of {event:?}"
                );
            }
        }
    }
}
