//! From the banner to the first MAIL: EHLO, STARTTLS, EHLO again.

use super::{Break, Dialogue, Input, Output, Security, StartTls, State, Wish};
use crate::egress::{Dialect, Origin, Stage};
use crate::tls::TlsFault;
use crate::wire::smtp::client::offer::Offer;
use crate::wire::smtp::client::reply::{Heard, Reply, Status};

impl Dialogue {
    pub(super) fn banner(&mut self, heard: &Heard<'_>, out: &mut Output) {
        match heard.class() {
            2 => self.say_hello(false, out),
            3 => self.broken_off(Break::OutOfStep(heard.code), out),
            _ => self.fail(Stage::Banner, Origin::Peer, heard.keep(), out),
        }
    }

    fn say_hello(&mut self, is_helo: bool, out: &mut Output) {
        let verb: &[u8] = match (self.target.dialect, is_helo) {
            (Dialect::Lmtp, _) => b"LHLO ",
            (Dialect::Smtp, false) => b"EHLO ",
            (Dialect::Smtp, true) => b"HELO ",
        };
        out.octets.extend_from_slice(verb);
        out.octets.extend_from_slice(self.target.hello.as_bytes());
        out.octets.extend_from_slice(b"\r\n");
        self.state = State::AwaitHello { is_helo };
        self.expect_within(self.target.patience.command);
    }

    pub(super) fn hello(&mut self, heard: &Heard<'_>, is_helo: bool, out: &mut Output) {
        match heard.class() {
            2 => {
                self.is_extended = !is_helo;
                self.offer = match is_helo {
                    true => Offer::default(),
                    false => Offer::read(heard),
                };
                self.introduced(out);
            }
            3 => self.broken_off(Break::OutOfStep(heard.code), out),
            // RFC 5321 §3.2: a server that does not know EHLO gets HELO. One that offered STARTTLS
            // knows it.
            5 if !is_helo && !self.is_extended && !self.is_lmtp() => self.say_hello(true, out),
            _ => self.fail(Stage::Hello, Origin::Peer, heard.keep(), out),
        }
    }

    fn introduced(&mut self, out: &mut Output) {
        let is_clear = self.security == Security::Clear;
        match self.start_tls {
            StartTls::Demanded if is_clear && !self.offer.start_tls => {
                let reply = Reply::own(451, Status(4, 7, 10), "TLS is demanded and not offered");
                self.fail(Stage::StartTls, Origin::Us, reply, out);
            }
            StartTls::Demanded | StartTls::IfOffered if is_clear && self.offer.start_tls => {
                out.octets.extend_from_slice(b"STARTTLS\r\n");
                self.state = State::AwaitStartTls;
                self.expect_within(self.target.patience.command);
            }
            _ => self.log_in(out),
        }
    }

    pub(super) fn start_tls(&mut self, heard: &Heard<'_>, out: &mut Output) {
        match heard.class() {
            2 => {
                self.state = State::AwaitHandshake;
                self.expect_within(self.target.patience.handshake);
                out.wish = Some(Wish::StartTls);
            }
            3 => self.broken_off(Break::OutOfStep(heard.code), out),
            _ => {
                let refusal = heard.keep();
                self.tls_fault = Some(TlsFault::Handshake(refusal.to_string()));
                let may_go_on = self.start_tls == StartTls::IfOffered && heard.code != 421;
                match may_go_on {
                    true => self.log_in(out),
                    false => self.fail(Stage::StartTls, Origin::Peer, refusal, out),
                }
            }
        }
    }

    /// RFC 3207 §4.2: all that was said in clear is forgotten, offers among it.
    pub(super) fn secured(&mut self, is_verified: bool, out: &mut Output) {
        assert!(
            matches!(self.state, State::AwaitHandshake),
            "{:?} is no answer in {:?}",
            Input::Secured { is_verified },
            self.state
        );
        self.security = Security::Encrypted { is_verified };
        self.offer = Offer::default();
        self.say_hello(false, out);
    }

    /// The opening is over.
    pub(super) fn opened(&mut self, out: &mut Output) {
        self.state = State::Ready;
        out.wish = Some(Wish::Open);
    }
}
