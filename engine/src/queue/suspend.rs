//! What the operator keeps from being sent: by domain, site, tenant, sender, recipient or campaign,
//! until a moment. Each is a note of the store as well, so that a restart keeps it.

use crate::post::QueueField;
use std::fmt;
use store::mail::address::Address;

/// Which mail is meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Field {
    Domain(String),
    Site(String),
    Tenant(String),
    Campaign(String),
    /// An address, or `@` and a domain.
    Sender(String),
    /// As `Sender`.
    Recipient(String),
}

/// One order of the operator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Suspension {
    pub field: Field,
    /// Seconds since 1970; `None`: until it is taken back.
    pub until: Option<u32>,
}

/// All orders that hold now.
#[derive(Clone, Default, Debug)]
pub(super) struct Suspensions {
    list: Vec<Suspension>,
}

/// What only the message itself tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Envelope<'a> {
    /// Empty: the null reverse-path.
    pub(super) sender: &'a str,
    pub(super) recipient: &'a Address,
}

/// As many as an operator oversees.
pub(super) const SUSPENSIONS_MAX: usize = 1_000;

/// Longest name in a suspension, in octets: a note has a key of 512.
pub(super) const NAME_BYTES_MAX: usize = 480;

impl Suspensions {
    /// Adds one, or gives the one of the same field another end. `false`: there are too many.
    #[must_use]
    pub(super) fn add(&mut self, suspension: Suspension) -> bool {
        self.resume(&suspension.field);
        let has_room = self.list.len() < SUSPENSIONS_MAX;
        if has_room {
            self.list.push(suspension);
        }
        has_room
    }

    /// Takes one back; `false`: there was none.
    pub(super) fn resume(&mut self, field: &Field) -> bool {
        let before = self.list.len();
        self.list.retain(|known| known.field != *field);
        self.list.len() < before
    }

    /// The one that keeps back what `matches`; those that are over are forgotten.
    pub(super) fn find(
        &mut self,
        now: u32,
        matches: impl Fn(&Field) -> bool,
    ) -> Option<&Suspension> {
        if self.list.is_empty() {
            return None;
        }
        self.list
            .retain(|known| known.until.is_none_or(|until| now < until));
        self.list.iter().find(|known| matches(&known.field))
    }

    #[must_use]
    pub(super) fn list(&self) -> &[Suspension] {
        &self.list
    }

    /// Whether one is by what only the message tells.
    #[must_use]
    pub(super) fn asks_envelope(&self) -> bool {
        let is_deep =
            |known: &Suspension| matches!(known.field, Field::Sender(_) | Field::Recipient(_));
        self.list.iter().any(is_deep)
    }
}

impl Field {
    /// Is this about a message with this envelope?
    #[must_use]
    pub(super) fn is_of(&self, envelope: &Envelope<'_>) -> bool {
        match self {
            Field::Sender(known) => is_address(known, envelope.sender),
            Field::Recipient(known) => is_address(known, &envelope.recipient.to_string()),
            _ => false,
        }
    }

    #[must_use]
    pub fn is_domain(&self, domain: &str) -> bool {
        matches!(self, Field::Domain(known) if known == domain)
    }

    #[must_use]
    pub fn is_site(&self, site: &str) -> bool {
        matches!(self, Field::Site(known) if known == site)
    }

    #[must_use]
    pub fn is_tenant(&self, tenant: &str) -> bool {
        matches!(self, Field::Tenant(known) if known == tenant)
    }

    #[must_use]
    pub fn is_campaign(&self, campaign: &str) -> bool {
        matches!(self, Field::Campaign(known) if known == campaign)
    }

    fn parts(&self) -> (&'static str, &str) {
        match self {
            Field::Domain(name) => ("domain", name),
            Field::Site(name) => ("site", name),
            Field::Tenant(name) => ("tenant", name),
            Field::Campaign(name) => ("campaign", name),
            Field::Sender(name) => ("sender", name),
            Field::Recipient(name) => ("recipient", name),
        }
    }

    /// As [`Display`](fmt::Display) writes it, and a note keeps it.
    #[must_use]
    pub(super) fn parse(text: &str) -> Option<Field> {
        let (kind, name) = text.split_once(' ')?;
        let name = name.to_owned();
        Some(match kind {
            "domain" => Field::Domain(name),
            "site" => Field::Site(name),
            "tenant" => Field::Tenant(name),
            "campaign" => Field::Campaign(name),
            "sender" => Field::Sender(name),
            "recipient" => Field::Recipient(name),
            _ => return None,
        })
    }
}

/// Whether an address is the one that is meant: `@` and a domain means all of it.
pub(super) fn is_address(meant: &str, address: &str) -> bool {
    if !meant.starts_with('@') {
        return meant.eq_ignore_ascii_case(address);
    }
    let domain = address.rfind('@').and_then(|at| address.get(at..));
    domain.is_some_and(|domain| domain.eq_ignore_ascii_case(meant))
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = self.parts();
        write!(f, "{kind} {name}")
    }
}

impl From<QueueField> for Field {
    fn from(field: QueueField) -> Field {
        match field {
            QueueField::Domain(name) => Field::Domain(name),
            QueueField::Site(name) => Field::Site(name),
            QueueField::Tenant(name) => Field::Tenant(name),
            QueueField::Sender(name) => Field::Sender(name),
            QueueField::Recipient(name) => Field::Recipient(name),
            QueueField::Campaign(name) => Field::Campaign(name),
        }
    }
}

impl From<Field> for QueueField {
    fn from(field: Field) -> QueueField {
        match field {
            Field::Domain(name) => QueueField::Domain(name),
            Field::Site(name) => QueueField::Site(name),
            Field::Tenant(name) => QueueField::Tenant(name),
            Field::Sender(name) => QueueField::Sender(name),
            Field::Recipient(name) => QueueField::Recipient(name),
            Field::Campaign(name) => QueueField::Campaign(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspension_ends_by_itself_or_by_order() {
        let mut all = Suspensions::default();
        let domain = Field::Domain("a.example".into());
        let sender = Field::Sender("@b.example".into());
        assert!(all.add(Suspension {
            field: domain.clone(),
            until: Some(100),
        }));
        assert!(!all.asks_envelope());
        assert!(all.add(Suspension {
            field: sender.clone(),
            until: None,
        }));
        assert!(all.asks_envelope());
        assert!(all.find(99, |field| field.is_domain("a.example")).is_some());
        assert!(
            all.find(100, |field| field.is_domain("a.example"))
                .is_none()
        );
        let recipient = Address::new("x", "y.example");
        let envelope = Envelope {
            sender: "Alice@B.example",
            recipient: &recipient,
        };
        assert!(all.find(u32::MAX, |field| field.is_of(&envelope)).is_some());
        assert!(Field::Recipient("@y.example".into()).is_of(&envelope));
        assert!(Field::Campaign("spring".into()).is_campaign("spring"));
        assert!(all.resume(&sender) && !all.resume(&sender));
        assert!(all.list().is_empty());
    }

    #[test]
    fn a_field_is_read_as_it_is_written() {
        for name in ["a.example", "@b c", ""] {
            for field in [
                Field::Domain(name.into()),
                Field::Site(name.into()),
                Field::Tenant(name.into()),
                Field::Sender(name.into()),
                Field::Recipient(name.into()),
                Field::Campaign(name.into()),
            ] {
                assert_eq!(Field::parse(&field.to_string()), Some(field));
            }
        }
        assert_eq!(Field::parse("planet mars"), None);
        assert_eq!(Field::parse("domain"), None);
    }
}
