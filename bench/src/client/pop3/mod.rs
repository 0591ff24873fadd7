//! POP3 from the client's side: one poll of a mailbox a ticket (RFC 1939).
//!
//! ```text
//! connect ─► (TLS) ─► greeting ─► (STLS) ─► USER, PASS or AUTH PLAIN ─► orders ─► QUIT
//! ```
//!
//! A poll is a whole connection, as POP3 clients do it: deletions happen at QUIT.

mod opening;
mod reply;

use super::imap::Access;
use super::tls::Stream;
use super::{Client, Delivered, NotOpened, Then};
use crate::load::accounts::Accounts;
use crate::load::pace::Ticket;
use crate::measure::answer::{Answer, Loss};
use crate::measure::histogram::Step;
use crate::measure::ledger::Fate;
use clap::ValueEnum;
use engine::reactor::clock::monotonic_micros;
use reply::Replies;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

/// What is asked in a poll, in this order.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    /// How many messages there are
    Stat,
    /// Their unique ids
    Uidl,
    /// Their sizes
    List,
    /// Their headers
    Top,
    /// The messages
    Retr,
    /// Delete what was retrieved
    Dele,
}

/// What the polls of a run have alike.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) access: Arc<Access>,
    pub(crate) accounts: Accounts,
    pub(crate) orders: Vec<Order>,
    /// Messages of a poll for which TOP, RETR and DELE are said.
    pub(crate) messages_max: u32,
}

/// One connection.
pub(crate) struct Session {
    settings: Arc<Settings>,
    stream: Stream,
    replies: Replies,
    marks: Vec<(Step, u64)>,
}

impl Order {
    pub(crate) const ALL: [Order; 6] = [
        Order::Stat,
        Order::Uidl,
        Order::List,
        Order::Top,
        Order::Retr,
        Order::Dele,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Order::Stat => "STAT",
            Order::Uidl => "UIDL",
            Order::List => "LIST",
            Order::Top => "TOP",
            Order::Retr => "RETR",
            Order::Dele => "DELE",
        }
    }

    fn step(self) -> Step {
        match self {
            Order::Stat => Step::Stat,
            Order::Uidl => Step::Uidl,
            Order::List => Step::List,
            Order::Top => Step::Top,
            Order::Retr => Step::Retr,
            Order::Dele => Step::Dele,
        }
    }

    /// Whether it is said for each message.
    fn is_single(self) -> bool {
        matches!(self, Order::Top | Order::Retr | Order::Dele)
    }

    /// Whether lines follow a positive reply, up to a dot.
    fn has_lines(self) -> bool {
        !matches!(self, Order::Stat | Order::Dele)
    }

    fn command(self, message: u32) -> String {
        match self {
            Order::Stat | Order::Uidl | Order::List => format!("{}\r\n", self.name()),
            Order::Top => format!("TOP {message} 0\r\n"),
            Order::Retr | Order::Dele => format!("{} {message}\r\n", self.name()),
        }
    }
}

impl Client for Session {
    type Settings = Settings;

    fn patience(settings: &Settings) -> Duration {
        settings.access.patience
    }

    async fn open(settings: &Arc<Settings>, number: u32) -> Result<Session, NotOpened> {
        Session::log_in(settings, number)
            .await
            .map(|(session, _)| session)
    }

    async fn deliver<F>(&mut self, _: Ticket, _: bool, _: Then<F>) -> Delivered
    where
        F: FnOnce() -> Option<Ticket>,
    {
        let mut octets = 0;
        let (answer, end_micros) = match self.poll(&mut octets).await {
            Ok(answer) => (answer, self.replies.heard_micros),
            Err(error) => (Answer::from(&error), monotonic_micros()),
        };
        Delivered {
            answer,
            fate: Fate::Unsent,
            octets: if answer.is_positive() { octets } else { 0 },
            end_micros,
            is_open: false,
            said_quit: true,
            next: None,
        }
    }

    fn marks(&mut self) -> &mut Vec<(Step, u64)> {
        &mut self.marks
    }

    fn declined(&self, _: Ticket) -> Vec<u32> {
        Vec::new()
    }

    async fn quit(mut self, _: bool) {
        // Whoever has gone already needs no goodbye.
        let _ = self.send("QUIT\r\n").await;
    }
}

impl Session {
    /// All orders; the first refusal is the answer.
    async fn poll(&mut self, octets: &mut u64) -> io::Result<Answer> {
        let settings = self.settings.clone();
        // STAT is asked in any case: it tells which messages there are.
        let (answer, messages) = self.stat().await?;
        if !answer.is_positive() {
            return Ok(answer);
        }
        let first = messages.saturating_sub(settings.messages_max) + 1;
        let (single, whole): (Vec<Order>, Vec<Order>) = settings
            .orders
            .iter()
            .filter(|order| **order != Order::Stat)
            .partition(|order| order.is_single());
        for order in whole {
            let answer = self.order(order, 0, octets).await?;
            if !answer.is_positive() {
                return Ok(answer);
            }
        }
        // The newest ones, which a client has not seen.
        for message in first..=messages {
            for order in &single {
                let answer = self.order(*order, message, octets).await?;
                if !answer.is_positive() {
                    return Ok(answer);
                }
            }
        }
        self.send("QUIT\r\n").await?;
        self.replies.next(&mut self.stream).await
    }

    async fn stat(&mut self) -> io::Result<(Answer, u32)> {
        let began = monotonic_micros();
        self.send("STAT\r\n").await?;
        let answer = self.replies.next(&mut self.stream).await?;
        if self.settings.orders.contains(&Order::Stat) {
            self.mark(Step::Stat, began);
        }
        if !answer.is_positive() {
            return Ok((answer, 0));
        }
        match reply::first_number(self.replies.text()) {
            Some(messages) => Ok((answer, messages)),
            None => Ok((Answer::Lost(Loss::Nonsense), 0)),
        }
    }

    async fn order(&mut self, order: Order, message: u32, octets: &mut u64) -> io::Result<Answer> {
        let began = monotonic_micros();
        self.stream.set_patience(self.settings.access.patience);
        self.send(&order.command(message)).await?;
        let answer = self.replies.next(&mut self.stream).await?;
        if answer.is_positive() && order.has_lines() {
            let lines = self.replies.lines(&mut self.stream).await?;
            if order == Order::Retr {
                *octets += lines;
            }
        }
        self.mark(order.step(), began);
        Ok(answer)
    }

    async fn send(&mut self, line: &str) -> io::Result<()> {
        self.stream.send(&mut [IoSlice::new(line.as_bytes())]).await
    }

    /// Until the last octets came.
    fn mark(&mut self, step: Step, from_micros: u64) {
        let micros = self.replies.heard_micros.saturating_sub(from_micros);
        self.marks.push((step, micros));
    }
}
