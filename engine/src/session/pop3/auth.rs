//! The AUTHORIZATION state: USER and PASS (RFC 1939 §7), AUTH (RFC 5034), STLS (RFC 2595 §4),
//! UTF8 (RFC 6856 §2).
//!
//! A password is taken only behind TLS, unless configured otherwise. `*` cancels; a broken, long
//! or cancelled exchange leaves the session as it was. Every failure is counted, and the answer is
//! the same for a stranger and for a wrong password. APOP is not announced: it needs passwords
//! stored in clear and rests on MD5 (RFC 6151).

use super::action::{Action, Output};
use super::{Pending, Session, State};
use crate::wire::pop3::command::Command;
use crate::wire::pop3::reply::{self, Reply};
use crate::wire::sasl::{
    self, Answer, Channel, Credentials, Mechanism, Offer, Password, Question, RESPONSE_BYTES_MAX,
    Refusal, STRING_BYTES_MAX, Step,
};
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

    /// What a client may choose from now: no password crosses in clear, unless that is wanted.
    pub(super) fn offer(&self) -> Offer {
        let settings = &self.settings;
        Offer::new(&settings.mechanisms, self.channel, settings.login_in_clear)
    }

    /// A stranger is told nothing: RFC 1939 §13 warns of it.
    fn named(&mut self, name: &str, out: &mut Output) {
        if !self.offer().takes_passwords() {
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
            return self.login_refused(Refusal::Wrong, out);
        }
        self.ask(
            Question::Password(Credentials {
                identity: user.into(),
                password: Password::new(password.to_owned()),
            }),
            out,
        );
    }

    fn ask(&mut self, question: Question, out: &mut Output) {
        self.pending = Some(Pending::Login);
        out.action = Some(Action::Ask(question));
    }

    /// RFC 2595 §4: whatever the client said in clear was never said.
    fn stls(&mut self, out: &mut Output) {
        match (self.channel.is_private, self.settings.starttls, self.utf8) {
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

    pub(super) fn tls_started(&mut self, channel: Channel) {
        self.channel = channel;
        self.user = None;
        self.errors = 0;
        self.lines = Default::default();
    }

    fn auth_list(&mut self, out: &mut Output) {
        out.say(reply::MECHANISMS);
        for name in self.offer().mechanisms().map(Mechanism::name) {
            out.say_text(name);
            out.say_text("\r\n");
        }
        out.reply.extend_from_slice(reply::END);
    }

    fn auth(&mut self, mechanism: &str, initial: Option<&str>, out: &mut Output) {
        let offer = self.offer();
        let Some(mechanism) = offer.find(mechanism.as_bytes()) else {
            let why = match Mechanism::from_name(mechanism.as_bytes()) {
                Some(known) if known.shows_password() && !offer.takes_passwords() => {
                    reply::TLS_FIRST
                }
                _ => reply::UNKNOWN_MECHANISM,
            };
            return self.blame(why, out);
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

    fn step(&mut self, step: Step<Rc<str>>, out: &mut Output) {
        match step {
            Step::Challenge(octets) => challenge(&octets, out),
            Step::Ask(question) => self.ask(question, out),
            Step::Welcome(login) => self.logged_in(login, out),
            Step::Refused(refusal) => self.login_refused(refusal, out),
            Step::Malformed => self.sasl_broken(reply::BAD_RESPONSE, out),
        }
    }

    /// What was asked by an exchange, or by PASS.
    pub(super) fn asked(&mut self, answer: Answer<Rc<str>>, out: &mut Output) {
        let step = match (&mut self.exchange, answer) {
            (Some(exchange), answer) => exchange.answered(answer),
            (None, Answer::Verdict(Ok(login))) => Step::Welcome(login),
            (None, Answer::Verdict(Err(refusal))) => Step::Refused(refusal),
            (None, Answer::Keys(_)) => Step::Malformed,
        };
        self.step(step, out);
    }

    /// The answer comes from where the account lives: `+OK` means that the maildrop is locked.
    fn logged_in(&mut self, login: Rc<str>, out: &mut Output) {
        self.exchange = None;
        self.state = State::Authorization;
        self.pending = Some(Pending::Move);
        out.action = Some(Action::Move { login });
    }

    fn login_refused(&mut self, refusal: Refusal, out: &mut Output) {
        self.exchange = None;
        self.state = State::Authorization;
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
        self.state = State::Authorization;
        self.blame(reply, out);
    }
}

fn challenge(octets: &[u8], out: &mut Output) {
    out.say_text("+ ");
    sasl::encode_into(octets, &mut out.reply);
    out.say_text("\r\n");
}
