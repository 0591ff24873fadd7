//! What the operator keeps from being sent: by domain, site, tenant,
//! campaign or sender, until a moment.
//!
//! Kept in memory: a restart forgets it. What must outlive one is a hold, which is in the log.

use std::fmt;

/// Which mail is meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Field {
    Domain(String),
    Site(String),
    Tenant(String),
    Campaign(String),
    /// An address, or `@` and a domain.
    Sender(String),
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

/// As many as an operator oversees.
pub(super) const SUSPENSIONS_MAX: usize = 1_000;

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
}

impl Field {
    /// Is this about mail of this sender, as the envelope has it?
    #[must_use]
    pub fn is_sender(&self, sender: &str) -> bool {
        match self {
            Field::Sender(known) if known.starts_with('@') => sender
                .rfind('@')
                .and_then(|at| sender.get(at..))
                .is_some_and(|domain| domain.eq_ignore_ascii_case(known)),
            Field::Sender(known) => known.eq_ignore_ascii_case(sender),
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
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Field::Domain(name) => write!(f, "domain {name}"),
            Field::Site(name) => write!(f, "site {name}"),
            Field::Tenant(name) => write!(f, "tenant {name}"),
            Field::Campaign(name) => write!(f, "campaign {name}"),
            Field::Sender(name) => write!(f, "sender {name}"),
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
        assert!(all.add(Suspension {
            field: sender.clone(),
            until: None,
        }));
        assert!(all.find(99, |field| field.is_domain("a.example")).is_some());
        assert!(
            all.find(100, |field| field.is_domain("a.example"))
                .is_none()
        );
        let is_kept = |field: &Field| field.is_sender("Alice@B.example");
        assert!(all.find(u32::MAX, is_kept).is_some());
        assert!(all.resume(&sender) && !all.resume(&sender));
        assert!(all.list().is_empty());
    }
}
