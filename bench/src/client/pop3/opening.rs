//! From the first packet to a mailbox that is open.

use super::reply::Replies;
use super::{Session, Settings};
use crate::client::NotOpened;
use crate::client::imap::Login;
use crate::client::opening::{connect, expect, shake_hands};
use crate::client::tls::{Tls, TlsClient};
use crate::measure::answer::Answer;
use crate::measure::histogram::Step;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use engine::reactor::clock::monotonic_micros;
use std::io;
use std::sync::Arc;

impl Session {
    /// Opens connection `number` of a run and logs in; tells the greeting.
    pub(crate) async fn log_in(
        settings: &Arc<Settings>,
        number: u32,
    ) -> Result<(Session, String), NotOpened> {
        let access = &settings.access;
        let source = access.sources.of(number);
        let (stream, marks) = connect(source, access.target, access.patience).await?;
        let mut session = Session {
            settings: settings.clone(),
            stream,
            replies: Replies::new(),
            marks,
        };
        let greeting = session.greet(&access.tls).await?;
        session.authenticate(settings, number).await?;
        Ok((session, greeting))
    }

    async fn greet(&mut self, tls: &Tls) -> Result<String, NotOpened> {
        if let Tls::Implicit(client) = tls {
            self.start_tls(client).await?;
        }
        let began = monotonic_micros();
        let heard = self.replies.next(&mut self.stream).await;
        expect("greeting", heard)?;
        self.mark(Step::Greeting, began);
        let greeting = String::from_utf8_lossy(self.replies.text()).into_owned();
        if let Tls::Start(client) = tls {
            expect("STLS", self.ask("STLS\r\n").await)?;
            self.replies.forget();
            self.start_tls(client).await?;
        }
        Ok(greeting)
    }

    async fn authenticate(&mut self, settings: &Settings, number: u32) -> Result<(), NotOpened> {
        let began = monotonic_micros();
        let user = settings.accounts.name(number);
        let password = &settings.access.password;
        match settings.access.login {
            Login::Login => {
                expect("USER", self.ask(&format!("USER {user}\r\n")).await)?;
                expect("PASS", self.ask(&format!("PASS {password}\r\n")).await)?;
            }
            Login::Plain => {
                // RFC 5034 §4: a server without initial responses would ask for it instead.
                let response = STANDARD.encode(format!("\0{user}\0{password}"));
                let line = format!("AUTH PLAIN {response}\r\n");
                expect("AUTH PLAIN", self.ask(&line).await)?;
            }
        }
        self.mark(Step::Login, began);
        Ok(())
    }

    async fn start_tls(&mut self, client: &TlsClient) -> Result<(), NotOpened> {
        shake_hands(&mut self.stream, client, &mut self.marks).await
    }

    async fn ask(&mut self, line: &str) -> io::Result<Answer> {
        self.send(line).await?;
        self.replies.next(&mut self.stream).await
    }
}
