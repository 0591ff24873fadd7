//! STORE and the flag lists of STORE and APPEND (RFC 9051 §2.3.2, §6.4.6; RFC 7162 §3.1.3).

use store::limit::{KEYWORD_BYTES_MAX, KEYWORDS_MAX};
use store::mail::flags::Flags;

use super::super::command::{Body, FlagList, Store, StoreOp};
use super::super::fault::{Fault, Parse};
use super::super::set::sequence_set;
use super::super::token::Cursor;

/// `STORE set [(UNCHANGEDSINCE n)] [+|-]FLAGS[.SILENT] flags`.
pub(super) fn store(cursor: &mut Cursor<'_>, uid: bool) -> Parse<Body> {
    let set = sequence_set(cursor)?;
    cursor.space()?;
    let unchanged_since = match cursor.peek() {
        Some(b'(') => Some(unchanged_since(cursor)?),
        _ => None,
    };
    let op = match cursor.peek() {
        Some(b'+') => StoreOp::Add,
        Some(b'-') => StoreOp::Remove,
        _ => StoreOp::Set,
    };
    if op != StoreOp::Set {
        cursor.take(1);
    }
    let silent = match cursor.word().as_str() {
        "FLAGS" => false,
        "FLAGS.SILENT" => true,
        _ => return Err(Fault::Syntax("Expected FLAGS or FLAGS.SILENT")),
    };
    cursor.space()?;
    let flags = match cursor.peek() {
        Some(b'(') => flag_list(cursor)?,
        _ => bare_flags(cursor)?,
    };
    let store = Store {
        op,
        silent,
        flags,
        unchanged_since,
    };
    Ok(Body::Store { uid, set, store })
}

/// A modifier and the space behind it. Zero is allowed (RFC 7162 §3.1.3).
fn unchanged_since(cursor: &mut Cursor<'_>) -> Parse<u64> {
    cursor.open()?;
    if !cursor.word().is("UNCHANGEDSINCE") {
        return Err(Fault::Syntax("Unknown STORE modifier"));
    }
    cursor.space()?;
    let modseq = cursor.number64()?;
    cursor.close()?;
    cursor.space()?;
    Ok(modseq)
}

/// `"(" [flag *(SP flag)] ")"`.
pub(super) fn flag_list(cursor: &mut Cursor<'_>) -> Parse<FlagList> {
    let mut flags = FlagList::default();
    // Names may repeat; the keywords are counted where they are kept.
    cursor.list(usize::MAX, "Too many flags", |cursor| {
        flag(cursor, &mut flags)
    })?;
    Ok(flags)
}

/// `flag *(SP flag)`.
fn bare_flags(cursor: &mut Cursor<'_>) -> Parse<FlagList> {
    let mut flags = FlagList::default();
    loop {
        flag(cursor, &mut flags)?;
        if !cursor.eat(b' ') {
            return Ok(flags);
        }
    }
}

fn flag(cursor: &mut Cursor<'_>, flags: &mut FlagList) -> Parse<()> {
    if !cursor.eat(b'\\') {
        return add_keyword(&mut flags.keywords, cursor.atom()?);
    }
    let system = match cursor.word().as_str() {
        "SEEN" => Flags::SEEN,
        "ANSWERED" => Flags::ANSWERED,
        "FLAGGED" => Flags::FLAGGED,
        "DELETED" => Flags::DELETED,
        "DRAFT" => Flags::DRAFT,
        // A client cannot change it (RFC 3501 §2.3.2), but copies it from what it was shown.
        "RECENT" => Flags::NONE,
        _ => return Err(Fault::Syntax("Unknown system flag")),
    };
    flags.flags = flags.flags | system;
    Ok(())
}

/// Without regard to case; the first spelling stays.
fn add_keyword(keywords: &mut Vec<String>, keyword: &str) -> Parse<()> {
    if keyword.len() > KEYWORD_BYTES_MAX {
        return Err(Fault::TooMany("Keyword too long"));
    }
    if keywords.iter().any(|k| k.eq_ignore_ascii_case(keyword)) {
        return Ok(());
    }
    if keywords.len() == KEYWORDS_MAX {
        return Err(Fault::TooMany("Too many keywords"));
    }
    keywords.push(keyword.to_owned());
    Ok(())
}
