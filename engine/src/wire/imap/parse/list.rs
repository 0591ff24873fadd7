//! LIST, LSUB, STATUS, CREATE (RFC 9051 §6.3.4, §6.3.9, §6.3.11; RFC 5258, RFC 5819, RFC 6154).

use store::mail::mailbox::SEPARATOR;

use super::super::command::{Body, List, ListReturn, ListSelect, StatusItem};
use super::super::fault::{Fault, Parse};
use super::super::limit::{LIST_PATTERNS_MAX, OPTIONS_MAX};
use super::super::name;
use super::super::token::Cursor;
use super::{mailbox, sharing};

/// `LIST [options] reference pattern [RETURN options]`.
pub(super) fn list(cursor: &mut Cursor<'_>) -> Parse<Body> {
    let mut list = List::default();
    if cursor.peek() == Some(b'(') {
        list.extended = true;
        list.select = select_options(cursor)?;
        cursor.space()?;
    }
    list.reference = reference(cursor)?;
    cursor.space()?;
    if cursor.peek() == Some(b'(') {
        list.extended = true;
        list.patterns = patterns(cursor)?;
    } else {
        list.patterns.push(pattern_text(cursor)?);
    }
    if cursor.eat(b' ') {
        list.extended = true;
        list.returns = return_options(cursor)?;
    }
    Ok(Body::List(list))
}

pub(super) fn lsub(cursor: &mut Cursor<'_>) -> Parse<Body> {
    let reference = reference(cursor)?;
    cursor.space()?;
    let pattern = pattern_text(cursor)?;
    Ok(Body::Lsub { reference, pattern })
}

pub(super) fn status(cursor: &mut Cursor<'_>) -> Parse<Body> {
    let mailbox = mailbox(cursor)?;
    cursor.space()?;
    let items = status_items(cursor)?;
    Ok(Body::Status { mailbox, items })
}

/// With `(USE (\Sent …))` of RFC 6154 §3. A separator at the end only announces children and is
/// not part of the name (RFC 9051 §6.3.4).
pub(super) fn create(cursor: &mut Cursor<'_>) -> Parse<Body> {
    let mut mailbox = mailbox(cursor)?;
    if mailbox.ends_with(SEPARATOR) {
        mailbox.pop();
    }
    let mut special_use = Vec::new();
    if cursor.eat(b' ') {
        cursor.open()?;
        if !cursor.word().is("USE") {
            return Err(Fault::Syntax("The only parameter of CREATE is USE"));
        }
        cursor.space()?;
        special_use = cursor.list(OPTIONS_MAX, "Too many attributes", use_attribute)?;
        cursor.close()?;
    }
    Ok(Body::Create {
        mailbox,
        special_use,
    })
}

fn use_attribute(cursor: &mut Cursor<'_>) -> Parse<String> {
    cursor.want(b'\\', "Expected an attribute like \\Sent")?;
    Ok(format!("\\{}", cursor.atom()?))
}

fn patterns(cursor: &mut Cursor<'_>) -> Parse<Vec<String>> {
    let patterns = cursor.list(LIST_PATTERNS_MAX, "Too many patterns", pattern_text)?;
    if patterns.is_empty() {
        return Err(Fault::Syntax("Expected a mailbox pattern"));
    }
    Ok(patterns)
}

/// A mailbox in the grammar, but the beginning of a pattern in its meaning: `Inbox` stays as it is.
fn reference(cursor: &mut Cursor<'_>) -> Parse<String> {
    name::read_pattern(&cursor.astring()?, cursor.utf8)
}

fn pattern_text(cursor: &mut Cursor<'_>) -> Parse<String> {
    name::read_pattern(&cursor.list_mailbox()?, cursor.utf8)
}

fn select_options(cursor: &mut Cursor<'_>) -> Parse<ListSelect> {
    let mut select = ListSelect::default();
    cursor.list(OPTIONS_MAX, "Too many options", |cursor| {
        match cursor.word().as_str() {
            "SUBSCRIBED" => select.subscribed = true,
            "REMOTE" => select.remote = true,
            "RECURSIVEMATCH" => select.recursive_match = true,
            "SPECIAL-USE" => select.special_use = true,
            _ => return Err(Fault::Syntax("Unknown LIST selection option")),
        }
        Ok(())
    })?;
    // RFC 9051 §6.3.9.1: RECURSIVEMATCH needs a criterion that a child can meet.
    if select.recursive_match && !select.subscribed && !select.special_use {
        return Err(Fault::Syntax("RECURSIVEMATCH needs another option"));
    }
    Ok(select)
}

fn return_options(cursor: &mut Cursor<'_>) -> Parse<ListReturn> {
    if !cursor.word().is("RETURN") {
        return Err(Fault::Syntax("Expected RETURN"));
    }
    cursor.space()?;
    let mut returns = ListReturn::default();
    cursor.list(OPTIONS_MAX, "Too many options", |cursor| {
        match cursor.word().as_str() {
            "SUBSCRIBED" => returns.subscribed = true,
            "CHILDREN" => returns.children = true,
            "SPECIAL-USE" => returns.special_use = true,
            "STATUS" => {
                cursor.space()?;
                returns.status = Some(status_items(cursor)?);
            }
            "MYRIGHTS" => returns.my_rights = true,
            "METADATA" => returns.metadata = sharing::return_metadata(cursor)?,
            _ => return Err(Fault::Syntax("Unknown LIST return option")),
        }
        Ok(())
    })?;
    Ok(returns)
}

fn status_items(cursor: &mut Cursor<'_>) -> Parse<Vec<StatusItem>> {
    let items = cursor.list(OPTIONS_MAX, "Too many STATUS items", |cursor| {
        Ok(match cursor.word().as_str() {
            "MESSAGES" => StatusItem::Messages,
            "UIDNEXT" => StatusItem::UidNext,
            "UIDVALIDITY" => StatusItem::UidValidity,
            "UNSEEN" => StatusItem::Unseen,
            "DELETED" => StatusItem::Deleted,
            "DELETED-STORAGE" => StatusItem::DeletedStorage,
            "SIZE" => StatusItem::Size,
            "RECENT" => StatusItem::Recent,
            "APPENDLIMIT" => StatusItem::AppendLimit,
            "HIGHESTMODSEQ" => StatusItem::HighestModSeq,
            "MAILBOXID" => StatusItem::MailboxId,
            _ => return Err(Fault::Syntax("Unknown STATUS item")),
        })
    })?;
    if items.is_empty() {
        return Err(Fault::Syntax("Expected a STATUS item"));
    }
    Ok(items)
}
