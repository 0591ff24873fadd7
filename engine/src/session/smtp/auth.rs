//! AUTH (RFC 4954): carries a SASL exchange in base64 lines.
//!
//! A password is taken only where `Settings` allows AUTH, so behind TLS unless configured
//! otherwise. `*` cancels; a broken, long or cancelled exchange leaves the session as it was. Every
//! failure is counted, and the answer is the same for a stranger and for a wrong password.

use super::action::{Action, Output};
use super::settings::AuthOffer;
use super::{Pending, Session, State};
use crate::wire::sasl::{self, Answer, RESPONSE_BYTES_MAX, Refusal, Step};
use crate::wire::smtp::reply::{self, Reply};
use std::rc::Rc;

impl Session {
    pub(super) fn auth(&mut self, mechanism: &str, initial: Option<&str>, out: &mut Output) {
        if let Err(reply) = self.may_auth() {
            return self.blame(reply, out);
        }
        let offer = self.offer();
        let Some(mechanism) = offer.find(mechanism.as_bytes()) else {
            return self.blame(reply::UNKNOWN_MECHANISM, out);
        };
        let exchange = offer.start(mechanism);
        let opening = exchange.opening();
        self.state = State::Sasl;
        self.exchange = Some(Box::new(exchange));
        match initial {
            Some(response) => self.sasl_line(response.as_bytes(), out),
            None => challenge(opening, out),
        }
    }

    fn may_auth(&self) -> Result<(), Reply> {
        if self.settings.auth == AuthOffer::Never {
            return Err(reply::NOT_IMPLEMENTED);
        }
        if self.hello.as_ref().is_none_or(|hello| !hello.extended) {
            return Err(reply::HELLO_FIRST);
        }
        if self.login.is_some() {
            return Err(reply::AUTH_TWICE);
        }
        if self.transaction.is_some() {
            return Err(reply::AUTH_IN_TRANSACTION);
        }
        if !self.offers_auth() {
            return Err(reply::AUTH_NEEDS_TLS);
        }
        Ok(())
    }

    /// A response line, or the initial response of the command.
    pub(super) fn sasl_line(&mut self, line: &[u8], out: &mut Output) {
        if line == b"*" {
            return self.sasl_broken(reply::AUTH_CANCELLED, out);
        }
        if line.len() > RESPONSE_BYTES_MAX {
            return self.sasl_broken(reply::SASL_LINE_TOO_LONG, out);
        }
        let Ok(response) = sasl::decode(line) else {
            return self.sasl_broken(reply::BAD_BASE64, out);
        };
        let step = match &mut self.exchange {
            Some(exchange) => exchange.respond(&response),
            None => Step::Malformed,
        };
        self.step(step, out);
    }

    fn step(&mut self, step: Step<Rc<str>>, out: &mut Output) {
        match step {
            Step::Challenge(octets) => challenge(&octets, out),
            Step::Ask(question) => {
                self.pending = Some(Pending::Login);
                out.action = Some(Action::Ask(question));
            }
            Step::Welcome(login) => self.logged_in(login, out),
            Step::Refused(refusal) => self.login_refused(refusal, out),
            Step::Malformed => self.sasl_broken(reply::BAD_BASE64, out),
        }
    }

    pub(super) fn asked(&mut self, answer: Answer<Rc<str>>, out: &mut Output) {
        let step = match &mut self.exchange {
            Some(exchange) => exchange.answered(answer),
            None => Step::Malformed,
        };
        self.step(step, out);
    }

    fn logged_in(&mut self, login: Rc<str>, out: &mut Output) {
        self.login = Some(login);
        self.exchange = None;
        self.state = State::Command;
        self.errors = 0;
        out.say(reply::LOGGED_IN);
    }

    fn login_refused(&mut self, refusal: Refusal, out: &mut Output) {
        self.exchange = None;
        self.state = State::Command;
        if refusal == Refusal::Crowded {
            return self.close(reply::ACCOUNT_CROWDED, out);
        }
        self.failed_logins += 1;
        if self.failed_logins >= self.settings.failed_logins_max {
            return self.close(reply::TOO_MANY_LOGINS, out);
        }
        out.say(match refusal {
            Refusal::Wrong => reply::LOGIN_FAILED,
            Refusal::Slowed => reply::LOGIN_SLOWED,
            Refusal::Unavailable | Refusal::Crowded => reply::LOGIN_UNAVAILABLE,
        });
    }

    /// The exchange ends without a login.
    pub(super) fn sasl_broken(&mut self, reply: Reply, out: &mut Output) {
        self.exchange = None;
        self.state = State::Command;
        self.blame(reply, out);
    }
}

fn challenge(octets: &[u8], out: &mut Output) {
    out.say_text("334 ");
    sasl::encode_into(octets, &mut out.reply);
    out.say_text("\r\n");
}
