//! SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS (RFC 4314 §4), GETQUOTA, GETQUOTAROOT, SETQUOTA
//! (RFC 9208 §7), GETMETADATA, SETMETADATA (RFC 5464 §5).

use super::super::command::Body;
use super::super::fault::{Fault, Parse};
use super::super::limit::{ANNOTATIONS_MAX, OPTIONS_MAX};
use super::super::metadata::{self, Depth, Entry};
use super::super::quota;
use super::super::rights::{self, Change, Rights};
use super::super::token::Cursor;
use super::mailbox;

pub(super) fn set_acl(cursor: &mut Cursor<'_>) -> Parse<Body> {
    let mailbox = mailbox(cursor)?;
    cursor.space()?;
    let identifier = text(cursor)?;
    cursor.space()?;
    let change = change(&text(cursor)?)?;
    Ok(Body::Rights(rights::Command::Set {
        mailbox,
        identifier,
        change,
    }))
}

/// RFC 4314 §3.1: a letter that is no right of ours is BAD.
fn change(text: &str) -> Parse<Change> {
    let (make, letters): (fn(Rights) -> Change, &str) = match text.as_bytes().first() {
        Some(b'+') => (Change::Add, text.get(1..).unwrap_or_default()),
        Some(b'-') => (Change::Remove, text.get(1..).unwrap_or_default()),
        _ => (Change::Replace, text),
    };
    let rights = Rights::parse(letters).ok_or(Fault::Syntax("Unknown right"))?;
    Ok(make(rights))
}

pub(super) fn delete_acl(cursor: &mut Cursor<'_>) -> Parse<Body> {
    let (mailbox, identifier) = mailbox_and_identifier(cursor)?;
    Ok(Body::Rights(rights::Command::Delete {
        mailbox,
        identifier,
    }))
}

pub(super) fn list_rights(cursor: &mut Cursor<'_>) -> Parse<Body> {
    let (mailbox, identifier) = mailbox_and_identifier(cursor)?;
    Ok(Body::Rights(rights::Command::List {
        mailbox,
        identifier,
    }))
}

pub(super) fn acl(cursor: &mut Cursor<'_>) -> Parse<Body> {
    let mailbox = mailbox(cursor)?;
    Ok(Body::Rights(rights::Command::Get { mailbox }))
}

pub(super) fn my_rights(cursor: &mut Cursor<'_>) -> Parse<Body> {
    let mailbox = mailbox(cursor)?;
    Ok(Body::Rights(rights::Command::My { mailbox }))
}

fn mailbox_and_identifier(cursor: &mut Cursor<'_>) -> Parse<(String, String)> {
    let mailbox = mailbox(cursor)?;
    cursor.space()?;
    Ok((mailbox, text(cursor)?))
}

pub(super) fn quota_of_root(cursor: &mut Cursor<'_>) -> Parse<Body> {
    let root = text(cursor)?;
    Ok(Body::Quota(quota::Command::Get { root }))
}

pub(super) fn quota_root(cursor: &mut Cursor<'_>) -> Parse<Body> {
    let mailbox = mailbox(cursor)?;
    Ok(Body::Quota(quota::Command::Root { mailbox }))
}

pub(super) fn set_quota(cursor: &mut Cursor<'_>) -> Parse<Body> {
    let root = text(cursor)?;
    cursor.space()?;
    let limits = cursor.list(OPTIONS_MAX, "Too many resources", |cursor| {
        let resource = cursor.atom()?.to_ascii_uppercase();
        cursor.space()?;
        Ok((resource, cursor.number64()?))
    })?;
    Ok(Body::Quota(quota::Command::Set { root, limits }))
}

/// Options stand before the mailbox in the formal syntax, and behind it in examples of RFC 5464
/// §4.2; clients do either.
pub(super) fn metadata_of(cursor: &mut Cursor<'_>) -> Parse<Body> {
    let mut asked = Asked::default();
    if cursor.peek() == Some(b'(') {
        cursor.list(OPTIONS_MAX, "Too many options", |cursor| asked.read(cursor))?;
        cursor.space()?;
    }
    let mailbox = mailbox(cursor)?;
    cursor.space()?;
    if cursor.peek() == Some(b'(') {
        cursor.list(ANNOTATIONS_MAX, TOO_MANY, |cursor| asked.read(cursor))?;
        if cursor.eat(b' ') {
            read_entries(cursor, &mut asked)?;
        }
    } else {
        asked.entries.push(entry(cursor)?);
    }
    if asked.entries.is_empty() {
        return Err(Fault::Syntax("Expected an entry"));
    }
    Ok(Body::Metadata(metadata::Command::Get {
        mailbox,
        entries: asked.entries,
        depth: asked.depth,
        max_size: asked.max_size,
    }))
}

/// What a GETMETADATA asks for.
#[derive(Default)]
struct Asked {
    entries: Vec<Entry>,
    depth: Depth,
    max_size: Option<u64>,
}

impl Asked {
    /// An option or an entry: entries begin with a slash, in quotes or not.
    fn read(&mut self, cursor: &mut Cursor<'_>) -> Parse<()> {
        if matches!(cursor.peek(), Some(b'/' | b'"' | b'{')) {
            self.entries.push(entry(cursor)?);
            return Ok(());
        }
        match cursor.word().as_str() {
            "MAXSIZE" => {
                cursor.space()?;
                self.max_size = Some(cursor.number64()?);
            }
            "DEPTH" => {
                cursor.space()?;
                self.depth = match cursor.word().as_str() {
                    "0" => Depth::Zero,
                    "1" => Depth::One,
                    "INFINITY" => Depth::Infinity,
                    _ => return Err(Fault::Syntax("DEPTH is 0, 1 or infinity")),
                };
            }
            _ => return Err(Fault::Syntax("Expected MAXSIZE, DEPTH or an entry")),
        }
        Ok(())
    }
}

fn read_entries(cursor: &mut Cursor<'_>, asked: &mut Asked) -> Parse<()> {
    match cursor.peek() {
        Some(b'(') => asked
            .entries
            .extend(cursor.list(ANNOTATIONS_MAX, TOO_MANY, entry)?),
        _ => asked.entries.push(entry(cursor)?),
    }
    Ok(())
}

pub(super) fn set_metadata(cursor: &mut Cursor<'_>) -> Parse<Body> {
    let mailbox = mailbox(cursor)?;
    cursor.space()?;
    let entries = cursor.list(ANNOTATIONS_MAX, TOO_MANY, |cursor| {
        let entry = entry(cursor)?;
        cursor.space()?;
        Ok((entry, value(cursor)?))
    })?;
    if entries.is_empty() {
        return Err(Fault::Syntax("Expected an entry"));
    }
    Ok(Body::Metadata(metadata::Command::Set { mailbox, entries }))
}

/// The METADATA return option of LIST (RFC 9590 §4).
pub(super) fn return_metadata(cursor: &mut Cursor<'_>) -> Parse<Vec<Entry>> {
    cursor.space()?;
    let entries = cursor.list(ANNOTATIONS_MAX, TOO_MANY, entry)?;
    match entries.is_empty() {
        true => Err(Fault::Syntax("Expected an entry")),
        false => Ok(entries),
    }
}

fn entry(cursor: &mut Cursor<'_>) -> Parse<Entry> {
    let name = text(cursor)?;
    Entry::new(&name).ok_or(Fault::Syntax("Not the name of an entry"))
}

/// nstring or literal8 (RFC 5464 §5).
fn value(cursor: &mut Cursor<'_>) -> Parse<Option<Vec<u8>>> {
    if cursor.eat(b'~') {
        let octets = cursor
            .marker()?
            .octets
            .and_then(|n| usize::try_from(n).ok());
        let value = octets.and_then(|octets| cursor.take(octets));
        return value
            .map(|value| Some(value.to_vec()))
            .ok_or(Fault::Unfinished);
    }
    Ok(cursor.nstring()?.map(|value| value.into_owned()))
}

fn text(cursor: &mut Cursor<'_>) -> Parse<String> {
    let octets = cursor.astring()?.into_owned();
    String::from_utf8(octets).map_err(|_| Fault::Syntax("Expected UTF-8"))
}

const TOO_MANY: &str = "Too many entries";
