//! The AUTHORIZATION state: USER and PASS (RFC 1939 §7), AUTH (RFC 5034), STLS (RFC 2595 §4),
//! UTF8 (RFC 6856 §2).
//!
//! A password is taken only behind TLS, unless configured otherwise. `*` cancels; a broken, long or
//! cancelled exchange leaves the session as it was. Every failure is counted, and the answer is the
//! same for a stranger and for a wrong password. APOP is not announced: it needs passwords stored in
//! clear and rests on MD5 (RFC 6151).

use super::action::{Action, LoginRefusal, Output};
use super::{Pending, Session, State};
use crate::wire::pop3::command::Command;
use crate::wire::pop3::reply::{self, Reply};
use crate::wire::sasl::scram::Keys;
use crate::wire::sasl::{
    self, Credentials, Exchange, Mechanism, Password, RESPONSE_BYTES_MAX, STRING_BYTES_MAX, Step,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::rc::Rc;

impl Session {
    pub(super) fn authorize(&mut self, command: Command<'_>, out: &mut Output) {
        match command {
            Command::User(name) => self.named(name, out),
            Command::Pass(password) => self.password(password, out),
            Command::Auth { mechanism, initial } => self.auth(mechanism, initial, out),
            Command::AuthList => self.auth_list(out),
            Command::Stls => self.stls(out),
            Command::Utf8 => {
                self.utf8 = true;
                out.say(reply::UTF8_ON);
            }
            Command::Apop => self.blame(reply::NO_APOP, out),
            _ => self.blame(reply::LOG_IN_FIRST, out),
        }
    }

    /// A stranger is told nothing: RFC 1939 §13 warns of it.
    fn named(&mut self, name: &str, out: &mut Output) {
        if !self.takes_passwords() {
            return self.blame(reply::TLS_FIRST, out);
        }
        let is_short = name.len() <= STRING_BYTES_MAX;
        self.user = is_short.then(|| name.into());
        out.say(match is_short {
            true => reply::SEND_PASS,
            false => reply::LOGIN_FAILED,
        });
    }

    fn password(&mut self, password: &str, out: &mut Output) {
        let Some(user) = self.user.take() else {
            return self.blame(reply::USER_FIRST, out);
        };
        if password.len() > STRING_BYTES_MAX {
            return self.login_refused(LoginRefusal::Wrong, out);
        }
        self.pending = Some(Pending::Login);
        out.action = Some(Action::Verify(Credentials {
            mechanism: Mechanism::Plain,
            identity: user.into(),
            password: Password::new(password.to_owned()),
        }));
    }

    /// RFC 2595 §4: whatever the client said in clear was never said.
    fn stls(&mut self, out: &mut Output) {
        match (self.is_tls, self.settings.starttls, self.utf8) {
            (true, ..) => self.blame(reply::TLS_ACTIVE, out),
            (_, false, _) => self.blame(reply::NO_TLS, out),
            // RFC 6856 §2.1: STLS after UTF8 may be refused.
            (.., true) => self.blame(reply::UTF8_BEFORE_LOGIN, out),
            _ => {
                out.say(reply::READY_FOR_TLS);
                self.pending = Some(Pending::Tls);
                out.action = Some(Action::StartTls);
            }
        }
    }

    pub(super) fn tls_started(&mut self) {
        self.is_tls = true;
        self.user = None;
        self.errors = 0;
        self.lines = Default::default();
    }

    fn auth_list(&mut self, out: &mut Output) {
        out.say(reply::MECHANISMS);
        let names: Vec<&str> = self.mechanisms().map(Mechanism::name).collect();
        for name in names {
            out.say_text(name);
            out.say_text("\r\n");
        }
        out.reply.extend_from_slice(reply::END);
    }

    fn auth(&mut self, mechanism: &str, initial: Option<&str>, out: &mut Output) {
        let known = Mechanism::from_name(mechanism.as_bytes());
        let Some(mechanism) = known.filter(|known| self.settings.mechanisms.contains(known)) else {
            return self.blame(reply::UNKNOWN_MECHANISM, out);
        };
        if mechanism.shows_password() && !self.takes_passwords() {
            return self.blame(reply::TLS_FIRST, out);
        }
        let exchange = Exchange::start(mechanism);
        let opening = exchange.opening();
        self.state = State::Sasl;
        self.exchange = Some(Box::new(exchange));
        match initial {
            Some(response) => self.sasl_line(response.as_bytes(), out),
            None => challenge(opening, out),
        }
    }

    /// A response line, or the initial response of the command.
    pub(super) fn sasl_line(&mut self, line: &[u8], out: &mut Output) {
        if line == b"*" {
            return self.sasl_broken(reply::CANCELLED, out);
        }
        if line.len() > RESPONSE_BYTES_MAX {
            return self.sasl_broken(reply::LINE_TOO_LONG, out);
        }
        let Ok(response) = sasl::decode(line) else {
            return self.sasl_broken(reply::BAD_RESPONSE, out);
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
            Step::Done => match self.login.take() {
                Some(login) => self.logged_in(login, out),
                None => self.login_refused(LoginRefusal::Wrong, out),
            },
            Step::Unauthorized => self.login_refused(LoginRefusal::Wrong, out),
            Step::Malformed => self.sasl_broken(reply::BAD_RESPONSE, out),
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
            Ok(login) => self.logged_in(login, out),
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

    /// The answer comes from where the account lives: `+OK` means that the maildrop is locked.
    fn logged_in(&mut self, login: Rc<str>, out: &mut Output) {
        self.exchange = None;
        self.state = State::Authorization;
        self.pending = Some(Pending::Move);
        out.action = Some(Action::Move { login });
    }

    fn login_refused(&mut self, refusal: LoginRefusal, out: &mut Output) {
        self.exchange = None;
        self.login = None;
        self.state = State::Authorization;
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
        self.state = State::Authorization;
        self.blame(reply, out);
    }
}

fn challenge(octets: &[u8], out: &mut Output) {
    out.say_text("+ ");
    sasl::encode_into(octets, &mut out.reply);
    out.say_text("\r\n");
}
