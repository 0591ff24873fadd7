//! APPEND and REPLACE, stretch by stretch, and the check of a command that has come to its first
//! literal (RFC 9051 §6.3.12, RFC 3502, RFC 3516 §4.4, RFC 4469 §5, RFC 6855 §4, RFC 8508 §3).

use super::super::append::{Append, Literal, Replaced, Step};
use super::super::command::{Body, Command, SequenceNumber};
use super::super::date::date_time;
use super::super::fault::{Bad, Fault, Parse};
use super::super::limit::APPEND_STEPS_MAX;
use super::super::token::Cursor;
use super::store::flag_list;
use super::{arguments_of, mailbox, tag, without_arguments};

/// What a command is whose octets end behind the CRLF of an announced literal.
#[derive(Debug)]
pub(in super::super) enum Head {
    /// The literal is a string of the command.
    Argument,
    /// The literal belongs to a message of this APPEND.
    Message(Command, Place),
}

/// What a stretch of an APPEND is.
#[derive(Debug)]
pub(in super::super) enum Stretch {
    /// The literal that it announces is a string of the command.
    Argument,
    /// It ends the command, or with the octets of a message.
    Steps(Vec<Step>, Place),
}

/// Where in an APPEND the octets of a literal stood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) struct Place {
    /// Inside the parentheses of CATENATE.
    in_catenate: bool,
    /// Inside those of UTF8.
    in_utf8: bool,
    /// No second message may follow: REPLACE.
    is_replace: bool,
}

/// Reads as much of a command as is there, so that a literal is asked for only where it can be of
/// use. Before login only LOGIN and ID have business with literals.
pub(in super::super) fn head(octets: &[u8], utf8: bool, logged_in: bool) -> Result<Head, Bad> {
    let mut cursor = Cursor::new(octets, utf8);
    let tag = tag(&mut cursor).map_err(|fault| Bad { tag: None, fault })?;
    match head_of_tagged(&mut cursor, logged_in) {
        Ok(Some((append, place))) => {
            let body = Body::Append(append);
            Ok(Head::Message(Command { tag, body }, place))
        }
        Ok(None) => Ok(Head::Argument),
        Err(fault) => Err(Bad {
            tag: Some(tag),
            fault,
        }),
    }
}

fn head_of_tagged(cursor: &mut Cursor<'_>, logged_in: bool) -> Parse<Option<(Append, Place)>> {
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
    let mut uid = false;
    let mut name = word;
    if word.is("UID") {
        cursor.space()?;
        (uid, name) = (true, cursor.word());
    }
    let read = match (name.as_str(), uid) {
        ("APPEND", false) => append,
        ("REPLACE", false) => |cursor: &mut Cursor<'_>| replace(cursor, false),
        ("REPLACE", true) => |cursor: &mut Cursor<'_>| replace(cursor, true),
        _ => return Ok(None),
    };
    cursor.space()?;
    unless_unfinished(read(cursor))
}

/// `None`: a string's own literal has been announced and is still to come.
fn unless_unfinished<T>(read: Parse<T>) -> Parse<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(Fault::Unfinished) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// What stands behind the octets of a message: `octets` end behind an announcement or are whole.
pub(in super::super) fn stretch(octets: &[u8], utf8: bool, place: Place) -> Parse<Stretch> {
    let mut cursor = Cursor::new(octets, utf8);
    Ok(
        match unless_unfinished(behind_octets(&mut cursor, place))? {
            None => Stretch::Argument,
            Some((steps, place)) => Stretch::Steps(steps, place),
        },
    )
}

/// An APPEND that came to its end: all of it is in the store already (RFC 4469).
pub(super) fn without_octets(cursor: &mut Cursor<'_>) -> Parse<Body> {
    ended(append(cursor)?)
}

/// The same of REPLACE and UID REPLACE.
pub(super) fn replace_without_octets(cursor: &mut Cursor<'_>, uid: bool) -> Parse<Body> {
    ended(replace(cursor, uid)?)
}

fn ended((append, _): (Append, Place)) -> Parse<Body> {
    match append.literal() {
        Some(_) => Err(Fault::Unfinished),
        None => Ok(Body::Append(append)),
    }
}

fn append(cursor: &mut Cursor<'_>) -> Parse<(Append, Place)> {
    begin(cursor, None)
}

fn replace(cursor: &mut Cursor<'_>, uid: bool) -> Parse<(Append, Place)> {
    let number = match cursor.eat(b'*') {
        true => SequenceNumber::Star,
        false => SequenceNumber::Number(cursor.nz_number()?),
    };
    cursor.space()?;
    begin(cursor, Some(Replaced { uid, number }))
}

fn begin(cursor: &mut Cursor<'_>, replaces: Option<Replaced>) -> Parse<(Append, Place)> {
    let mailbox = mailbox(cursor)?;
    let mut reader = Reader {
        steps: Vec::new(),
        place: Place {
            in_catenate: false,
            in_utf8: false,
            is_replace: replaces.is_some(),
        },
    };
    reader.messages(cursor)?;
    let append = Append {
        mailbox,
        replaces,
        steps: reader.steps,
    };
    Ok((append, reader.place))
}

fn behind_octets(cursor: &mut Cursor<'_>, place: Place) -> Parse<(Vec<Step>, Place)> {
    let steps = Vec::new();
    let mut reader = Reader { steps, place };
    reader.go_on(cursor)?;
    Ok((reader.steps, reader.place))
}

/// What has been read of a stretch.
struct Reader {
    steps: Vec<Step>,
    place: Place,
}

/// Whether a stretch goes on.
#[derive(PartialEq, Eq)]
enum Goes {
    On,
    /// Octets come, which end it.
    ToOctets,
}

impl Reader {
    fn step(&mut self, step: Step) -> Parse<()> {
        if self.steps.len() == APPEND_STEPS_MAX {
            return Err(Fault::TooMany("Too many parts"));
        }
        self.steps.push(step);
        Ok(())
    }

    /// Behind the octets of a message or of a part.
    fn go_on(&mut self, cursor: &mut Cursor<'_>) -> Parse<()> {
        if self.place.in_utf8 {
            cursor.close()?;
            self.place.in_utf8 = false;
        }
        if self.place.in_catenate {
            if self.parts(cursor, true)? == Goes::ToOctets {
                return cursor.end();
            }
        } else {
            self.step(Step::End)?;
        }
        if cursor.is_at_end() {
            return Ok(());
        }
        if self.place.is_replace {
            return Err(Fault::Syntax("REPLACE takes one message"));
        }
        // IMAPClient puts a second space before the next message, and nothing else can be meant.
        let mut ahead = cursor.clone();
        if ahead.eat(b' ') && ahead.peek() == Some(b' ') {
            *cursor = ahead;
        }
        self.messages(cursor)
    }

    /// `1*(SP message)`, up to the first octets.
    fn messages(&mut self, cursor: &mut Cursor<'_>) -> Parse<()> {
        loop {
            cursor.space()?;
            if self.message(cursor)? == Goes::ToOctets || cursor.is_at_end() {
                return cursor.end();
            }
            if self.place.is_replace {
                return Err(Fault::Syntax("REPLACE takes one message"));
            }
        }
    }

    fn message(&mut self, cursor: &mut Cursor<'_>) -> Parse<Goes> {
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
        self.step(Step::Begin { flags, date })?;
        if matches!(cursor.peek(), Some(b'{' | b'~')) {
            return self.octets(cursor);
        }
        match cursor.word().as_str() {
            "UTF8" => self.utf8(cursor),
            "CATENATE" => {
                cursor.space()?;
                cursor.open()?;
                self.place.in_catenate = true;
                self.parts(cursor, false)
            }
            _ => Err(Fault::Syntax("Expected the message as a literal")),
        }
    }

    /// The parts of CATENATE and the parenthesis behind them; `behind`: one of them was read.
    fn parts(&mut self, cursor: &mut Cursor<'_>, mut behind: bool) -> Parse<Goes> {
        loop {
            if behind {
                if cursor.eat(b')') {
                    self.place.in_catenate = false;
                    self.step(Step::End)?;
                    return Ok(Goes::On);
                }
                cursor.want(b' ', "Expected a space or a closing parenthesis")?;
            }
            behind = true;
            let word = cursor.word();
            match word.as_str() {
                "URL" => {
                    cursor.space()?;
                    let url = cursor.astring()?.into_owned();
                    self.step(Step::Url(url))?;
                }
                "TEXT" => {
                    cursor.space()?;
                    return self.octets(cursor);
                }
                "UTF8" => return self.utf8(cursor),
                _ => return Err(Fault::Syntax("Expected TEXT, URL or UTF8")),
            }
        }
    }

    /// `SP "(" literal8`; the parenthesis closes behind the octets.
    fn utf8(&mut self, cursor: &mut Cursor<'_>) -> Parse<Goes> {
        cursor.space()?;
        cursor.open()?;
        if cursor.peek() != Some(b'~') {
            return Err(Fault::Syntax("UTF8 takes a literal8"));
        }
        self.place.in_utf8 = true;
        self.octets(cursor)
    }

    fn octets(&mut self, cursor: &mut Cursor<'_>) -> Parse<Goes> {
        let binary = cursor.eat(b'~');
        let marker = cursor.marker()?;
        self.step(Step::Octets(Literal {
            octets: marker.octets.ok_or(Fault::LiteralTooLarge)?,
            non_synchronizing: marker.non_synchronizing,
            binary,
            utf8: self.place.in_utf8,
            is_part: self.place.in_catenate,
        }))?;
        Ok(Goes::ToOctets)
    }
}
