//! AUTH (RFC 4954): carries a SASL exchange in base64 lines.
//!
//! A password is taken only where `Settings` allows AUTH, so behind TLS unless configured
//! otherwise. `*` cancels; a broken, long or cancelled exchange leaves the session as it was. Every
//! failure is counted, and the answer is the same for a stranger and for a wrong password.

use super::action::{Action, LoginRefusal, Output};
use super::settings::AuthOffer;
use super::{Pending, Session, State};
use crate::wire::sasl::scram::Keys;
use crate::wire::sasl::{self, Exchange, Mechanism, RESPONSE_BYTES_MAX, Step};
use crate::wire::smtp::reply::{self, Reply};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::rc::Rc;

impl Session {
    pub(super) fn auth(&mut self, mechanism: &str, initial: Option<&str>, out: &mut Output) {
        if let Err(reply) = self.may_auth() {
            return self.blame(reply, out);
        }
        let known = Mechanism::from_name(mechanism.as_bytes());
        let Some(mechanism) = known.filter(|it| self.settings.mechanisms.contains(it)) else {
            return self.blame(reply::UNKNOWN_MECHANISM, out);
        };
        let exchange = Exchange::start(mechanism);
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

    fn step(&mut self, step: Step, out: &mut Output) {
        match step {
            Step::Challenge(octets) => challenge(&octets, out),
            Step::Verify(credentials) => {
                self.pending = Some(Pending::Login);
                out.action = Some(Action::Verify(credentials));
            }
            Step::Secret { user } => {
                self.pending = Some(Pending::Secret);
                out.action = Some(Action::ScramSecret { user });
            }
            Step::Proven { user, proven } => {
                self.pending = Some(Pending::Proof { proven });
                out.action = Some(Action::ScramProof { user, proven });
            }
            Step::Done => self.logged_in(out),
            Step::Unauthorized => self.login_refused(LoginRefusal::Wrong, out),
            Step::Malformed => self.sasl_broken(reply::BAD_BASE64, out),
        }
    }

    pub(super) fn secret_found(&mut self, keys: Option<Keys>, nonce: [u8; 18], out: &mut Output) {
        let nonce = STANDARD.encode(nonce);
        let step = match &mut self.exchange {
            Some(exchange) => exchange.keys(keys, &nonce, &self.settings.decoy),
            None => Step::Malformed,
        };
        self.step(step, out);
    }

    /// The password was checked: the exchange is over.
    pub(super) fn login_settled(&mut self, login: Result<Rc<str>, LoginRefusal>, out: &mut Output) {
        match login {
            Ok(login) => {
                self.login = Some(login);
                self.logged_in(out);
            }
            Err(refusal) => self.login_refused(refusal, out),
        }
    }

    /// SCRAM: the server proves itself before the client is told that it is in (RFC 5802 §5).
    pub(super) fn proof_settled(
        &mut self,
        proven: bool,
        login: Result<Rc<str>, LoginRefusal>,
        out: &mut Output,
    ) {
        match login {
            Ok(login) if proven => {
                self.login = Some(login);
                let step = self.exchange.as_mut().map(|exchange| exchange.confirm());
                self.step(step.unwrap_or(Step::Malformed), out);
            }
            Ok(_) => self.login_refused(LoginRefusal::Wrong, out),
            Err(refusal) => self.login_refused(refusal, out),
        }
    }

    fn logged_in(&mut self, out: &mut Output) {
        self.exchange = None;
        self.state = State::Command;
        self.errors = 0;
        out.say(reply::LOGGED_IN);
    }

    fn login_refused(&mut self, refusal: LoginRefusal, out: &mut Output) {
        self.exchange = None;
        self.state = State::Command;
        self.failed_logins += 1;
        if self.failed_logins >= self.settings.failed_logins_max {
            return self.close(reply::TOO_MANY_LOGINS, out);
        }
        out.say(match refusal {
            LoginRefusal::Wrong => reply::LOGIN_FAILED,
            LoginRefusal::Slowed => reply::LOGIN_SLOWED,
            LoginRefusal::Unavailable => reply::LOGIN_UNAVAILABLE,
        });
    }

    /// The exchange ends without a login; one that SCRAM had granted is taken back.
    pub(super) fn sasl_broken(&mut self, reply: Reply, out: &mut Output) {
        self.exchange = None;
        self.login = None;
        self.state = State::Command;
        self.blame(reply, out);
    }
}

fn challenge(octets: &[u8], out: &mut Output) {
    out.say_text("334 ");
    sasl::encode_into(octets, &mut out.reply);
    out.say_text("\r\n");
}
