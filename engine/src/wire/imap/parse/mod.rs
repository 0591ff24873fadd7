//! From the octets of one whole command to its type (RFC 9051 §6 and §9, RFC 3501 §6).
//!
//! One file for each family with a grammar of its own; here the dispatch and the commands whose
//! arguments are a few strings. No rule recurses but `search-key`, whose depth is bounded.

mod append;
mod fetch;
mod find;
mod list;
mod notify;
mod object;
mod portion;
mod resync;
mod search;
mod session;
mod sharing;
mod store;

use super::command::{Body, Command};
use super::fault::{Bad, Fault, Parse};
use super::limit::TAG_BYTES_MAX;
use super::name;
use super::set::sequence_set;
use super::token::{Cursor, Word};

pub(super) use append::{Head, Place, Stretch, head, stretch};
pub(super) use fetch::section_spec;

/// One command, literals in place, without the CRLF behind it. With `utf8`, quoted strings and
/// mailbox names are UTF-8 (RFC 9051 §4.3, RFC 6855 §3).
pub(super) fn command(octets: &[u8], utf8: bool) -> Result<Command, Bad> {
    let mut cursor = Cursor::new(octets, utf8);
    let tag = tag(&mut cursor).map_err(|fault| Bad { tag: None, fault })?;
    match tagged(&mut cursor) {
        Ok(body) => Ok(Command { tag, body }),
        Err(fault) => Err(Bad {
            tag: Some(tag),
            fault,
        }),
    }
}

/// The tag of a command of which perhaps only the beginning is there.
pub(super) fn tag_of(octets: &[u8]) -> Option<String> {
    tag(&mut Cursor::new(octets, false)).ok()
}

/// Whether a command of which the beginning is there may go on with a literal8.
pub(super) fn takes_literal8(octets: &[u8]) -> bool {
    let mut cursor = Cursor::new(octets, false);
    tag(&mut cursor).is_ok() && cursor.word().is("SETMETADATA")
}

fn tag(cursor: &mut Cursor<'_>) -> Parse<String> {
    let tag = cursor.tag().map_err(|_| Fault::NoTag)?;
    if tag.len() > TAG_BYTES_MAX || !cursor.eat(b' ') {
        return Err(Fault::NoTag);
    }
    Ok(tag.to_owned())
}

fn tagged(cursor: &mut Cursor<'_>) -> Parse<Body> {
    let word = cursor.word();
    if let Some(body) = without_arguments(&word) {
        cursor.end()?;
        return Ok(body);
    }
    let arguments = arguments_of(&word).ok_or(Fault::UnknownCommand)?;
    cursor.space()?;
    let body = arguments(cursor)?;
    cursor.end()?;
    Ok(body)
}

fn without_arguments(word: &Word) -> Option<Body> {
    Some(match word.as_str() {
        "CAPABILITY" => Body::Capability,
        "NOOP" => Body::Noop,
        "LOGOUT" => Body::Logout,
        "STARTTLS" => Body::StartTls,
        "NAMESPACE" => Body::Namespace,
        "IDLE" => Body::Idle,
        "UNAUTHENTICATE" => Body::Unauthenticate,
        "CHECK" => Body::Check,
        "CLOSE" => Body::Close,
        "UNSELECT" => Body::Unselect,
        "EXPUNGE" => Body::Expunge,
        _ => return None,
    })
}

type Arguments = fn(&mut Cursor<'_>) -> Parse<Body>;

/// The rule for what stands behind a command's name and a space.
fn arguments_of(word: &Word) -> Option<Arguments> {
    Some(match word.as_str() {
        "ID" => session::id,
        "AUTHENTICATE" => session::authenticate,
        "LOGIN" => session::login,
        "ENABLE" => session::enable,
        "SELECT" => |cursor| select(cursor, false),
        "EXAMINE" => |cursor| select(cursor, true),
        "CREATE" => list::create,
        "DELETE" => |cursor| mailbox(cursor).map(|mailbox| Body::Delete { mailbox }),
        "RENAME" => rename,
        "COMPRESS" => |cursor| Ok(Body::Compress(cursor.atom()?.to_ascii_uppercase())),
        "SUBSCRIBE" => |cursor| mailbox(cursor).map(|mailbox| Body::Subscribe { mailbox }),
        "UNSUBSCRIBE" => |cursor| mailbox(cursor).map(|mailbox| Body::Unsubscribe { mailbox }),
        "LIST" => list::list,
        "LSUB" => list::lsub,
        "STATUS" => list::status,
        "APPEND" => append::without_octets,
        "REPLACE" => |cursor| append::replace_without_octets(cursor, false),
        "SETACL" => sharing::set_acl,
        "DELETEACL" => sharing::delete_acl,
        "GETACL" => sharing::acl,
        "LISTRIGHTS" => sharing::list_rights,
        "MYRIGHTS" => sharing::my_rights,
        "GETQUOTA" => sharing::quota_of_root,
        "GETQUOTAROOT" => sharing::quota_root,
        "SETQUOTA" => sharing::set_quota,
        "GETMETADATA" => sharing::metadata_of,
        "SETMETADATA" => sharing::set_metadata,
        "SEARCH" => |cursor| search::search(cursor, false),
        "SORT" => |cursor| find::sort(cursor, false),
        "THREAD" => |cursor| find::thread(cursor, false),
        "ESEARCH" => find::esearch,
        "CANCELUPDATE" => find::cancel_update,
        "FETCH" => |cursor| fetch::fetch(cursor, false),
        "STORE" => |cursor| store::store(cursor, false),
        "COPY" => |cursor| copy(cursor, false),
        "MOVE" => |cursor| relocate(cursor, false),
        "NOTIFY" => notify::notify,
        "UIDBATCHES" => portion::batches,
        "UID" => uid,
        _ => return None,
    })
}

/// RFC 9051 §6.4.9.
fn uid(cursor: &mut Cursor<'_>) -> Parse<Body> {
    let word = cursor.word();
    let arguments: Arguments = match word.as_str() {
        "SEARCH" => |cursor| search::search(cursor, true),
        "SORT" => |cursor| find::sort(cursor, true),
        "THREAD" => |cursor| find::thread(cursor, true),
        "FETCH" => |cursor| fetch::fetch(cursor, true),
        "STORE" => |cursor| store::store(cursor, true),
        "COPY" => |cursor| copy(cursor, true),
        "MOVE" => |cursor| relocate(cursor, true),
        "EXPUNGE" => |cursor| sequence_set(cursor).map(Body::UidExpunge),
        "REPLACE" => |cursor| append::replace_without_octets(cursor, true),
        _ => return Err(Fault::UnknownCommand),
    };
    cursor.space()?;
    arguments(cursor)
}

/// With what may follow the mailbox (RFC 4466 §2.2).
fn select(cursor: &mut Cursor<'_>, read_only: bool) -> Parse<Body> {
    let mailbox = mailbox(cursor)?;
    match (cursor.eat(b' '), read_only) {
        (true, _) => resync::parameters(cursor, mailbox, read_only),
        (false, false) => Ok(Body::Select { mailbox }),
        (false, true) => Ok(Body::Examine { mailbox }),
    }
}

fn rename(cursor: &mut Cursor<'_>) -> Parse<Body> {
    let from = mailbox(cursor)?;
    cursor.space()?;
    let to = mailbox(cursor)?;
    Ok(Body::Rename { from, to })
}

fn copy(cursor: &mut Cursor<'_>, uid: bool) -> Parse<Body> {
    let set = sequence_set(cursor)?;
    cursor.space()?;
    let mailbox = mailbox(cursor)?;
    Ok(Body::Copy { uid, set, mailbox })
}

/// MOVE (RFC 6851).
fn relocate(cursor: &mut Cursor<'_>, uid: bool) -> Parse<Body> {
    let set = sequence_set(cursor)?;
    cursor.space()?;
    let mailbox = mailbox(cursor)?;
    Ok(Body::Move { uid, set, mailbox })
}

fn mailbox(cursor: &mut Cursor<'_>) -> Parse<String> {
    name::read(&cursor.astring()?, cursor.utf8)
}
