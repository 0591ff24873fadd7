//! Which mailboxes an event group means (RFC 5465 §6).

use crate::wire::imap::notify::{Events, Filter, Group};
use store::mailbox::tree::SEPARATOR;

/// The event groups of one NOTIFY, in the order they were said.
#[derive(Debug, Default)]
pub(super) struct Groups(Vec<Group>);

impl Groups {
    pub(super) fn new(groups: Vec<Group>) -> Groups {
        Groups(groups)
    }

    /// What is told of a mailbox: the events of all groups that mean it, up to one that says NONE.
    pub(super) fn events_of(&self, name: &str, subscribed: bool) -> Events {
        let meaning = self
            .0
            .iter()
            .filter(|group| means(&group.filter, name, subscribed));
        meaning
            .map(|group| group.events)
            .take_while(|events| *events != Events::NONE)
            .fold(Events::NONE, |all, events| all | events)
    }

    /// Whether somebody asks for any of these events at all.
    pub(super) fn ask_for(&self, events: Events) -> bool {
        self.0.iter().any(|group| group.events.has_any(events))
    }
}

fn means(filter: &Filter, name: &str, subscribed: bool) -> bool {
    match filter {
        // RFC 5465 §6.3: as `personal` where delivery may go anywhere.
        Filter::Inboxes | Filter::Personal => true,
        Filter::Subscribed => subscribed,
        Filter::Subtree(tops) => tops
            .iter()
            .any(|top| name == top || below(name, top).is_some()),
        Filter::SubtreeOne(tops) => tops.iter().any(|top| {
            let rest = below(name, top);
            name == top || rest.is_some_and(|rest| !rest.contains(SEPARATOR))
        }),
        // RFC 5465 §6.6: no wildcards.
        Filter::Mailboxes(names) => names.iter().any(|other| name == other),
    }
}

/// What of a name is left below another.
fn below<'a>(name: &'a str, top: &str) -> Option<&'a str> {
    name.strip_prefix(top)?.strip_prefix(SEPARATOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(filter: Filter, events: Events) -> Group {
        Group { filter, events }
    }

    #[test]
    fn filters_mean_what_they_say() {
        let names = || vec!["Lists".to_owned()];
        assert!(means(&Filter::Personal, "a", false));
        assert!(means(&Filter::Subscribed, "a", true) && !means(&Filter::Subscribed, "a", false));
        assert!(means(&Filter::Subtree(names()), "Lists/a/b", false));
        assert!(!means(&Filter::Subtree(names()), "Listserv", false));
        assert!(means(&Filter::SubtreeOne(names()), "Lists/a", false));
        assert!(!means(&Filter::SubtreeOne(names()), "Lists/a/b", false));
        assert!(!means(&Filter::Mailboxes(names()), "Lists/a", false));
        assert!(means(&Filter::Mailboxes(names()), "Lists", false));
    }

    #[test]
    fn none_silences_what_comes_behind() {
        let spam = Filter::Mailboxes(vec!["Spam".to_owned()]);
        let groups = Groups::new(vec![
            group(spam, Events::NONE),
            group(Filter::Personal, Events::MESSAGES),
            group(Filter::Subscribed, Events::NAMES),
        ]);
        assert_eq!(groups.events_of("Spam", true), Events::NONE);
        assert_eq!(groups.events_of("Ham", false), Events::MESSAGES);
        assert_eq!(
            groups.events_of("Ham", true),
            Events::MESSAGES | Events::NAMES
        );
        assert!(groups.ask_for(Events::NAMES) && !groups.ask_for(Events::FLAGS));
    }
}
