//! What passes between the session and whoever drives it: octets, actions and their answers.

use super::terms::Terms;
use super::transaction::Summary;
use super::watch::Missing;
use crate::wire::sasl::{self, Channel, Question};
use crate::wire::smtp::reply::{Reply, Verdict};
use crate::wire::xclient::Xclient;
use std::net::IpAddr;
use std::rc::Rc;
use store::mail::envelope::Envelope;

/// The dialogue that is spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// RFC 5321.
    Smtp,
    /// RFC 6409.
    Submission,
    /// RFC 2033.
    Lmtp,
}

/// Who is at the other end.
#[derive(Clone, Debug)]
pub struct Peer {
    pub address: IpAddr,
    /// The verified host name of the address, where it is known.
    pub name: Option<Rc<str>>,
    pub tls: Option<Tls>,
    /// What the connection vouches for when somebody logs in.
    pub channel: Channel,
}

/// What the handshake agreed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tls {
    /// As in `TLSv1.3`.
    pub version: &'static str,
    /// As in `TLS_AES_256_GCM_SHA384`.
    pub cipher: &'static str,
}

/// What the session wants done. The driver empties it after every call, in this order: `body` to
/// the present body writer, `ended`, `reply` to the socket, `action`.
#[derive(Default, Debug)]
pub struct Output {
    /// Octets for the client.
    pub reply: Vec<u8>,
    /// Octets of the message: unstuffed, checked, never behind its end.
    pub body: Vec<u8>,
    /// A transaction is over: a body writer that was not committed is to be dropped, and one line
    /// to be logged. At most one a call.
    pub ended: Option<Box<Summary>>,
    /// What must happen next. Until it is answered, no input is taken.
    pub action: Option<Action>,
}

/// What only the driver can do or know.
#[derive(PartialEq, Eq, Debug)]
pub enum Action {
    /// Send the reply, throw away all that the client has sent so far, begin the handshake;
    /// answered by [`Answer::Tls`], or by closing the connection.
    StartTls,
    /// Tell what a login needs to know; answered by [`Answer::Login`].
    Ask(Question),
    /// The client is another one; answered by [`Answer::Client`].
    Xclient(Box<Xclient>),
    /// May [`Session::reverse_path_asked`](super::Session::reverse_path_asked) be used
    /// ([`Session::login`](super::Session::login))? Answered by [`Answer::Verdict`].
    Sender,
    /// Is [`Session::recipient_asked`](super::Session::recipient_asked) taken? Answered by
    /// [`Answer::Verdict`]. The n-th accepted one is the n-th of the envelope.
    Recipient {
        /// SIZE as declared with MAIL.
        octets_hint: Option<u64>,
    },
    /// Make a new body writer; answered by [`Answer::Verdict`].
    BeginBody { octets_hint: Option<u64> },
    /// The message is complete: take custody; answered by [`Answer::Committed`].
    Commit(Box<Commit>),
    /// Send the reply and close. Has no answer.
    Close,
}

/// A complete message.
#[derive(PartialEq, Eq, Debug)]
pub struct Commit {
    pub envelope: Envelope,
    pub terms: Terms,
    /// Since MAIL.
    pub elapsed_ms: u64,
    /// Octets of the body.
    pub octets: u64,
    /// What we have to add.
    pub missing: Missing,
    /// What its header names, of a client that has logged in.
    pub campaign: Option<String>,
}

/// The answer to an [`Action`].
#[derive(Debug)]
pub enum Answer {
    Tls(Tls, Box<Channel>),
    /// With the name under which the account is known from now on.
    Login(sasl::Answer<Rc<str>>),
    /// Who it is, or why not.
    Client(Result<Client, Reply>),
    Verdict(Verdict),
    /// The recipient is refused in words of the operator: one line of printable ASCII.
    Refused(Box<str>),
    Committed {
        queue_id: String,
        verdicts: Verdicts,
    },
}

/// A client that a proxy speaks for; what is `None` was not said.
#[derive(Debug)]
pub struct Client {
    pub address: IpAddr,
    pub name: Option<Option<Rc<str>>>,
    pub hello: Option<Option<Rc<str>>>,
    pub login: Option<Option<Rc<str>>>,
}

/// What became of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdicts {
    /// The same for every recipient.
    All(Verdict),
    /// One for each, in the order of the envelope. SMTP can say only one thing: custody for at
    /// least one recipient is a 250.
    Each(Vec<Verdict>),
}

impl Verdicts {
    /// What a single reply says.
    pub fn joined(&self) -> Verdict {
        match self {
            Verdicts::All(verdict) => *verdict,
            Verdicts::Each(verdicts) if verdicts.contains(&Ok(())) => Ok(()),
            Verdicts::Each(verdicts) => match verdicts.iter().find_map(|v| v.err()) {
                Some(refusal) => Err(refusal),
                None => Ok(()),
            },
        }
    }

    /// What is said of recipient `position`.
    pub fn of(&self, position: usize) -> Verdict {
        match self {
            Verdicts::All(verdict) => *verdict,
            Verdicts::Each(verdicts) => match verdicts.get(position) {
                Some(verdict) => *verdict,
                None => self.joined(),
            },
        }
    }
}

impl Output {
    pub(super) fn say(&mut self, reply: Reply) {
        self.reply.extend_from_slice(reply.as_bytes());
    }

    pub(super) fn say_text(&mut self, text: &str) {
        self.reply.extend_from_slice(text.as_bytes());
    }
}
