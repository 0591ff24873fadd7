//! UIDBATCHES (RFC 10022 §4).

use super::super::command::Body;
use super::super::fault::Parse;
use super::super::portion::Batches;
use super::super::token::Cursor;

/// `UIDBATCHES 500 [1:4]`.
pub(super) fn batches(cursor: &mut Cursor<'_>) -> Parse<Body> {
    let messages = cursor.nz_number()?;
    let wanted = match cursor.eat(b' ') {
        true => Some(range(cursor)?),
        false => None,
    };
    Ok(Body::UidBatches(Batches { messages, wanted }))
}

fn range(cursor: &mut Cursor<'_>) -> Parse<(u32, u32)> {
    let first = cursor.nz_number()?;
    cursor.want(b':', "Expected a colon in a range")?;
    let last = cursor.nz_number()?;
    Ok((first, last))
}
