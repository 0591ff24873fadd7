//! NOTIFY (RFC 5465 §8).

use super::super::command::{Body, FetchItem};
use super::super::fault::{Fault, Parse};
use super::super::limit::{EVENT_GROUPS_MAX, FETCH_ITEMS_MAX, OPTIONS_MAX, WATCHED_NAMES_MAX};
use super::super::notify::{Events, Filter, Group, Notify, Selected, Set};
use super::super::token::{Cursor, Word};
use super::{fetch, mailbox};

pub(super) fn notify(cursor: &mut Cursor<'_>) -> Parse<Body> {
    match cursor.word().as_str() {
        "NONE" => Ok(Body::Notify(Notify::None)),
        "SET" => set(cursor).map(|set| Body::Notify(Notify::Set(set))),
        _ => Err(Fault::Syntax("Expected SET or NONE")),
    }
}

fn set(cursor: &mut Cursor<'_>) -> Parse<Set> {
    let mut set = Set::default();
    cursor.space()?;
    if cursor.peek() != Some(b'(') {
        if !cursor.word().is("STATUS") {
            return Err(Fault::Syntax("Expected STATUS or an event group"));
        }
        set.status = true;
        cursor.space()?;
    }
    for _ in 0..EVENT_GROUPS_MAX {
        group(cursor, &mut set)?;
        if !cursor.eat(b' ') {
            return Ok(set);
        }
    }
    Err(Fault::TooMany("Too many event groups"))
}

/// `"(" filter SP events ")"`.
fn group(cursor: &mut Cursor<'_>, set: &mut Set) -> Parse<()> {
    cursor.open()?;
    let word = cursor.word();
    match word.as_str() {
        "SELECTED" | "SELECTED-DELAYED" => selected(cursor, set, word.is("SELECTED-DELAYED"))?,
        _ => {
            let filter = filter(cursor, &word)?;
            let (events, _) = events(cursor, set, false)?;
            set.groups.push(Group { filter, events });
        }
    }
    cursor.close()
}

fn selected(cursor: &mut Cursor<'_>, set: &mut Set, delayed: bool) -> Parse<()> {
    if set.selected.is_some() {
        return Err(Fault::Syntax("The selected mailbox has one event group"));
    }
    let (events, fetch) = events(cursor, set, true)?;
    set.selected = Some(Selected {
        delayed,
        events,
        fetch,
    });
    Ok(())
}

fn filter(cursor: &mut Cursor<'_>, word: &Word) -> Parse<Filter> {
    Ok(match word.as_str() {
        "INBOXES" => Filter::Inboxes,
        "PERSONAL" => Filter::Personal,
        "SUBSCRIBED" => Filter::Subscribed,
        "SUBTREE" => Filter::Subtree(names(cursor)?),
        "SUBTREE-ONE" => Filter::SubtreeOne(names(cursor)?),
        "MAILBOXES" => Filter::Mailboxes(names(cursor)?),
        _ => return Err(Fault::Syntax("Unknown mailbox filter")),
    })
}

/// A mailbox, or several in parentheses.
fn names(cursor: &mut Cursor<'_>) -> Parse<Vec<String>> {
    cursor.space()?;
    if cursor.peek() != Some(b'(') {
        return Ok(vec![mailbox(cursor)?]);
    }
    let names = cursor.list(WATCHED_NAMES_MAX, "Too many mailboxes", mailbox)?;
    if names.is_empty() {
        return Err(Fault::Syntax("Expected a mailbox"));
    }
    Ok(names)
}

fn events(
    cursor: &mut Cursor<'_>,
    set: &mut Set,
    selected: bool,
) -> Parse<(Events, Vec<FetchItem>)> {
    cursor.space()?;
    if cursor.peek() != Some(b'(') {
        return match cursor.word().is("NONE") {
            true => Ok((Events::NONE, Vec::new())),
            false => Err(Fault::Syntax("Expected events or NONE")),
        };
    }
    let mut named = Named::default();
    let given = cursor.list(OPTIONS_MAX, "Too many events", |cursor| {
        named.event(cursor, selected)
    })?;
    if given.is_empty() {
        return Err(Fault::Syntax("Expected an event"));
    }
    set.unsupported |= named.unsupported;
    named.events()
}

/// The events of one group as they are read.
#[derive(Default)]
struct Named {
    new: bool,
    expunge: bool,
    /// FlagChange or AnnotationChange, which need the other two.
    changes: bool,
    others: Events,
    fetch: Vec<FetchItem>,
    unsupported: bool,
}

impl Named {
    fn event(&mut self, cursor: &mut Cursor<'_>, selected: bool) -> Parse<()> {
        let name = cursor.atom()?.to_ascii_uppercase();
        let of_mailbox = matches!(
            name.as_str(),
            "MAILBOXNAME" | "SUBSCRIPTIONCHANGE" | "MAILBOXMETADATACHANGE" | "SERVERMETADATACHANGE"
        );
        if selected && of_mailbox {
            // RFC 5465 §6.1.
            return Err(Fault::Syntax(
                "The selected mailbox has message events only",
            ));
        }
        match name.as_str() {
            "MESSAGENEW" => {
                self.new = true;
                self.fetch = attributes(cursor, selected)?;
            }
            "MESSAGEEXPUNGE" => self.expunge = true,
            "FLAGCHANGE" => {
                self.changes = true;
                self.others = self.others | Events::FLAGS;
            }
            "MAILBOXNAME" => self.others = self.others | Events::NAMES,
            "SUBSCRIPTIONCHANGE" => self.others = self.others | Events::SUBSCRIPTIONS,
            "MAILBOXMETADATACHANGE" => self.others = self.others | Events::MAILBOX_ENTRIES,
            "SERVERMETADATACHANGE" => self.others = self.others | Events::SERVER_ENTRIES,
            other => {
                self.changes |= other == "ANNOTATIONCHANGE";
                self.unsupported = true;
            }
        }
        Ok(())
    }

    /// RFC 5465 §5: which events only come together.
    fn events(self) -> Parse<(Events, Vec<FetchItem>)> {
        if self.new != self.expunge {
            return Err(Fault::Syntax("MessageNew and MessageExpunge go together"));
        }
        if self.changes && !self.new {
            return Err(Fault::Syntax(
                "FlagChange needs MessageNew and MessageExpunge",
            ));
        }
        let messages = match self.new {
            true => Events::MESSAGES,
            false => Events::NONE,
        };
        Ok((messages | self.others, self.fetch))
    }
}

/// `[SP "(" fetch-att *(SP fetch-att) ")"]`: only for the selected mailbox.
fn attributes(cursor: &mut Cursor<'_>, selected: bool) -> Parse<Vec<FetchItem>> {
    let mut ahead = cursor.clone();
    if !ahead.eat(b' ') || ahead.peek() != Some(b'(') {
        return Ok(Vec::new());
    }
    if !selected {
        return Err(Fault::Syntax(
            "Attributes are for the selected mailbox only",
        ));
    }
    *cursor = ahead;
    let items = cursor.list(FETCH_ITEMS_MAX, "Too many FETCH items", fetch::item)?;
    if items.is_empty() {
        return Err(Fault::Syntax("Expected a FETCH item"));
    }
    Ok(items)
}
