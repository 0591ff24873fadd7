//! Parameters of SELECT and modifiers of FETCH (RFC 7162 §7, RFC 9394 §4).

use super::super::command::{Body, SequenceNumber, SequenceSet};
use super::super::fault::{Fault, Parse};
use super::super::resync::{Matched, Modifiers, Resync, Select};
use super::super::set::{resolve, sequence_set};
use super::super::token::Cursor;
use super::find::partial;
use store::mail::uidset::UidSet;

/// What follows the mailbox, behind the space: `(CONDSTORE)`, `(QRESYNC (…))`.
pub(super) fn parameters(cursor: &mut Cursor<'_>, mailbox: String, read_only: bool) -> Parse<Body> {
    let mut select = Select {
        mailbox,
        read_only,
        condstore: false,
        resync: None,
    };
    let given = cursor.list(2, "Too many parameters", |cursor| {
        match cursor.word().as_str() {
            "CONDSTORE" => select.condstore = true,
            "QRESYNC" if select.resync.is_none() => {
                cursor.space()?;
                select.resync = Some(resync(cursor)?);
            }
            _ => return Err(Fault::Syntax("Unknown parameter of SELECT")),
        }
        Ok(())
    })?;
    if given.is_empty() {
        return Err(Fault::Syntax("Expected a parameter of SELECT"));
    }
    Ok(Body::Resync(select))
}

/// `(uidvalidity modseq [known-uids] [(numbers uids)])`.
fn resync(cursor: &mut Cursor<'_>) -> Parse<Resync> {
    cursor.open()?;
    let uid_validity = cursor.nz_number()?;
    cursor.space()?;
    let mut resync = Resync {
        uid_validity,
        modseq: cursor.number64()?,
        known_uids: None,
        matched: None,
    };
    let mut more = cursor.eat(b' ');
    if more && cursor.peek() != Some(b'(') {
        resync.known_uids = Some(known(cursor)?);
        more = cursor.eat(b' ');
    }
    if more {
        resync.matched = Some(matched(cursor)?);
    }
    cursor.close()?;
    Ok(resync)
}

fn matched(cursor: &mut Cursor<'_>) -> Parse<Matched> {
    cursor.open()?;
    let numbers = known(cursor)?;
    cursor.space()?;
    let uids = known(cursor)?;
    cursor.close()?;
    if numbers.len() != uids.len() {
        return Err(Fault::Syntax("Sequence numbers and UIDs do not go in step"));
    }
    Ok(Matched { numbers, uids })
}

/// A set in which `*` is not allowed.
fn known(cursor: &mut Cursor<'_>) -> Parse<UidSet> {
    let is_number = |number: &SequenceNumber| matches!(number, SequenceNumber::Number(_));
    match sequence_set(cursor)? {
        SequenceSet::Ranges(ranges) if ranges.iter().all(|(a, b)| is_number(a) && is_number(b)) => {
            Ok(resolve(&ranges, 0))
        }
        _ => Err(Fault::Syntax("Expected a set of numbers without *")),
    }
}

/// `[SP "(" modifier *(SP modifier) ")"]` behind the items of FETCH.
pub(super) fn modifiers(cursor: &mut Cursor<'_>) -> Parse<Modifiers> {
    let mut modifiers = Modifiers::default();
    if !cursor.eat(b' ') {
        return Ok(modifiers);
    }
    let given = cursor.list(3, "Too many FETCH modifiers", |cursor| {
        let word = cursor.word();
        match word.as_str() {
            "CHANGEDSINCE" if modifiers.changed_since.is_none() => {
                cursor.space()?;
                modifiers.changed_since = Some(cursor.number64()?);
            }
            "VANISHED" => modifiers.vanished = true,
            "PARTIAL" if modifiers.partial.is_none() => {
                cursor.space()?;
                modifiers.partial = Some(partial(cursor)?);
            }
            _ => return Err(Fault::Syntax("Unknown FETCH modifier")),
        }
        Ok(())
    })?;
    if given.is_empty() {
        return Err(Fault::Syntax("Expected a FETCH modifier"));
    }
    Ok(modifiers)
}
