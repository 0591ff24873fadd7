//! APPEND up to its message, and the check of a command that has come to its first literal
//! (RFC 9051 §6.3.12, RFC 3516 §4.4, RFC 6855 §4).

use super::super::command::{Append, Body, Command};
use super::super::date::date_time;
use super::super::fault::{Bad, Fault, Parse};
use super::super::token::Cursor;
use super::store::flag_list;
use super::{arguments_of, mailbox, tag, without_arguments};

/// What a command is whose octets end behind the CRLF of an announced literal.
#[derive(Debug)]
pub(in super::super) enum Head {
    /// The literal is a string of the command.
    Argument,
    /// The literal is the message of this APPEND.
    Message(Command),
}

/// Reads as much of a command as is there, so that a literal is asked for only where it can be of
/// use. Before login only LOGIN and ID have business with literals.
pub(in super::super) fn head(octets: &[u8], utf8: bool, logged_in: bool) -> Result<Head, Bad> {
    let mut cursor = Cursor::new(octets, utf8);
    let tag = tag(&mut cursor).map_err(|fault| Bad { tag: None, fault })?;
    match head_of_tagged(&mut cursor, logged_in) {
        Ok(Some(append)) => Ok(Head::Message(Command {
            tag,
            body: Body::Append(append),
        })),
        Ok(None) => Ok(Head::Argument),
        Err(fault) => Err(Bad {
            tag: Some(tag),
            fault,
        }),
    }
}

fn head_of_tagged(cursor: &mut Cursor<'_>, logged_in: bool) -> Parse<Option<Append>> {
    let word = cursor.word();
    if without_arguments(&word).is_some() {
        return Err(Fault::Syntax("Too many arguments"));
    }
    if arguments_of(&word).is_none() {
        return Err(Fault::UnknownCommand);
    }
    if !logged_in && !matches!(word.as_str(), "LOGIN" | "ID") {
        return Err(Fault::LogInFirst);
    }
    if !word.is("APPEND") {
        return Ok(None);
    }
    cursor.space()?;
    match append(cursor) {
        Ok(append) => Ok(Some(append)),
        // The mailbox's own literal has been announced and is still to come.
        Err(Fault::Unfinished) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// An APPEND that came to its end without a message.
pub(super) fn without_message(cursor: &mut Cursor<'_>) -> Parse<Body> {
    append(cursor)?;
    Err(Fault::Unfinished)
}

fn append(cursor: &mut Cursor<'_>) -> Parse<Append> {
    let mailbox = mailbox(cursor)?;
    cursor.space()?;
    let mut flags = Default::default();
    if cursor.peek() == Some(b'(') {
        flags = flag_list(cursor)?;
        cursor.space()?;
    }
    let mut date = None;
    if cursor.peek() == Some(b'"') {
        date = Some(date_time(cursor)?);
        cursor.space()?;
    }
    let utf8 = matches!(cursor.peek(), Some(b'U' | b'u'));
    if utf8 {
        if !cursor.word().is("UTF8") {
            return Err(Fault::Syntax("Expected the message as a literal"));
        }
        cursor.space()?;
        cursor.open()?;
    }
    let binary = cursor.eat(b'~');
    if utf8 && !binary {
        return Err(Fault::Syntax("UTF8 takes a literal8"));
    }
    let marker = cursor.marker()?;
    cursor.end()?;
    Ok(Append {
        mailbox,
        flags,
        date,
        octets: marker.octets.ok_or(Fault::LiteralTooLarge)?,
        non_synchronizing: marker.non_synchronizing,
        binary,
        utf8,
    })
}
