//! XCLIENT: the session begins anew, for the client that a trusted proxy names.
//!
//! ```text
//! XCLIENT ─▶ the driver looks whether there is room, and for the account ─▶ 220, as at the start
//! ```
//!
//! Not during a transaction, and from nobody who is not trusted by his address. What the proxy says
//! of the name, of HELO and of the login counts instead of what is found out here.

use super::action::{Action, Client, Output};
use super::{Pending, Session, State};
use crate::wire::smtp::reply::{self, Reply};
use crate::wire::xclient::Xclient;

impl Session {
    pub(super) fn xclient(&mut self, argument: &str, out: &mut Output) {
        if !self.settings.takes_xclient {
            return self.blame(reply::XCLIENT_NOT_TRUSTED, out);
        }
        if self.transaction.is_some() {
            return self.blame(reply::XCLIENT_IN_TRANSACTION, out);
        }
        let Ok(xclient) = Xclient::parse(argument) else {
            return self.blame(reply::BAD_XCLIENT, out);
        };
        self.pending = Some(Pending::Client);
        out.action = Some(Action::Xclient(Box::new(xclient)));
    }

    pub(super) fn client_known(&mut self, known: Result<Client, Reply>, out: &mut Output) {
        let client = match known {
            Ok(client) => client,
            Err(refusal) if refusal.code() == 421 => return self.close(refusal, out),
            Err(refusal) => return out.say(refusal),
        };
        self.peer.address = client.address;
        if let Some(name) = client.name {
            self.peer.name = name;
        }
        if let Some(hello) = client.hello {
            self.hello_named = hello;
        }
        if let Some(login) = client.login {
            self.login = login;
        }
        self.hello = None;
        self.exchange = None;
        self.state = State::Command;
        self.greet(out);
    }
}
