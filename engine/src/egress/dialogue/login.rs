//! AUTH (RFC 4954): the strongest mechanism that both sides know.
//!
//! A password is shown only under TLS, unless the configuration says otherwise; a server that has
//! to prove itself first (SCRAM) is not believed before it did.

use super::{Dialogue, Output, Security, State, Wish};
use crate::egress::{Origin, Stage};
use crate::wire::sasl::client::{self, Exchange, Salted, Step};
use crate::wire::sasl::{self, Malformed};
use crate::wire::smtp::client::reply::{Heard, Reply, Status};

impl Dialogue {
    /// Logs in where that is configured, or ends the opening.
    pub(super) fn log_in(&mut self, out: &mut Output) {
        let Some(login) = self.target.login.clone() else {
            return self.opened(out);
        };
        let may_show = login.in_clear || self.security != Security::Clear;
        let Some(mechanism) = client::choose(&self.offer.auth, may_show) else {
            return self.no_login("no mechanism that we may use is offered", out);
        };
        let nonce = std::mem::take(&mut self.nonce);
        let begun = Exchange::begin(mechanism, &login.user, &login.password, nonce);
        let Ok((exchange, initial)) = begun else {
            return self.no_login("user or password cannot be said in this mechanism", out);
        };
        out.octets.extend_from_slice(b"AUTH ");
        out.octets.extend_from_slice(mechanism.name().as_bytes());
        if let Some(initial) = initial {
            out.octets.push(b' ');
            sasl::encode_into(&initial, &mut out.octets);
        }
        out.octets.extend_from_slice(b"\r\n");
        self.await_login(Box::new(exchange));
    }

    pub(super) fn login(&mut self, heard: &Heard<'_>, out: &mut Output) {
        let state = std::mem::replace(&mut self.state, State::Closed);
        let (State::AwaitLogin(mut exchange) | State::AwaitDerived(mut exchange)) = state else {
            unreachable!("a login is heard of in its states only");
        };
        match heard.class() {
            2 if exchange.succeeded().is_ok() => self.opened(out),
            2 => self.no_login("the server did not prove that it knows the password", out),
            3 => {
                let step = decoded(heard).and_then(|challenge| exchange.challenge(&challenge));
                self.step(exchange, step, out);
            }
            _ => self.fail(Stage::Login, Origin::Peer, heard.keep(), out),
        }
    }

    pub(super) fn derived(&mut self, salted: &Salted, out: &mut Output) {
        let state = std::mem::replace(&mut self.state, State::Closed);
        let State::AwaitDerived(mut exchange) = state else {
            unreachable!("a derivation is awaited in one state only");
        };
        let step = exchange.derived(salted);
        self.step(exchange, step, out);
    }

    fn step(&mut self, exchange: Box<Exchange>, step: Result<Step, Malformed>, out: &mut Output) {
        match step {
            Ok(Step::Respond(response)) => {
                sasl::encode_into(&response, &mut out.octets);
                out.octets.extend_from_slice(b"\r\n");
                self.await_login(exchange);
            }
            Ok(Step::Derive(derivation)) => {
                out.wish = Some(Wish::Derive(derivation));
                self.state = State::AwaitDerived(exchange);
            }
            Err(Malformed) => self.no_login("the server's challenge makes no sense", out),
        }
    }

    fn await_login(&mut self, exchange: Box<Exchange>) {
        self.state = State::AwaitLogin(exchange);
        self.expect_within(self.target.patience.command);
    }

    fn no_login(&mut self, why: &str, out: &mut Output) {
        let reply = Reply::own(454, Status(4, 7, 0), why);
        self.fail(Stage::Login, Origin::Us, reply, out);
    }
}

/// The challenge of a 334.
fn decoded(heard: &Heard<'_>) -> Result<Vec<u8>, Malformed> {
    let text = heard.lines().next().unwrap_or_default().trim();
    sasl::decode(text.as_bytes())
}
