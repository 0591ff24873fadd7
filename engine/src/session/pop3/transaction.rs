//! The TRANSACTION state (RFC 1939 §5, §7) and UPDATE, which QUIT begins (§6).

use super::action::{Action, Output, Retrieval, Update};
use super::maildrop::{Maildrop, NoMessage};
use super::settings::REPLY_BYTES_MAX;
use super::{Pending, Session, State};
use crate::config::Expire;
use crate::wire::pop3::command::Command;
use crate::wire::pop3::reply::{self, Reply};
use std::io::Write;

/// A reply of many lines that is under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Listing {
    what: Listed,
    /// The number of the next message.
    next: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Listed {
    Octets,
    Uidl,
}

impl Session {
    /// The maildrop is ours, or the session is over.
    pub(super) fn opened(&mut self, opened: Result<Box<Maildrop>, Reply>, out: &mut Output) {
        match opened {
            Ok(maildrop) => {
                let (count, octets) = maildrop.stat();
                self.maildrop = Some(maildrop);
                self.state = State::Transaction;
                out.say_text(&format!("+OK {count} messages ({octets} octets)\r\n"));
            }
            Err(refusal) => self.close(refusal, out),
        }
    }

    pub(super) fn transact(&mut self, command: Command<'_>, out: &mut Output) {
        let done = match command {
            Command::Stat => {
                let (count, octets) = self.stat();
                out.say_text(&format!("+OK {count} {octets}\r\n"));
                Ok(())
            }
            Command::List(which) => self.list(Listed::Octets, which, out),
            Command::Uidl(which) => self.list(Listed::Uidl, which, out),
            Command::Retr(number) => self.send(number, None, out),
            Command::Top(number, lines) => self.send(number, Some(lines), out),
            Command::Dele(number) => self.delete(number, out),
            Command::Noop => {
                out.say(reply::OK);
                Ok(())
            }
            Command::Rset => {
                if let Some(maildrop) = &mut self.maildrop {
                    maildrop.reset();
                }
                out.say(reply::RESET);
                Ok(())
            }
            _ => return self.blame(reply::IS_LOGGED_IN, out),
        };
        match done {
            Ok(()) => self.errors = 0,
            // A client may well ask for what another session took away.
            Err(why) => out.say(match why {
                NoMessage::Unknown => reply::NO_MESSAGE,
                NoMessage::Deleted => reply::IS_DELETED,
            }),
        }
    }

    fn list(
        &mut self,
        what: Listed,
        which: Option<u32>,
        out: &mut Output,
    ) -> Result<(), NoMessage> {
        let Some(maildrop) = &self.maildrop else {
            return Err(NoMessage::Unknown);
        };
        match which {
            Some(number) => {
                let entry = maildrop.message(number)?;
                out.say_text("+OK ");
                what.write_line(maildrop, (number, entry), &mut out.reply);
            }
            None => {
                let (count, octets) = maildrop.stat();
                out.say_text(&format!("+OK {count} messages ({octets} octets)\r\n"));
                self.listing = Some(Listing { what, next: 1 });
            }
        }
        Ok(())
    }

    /// As much of a listing as there is room for.
    pub(super) fn go_on_listing(&mut self, out: &mut Output) {
        let (Some(mut listing), Some(maildrop)) = (self.listing, &self.maildrop) else {
            return;
        };
        while out.reply.len() < REPLY_BYTES_MAX {
            let Some((number, entry)) = maildrop.next(listing.next) else {
                out.reply.extend_from_slice(reply::END);
                self.listing = None;
                return self.shut_down_if_idle(out);
            };
            let line = (number, entry);
            listing.what.write_line(maildrop, line, &mut out.reply);
            listing.next = number.saturating_add(1);
        }
        self.listing = Some(listing);
    }

    fn send(&mut self, number: u32, lines: Option<u32>, out: &mut Output) -> Result<(), NoMessage> {
        let maildrop = self.maildrop.as_ref().ok_or(NoMessage::Unknown)?;
        let entry = maildrop.message(number)?;
        self.pending = Some(Pending::Send(lines.is_none().then_some(number)));
        out.action = Some(Action::Send(Retrieval {
            uid: entry.uid,
            octets: entry.octets,
            lines,
            utf8: self.utf8,
        }));
        Ok(())
    }

    pub(super) fn sent(&mut self, number: Option<u32>, sent: Result<(), Reply>, out: &mut Output) {
        match (sent, number, &mut self.maildrop) {
            (Err(refusal), ..) => out.say(refusal),
            (Ok(()), Some(number), Some(maildrop)) => maildrop.retrieved(number),
            _ => {}
        }
    }

    fn delete(&mut self, number: u32, out: &mut Output) -> Result<(), NoMessage> {
        let maildrop = self.maildrop.as_mut().ok_or(NoMessage::Unknown)?;
        maildrop.delete(number)?;
        out.say(reply::DELETED);
        Ok(())
    }

    /// QUIT: the only way in which a session changes anything.
    pub(super) fn update(&mut self, out: &mut Output) {
        let Some(maildrop) = self.maildrop.take() else {
            return self.close(reply::BYE, out);
        };
        let (deleted, retrieved) = (maildrop.deleted_uids(), maildrop.retrieved_uids());
        let update = match self.settings.expire {
            Expire::Retrieved => Update {
                deleted: deleted.union(&retrieved),
                ..Update::default()
            },
            Expire::Never | Expire::Days(_) => Update {
                retrieved: retrieved.without(&deleted),
                deleted,
            },
        };
        self.pending = Some(Pending::Update);
        out.action = Some(Action::Update(Box::new(update)));
    }

    pub(super) fn updated(&mut self, done: bool, out: &mut Output) {
        self.close(
            match done {
                true => reply::BYE,
                false => reply::NOT_DELETED,
            },
            out,
        );
    }
}

impl Listed {
    fn write_line(
        self,
        maildrop: &Maildrop,
        (number, entry): (u32, super::maildrop::Entry),
        out: &mut Vec<u8>,
    ) {
        let into_vec = "a Vec takes every octet";
        write!(out, "{number} ").expect(into_vec);
        match self {
            Listed::Octets => write!(out, "{}", entry.octets).expect(into_vec),
            Listed::Uidl => maildrop.write_uidl(entry.uid, out),
        }
        out.extend_from_slice(b"\r\n");
    }
}
