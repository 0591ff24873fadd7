//! What the command line of `mixed` says.

use super::day::Day;
use crate::client::imap::{Access, Login};
use crate::client::smtp::{self, Dialect, Pipelining};
use crate::client::tls::Tls;
use crate::load::accounts::Accounts;
use crate::load::corpus::{Corpus, Framing};
use crate::load::fanout::Fanout;
use crate::load::sizes::Sizes;
use crate::load::sources::Sources;
use crate::outcome::Load;
use crate::scenario::imap::AccessSource;
use crate::scenario::options::{AccessArgs, ReportArgs, ServerArgs, TlsMode, misused, seconds};
use clap::Args;
use std::sync::Arc;
use std::time::Duration;

/// The server's doors, the users, the report.
#[derive(Args, Clone, Debug)]
pub(crate) struct MixedArgs {
    /// Where mail arrives by SMTP: host:port
    #[arg(long, value_name = "HOST:PORT", required_unless_present = "lmtp")]
    pub(crate) smtp: Option<String>,
    /// Where mail arrives by LMTP: host:port
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "smtp")]
    pub(crate) lmtp: Option<String>,
    /// Where users read: host:port
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) imap: String,
    /// Where users submit, with AUTH PLAIN: host:port [default: where mail arrives, without AUTH]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) submission: Option<String>,
    /// How TLS begins where users submit [default: as --tls says for IMAP]
    #[arg(long, value_enum, requires = "submission")]
    pub(crate) submission_tls: Option<TlsMode>,
    /// Users
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    pub(crate) users: u32,
    /// Their addresses [default: user{0..N-1}@example.test]
    #[arg(long, value_name = "PATTERN")]
    pub(crate) accounts: Option<Accounts>,
    #[command(flatten)]
    pub(crate) day: DayArgs,
    /// Size of messages: 1k, 4k, 64k, octets; classic, office; or a folder of messages
    #[arg(long, default_value = "classic", value_name = "SIZE")]
    pub(crate) size: Sizes,
    /// Seconds of the run
    #[arg(long = "for", default_value_t = 60.0, value_name = "SECONDS")]
    pub(crate) secs: f64,
    /// Threads of the load
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) threads: u32,
    /// Repeats a run: arrivals, sizes, sessions, what users do
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) seed: u64,
    /// Source addresses [default: 16 of loopback, where the server is there]
    #[arg(long, value_name = "ADDRESSES")]
    pub(crate) sources: Option<Sources>,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// How days pass.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Days")]
pub(crate) struct DayArgs {
    /// How many times faster than life: 60 makes a minute of a second
    #[arg(long, default_value_t = 60.0, value_name = "TIMES")]
    pub(crate) speed_up: f64,
    /// Connections of each thread over which mail arrives
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub(crate) injectors: u32,
}

/// Everything that the threads of a run share.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) day: Day,
    pub(crate) users: u32,
    pub(crate) threads: u32,
    pub(crate) injectors: u32,
    pub(crate) length: Duration,
    pub(crate) patience: Duration,
    pub(crate) access: Arc<Access>,
    pub(crate) accounts: Accounts,
    pub(crate) arrivals: Arc<smtp::Settings>,
    pub(crate) submission: Arc<smtp::Settings>,
    pub(crate) run: u32,
}

impl MixedArgs {
    pub(super) fn plan(&self, run: u32) -> anyhow::Result<Plan> {
        let day = &self.day;
        if self.users == 0 || self.threads == 0 || self.threads > self.users || day.injectors == 0 {
            return misused("a day needs at least one user a thread, and one injector");
        }
        if !(day.speed_up.is_finite() && day.speed_up > 0.0) {
            return misused("--speed-up is a number above zero");
        }
        let accounts = self.accounts()?;
        let source = AccessSource {
            target: &self.imap,
            server: &self.server,
            access: &self.access,
            sources: None,
            login: Login::Login,
        };
        let mut access = source.access()?;
        let sources = match &self.sources {
            Some(sources) => sources.clone(),
            None if access.target.ip().is_loopback() && access.target.is_ipv4() => {
                let all = SOURCES_DEFAULT.parse();
                all.map_err(anyhow::Error::msg)?
            }
            None => Sources::default(),
        };
        access.sources = sources.clone();
        let arrivals = Arc::new(self.arrivals(&accounts, sources, run)?);
        Ok(Plan {
            day: Day {
                speed_up: day.speed_up,
                seed: self.seed,
            },
            users: self.users,
            threads: self.threads,
            injectors: day.injectors,
            length: seconds(self.secs)?,
            patience: access.patience,
            access: Arc::new(access),
            submission: self.submission(&arrivals)?,
            accounts,
            arrivals,
            run,
        })
    }

    fn accounts(&self) -> anyhow::Result<Accounts> {
        let pattern = format!("user{{0..{}}}@example.test", self.users.saturating_sub(1));
        let accounts = match &self.accounts {
            Some(accounts) => accounts.clone(),
            None => pattern.parse().map_err(anyhow::Error::msg)?,
        };
        match accounts.len() == self.users {
            true => Ok(accounts),
            false => misused(format!(
                "--accounts names {} addresses for {} users",
                accounts.len(),
                self.users
            )),
        }
    }

    fn arrivals(
        &self,
        accounts: &Accounts,
        sources: Sources,
        run: u32,
    ) -> anyhow::Result<smtp::Settings> {
        let (dialect, door) = match (&self.lmtp, &self.smtp) {
            (Some(door), _) => (Dialect::Lmtp, door),
            (None, Some(door)) => (Dialect::Smtp, door),
            (None, None) => return misused("mail arrives somewhere: --smtp or --lmtp"),
        };
        let corpus = Corpus::new(
            &self.size,
            Framing::Data,
            self.seed,
            run,
            accounts.longest(),
        )?;
        Ok(smtp::Settings {
            target: self.server.resolve(door)?,
            sources,
            dialect,
            tls: Tls::None,
            password: None,
            logins: accounts.clone(),
            sender: accounts.name(0).to_owned(),
            accounts: accounts.clone(),
            fanout: Fanout::Fixed(1),
            seed: self.seed,
            corpus: Arc::new(corpus),
            pipelining: Pipelining::Group,
            patience: self.access.patience()?,
        })
    }

    fn submission(&self, arrivals: &Arc<smtp::Settings>) -> anyhow::Result<Arc<smtp::Settings>> {
        let Some(door) = &self.submission else {
            return Ok(arrivals.clone());
        };
        Ok(Arc::new(smtp::Settings {
            target: self.server.resolve(door)?,
            dialect: Dialect::Smtp,
            tls: self.submission_access().tls(door)?,
            password: self.access.password.clone(),
            ..arrivals.as_ref().clone()
        }))
    }

    fn submission_access(&self) -> AccessArgs {
        AccessArgs {
            tls: self.submission_tls.unwrap_or(self.access.tls),
            ..self.access.clone()
        }
    }

    /// What was asked, as the report says it.
    pub(super) fn described(&self, plan: &Plan) -> Load {
        let mut with = vec![
            format!("{} users", self.users),
            format!("days {} times as fast", self.day.speed_up),
            "half of the users there, 1 to 5 connections each".to_owned(),
        ];
        with.extend(self.access.told().map(|tls| format!("IMAP under {tls}")));
        let arrivals = self.lmtp.as_ref().map_or("SMTP", |_| "LMTP");
        with.push(format!("arrivals by {arrivals}"));
        if self.submission.is_some() {
            let tls = self.submission_access().told();
            let tls = tls.map_or_else(String::new, |tls| format!(" and {tls}"));
            with.push(format!("answers by submission with AUTH PLAIN{tls}"));
        }
        if self.threads > 1 {
            with.push(format!("{} threads", self.threads));
        }
        Load {
            connections: self.day.injectors * self.threads,
            rate: Some(plan.day.arrivals(self.users)),
            sizes: self.size.to_string(),
            messages_per_connection: None,
            with,
        }
    }

    pub(super) fn told(&self) -> String {
        let (protocol, door) = match (&self.lmtp, &self.smtp) {
            (Some(door), _) => ("lmtp", door.as_str()),
            (None, door) => ("smtp", door.as_deref().unwrap_or_default()),
        };
        let submission = self.submission.as_deref();
        let submission = submission.map_or_else(String::new, |door| format!(", submission {door}"));
        format!("{protocol} {door}{submission}, imap {}", self.imap)
    }
}

/// Servers bound the connections of one address.
const SOURCES_DEFAULT: &str = "16";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        mixed: MixedArgs,
    }

    fn mixed(line: &str) -> Result<MixedArgs, clap::Error> {
        let words = ["bench", "--imap", "127.0.0.1:143", "--password", "x"];
        let words = words.into_iter().chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.mixed)
    }

    #[test]
    fn users_have_addresses_and_mail_comes_in_somewhere() {
        let args = mixed("--lmtp 127.0.0.1:24 --users 30 --submission 127.0.0.1:587").unwrap();
        let plan = args.plan(1).unwrap();
        assert_eq!(plan.accounts.name(29), "user29@example.test");
        assert_eq!(plan.arrivals.dialect, Dialect::Lmtp);
        assert_eq!(plan.submission.dialect, Dialect::Smtp);
        assert!(plan.submission.password.is_some() && plan.arrivals.password.is_none());
        assert!(plan.access.sources.of(1).is_some());
    }

    #[test]
    fn submission_may_be_under_tls_where_imap_is_not() {
        let doors = "--smtp 127.0.0.1:25 --submission 127.0.0.1:465 --users 2";
        let args = mixed(&format!("{doors} --submission-tls implicit")).unwrap();
        let plan = args.plan(1).unwrap();
        assert!(matches!(plan.submission.tls, Tls::Implicit(_)));
        assert!(matches!(plan.access.tls, Tls::None) && matches!(plan.arrivals.tls, Tls::None));
        let told = args.described(&plan).with.join(", ");
        assert!(told.contains("answers by submission with AUTH PLAIN and TLS (implicit)"));
        assert!(told.contains("arrivals by SMTP") && !told.contains("IMAP under"));
        let args = mixed(&format!("{doors} --tls starttls")).unwrap();
        let plan = args.plan(1).unwrap();
        assert!(matches!(plan.submission.tls, Tls::Start(_)), "as IMAP");
        assert!(mixed("--smtp 127.0.0.1:25 --submission-tls implicit").is_err());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(mixed("--users 3").is_err(), "no door for arrivals");
        for line in [
            "--users 3 --accounts a@b",
            "--speed-up 0",
            "--threads 0",
            "--injectors 0",
        ] {
            let args = mixed(&format!("--smtp 127.0.0.1:25 {line}")).unwrap();
            assert!(args.plan(1).is_err(), "{line}");
        }
    }
}
