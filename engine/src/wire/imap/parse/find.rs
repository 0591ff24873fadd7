//! SORT, THREAD, ESEARCH and CANCELUPDATE (RFC 5256 §5, RFC 5267 §5, RFC 7377 §4, RFC 6203 §7).

use super::super::command::{Body, Search};
use super::super::fault::{Fault, Parse};
use super::super::find::{Algorithm, Criterion, Find, Partial, SortKey, Source};
use super::super::limit::{LIST_PATTERNS_MAX, OPTIONS_MAX, SORT_CRITERIA_MAX, TAG_BYTES_MAX};
use super::super::token::Cursor;
use super::mailbox;
use super::search::{charset, keys, keyword_ahead, return_options, with_charset};

/// `SORT [RETURN (…)] (criterion …) charset key …`.
pub(super) fn sort(cursor: &mut Cursor<'_>, uid: bool) -> Parse<Body> {
    let returns = return_options(cursor)?;
    let criteria = cursor.list(SORT_CRITERIA_MAX, "Too many sort criteria", criterion)?;
    if criteria.is_empty() {
        return Err(Fault::Syntax("Expected a sort criterion"));
    }
    cursor.space()?;
    let search = Search {
        returns,
        charset: Some(charset(cursor)?),
        key: keys(cursor)?,
    };
    let by_score = criteria.iter().any(|by| by.key == SortKey::Relevancy);
    if by_score && !search.key.is_fuzzy() {
        return Err(NOT_FUZZY);
    }
    Ok(Body::Find(Find::Sort {
        uid,
        criteria,
        search: checked(search)?,
    }))
}

/// RFC 6203 §4, §6.
const NOT_FUZZY: Fault = Fault::Syntax("RELEVANCY needs a FUZZY key");

/// What of a search can be known to contradict itself.
pub(super) fn checked(search: Search) -> Parse<Search> {
    let scores = search.returns.is_some_and(|returns| returns.relevancy);
    match scores && !search.key.is_fuzzy() {
        true => Err(NOT_FUZZY),
        false => Ok(search),
    }
}

fn criterion(cursor: &mut Cursor<'_>) -> Parse<Criterion> {
    let reverse = keyword_ahead(cursor, "REVERSE");
    let key = match cursor.word().as_str() {
        "ARRIVAL" => SortKey::Arrival,
        "CC" => SortKey::Cc,
        "DATE" => SortKey::Date,
        "DISPLAYFROM" => SortKey::DisplayFrom,
        "DISPLAYTO" => SortKey::DisplayTo,
        "FROM" => SortKey::From,
        "RELEVANCY" => SortKey::Relevancy,
        "SIZE" => SortKey::Size,
        "SUBJECT" => SortKey::Subject,
        "TO" => SortKey::To,
        _ => return Err(Fault::Syntax("Unknown sort criterion")),
    };
    Ok(Criterion { key, reverse })
}

/// `THREAD algorithm charset key …`.
pub(super) fn thread(cursor: &mut Cursor<'_>, uid: bool) -> Parse<Body> {
    let algorithm = match cursor.word().as_str() {
        "ORDEREDSUBJECT" => Algorithm::OrderedSubject,
        "REFERENCES" => Algorithm::References,
        "REFS" => Algorithm::Refs,
        _ => return Err(Fault::Syntax("Unknown threading algorithm")),
    };
    cursor.space()?;
    let search = Search {
        returns: None,
        charset: Some(charset(cursor)?),
        key: keys(cursor)?,
    };
    Ok(Body::Find(Find::Thread {
        uid,
        algorithm,
        search,
    }))
}

/// `ESEARCH [IN (source …)] [RETURN (…)] [CHARSET charset] key …`.
pub(super) fn esearch(cursor: &mut Cursor<'_>) -> Parse<Body> {
    let sources = match keyword_ahead(cursor, "IN") {
        true => Some(sources(cursor)?),
        false => None,
    };
    let returns = return_options(cursor)?;
    let search = with_charset(
        cursor,
        Some(returns.unwrap_or_else(super::search::only_all)),
    )?;
    Ok(Body::Find(Find::Multi { sources, search }))
}

/// Scope options are a syntax without words, so that any is unknown.
fn sources(cursor: &mut Cursor<'_>) -> Parse<Vec<Source>> {
    let sources = cursor.list(OPTIONS_MAX, "Too many sources", source)?;
    if sources.is_empty() {
        return Err(Fault::Syntax("Expected mailboxes to search"));
    }
    cursor.space()?;
    Ok(sources)
}

fn source(cursor: &mut Cursor<'_>) -> Parse<Source> {
    let named: fn(Vec<String>) -> Source = match cursor.word().as_str() {
        "SELECTED" => return Ok(Source::Selected),
        "INBOXES" => return Ok(Source::Inboxes),
        "PERSONAL" => return Ok(Source::Personal),
        "SUBSCRIBED" => return Ok(Source::Subscribed),
        "SUBTREE" => Source::Subtree,
        "SUBTREE-ONE" => Source::SubtreeOne,
        "MAILBOXES" => Source::Mailboxes,
        _ => return Err(Fault::Syntax("Unknown source of messages")),
    };
    cursor.space()?;
    let names = match cursor.peek() {
        Some(b'(') => cursor.list(LIST_PATTERNS_MAX, "Too many mailboxes", mailbox)?,
        _ => vec![mailbox(cursor)?],
    };
    if names.is_empty() {
        return Err(Fault::Syntax("Expected a mailbox"));
    }
    Ok(named(names))
}

/// `CANCELUPDATE "tag" …`.
pub(super) fn cancel_update(cursor: &mut Cursor<'_>) -> Parse<Body> {
    let mut tags = Vec::new();
    loop {
        if tags.len() == OPTIONS_MAX {
            return Err(Fault::TooMany("Too many tags"));
        }
        let tag = cursor.string()?;
        if tag.len() > TAG_BYTES_MAX {
            return Err(Fault::Syntax("Expected a tag"));
        }
        tags.push(String::from_utf8_lossy(&tag).into_owned());
        if !cursor.eat(b' ') {
            return Ok(Body::Find(Find::CancelUpdate(tags)));
        }
    }
}

/// partial-range (RFC 9394 §4): `1:500` or `-1:-500`.
pub(super) fn partial(cursor: &mut Cursor<'_>) -> Parse<Partial> {
    let from_last = cursor.eat(b'-');
    let first = cursor.nz_number()?;
    cursor.want(b':', "Expected a range")?;
    if cursor.eat(b'-') != from_last {
        return Err(Fault::Syntax(
            "Both ends of a range count from the same side",
        ));
    }
    let last = cursor.nz_number()?;
    Ok(Partial {
        from_last,
        first,
        last,
    })
}
