//! `pop3`: polls of mailboxes, a connection each, as POP3 clients do them.

use super::brief::Brief;
use super::imap::AccessSource;
use super::live::LiveLine;
use super::options::{AccessArgs, LoadArgs, ReportArgs, ServerArgs, misused};
use super::run::{self, Plan, Sums, alone};
use super::search::search;
use super::submit::Ending;
use crate::client::imap::Login;
use crate::client::pop3::{Order, Session, Settings};
use crate::client::{Client, NotOpened};
use crate::load::accounts::Accounts;
use crate::measure::histogram::Step;
use crate::outcome::{Load, Outcome};
use anyhow::bail;
use clap::Args;
use engine::reactor::Now;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The server, the load, the report.
#[derive(Args, Clone, Debug)]
pub(crate) struct Pop3Args {
    /// The server: host:port
    #[arg(value_name = "HOST:PORT")]
    pub(crate) target: String,
    /// What a poll asks for; STAT is said in any case
    #[arg(
        long = "do",
        value_enum,
        value_delimiter = ',',
        default_value = "stat,uidl,list,retr"
    )]
    pub(crate) orders: Vec<Order>,
    /// Who logs in: addresses, or a pattern such as user{0..99}@example.test; connections take
    /// them in turn
    #[arg(
        long,
        default_value = "alice@example.test,bob@example.test",
        value_name = "PATTERN"
    )]
    pub(crate) accounts: Accounts,
    /// How sessions log in: USER and PASS, or AUTH PLAIN
    #[arg(long, value_enum, default_value_t = Login::Login)]
    pub(crate) login: Login,
    /// Messages of a poll, the newest, for which top, retr and dele are said
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub(crate) each: u32,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// Runs it.
pub(crate) fn pop3(args: &Pop3Args, stop: Arc<AtomicBool>) -> anyhow::Result<Ending> {
    let now = Now::read();
    let plan = Arc::new(args.plan()?);
    let greeting = greeting(&plan.settings, &args.target)?;
    if let Some(first) = args.load.steps {
        let (sums, steps) = search::<Session>(&args.load, &plan, first, &stop)?;
        let mut ending = steps.ending(args.outcome(sums, now));
        ending.outcome.server = Some(greeting);
        return Ok(ending);
    }
    let sums = run::run::<Session>(plan, stop, &LiveLine::new())?;
    let failed = sums.gave_up;
    let mut outcome = args.outcome(sums, now);
    outcome.server = Some(greeting);
    Ok(Ending { outcome, failed })
}

/// What the server says of itself; whether a load makes sense.
fn greeting(settings: &Arc<Settings>, target: &str) -> anyhow::Result<String> {
    let settings = settings.clone();
    let told = alone(move || async move {
        let (session, greeting) = Session::log_in(&settings, 0).await?;
        session.quit(false).await;
        Ok::<_, NotOpened>(greeting)
    })?;
    match told {
        Ok(greeting) => Ok(greeting),
        Err(refused) => bail!("pop3 {target}: {}", refused.explained()),
    }
}

impl Pop3Args {
    fn plan(&self) -> anyhow::Result<Plan<Settings>> {
        if self.load.per_connection.is_some_and(|count| count != 1) {
            return misused("a poll is a connection of its own: leave --per-connection out");
        }
        let source = AccessSource {
            target: &self.target,
            server: &self.server,
            access: &self.access,
            sources: self.load.sources.as_ref(),
            login: self.login,
        };
        let access = source.access()?;
        let text = |text: &str| text.chars().any(char::is_control);
        if text(&access.password) {
            return misused("a password of POP3 is one line");
        }
        let patience = access.patience;
        let settings = Settings {
            access: Arc::new(access),
            accounts: self.accounts.clone(),
            orders: self.orders(),
            messages_max: self.each,
        };
        let load = LoadArgs {
            per_connection: Some(1),
            ..self.load.clone()
        };
        load.plan(Arc::new(settings), patience, &self.server)
    }

    /// Each once, in the order in which a client asks.
    fn orders(&self) -> Vec<Order> {
        let all = Order::ALL.into_iter();
        all.filter(|order| self.orders.contains(order)).collect()
    }

    fn described(&self) -> Load {
        let names = self.orders().into_iter().map(Order::name);
        let mut with = vec![names.collect::<Vec<_>>().join(", ")];
        with.push(format!("the newest {} of each mailbox", self.each));
        with.extend(self.access.told());
        with.push(format!("{} accounts", self.accounts.len()));
        with.extend(self.load.told());
        Load {
            connections: self.load.connections,
            rate: self.load.rate,
            sizes: String::new(),
            messages_per_connection: None,
            with,
        }
    }

    fn outcome(&self, sums: Sums, began: Now) -> Outcome {
        let has_retrieved = sums.tally.latencies.of(Step::Retr).is_some();
        let brief = Brief {
            scenario: "pop3",
            target: format!("pop3 {}", self.target),
            server: &self.server,
            load: self.described(),
            began,
        };
        let mut outcome = brief.of_load(sums, "polls");
        if self.orders.contains(&Order::Retr) && !has_retrieved {
            let why = "The mailboxes are empty, so nothing was retrieved: bring mail in first";
            outcome.remarks.push(why.into());
        }
        outcome
    }
}
