//! FETCH items and SEARCH keys of OBJECTID, SAVEDATE and PREVIEW
//! (RFC 8474 §5, RFC 8514 §4, RFC 8970 §3).

use super::super::command::{FetchItem, ObjectKey};
use super::super::date::date;
use super::super::fault::{Fault, Parse};
use super::super::token::{Cursor, is_atom_char};

/// The item of this name, if it is one of these.
pub(super) fn item(word: &str, cursor: &mut Cursor<'_>) -> Parse<Option<FetchItem>> {
    Ok(Some(match word {
        "SAVEDATE" => FetchItem::SaveDate,
        "EMAILID" => FetchItem::EmailId,
        "THREADID" => FetchItem::ThreadId,
        "PREVIEW" => FetchItem::Preview {
            lazy: is_lazy(cursor),
        },
        _ => return Ok(None),
    }))
}

/// ` (LAZY)`; anything else in parentheses is a modifier of the whole FETCH.
fn is_lazy(cursor: &mut Cursor<'_>) -> bool {
    let mut ahead = cursor.clone();
    let opened = ahead.eat(b' ') && ahead.eat(b'(');
    let is_lazy = opened && ahead.word().is("LAZY") && ahead.eat(b')');
    if is_lazy {
        *cursor = ahead;
    }
    is_lazy
}

/// The key of this name, if it is one of these; the space behind the name is still to come.
pub(super) fn key(word: &str, cursor: &mut Cursor<'_>) -> Parse<Option<ObjectKey>> {
    let rule: fn(&mut Cursor<'_>) -> Parse<ObjectKey> = match word {
        "SAVEDBEFORE" => |c| date(c).map(ObjectKey::SavedBefore),
        "SAVEDON" => |c| date(c).map(ObjectKey::SavedOn),
        "SAVEDSINCE" => |c| date(c).map(ObjectKey::SavedSince),
        "SAVEDATESUPPORTED" => return Ok(Some(ObjectKey::SaveDateSupported)),
        "EMAILID" => |c| object_id(c).map(ObjectKey::EmailId),
        "THREADID" => |c| object_id(c).map(ObjectKey::ThreadId),
        _ => return Ok(None),
    };
    cursor.space()?;
    rule(cursor).map(Some)
}

/// objectid: up to 255 of letters, digits, `-` and `_` (RFC 8474 §7).
fn object_id(cursor: &mut Cursor<'_>) -> Parse<Vec<u8>> {
    let id = cursor.take_while(is_atom_char);
    let is_valid = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if !(1..=255).contains(&id.len()) || !id.iter().all(is_valid) {
        return Err(Fault::Syntax("Expected an object identifier"));
    }
    Ok(id.to_vec())
}
