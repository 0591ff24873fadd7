//! ID, AUTHENTICATE, LOGIN, ENABLE: who talks to us, and which dialect (RFC 9051 §6.2, §6.3.1).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::command::Body;
use super::super::fault::{Fault, Parse};
use super::super::limit::{ID_FIELD_BYTES_MAX, ID_PAIRS_MAX, ID_VALUE_BYTES_MAX, OPTIONS_MAX};
use super::super::token::Cursor;

/// RFC 2971 §3.1: `ID NIL` or `ID ("name" "value" …)`.
pub(super) fn id(cursor: &mut Cursor<'_>) -> Parse<Body> {
    if cursor.peek() != Some(b'(') {
        return match cursor.word().is("NIL") {
            true => Ok(Body::Id(Vec::new())),
            false => Err(Fault::Syntax("Expected NIL or a list of fields and values")),
        };
    }
    let pairs = cursor.list(ID_PAIRS_MAX, "Too many ID fields", id_pair)?;
    Ok(Body::Id(pairs))
}

fn id_pair(cursor: &mut Cursor<'_>) -> Parse<(Vec<u8>, Option<Vec<u8>>)> {
    let field = cursor.string()?;
    cursor.space()?;
    let value = cursor.nstring()?;
    if field.len() > ID_FIELD_BYTES_MAX {
        return Err(Fault::TooMany("ID field name too long"));
    }
    if value.as_ref().is_some_and(|v| v.len() > ID_VALUE_BYTES_MAX) {
        return Err(Fault::TooMany("ID value too long"));
    }
    Ok((field.into_owned(), value.map(|v| v.into_owned())))
}

/// With an initial response (RFC 4959 §3); `=` stands for an empty one.
pub(super) fn authenticate(cursor: &mut Cursor<'_>) -> Parse<Body> {
    let mechanism = cursor.atom()?.to_ascii_uppercase();
    if !cursor.eat(b' ') {
        return Ok(Body::Authenticate {
            mechanism,
            initial: None,
        });
    }
    let initial = match cursor.take_while(|b| b != b' ') {
        b"=" => Vec::new(),
        // An empty response is `=`, not nothing behind the space.
        b"" => return Err(Fault::Syntax("Expected an initial response")),
        text => decode(text)?,
    };
    Ok(Body::Authenticate {
        mechanism,
        initial: Some(initial),
    })
}

fn decode(text: &[u8]) -> Parse<Vec<u8>> {
    STANDARD
        .decode(text)
        .map_err(|_| Fault::Syntax("The initial response is not base64"))
}

pub(super) fn login(cursor: &mut Cursor<'_>) -> Parse<Body> {
    let user = cursor.astring()?.into_owned();
    cursor.space()?;
    let password = cursor.astring()?.into_owned();
    Ok(Body::Login { user, password })
}

/// RFC 5161 §3.1: unknown capabilities are ignored by the session; upper case here.
pub(super) fn enable(cursor: &mut Cursor<'_>) -> Parse<Body> {
    let mut capabilities = Vec::new();
    loop {
        if capabilities.len() == OPTIONS_MAX {
            return Err(Fault::TooMany("Too many capabilities"));
        }
        capabilities.push(cursor.atom()?.to_ascii_uppercase());
        if !cursor.eat(b' ') {
            return Ok(Body::Enable(capabilities));
        }
    }
}
