//! PARTIAL ranges and UIDBATCHES (RFC 9394 §4, RFC 10022 §4).

use super::super::command::Body;
use super::super::fault::{Fault, Parse};
use super::super::portion::{Batches, Partial};
use super::super::token::Cursor;

/// `1:100` or `-1:-100`; the ends may stand in either order.
pub(super) fn partial(cursor: &mut Cursor<'_>) -> Parse<Partial> {
    let newest = cursor.eat(b'-');
    let first = cursor.nz_number()?;
    cursor.want(b':', "Expected a colon in a range")?;
    if newest {
        cursor.want(b'-', "Both ends of a range are counted from one side")?;
    }
    let last = cursor.nz_number()?;
    let (first, last) = (first.min(last), first.max(last));
    Ok(match newest {
        true => Partial::Newest(first, last),
        false => Partial::Oldest(first, last),
    })
}

/// `UIDBATCHES 500 [1:4]`.
pub(super) fn batches(cursor: &mut Cursor<'_>) -> Parse<Body> {
    let messages = cursor.nz_number()?;
    let wanted = match cursor.eat(b' ') {
        true => Some(ascending(cursor)?),
        false => None,
    };
    Ok(Body::UidBatches(Batches { messages, wanted }))
}

fn ascending(cursor: &mut Cursor<'_>) -> Parse<(u32, u32)> {
    let first = cursor.nz_number()?;
    cursor.want(b':', "Expected a colon in a range")?;
    let last = cursor.nz_number()?;
    if first > last {
        return Err(Fault::Syntax("Batches are counted upwards"));
    }
    Ok((first, last))
}
