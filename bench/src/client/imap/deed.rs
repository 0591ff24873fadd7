//! What a session of a load does with one ticket: append, fetch, flag, search, sort, look in.

use super::mailbox::FILL_NUMBER_MIN;
use super::response::{Listener, Nobody, numbered};
use super::{Session, Settings};
use crate::client::opening::expect;
use crate::client::{Client, Delivered, NotOpened, Then};
use crate::load::chance;
use crate::load::pace::Ticket;
use crate::measure::answer::{Answer, Loss};
use crate::measure::histogram::Step;
use crate::measure::ledger::Fate;
use clap::ValueEnum;
use engine::reactor::clock::monotonic_micros;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// One kind of work; several are mixed by the seed.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Deed {
    /// Put messages into the mailbox
    Append,
    /// Fetch one message at a time, drawn by the seed
    Fetch,
    /// Set and clear \Flagged of one message at a time
    Flags,
    /// Search the whole mailbox
    Search,
    /// Fetch the same of every message of the mailbox
    FetchAll,
    /// Open the mailbox again
    Select,
    /// Sort the whole mailbox by date, the newest first
    Sort,
    /// Make the threads of the whole mailbox, by REFERENCES
    Thread,
    /// Log in, open the mailbox and log out, a connection each; alone
    Visit,
    /// Hold connections in IDLE; alone
    Idle,
}

impl Deed {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Deed::Append => "append",
            Deed::Fetch => "fetch",
            Deed::Flags => "flags",
            Deed::Search => "search",
            Deed::FetchAll => "fetch-all",
            Deed::Select => "select",
            Deed::Sort => "sort",
            Deed::Thread => "thread",
            Deed::Visit => "visit",
            Deed::Idle => "idle",
        }
    }
}

/// Counts FETCH responses.
#[derive(Default)]
struct Fetched {
    messages: u64,
    octets: u64,
}

impl Listener for Fetched {
    fn piece(&mut self, octets: &[u8]) {
        self.octets += octets.len() as u64;
    }

    fn untagged(&mut self, text: &[u8], _: u64) {
        let word = numbered(text).map(|(_, word)| word);
        self.messages += u64::from(word.is_some_and(|word| word.starts_with(b"FETCH ")));
    }
}

impl Client for Session {
    type Settings = Settings;

    fn patience(settings: &Settings) -> Duration {
        settings.access.patience
    }

    async fn open(settings: &Arc<Settings>, number: u32) -> Result<Session, NotOpened> {
        let accounts = settings.accounts.len();
        let user = settings.accounts.name(number);
        let (mut session, _) = Session::log_in(&settings.access, user, number).await?;
        session.account = number % accounts;
        session.settings = Some(settings.clone());
        expect("SELECT", session.select(&settings.mailbox).await)?;
        // The first connection of an account does it for all.
        if number < accounts && session.exists < settings.fill {
            let filled = session.fill(&settings.corpus, &settings.mailbox, user, settings.fill);
            expect("APPEND", filled.await)?;
        }
        Ok(session)
    }

    async fn deliver<F>(&mut self, ticket: Ticket, _: bool, _: Then<F>) -> Delivered
    where
        F: FnOnce() -> Option<Ticket>,
    {
        let mut delivered = Delivered::unbegun();
        let Some(settings) = self.settings.clone() else {
            return delivered;
        };
        match self.act(&settings, ticket, &mut delivered).await {
            Ok(answer) => {
                delivered.answer = answer;
                delivered.end_micros = self.responses.heard_micros;
            }
            Err(error) => {
                delivered.answer = Answer::from(&error);
                delivered.end_micros = monotonic_micros();
                delivered.is_open = false;
            }
        }
        if !delivered.answer.is_positive() {
            delivered.octets = 0;
        }
        delivered
    }

    fn marks(&mut self) -> &mut Vec<(Step, u64)> {
        &mut self.marks
    }

    fn declined(&self, _: Ticket) -> Vec<u32> {
        Vec::new()
    }

    async fn quit(self, _: bool) {
        self.leave().await;
    }
}

impl Session {
    async fn act(
        &mut self,
        settings: &Settings,
        ticket: Ticket,
        delivered: &mut Delivered,
    ) -> io::Result<Answer> {
        let draw = chance(settings.seed ^ SALT, ticket.number);
        let deed = (draw as usize).checked_rem(settings.deeds.len());
        let deed = deed.and_then(|at| settings.deeds.get(at));
        match deed {
            Some(Deed::Append) => return self.append_ticket(settings, ticket, delivered).await,
            Some(Deed::Select) => return self.select(&settings.mailbox).await,
            Some(Deed::Visit) => return self.log_out(delivered).await,
            _ => {}
        }
        if self.exists == 0 {
            self.ask("NOOP").await?;
        }
        let Some(draw) = (draw >> 16).checked_rem(u64::from(self.exists)) else {
            return Ok(Answer::Lost(Loss::Nothing));
        };
        let message = draw + 1;
        match deed {
            Some(Deed::Fetch) => {
                let message = message.to_string();
                self.fetch(settings, &message, delivered).await
            }
            Some(Deed::FetchAll) => self.fetch(settings, "1:*", delivered).await,
            Some(Deed::Flags) => {
                let sign = if ticket.number.is_multiple_of(2) {
                    '+'
                } else {
                    '-'
                };
                let command = format!("STORE {message} {sign}FLAGS (\\Flagged)");
                self.timed(Step::Store, &command).await
            }
            Some(Deed::Search) => {
                let command = format!("SEARCH {}", settings.search);
                self.timed(Step::Search, &command).await
            }
            Some(Deed::Sort) => {
                self.timed(Step::Sort, "SORT (REVERSE DATE) UTF-8 ALL")
                    .await
            }
            Some(Deed::Thread) => {
                let command = "THREAD REFERENCES UTF-8 ALL";
                self.timed(Step::Thread, command).await
            }
            Some(Deed::Append | Deed::Select | Deed::Visit | Deed::Idle) | None => {
                Ok(Answer::Lost(Loss::Nothing))
            }
        }
    }

    async fn append_ticket(
        &mut self,
        settings: &Settings,
        ticket: Ticket,
        delivered: &mut Delivered,
    ) -> io::Result<Answer> {
        assert!(
            ticket.number < FILL_NUMBER_MIN,
            "a run has fewer tickets than that"
        );
        let began = monotonic_micros();
        delivered.fate = Fate::Unanswered;
        let sender = settings.accounts.name(self.account);
        let appended = self.append(&settings.corpus, &settings.mailbox, sender, ticket);
        let (answer, octets) = appended.await?;
        self.mark(Step::Append, began, self.responses.heard_micros);
        delivered.octets = octets;
        delivered.fate = match answer.is_positive() {
            true => Fate::Acknowledged,
            false => Fate::Declined,
        };
        Ok(answer)
    }

    async fn fetch(
        &mut self,
        settings: &Settings,
        messages: &str,
        delivered: &mut Delivered,
    ) -> io::Result<Answer> {
        let began = monotonic_micros();
        let mut fetched = Fetched::default();
        let command = format!("FETCH {messages} {}", settings.fetch);
        let answer = self.ask_with(&command, &mut fetched).await?;
        self.mark(Step::Fetch, began, self.responses.heard_micros);
        delivered.octets = fetched.octets;
        let wanted = if messages == "1:*" { self.exists } else { 1 };
        if answer.is_positive() && fetched.messages < u64::from(wanted) {
            return Ok(Answer::Lost(Loss::Nothing));
        }
        Ok(answer)
    }

    /// The end of a visit.
    async fn log_out(&mut self, delivered: &mut Delivered) -> io::Result<Answer> {
        delivered.is_open = false;
        delivered.said_quit = true;
        self.ask("LOGOUT").await
    }

    /// Opens a mailbox, and makes it where it is none that everybody has.
    pub(crate) async fn select(&mut self, mailbox: &str) -> io::Result<Answer> {
        if !mailbox.eq_ignore_ascii_case("INBOX") {
            // NO is the answer when it is there already.
            let create = format!("CREATE {}", super::opening::quoted(mailbox));
            self.ask_with(&create, &mut Nobody).await?;
        }
        let select = format!("SELECT {}", super::opening::quoted(mailbox));
        self.exists = 0;
        self.timed(Step::Select, &select).await
    }
}

/// So that deeds and sizes are drawn apart.
const SALT: u64 = 0x6465_6564;
