//! From the first packet to a session that is logged in.

use super::response::{Listener, Nobody, status};
use super::{Access, Login, Offer, Responses, Session};
use crate::client::NotOpened;
use crate::client::opening::{connect, expect, shake_hands};
use crate::client::tls::{Tls, TlsClient};
use crate::measure::answer::{Answer, Code, Word};
use crate::measure::histogram::Step;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use engine::reactor::clock::monotonic_micros;
use std::io::{self, ErrorKind};
use std::sync::Arc;

impl Session {
    /// Opens connection `number` of a run and logs in; tells the greeting.
    pub(crate) async fn log_in(
        access: &Arc<Access>,
        user: &str,
        number: u32,
    ) -> Result<(Session, String), NotOpened> {
        let source = access.sources.of(number);
        let (stream, marks) = connect(source, access.target, access.patience).await?;
        let mut session = Session {
            access: access.clone(),
            settings: None,
            stream,
            responses: Responses::new(),
            out: Vec::new(),
            tag: 0,
            account: 0,
            offer: Offer::default(),
            exists: 0,
            grew_micros: 0,
            uid_next: 1,
            is_idle: false,
            marks,
        };
        let greeting = session.greet(access).await?;
        session.authenticate(access, user).await?;
        Ok((session, greeting))
    }

    async fn greet(&mut self, access: &Access) -> Result<String, NotOpened> {
        if let Tls::Implicit(client) = &access.tls {
            self.start_tls(client).await?;
        }
        let began = monotonic_micros();
        let heard = self.responses.next(&mut self.stream, &mut Nobody).await;
        heard.map_err(|error| NotOpened::lost("greeting", &error))?;
        self.mark(Step::Greeting, began, self.responses.heard_micros);
        let text = String::from_utf8_lossy(self.responses.text()).into_owned();
        let answer = text
            .strip_prefix("* ")
            .and_then(|rest| status(rest.as_bytes()));
        expect(
            "greeting",
            answer.ok_or_else(|| ErrorKind::InvalidData.into()),
        )?;
        self.learn_by(text.as_bytes()).await?;
        if let Tls::Start(client) = &access.tls {
            if !self.offer.start_tls {
                return Err(unoffered("STARTTLS", "the server does not offer STARTTLS"));
            }
            expect("STARTTLS", self.ask("STARTTLS").await)?;
            self.responses.forget();
            self.start_tls(client).await?;
            self.learn_by(b"").await?;
        }
        Ok(text.trim_start_matches("* ").to_owned())
    }

    /// Asks for the capabilities, where the text of a response does not tell them.
    async fn learn_by(&mut self, text: &[u8]) -> Result<(), NotOpened> {
        let mut offer = Offer::of_code(text);
        if offer.is_none() {
            let mut asked = Offer::default();
            expect("CAPABILITY", self.ask_with("CAPABILITY", &mut asked).await)?;
            offer = Some(asked);
        }
        self.offer = offer.unwrap_or_default();
        Ok(())
    }

    async fn authenticate(&mut self, access: &Access, user: &str) -> Result<(), NotOpened> {
        let began = monotonic_micros();
        let mut offer = Offer::default();
        let answer = match access.login {
            Login::Login if self.offer.login_disabled => {
                let why = "the server does not allow LOGIN here; with --tls starttls or implicit?";
                return Err(unoffered("LOGIN", why));
            }
            Login::Login => {
                let (user, password) = (quoted(user), quoted(&access.password));
                let command = format!("LOGIN {user} {password}");
                self.ask_with(&command, &mut offer).await
            }
            Login::Plain => self.authenticate_plain(user, &access.password).await,
        };
        expect("login", answer)?;
        self.mark(Step::Login, began, self.responses.heard_micros);
        // RFC 9051 §6.2.3: capabilities may be others now; not every server says so by itself.
        if offer != Offer::default() {
            self.offer = offer;
            return Ok(());
        }
        let text = self.responses.text().to_vec();
        self.learn_by(&text).await
    }

    async fn authenticate_plain(&mut self, user: &str, password: &str) -> io::Result<Answer> {
        let response = STANDARD.encode(format!("\0{user}\0{password}"));
        if self.offer.sasl_ir {
            return self.ask(&format!("AUTHENTICATE PLAIN {response}")).await;
        }
        self.begin_command("AUTHENTICATE PLAIN\r\n");
        self.send_out().await?;
        match self.until_continued().await? {
            Some(refused) => Ok(refused),
            None => self.go_on(response.as_bytes()).await,
        }
    }

    async fn start_tls(&mut self, client: &TlsClient) -> Result<(), NotOpened> {
        shake_hands(&mut self.stream, client, &mut self.marks).await
    }
}

impl Offer {
    /// `… OK [CAPABILITY IMAP4rev1 …] …`; nothing without the code.
    fn of_code(text: &[u8]) -> Option<Offer> {
        let text = text.to_ascii_uppercase();
        let at = memchr::memmem::find(&text, CODE)?;
        let words = text.get(at + CODE.len()..)?;
        let end = words.iter().position(|octet| *octet == b']')?;
        Some(Offer::of_words(words.get(..end)?))
    }

    /// Of names in capitals.
    fn of_words(words: &[u8]) -> Offer {
        let mut offer = Offer::default();
        for word in words.split(|octet| *octet == b' ') {
            match word {
                b"STARTTLS" => offer.start_tls = true,
                b"LOGINDISABLED" => offer.login_disabled = true,
                b"SASL-IR" => offer.sasl_ir = true,
                b"LITERAL+" => offer.literal_bytes = u64::MAX,
                b"LITERAL-" => offer.literal_bytes = offer.literal_bytes.max(4_096),
                b"IDLE" => offer.idle = true,
                b"MOVE" => offer.moves = true,
                b"UIDPLUS" => offer.uid_plus = true,
                b"MULTIAPPEND" => offer.multi_append = true,
                // RFC 9051 has them all in its base.
                b"IMAP4REV2" => {
                    (offer.idle, offer.moves, offer.uid_plus) = (true, true, true);
                }
                _ => {}
            }
        }
        offer
    }
}

const CODE: &[u8] = b" OK [CAPABILITY ";

impl Listener for Offer {
    /// `* CAPABILITY IMAP4rev1 …`.
    fn untagged(&mut self, text: &[u8], _: u64) {
        let text = text.to_ascii_uppercase();
        if let Some(words) = text.strip_prefix(b"* CAPABILITY ") {
            *self = Offer::of_words(words);
        }
    }
}

fn unoffered(at: &'static str, detail: &str) -> NotOpened {
    NotOpened {
        answer: Answer::Word(Word::Bad, Code::default()),
        at,
        detail: detail.to_owned(),
    }
}

/// RFC 9051 §4.3; addresses and passwords of a command line have no CR and no LF.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_noted_in_any_case() {
        let mut offer = Offer::default();
        offer.untagged(b"* capability IMAP4rev1 literal- Idle LOGINDISABLED", 0);
        assert!(offer.idle && offer.login_disabled && !offer.moves && !offer.sasl_ir);
        assert_eq!(offer.literal_bytes, 4_096);
        offer.untagged(b"* OK [CAPABILITY LITERAL+] hello", 0);
        assert_eq!(offer.literal_bytes, 4_096, "not the response that is meant");
        offer.untagged(b"* CAPABILITY IMAP4rev2 LITERAL+ SASL-IR", 0);
        assert!(offer.moves && offer.uid_plus && offer.sasl_ir && !offer.login_disabled);
        assert_eq!(offer.literal_bytes, u64::MAX);
    }

    #[test]
    fn a_code_says_what_the_command_would() {
        let told = Offer::of_code(b"a7 OK [Capability IMAP4rev1 MULTIAPPEND IDLE] Logged in");
        assert!(told.is_some_and(|offer| offer.multi_append && offer.idle && !offer.moves));
        for none in [&b"a7 OK Logged in"[..], b"a7 OK [CAPABILITY IDLE", b""] {
            assert_eq!(Offer::of_code(none), None);
        }
    }

    #[test]
    fn strings_are_quoted() {
        assert_eq!(quoted(r#"a"b\c"#), r#""a\"b\\c""#);
    }
}
