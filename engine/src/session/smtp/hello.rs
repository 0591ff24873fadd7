//! The greeting, EHLO, HELO, LHLO and STARTTLS.
//!
//! The greeting and the answers to EHLO carry no enhanced status codes (RFC 2034 §4). A new
//! greeting ends the transaction (RFC 5321 §4.1.4); STARTTLS forgets everything (RFC 3207 §4.2).

use super::action::{Action, Kind, Output, Tls};
use super::settings::AuthOffer;
use super::{HelloName, Pending, Session, State};
use crate::wire::sasl::{Channel, Offer};
use crate::wire::smtp::command::Hello;
use crate::wire::smtp::reply;
use crate::wire::xclient;

impl Session {
    /// The first words, before any input.
    pub fn greet(&self, out: &mut Output) {
        let protocol = match self.kind {
            Kind::Smtp | Kind::Submission => "ESMTP",
            Kind::Lmtp => "LMTP",
        };
        out.say_text("220 ");
        out.say_text(&self.settings.hostname);
        out.say_text(" ");
        out.say_text(protocol);
        out.say_text(" Ringpost\r\n");
    }

    pub(super) fn introduced(&mut self, which: Hello, name: &str, out: &mut Output) {
        // RFC 2033 §4.1: LHLO and nothing else, and only here.
        if (which == Hello::Lhlo) != (self.kind == Kind::Lmtp) {
            return self.blame(reply::WRONG_HELLO, out);
        }
        self.abandon(out);
        let extended = which != Hello::Helo;
        self.hello = Some(HelloName {
            name: self.hello_named.clone().unwrap_or_else(|| name.into()),
            extended,
        });
        if extended {
            self.list_extensions(out);
        } else {
            out.say_text("250 ");
            out.say_text(&self.settings.hostname);
            out.say_text("\r\n");
        }
    }

    fn list_extensions(&self, out: &mut Output) {
        out.say_text("250-");
        out.say_text(&self.settings.hostname);
        out.say_text("\r\n250-PIPELINING\r\n250-SIZE ");
        out.say_text(&self.settings.message_octets_max.to_string());
        out.say_text(
            "\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n250-BINARYMIME\r\n\
             250-ENHANCEDSTATUSCODES\r\n250-DSN\r\n250-MT-PRIORITY\r\n",
        );
        let mut terms = String::new();
        self.list_terms(&mut terms);
        out.say_text(&terms);
        if self.settings.starttls && self.peer.tls.is_none() {
            out.say_text("250-STARTTLS\r\n");
        }
        if self.offers_auth() && self.login.is_none() {
            out.say_text("250-AUTH");
            for mechanism in self.offer().mechanisms() {
                out.say_text(" ");
                out.say_text(mechanism.name());
            }
            out.say_text("\r\n");
        }
        if self.settings.takes_xclient {
            out.say_text("250-XCLIENT ");
            out.say_text(xclient::ATTRIBUTES);
            out.say_text("\r\n");
        }
        // RFC 9422 §4.
        let recipients_max = self.settings.recipients_max;
        let messages_max = self.settings.messages_max;
        out.say_text(&format!(
            "250-LIMITS RCPTMAX={recipients_max} MAILMAX={messages_max}\r\n250 HELP\r\n"
        ));
    }

    /// Whether AUTH is to be had on this connection as it is now.
    pub(super) fn offers_auth(&self) -> bool {
        match self.settings.auth {
            AuthOffer::Never => false,
            AuthOffer::WithTls => self.peer.tls.is_some(),
            AuthOffer::Always => self.peer.tls.is_some() || !self.settings.tls_required,
        }
    }

    /// What there is to log in with, where AUTH is to be had.
    pub(super) fn offer(&self) -> Offer {
        let in_clear = self.settings.auth == AuthOffer::Always;
        Offer::new(&self.settings.mechanisms, self.peer.channel, in_clear)
    }

    pub(super) fn start_tls(&mut self, out: &mut Output) {
        if self.peer.tls.is_some() {
            return self.blame(reply::TLS_ACTIVE, out);
        }
        if !self.settings.starttls {
            return self.blame(reply::NOT_IMPLEMENTED, out);
        }
        self.abandon(out);
        out.say(reply::READY_FOR_TLS);
        self.pending = Some(Pending::Tls);
        out.action = Some(Action::StartTls);
    }

    /// RFC 3207 §4.2: nothing that was said in the clear counts any more.
    pub(super) fn tls_started(&mut self, tls: Tls, channel: Channel) {
        self.peer.tls = Some(tls);
        self.peer.channel = channel;
        self.hello = None;
        self.login = None;
        self.exchange = None;
        self.lines = Default::default();
        self.state = State::Command;
    }
}
