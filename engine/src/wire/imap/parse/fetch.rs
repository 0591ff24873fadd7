//! FETCH and its items (RFC 9051 §6.4.5, RFC 3501 §6.4.5, RFC 3516 §4.2).

use super::super::command::{Body, FetchItem, Section, SectionText};
use super::super::fault::{Fault, Parse};
use super::super::limit::{FETCH_ITEMS_MAX, HEADER_FIELDS_MAX, PART_DEPTH_MAX};
use super::super::set::sequence_set;
use super::super::token::Cursor;
use super::object;
use super::resync::modifiers;

/// A macro stands alone; items stand alone or in parentheses.
pub(super) fn fetch(cursor: &mut Cursor<'_>, uid: bool) -> Parse<Body> {
    let set = sequence_set(cursor)?;
    cursor.space()?;
    let items = match cursor.peek() {
        Some(b'(') => cursor.list(FETCH_ITEMS_MAX, "Too many FETCH items", item)?,
        _ => macro_or_item(cursor)?,
    };
    if items.is_empty() {
        return Err(Fault::Syntax("Expected a FETCH item"));
    }
    let modifiers = modifiers(cursor)?;
    Ok(Body::Fetch {
        uid,
        set,
        items,
        modifiers,
    })
}

fn macro_or_item(cursor: &mut Cursor<'_>) -> Parse<Vec<FetchItem>> {
    use FetchItem::{Body, Envelope, Flags, InternalDate, Rfc822Size};
    let mut ahead = cursor.clone();
    let items = match ahead.word().as_str() {
        "FAST" => vec![Flags, InternalDate, Rfc822Size],
        "ALL" => vec![Flags, InternalDate, Rfc822Size, Envelope],
        "FULL" => vec![Flags, InternalDate, Rfc822Size, Envelope, Body],
        _ => return Ok(vec![item(cursor)?]),
    };
    *cursor = ahead;
    Ok(items)
}

pub(super) fn item(cursor: &mut Cursor<'_>) -> Parse<FetchItem> {
    let word = cursor.word();
    let bracket = cursor.peek() == Some(b'[');
    Ok(match (word.as_str(), bracket) {
        ("UID", false) => FetchItem::Uid,
        ("FLAGS", false) => FetchItem::Flags,
        ("INTERNALDATE", false) => FetchItem::InternalDate,
        ("ENVELOPE", false) => FetchItem::Envelope,
        ("BODY", false) => FetchItem::Body,
        ("BODYSTRUCTURE", false) => FetchItem::BodyStructure,
        ("MODSEQ", false) => FetchItem::ModSeq,
        ("RFC822", false) => FetchItem::Rfc822,
        ("RFC822.SIZE", false) => FetchItem::Rfc822Size,
        ("RFC822.HEADER", false) => FetchItem::Rfc822Header,
        ("RFC822.TEXT", false) => FetchItem::Rfc822Text,
        ("BODY", true) => body_section(cursor, false)?,
        ("BODY.PEEK", true) => body_section(cursor, true)?,
        ("BINARY", true) => binary(cursor, false)?,
        ("BINARY.PEEK", true) => binary(cursor, true)?,
        ("BINARY.SIZE", true) => FetchItem::BinarySize(binary_part(cursor)?),
        (word, false) => match object::item(word, cursor)? {
            Some(item) => item,
            None => return Err(Fault::Syntax("Unknown FETCH item")),
        },
        _ => return Err(Fault::Syntax("Unknown FETCH item")),
    })
}

fn body_section(cursor: &mut Cursor<'_>, peek: bool) -> Parse<FetchItem> {
    Ok(FetchItem::Section {
        peek,
        section: section(cursor)?,
        partial: partial(cursor)?,
    })
}

fn binary(cursor: &mut Cursor<'_>, peek: bool) -> Parse<FetchItem> {
    Ok(FetchItem::Binary {
        peek,
        part: binary_part(cursor)?,
        partial: partial(cursor)?,
    })
}

/// section-binary: `[` part or nothing `]`.
fn binary_part(cursor: &mut Cursor<'_>) -> Parse<Vec<u32>> {
    let section = section(cursor)?;
    match section.text {
        SectionText::All => Ok(section.part),
        _ => Err(Fault::Syntax("BINARY takes part numbers only")),
    }
}

/// What may stand between the brackets, alone: the section of a URL (RFC 5092 §11).
pub(in super::super) fn section_spec(spec: &[u8]) -> Option<Section> {
    let bracketed = [b"[", spec, b"]"].concat();
    let mut cursor = Cursor::new(&bracketed, true);
    let section = section(&mut cursor).ok()?;
    cursor.is_at_end().then_some(section)
}

/// RFC 9051 §9, section: part numbers, then a text, either or neither.
fn section(cursor: &mut Cursor<'_>) -> Parse<Section> {
    cursor.want(b'[', "Expected a section in brackets")?;
    let mut part = Vec::new();
    let mut text = SectionText::All;
    while cursor.peek() != Some(b']') {
        if !part.is_empty() {
            cursor.want(b'.', "Expected a dot or the end of a section")?;
        }
        if !cursor.peek().is_some_and(|b| b.is_ascii_digit()) {
            text = section_text(cursor, !part.is_empty())?;
            break;
        }
        if part.len() == PART_DEPTH_MAX {
            return Err(Fault::TooDeep);
        }
        part.push(cursor.nz_number()?);
    }
    cursor.want(b']', "Expected the end of a section")?;
    Ok(Section { part, text })
}

fn section_text(cursor: &mut Cursor<'_>, in_part: bool) -> Parse<SectionText> {
    Ok(match cursor.word().as_str() {
        "HEADER" => SectionText::Header,
        "HEADER.FIELDS" => SectionText::HeaderFields(field_names(cursor)?),
        "HEADER.FIELDS.NOT" => SectionText::HeaderFieldsNot(field_names(cursor)?),
        "TEXT" => SectionText::Text,
        "MIME" if in_part => SectionText::Mime,
        _ => return Err(Fault::Syntax("Unknown section")),
    })
}

fn field_names(cursor: &mut Cursor<'_>) -> Parse<Vec<Vec<u8>>> {
    cursor.space()?;
    let names = cursor.list(HEADER_FIELDS_MAX, "Too many header fields", |cursor| {
        cursor.astring().map(|name| name.into_owned())
    })?;
    if names.is_empty() {
        return Err(Fault::Syntax("Expected a header field name"));
    }
    Ok(names)
}

/// `<origin.count>`. No message reaches 4 GiB, so that larger numbers mean its end.
fn partial(cursor: &mut Cursor<'_>) -> Parse<Option<(u32, u32)>> {
    if !cursor.eat(b'<') {
        return Ok(None);
    }
    let origin = cursor.number64()?;
    cursor.want(b'.', "Expected a dot in a partial")?;
    let count = cursor.number64()?;
    cursor.want(b'>', "Expected the end of a partial")?;
    if count == 0 {
        return Err(Fault::Syntax("A partial takes at least one octet"));
    }
    let clip = |number| u32::try_from(number).unwrap_or(u32::MAX);
    Ok(Some((clip(origin), clip(count))))
}

const _: () = assert!(store::limit::MESSAGE_BYTES_MAX < u32::MAX as u64);
