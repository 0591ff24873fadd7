//! CAPA (RFC 2449 §5) and LANG (RFC 6856 §3): what a client may expect, said before it asks.

use super::{Output, Session, State};
use crate::config::Expire;
use crate::wire::pop3::reply;
use crate::wire::sasl::Mechanism;

impl Session {
    pub(super) fn capabilities(&mut self, out: &mut Output) {
        self.errors = 0;
        out.say(reply::CAPABILITIES);
        out.say_text("TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n");
        if self.state == State::Authorization {
            self.login_capabilities(out);
        }
        match self.settings.expire {
            Expire::Never => out.say_text("EXPIRE NEVER\r\n"),
            Expire::Retrieved => out.say_text("EXPIRE 0\r\n"),
            Expire::Days(days) => out.say_text(&format!("EXPIRE {days}\r\n")),
        }
        if self.settings.login_delay_secs > 0 {
            let secs = self.settings.login_delay_secs;
            out.say_text(&format!("LOGIN-DELAY {secs}\r\n"));
        }
        // RFC 6856 §2: USER and PASS may be in UTF-8 too.
        out.say_text("UTF8 USER\r\nLANG\r\nIMPLEMENTATION Ringpost\r\n.\r\n");
    }

    /// What is good for nothing after login.
    fn login_capabilities(&self, out: &mut Output) {
        let offer = self.offer();
        if offer.takes_passwords() {
            out.say_text("USER\r\n");
        }
        if self.offers_tls() {
            out.say_text("STLS\r\n");
        }
        let mut names = offer.mechanisms().map(Mechanism::name).peekable();
        if names.peek().is_some() {
            out.say_text("SASL");
            names.for_each(|name| {
                out.say_text(" ");
                out.say_text(name);
            });
            out.say_text("\r\n");
        }
    }

    fn offers_tls(&self) -> bool {
        self.settings.starttls && !self.channel.is_private
    }

    /// One language, and the default one is the same (RFC 2277 §4.5).
    pub(super) fn language(&mut self, tag: Option<&str>, out: &mut Output) {
        match tag {
            None => {
                out.say(reply::LANGUAGES);
                out.say_text("en English\r\n.\r\n");
            }
            Some(tag) if KNOWN.iter().any(|known| known.eq_ignore_ascii_case(tag)) => {
                self.errors = 0;
                out.say(reply::LANGUAGE_SET);
            }
            Some(_) => self.blame(reply::UNKNOWN_LANGUAGE, out),
        }
    }
}

const KNOWN: [&str; 3] = ["en", "*", "i-default"];
