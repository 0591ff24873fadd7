//! `pop3`: polls of mailboxes, a connection each, as POP3 clients do them.

use super::imap::AccessSource;
use super::live::LiveLine;
use super::options::{AccessArgs, LoadArgs, ReportArgs, ServerArgs, misused};
use super::run::{self, Plan, Sums, alone};
use super::submit::Ending;
use crate::client::imap::Login;
use crate::client::pop3::{Order, Session, Settings};
use crate::client::{Client, NotOpened};
use crate::load::accounts::Accounts;
use crate::measure::answer::{Answer, Loss};
use crate::measure::histogram::Step;
use crate::measure::machine::machine;
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
    target: String,
    /// What a poll asks for; STAT is said in any case
    #[arg(
        long = "do",
        value_enum,
        value_delimiter = ',',
        default_value = "stat,uidl,list,retr"
    )]
    orders: Vec<Order>,
    /// Who logs in: addresses, or a pattern such as user{0..99}@example.test; connections take
    /// them in turn
    #[arg(
        long,
        default_value = "alice@example.test,bob@example.test",
        value_name = "PATTERN"
    )]
    accounts: Accounts,
    /// How sessions log in: USER and PASS, or AUTH PLAIN
    #[arg(long, value_enum, default_value_t = Login::Login)]
    login: Login,
    /// Messages of a poll, the newest, for which top, retr and dele are said
    #[arg(long, default_value_t = 10, value_name = "N")]
    each: u32,
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    access: AccessArgs,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// Runs it.
pub(crate) fn pop3(args: &Pop3Args, stop: Arc<AtomicBool>) -> anyhow::Result<Ending> {
    let now = Now::read();
    let plan = Arc::new(args.plan()?);
    let greeting = greeting(&plan.settings, &args.target)?;
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
    let refused = match told {
        Ok(greeting) => return Ok(greeting),
        Err(refused) => refused,
    };
    let more = match refused.answer {
        Answer::Lost(Loss::Refused) => "; Ringpost itself has no POP3 yet",
        _ => "",
    };
    bail!("pop3 {target}: {}{more}", refused.explained())
}

impl Pop3Args {
    fn plan(&self) -> anyhow::Result<Plan<Settings>> {
        if self.load.per_connection.is_some_and(|count| count != 1) {
            return misused("a poll is a connection of its own: leave --per-connection out");
        }
        if self.load.steps.is_some() {
            return misused("--steps searches for mail that is submitted; here give --rate");
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
        let tally = sums.tally;
        let mut remarks = sums.remarks;
        if sums.late > 0 {
            remarks.push(format!(
                "{} polls were due and never begun: the server, or --connections, did not keep up \
                 with the rate",
                sums.late
            ));
        }
        let wants_mail = self.orders.contains(&Order::Retr);
        if wants_mail && tally.latencies.of(Step::Retr).is_none() {
            let why = "The mailboxes are empty, so nothing was retrieved: bring mail in first";
            remarks.push(why.into());
        }
        Outcome {
            scenario: "pop3".to_owned(),
            command: std::env::args().collect(),
            target: format!("pop3 {}", self.target),
            server: None,
            durability: self.server.durability.clone(),
            machine: machine(self.server.folder.as_deref()),
            began_secs: began.unix_secs() as i64,
            elapsed_micros: tally.ended_micros.saturating_sub(tally.began_micros),
            load: self.described(),
            counts: tally.counts,
            octets: tally.octets,
            answers: tally.told(),
            phases: tally.latencies.phases(),
            seconds: tally.seconds.into_vec(),
            usage: sums.usage,
            delivered: None,
            round: None,
            audit: None,
            population: Vec::new(),
            remarks,
        }
    }
}
