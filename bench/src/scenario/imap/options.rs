//! What the command line of `imap` says.

use crate::client::imap::deed::Deed;
use crate::client::imap::{Access, Login, Settings};
use crate::load::accounts::Accounts;
use crate::load::corpus::{Corpus, Framing};
use crate::load::sizes::Sizes;
use crate::load::sources::Sources;
use crate::outcome::Load;
use crate::scenario::options::{AccessArgs, LoadArgs, ReportArgs, ServerArgs, misused};
use crate::scenario::run::Plan;
use clap::Args;
use std::sync::Arc;

/// The server, the load, the report.
#[derive(Args, Clone, Debug)]
pub(crate) struct ImapArgs {
    /// The server: host:port
    #[arg(value_name = "HOST:PORT")]
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
    /// Who logs in: addresses, or a pattern such as user{0..99}@example.test; connections take
    /// them in turn
    #[arg(
        long,
        default_value = "alice@example.test,bob@example.test",
        value_name = "PATTERN"
    )]
    pub(crate) accounts: Accounts,
    /// Size of appended messages: 1k, 4k, 64k, octets; classic, office; or a folder of messages
    #[arg(long, default_value = "4k", value_name = "SIZE")]
    pub(crate) size: Sizes,
    /// Read appended messages back: each that was acknowledged is there once and unchanged
    #[arg(long)]
    pub(crate) audit: bool,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// What sessions do.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Mailboxes")]
pub(crate) struct WorkArgs {
    /// What sessions do; several are mixed by the seed
    #[arg(
        long = "do",
        value_enum,
        value_delimiter = ',',
        default_value = "fetch"
    )]
    pub(crate) deeds: Vec<Deed>,
    /// How sessions log in
    #[arg(long, value_enum, default_value_t = Login::Login)]
    pub(crate) login: Login,
    /// The mailbox; made where it is missing
    #[arg(long, default_value = "INBOX", value_name = "NAME")]
    pub(crate) mailbox: String,
    /// Messages that each mailbox has at least before the load begins
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub(crate) fill: u32,
    /// What fetch and fetch-all ask for
    #[arg(long, default_value = "(BODY.PEEK[])", value_name = "ITEMS")]
    pub(crate) fetch: String,
    /// What search asks for
    #[arg(long, default_value = "SUBJECT ringpost-bench", value_name = "KEYS")]
    pub(crate) search: String,
    /// With --do idle: sizes of the population at which the server's memory is read
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub(crate) levels: u32,
    /// With --do idle: messages appended to the first account, each seen by all of its idlers
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub(crate) deliveries: u32,
}

impl std::ops::Deref for ImapArgs {
    type Target = WorkArgs;

    fn deref(&self) -> &WorkArgs {
        &self.work
    }
}

/// Everything that tells how sessions begin.
pub(crate) struct AccessSource<'a> {
    pub(crate) target: &'a str,
    pub(crate) server: &'a ServerArgs,
    pub(crate) access: &'a AccessArgs,
    pub(crate) sources: Option<&'a Sources>,
    pub(crate) login: Login,
}

impl AccessSource<'_> {
    pub(crate) fn access(&self) -> anyhow::Result<Access> {
        let Some(password) = self.access.password.clone() else {
            return misused("a session logs in: say --password");
        };
        Ok(Access {
            target: self.server.resolve(self.target)?,
            sources: self.sources.cloned().unwrap_or_default(),
            tls: self.access.tls(self.target)?,
            login: self.login,
            password,
            patience: self.access.patience()?,
        })
    }
}

impl ImapArgs {
    /// What would be found out too late.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        for text in [&self.mailbox, &self.fetch, &self.search] {
            if text.is_empty() || text.chars().any(char::is_control) {
                return misused("--mailbox, --fetch and --search are one line each");
            }
        }
        let is_idle = self.deeds.contains(&Deed::Idle);
        let is_visit = self.deeds.contains(&Deed::Visit);
        if (is_idle || is_visit) && self.deeds.len() > 1 {
            return misused("--do idle and --do visit stand alone: a connection does nothing else");
        }
        if is_visit && self.load.per_connection.is_some_and(|count| count != 1) {
            return misused("a visit is a connection of its own: leave --per-connection out");
        }
        if self.load.steps.is_some() && (is_idle || self.audit) {
            return misused("--steps is a search of its own: without --audit and --do idle");
        }
        if self.levels == 0 || self.deliveries > DELIVERIES_MAX {
            return misused(format!(
                "--levels is at least 1, --deliveries at most {DELIVERIES_MAX}"
            ));
        }
        if self.audit && !self.deeds.contains(&Deed::Append) {
            return misused("--audit reads appended messages back: it needs --do append");
        }
        Ok(())
    }

    pub(super) fn access(&self) -> anyhow::Result<Access> {
        AccessSource {
            target: &self.target,
            server: &self.server,
            access: &self.access,
            sources: self.load.sources.as_ref(),
            login: self.login,
        }
        .access()
    }

    /// Messages as APPEND sends them, of one run.
    pub(super) fn corpus(&self, run: u32) -> anyhow::Result<Arc<Corpus>> {
        let (seed, sender) = (self.load.seed, self.accounts.longest());
        let corpus = Corpus::new(&self.size, Framing::Chunk, seed, run, sender)?;
        Ok(Arc::new(corpus))
    }

    pub(super) fn plan(&self, run: u32) -> anyhow::Result<Plan<Settings>> {
        let access = self.access()?;
        let patience = access.patience;
        let settings = Settings {
            access: Arc::new(access),
            accounts: self.accounts.clone(),
            mailbox: self.mailbox.clone(),
            deeds: self.deeds.clone(),
            fetch: self.fetch.clone(),
            search: self.search.clone(),
            fill: self.fill,
            corpus: self.corpus(run)?,
            seed: self.load.seed,
        };
        let load = match self.deeds.contains(&Deed::Visit) {
            true => &LoadArgs {
                per_connection: Some(1),
                ..self.load.clone()
            },
            false => &self.load,
        };
        load.plan(Arc::new(settings), patience, &self.server)
    }

    /// What was asked, as the report says it.
    pub(super) fn described(&self) -> Load {
        let deeds = self.deeds.iter().map(|deed| deed.name());
        let mut with = vec![deeds.collect::<Vec<_>>().join(", ")];
        with.extend(self.access.told());
        with.push(format!("{} accounts", self.accounts.len()));
        if self.deeds != [Deed::Idle] {
            with.push(format!("{} messages in each mailbox at first", self.fill));
        }
        if self
            .deeds
            .iter()
            .any(|deed| matches!(deed, Deed::Fetch | Deed::FetchAll))
        {
            with.push(format!("FETCH {}", self.fetch));
        }
        if self.deeds.contains(&Deed::Search) {
            with.push(format!("SEARCH {}", self.search));
        }
        with.extend(self.load.told());
        Load {
            connections: self.load.connections,
            rate: self.load.rate,
            sizes: self.size.to_string(),
            messages_per_connection: self.load.per_connection,
            with,
        }
    }
}

/// Each takes milliseconds; more say nothing new.
const DELIVERIES_MAX: u32 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        imap: ImapArgs,
    }

    fn imap(line: &str) -> ImapArgs {
        let words = ["bench", "127.0.0.1:143", "--password", "x"];
        let words = words.into_iter().chain(line.split_whitespace());
        Line::try_parse_from(words).unwrap().imap
    }

    #[test]
    fn lines_of_the_readme_are_understood() {
        for line in [
            "--do append,fetch,flags,search -c 50 --rate 200 --poisson",
            "--do append --size classic --audit",
            "--do idle -c 10000 --sources 8 --accounts user{0..99}@example.test",
            "--do search --steps 100 --bound 20",
            "--do fetch-all,select,sort,thread -c 1 --fill 1000",
            "--do visit",
        ] {
            assert!(imap(line).check().is_ok(), "{line}");
        }
        let mix = imap("--do append,fetch -c 2 --login plain")
            .plan(1)
            .unwrap();
        assert_eq!(mix.settings.deeds, [Deed::Append, Deed::Fetch]);
        assert_eq!(mix.settings.access.login, Login::Plain);
    }

    #[test]
    fn what_makes_no_sense_is_refused_before_anything_starts() {
        for line in [
            "--do idle,fetch",
            "--do visit,fetch",
            "--do visit --per-connection 2",
            "--do fetch --audit",
            "--levels 0",
            "--do idle --steps 10",
            "--do append --audit --steps 10",
        ] {
            assert!(imap(line).check().is_err(), "{line}");
        }
        let mut broken = imap("");
        broken.work.fetch = "x\r\na LOGOUT".into();
        assert!(broken.check().is_err());
        let nobody = ImapArgs {
            access: AccessArgs {
                password: None,
                ..imap("").access
            },
            ..imap("")
        };
        let why = nobody.access().err().unwrap().to_string();
        assert!(why.contains("--password"), "{why}");
    }
}
