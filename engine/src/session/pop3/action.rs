//! What passes between the session and whoever drives it: octets, actions and their answers.

use super::maildrop::Maildrop;
use crate::wire::pop3::command::Keyword;
use crate::wire::pop3::reply::Reply;
use crate::wire::sasl::{self, Channel, Question};
use std::rc::Rc;
use store::mail::id::Uid;
use store::mail::uidset::UidSet;

/// What the session wants done. The driver empties it after every call: `reply` to the socket,
/// then `action`.
#[derive(Default, Debug)]
pub struct Output {
    /// Octets for the client.
    pub reply: Vec<u8>,
    /// What must happen next. Until it is answered, no input is taken.
    pub action: Option<Action>,
    /// The commands that came, for those who count; `None`: one that was not understood.
    pub heard: Vec<Option<Keyword>>,
}

/// What only the driver can do or know.
#[derive(PartialEq, Eq, Debug)]
pub enum Action {
    /// Send the reply, throw away all that the client has sent so far, begin the handshake;
    /// answered by [`Answer::Tls`], or by closing the connection.
    StartTls,
    /// Tell what a login needs to know; answered by [`Answer::Login`].
    Ask(Question),
    /// Take the connection to the shard that owns the account. A session that is
    /// [`resumed`](super::Session::resume) there goes on.
    Move { login: Rc<str> },
    /// Lock the maildrop and look at it; answered by [`Answer::Opened`].
    Open,
    /// Add `+OK`, the message and its dot to the reply; answered by [`Answer::Sent`].
    Send(Retrieval),
    /// Make the end of the session durable and unlock the maildrop; answered by
    /// [`Answer::Updated`].
    Update(Box<Update>),
    /// Send the reply and close. Has no answer.
    Close,
}

/// What of which message is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retrieval {
    pub uid: Uid,
    /// As LIST gave them.
    pub octets: u32,
    /// TOP: so many lines of the body.
    pub lines: Option<u32>,
    /// The client takes headers in UTF-8 (RFC 6856).
    pub utf8: bool,
}

/// What QUIT does to the maildrop (RFC 1939 §6).
#[derive(PartialEq, Eq, Default, Debug)]
pub struct Update {
    pub deleted: UidSet,
    /// Retrieved whole and not deleted.
    pub retrieved: UidSet,
}

/// The answer to an [`Action`].
#[derive(Debug)]
pub enum Answer {
    Tls(Channel),
    /// With the name under which the account is known from now on.
    Login(sasl::Answer<Rc<str>>),
    /// The maildrop, or why the client does not get it.
    Opened(Result<Box<Maildrop>, Reply>),
    /// The message was added to the reply, or cannot be.
    Sent(Result<(), Reply>),
    /// Whether everything was done.
    Updated(bool),
}

impl Output {
    pub(super) fn say(&mut self, reply: Reply) {
        self.reply.extend_from_slice(reply.as_bytes());
    }

    pub(super) fn say_text(&mut self, text: &str) {
        self.reply.extend_from_slice(text.as_bytes());
    }
}
