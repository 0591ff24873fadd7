//! What the command line says, alike for all scenarios that inject mail.

use crate::client::imap::{Access, Login};
use crate::client::smtp::{Dialect, Pipelining, Settings};
use crate::client::tls::{Tls, TlsClient};
use crate::load::accounts::Accounts;
use crate::load::arrivals::{Rate, Spacing, Tempo};
use crate::load::corpus::{Corpus, Framing};
use crate::load::fanout::Fanout;
use crate::load::sizes::Sizes;
use crate::load::sources::Sources;
use crate::measure::usage::Subject;
use crate::outcome::Load;
use crate::scenario::kill::Kill;
use crate::scenario::run::Plan;
use anyhow::Context;
use clap::{Args, ValueEnum};
use rustix::process::Resource;
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// The command line asks for what makes no sense: exit code 2.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Refuses a command line.
pub(crate) fn misused<T>(why: impl Into<String>) -> anyhow::Result<T> {
    Err(Usage(why.into()).into())
}

/// The server, the load, the report.
#[derive(Args, Clone, Debug)]
pub(crate) struct Inject {
    /// The server: host:port
    #[arg(value_name = "HOST:PORT")]
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    #[command(flatten)]
    pub(crate) message: MessageArgs,
    #[command(flatten)]
    pub(crate) wire: WireArgs,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    #[command(flatten)]
    pub(crate) proof: ProofArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Load")]
pub(crate) struct LoadArgs {
    /// Connections held at the same time
    #[arg(long, short, default_value_t = 10, value_name = "N")]
    pub(crate) connections: u32,
    /// Messages of the whole run (operations of imap, polls of pop3)
    #[arg(long, short, value_name = "N")]
    pub(crate) messages: Option<u64>,
    /// Seconds of the measured part [default: 10, without --messages]
    #[arg(long = "for", value_name = "SECONDS")]
    pub(crate) secs: Option<f64>,
    /// Open loop: messages a second (operations of imap, polls of pop3); latencies count from the
    /// intended start
    #[arg(long, value_name = "PER_SECOND")]
    pub(crate) rate: Option<f64>,
    /// Open loop with Poisson arrivals
    #[arg(long, requires = "rate")]
    pub(crate) poisson: bool,
    /// Open loop: the rate climbs from --rate to this within the run
    #[arg(long, requires = "rate", value_name = "PER_SECOND")]
    pub(crate) ramp: Option<f64>,
    /// Messages a connection carries before it is closed; 1 is a connection a message
    #[arg(long, value_name = "N")]
    pub(crate) per_connection: Option<u32>,
    /// Threads of the load
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) threads: u32,
    /// Cores that the threads stay on, in turn
    #[arg(long, value_delimiter = ',', value_name = "CORE,…")]
    pub(crate) cores: Vec<usize>,
    /// Seconds before the measured part
    #[arg(long, default_value_t = 0.0, value_name = "SECONDS")]
    pub(crate) warm_up: f64,
    /// Repeats a run: sizes, recipients, arrivals
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) seed: u64,
    /// Search the highest rate that is held, from this one on; each step takes --for seconds
    #[arg(long, conflicts_with_all = ["rate", "messages"], value_name = "PER_SECOND")]
    pub(crate) steps: Option<f64>,
    /// What holding means: the 99th percentile from intended start to answer, in milliseconds
    #[arg(
        long,
        requires = "steps",
        default_value_t = 50.0,
        value_name = "MILLISECONDS"
    )]
    pub(crate) bound: f64,
    /// Source addresses: a count (127.0.0.1 and on), a range or a list
    #[arg(long, value_name = "ADDRESSES")]
    pub(crate) sources: Option<Sources>,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Messages")]
pub(crate) struct MessageArgs {
    /// Size: 1k, 4k, 64k, octets; a mix: classic, office; or a folder of real messages
    #[arg(long, default_value = "4k", value_name = "SIZE")]
    pub(crate) size: Sizes,
    /// Recipients of a message: a number, or the mix of 1 to 200
    #[arg(long, default_value = "1", value_name = "N|mix")]
    pub(crate) recipients: Fanout,
    /// Whom messages are for: addresses, or a pattern such as user{1..100}@example.test
    #[arg(
        long,
        default_value = "alice@example.test,bob@example.test",
        value_name = "PATTERN"
    )]
    pub(crate) accounts: Accounts,
    /// Whom messages are from; with a login it is the account that logged in
    #[arg(long, default_value = "load@example.test", value_name = "ADDRESS")]
    pub(crate) sender: String,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Protocol")]
pub(crate) struct WireArgs {
    /// Wait for the answer to each command
    #[arg(long)]
    pub(crate) no_pipelining: bool,
    /// Send the next envelope together with the end of a message (RFC 2920 §3.1)
    #[arg(long, conflicts_with_all = ["no_pipelining", "bdat"])]
    pub(crate) chain: bool,
    /// Send messages by BDAT (RFC 3030)
    #[arg(long)]
    pub(crate) bdat: bool,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
}

/// How a session begins, in any protocol.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Protocol")]
pub(crate) struct AccessArgs {
    /// How TLS begins
    #[arg(long, value_enum, default_value_t = TlsMode::None)]
    pub(crate) tls: TlsMode,
    /// Make every TLS handshake a full one, instead of resuming sessions
    #[arg(long)]
    pub(crate) full_handshakes: bool,
    /// Verify the server's certificate against the authorities in this PEM file
    #[arg(long, value_name = "FILE")]
    pub(crate) verify: Option<PathBuf>,
    /// The password of all accounts: for submission (AUTH PLAIN) and for reading INBOXes
    #[arg(long, value_name = "PASSWORD")]
    pub(crate) password: Option<String>,
    /// Seconds that an answer may take
    #[arg(long, default_value_t = 30.0, value_name = "SECONDS")]
    pub(crate) timeout: f64,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TlsMode {
    None,
    Starttls,
    Implicit,
}

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerArgs {
    /// A target that is not loopback is refused, unless this names its host
    #[arg(long, value_name = "HOST")]
    pub(crate) i_own_this_server: Option<String>,
    /// The server's process, to measure what it uses
    #[arg(long, value_name = "PID")]
    pub(crate) pid: Option<u32>,
    /// The server's cgroup, to measure what it uses
    #[arg(long, value_name = "DIR")]
    pub(crate) cgroup: Option<PathBuf>,
    /// Where the server writes, to name the disk and to read its counters
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// What the server has on disk when it says 250, for the report
    #[arg(long, value_name = "TEXT")]
    pub(crate) durability: Option<String>,
}

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Proof")]
pub(crate) struct ProofArgs {
    /// The server's IMAP, to read what was delivered: host:port
    #[arg(long, value_name = "HOST:PORT", requires = "password")]
    pub(crate) imap: Option<String>,
    /// IMAP is behind implicit TLS
    #[arg(long, requires = "imap")]
    pub(crate) imap_tls: bool,
    /// At the end read every INBOX: each acknowledged message must be there once, octet for octet
    #[arg(long, conflicts_with = "steps")]
    pub(crate) audit: bool,
    /// Measure how long messages take to the INBOX, by watching the first N accounts
    #[arg(long, value_name = "N", requires = "imap", conflicts_with = "steps")]
    pub(crate) inbox: Option<u32>,
    /// Kill the server (SIGKILL) so many seconds after the begin
    #[arg(
        long,
        value_name = "SECONDS",
        requires = "pid",
        conflicts_with = "steps"
    )]
    pub(crate) kill_after: Option<f64>,
    /// What the shell runs to start the server again; it goes on when the run has ended
    #[arg(long, value_name = "COMMAND", requires = "kill_after")]
    pub(crate) restart: Option<String>,
}

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Report")]
pub(crate) struct ReportArgs {
    /// Write everything that was measured as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write a page with charts
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

impl Inject {
    /// The load as a plan, for messages of `run`; with `logs_in` sessions say who they are.
    pub(crate) fn plan(&self, dialect: Dialect, logs_in: bool, run: u32) -> anyhow::Result<Plan> {
        if logs_in && self.wire.access.password.is_none() {
            return misused("submission needs the accounts' password: --password");
        }
        let target = self.server.resolve(&self.target)?;
        let settings = Arc::new(self.settings(target, dialect, logs_in, run)?);
        self.load.plan(settings, self.give_up()?, &self.server)
    }

    fn settings(
        &self,
        target: SocketAddr,
        dialect: Dialect,
        logs_in: bool,
        run: u32,
    ) -> anyhow::Result<Settings> {
        let (load, message, wire) = (&self.load, &self.message, &self.wire);
        let framing = match wire.bdat {
            true => Framing::Chunk,
            false => Framing::Data,
        };
        let sender_bytes = match logs_in {
            true => message.accounts.longest(),
            false => message.sender.len(),
        };
        let corpus = Corpus::new(&message.size, framing, load.seed, run, sender_bytes)?;
        Ok(Settings {
            target,
            sources: load.sources.clone().unwrap_or_default(),
            dialect,
            tls: wire.access.tls(&self.target)?,
            password: wire.access.password.clone().filter(|_| logs_in),
            logins: message.accounts.clone(),
            sender: message.sender.clone(),
            accounts: message.accounts.clone(),
            fanout: message.recipients,
            seed: load.seed,
            corpus: Arc::new(corpus),
            pipelining: match (wire.no_pipelining, wire.chain) {
                (true, _) => Pipelining::None,
                (false, true) => Pipelining::Chain,
                (false, false) => Pipelining::Group,
            },
            patience: wire.access.patience()?,
        })
    }

    /// The silence that ends a run: longer where a restart is to come.
    fn give_up(&self) -> anyhow::Result<Duration> {
        let patience = self.wire.access.patience()?;
        match self.proof.kill_after {
            Some(secs) if self.proof.restart.is_some() => {
                Ok(patience + seconds(secs)? + RESTART_MAX)
            }
            _ => Ok(patience),
        }
    }

    /// Where mailboxes are read, if they are.
    pub(crate) fn door(&self) -> anyhow::Result<Option<Arc<Access>>> {
        let Some(imap) = &self.proof.imap else {
            return Ok(None);
        };
        let access = &self.wire.access;
        let password = access.password.clone();
        let tls = match self.proof.imap_tls {
            true => {
                let authorities = access.verify.as_deref();
                Tls::Implicit(TlsClient::new(host_of(imap), authorities, true)?)
            }
            false => Tls::None,
        };
        Ok(Some(Arc::new(Access {
            target: self.server.resolve(imap)?,
            sources: Sources::default(),
            tls,
            login: Login::Login,
            password: password.context("INBOXes are read with the accounts' --password")?,
            patience: access.patience()?,
        })))
    }

    /// When the server is to be killed.
    pub(crate) fn kill(&self, begun: &Arc<AtomicBool>) -> anyhow::Result<Option<Kill>> {
        let (Some(secs), Some(pid)) = (self.proof.kill_after, self.server.pid) else {
            return Ok(None);
        };
        let (after, restart) = (seconds(secs)?, self.proof.restart.clone());
        Kill::plan(after, pid, restart, begun.clone()).map(Some)
    }

    /// What was asked, as the report says it.
    pub(crate) fn described(&self) -> Load {
        let (load, message, wire) = (&self.load, &self.message, &self.wire);
        let mut with = Vec::new();
        with.push(String::from(
            match (wire.no_pipelining, wire.chain, wire.bdat) {
                (true, ..) => "no pipelining",
                (_, true, _) => "pipelining, chained",
                (.., true) => "pipelining, BDAT",
                _ => "pipelining",
            },
        ));
        if wire.no_pipelining && wire.bdat {
            with.push("BDAT".into());
        }
        with.extend(wire.access.told());
        match message.recipients {
            Fanout::Fixed(1) => {}
            Fanout::Fixed(count) => with.push(format!("{count} recipients")),
            Fanout::Mix => with.push("1 to 200 recipients".into()),
        }
        with.push(format!("{} accounts", message.accounts.len()));
        with.extend(load.told());
        Load {
            connections: load.connections,
            rate: load.rate,
            sizes: message.size.to_string(),
            messages_per_connection: load.per_connection,
            with,
        }
    }
}

impl LoadArgs {
    /// The load as a plan of clients with these settings.
    pub(crate) fn plan<S>(
        &self,
        settings: Arc<S>,
        patience: Duration,
        server: &ServerArgs,
    ) -> anyhow::Result<Plan<S>> {
        if self.connections == 0 || self.threads == 0 || self.threads > self.connections {
            return misused("a load needs at least one connection a thread");
        }
        demand_descriptors(self.connections, 1)?;
        let mut rates = [self.rate, self.ramp].into_iter().flatten();
        if rates.any(|rate| !(RATE_MIN..=RATE_MAX).contains(&rate)) {
            return misused("a rate is a number of messages a second, up to ten million");
        }
        let secs = self
            .secs
            .or(self.messages.is_none().then_some(SECS_DEFAULT));
        let warm_up = seconds(self.warm_up)?;
        let length = secs.map(seconds).transpose()?;
        Ok(Plan {
            settings,
            seed: self.seed,
            connections: self.connections,
            threads: self.threads,
            cores: self.cores.clone(),
            messages: self.messages,
            length: length.map(|length| length + warm_up),
            warm_up,
            tempo: self.tempo(secs),
            per_connection: self.per_connection,
            give_up: Some(patience),
            subject: server.subject(),
            folder: server.folder.clone(),
            begun: Arc::default(),
        })
    }

    fn tempo(&self, secs: Option<f64>) -> Option<Tempo> {
        let from = self.rate?;
        let rate = match self.ramp {
            Some(to) => Rate::Climbing(from, to, secs.unwrap_or(SECS_DEFAULT) + self.warm_up),
            None => Rate::Even(from),
        };
        let spacing = match self.poisson {
            true => Spacing::Poisson,
            false => Spacing::Constant,
        };
        Some(Tempo { rate, spacing })
    }

    /// How it differs from what is usual, for the report.
    pub(crate) fn told(&self) -> Vec<String> {
        let mut with = Vec::new();
        if self.poisson {
            with.push("Poisson arrivals".into());
        }
        if let Some(to) = self.ramp {
            with.push(format!("climbing to {to}/s"));
        }
        if self.threads > 1 {
            with.push(format!("{} threads", self.threads));
        }
        with
    }
}

impl TlsMode {
    /// As people call it; `None` in clear.
    pub(crate) fn told(self) -> Option<&'static str> {
        match self {
            TlsMode::None => None,
            TlsMode::Starttls => Some("STARTTLS"),
            TlsMode::Implicit => Some("implicit"),
        }
    }
}

impl AccessArgs {
    /// How TLS begins with the host of `target`.
    pub(crate) fn tls(&self, target: &str) -> anyhow::Result<Tls> {
        if self.tls == TlsMode::None {
            return Ok(Tls::None);
        }
        let host = host_of(target);
        let client = TlsClient::new(host, self.verify.as_deref(), !self.full_handshakes)?;
        Ok(match self.tls {
            TlsMode::Implicit => Tls::Implicit(client),
            _ => Tls::Start(client),
        })
    }

    pub(crate) fn patience(&self) -> anyhow::Result<Duration> {
        seconds(self.timeout)
    }

    pub(crate) fn told(&self) -> Option<String> {
        let begins = self.tls.told()?;
        let shaken = match self.full_handshakes {
            true => "full handshakes",
            false => "resumed",
        };
        Some(format!("TLS ({begins}), {shaken}"))
    }
}

impl ServerArgs {
    /// Whose use is measured.
    pub(crate) fn subject(&self) -> Option<Subject> {
        let is_known = self.pid.is_some() || self.cgroup.is_some();
        is_known.then(|| Subject {
            pid: self.pid,
            cgroup: self.cgroup.clone(),
        })
    }

    /// The address of a target that may be loaded.
    pub(crate) fn resolve(&self, target: &str) -> anyhow::Result<SocketAddr> {
        let found = target.to_socket_addrs().ok();
        let Some(address) = found.and_then(|mut found| found.next()) else {
            return misused(format!(
                "`{target}` is no host:port, or its name has no address"
            ));
        };
        let host = host_of(target);
        if address.ip().is_loopback() || self.i_own_this_server.as_deref() == Some(host) {
            return Ok(address);
        }
        misused(format!(
            "{host} is not this machine. A load test can take a server down; if it is yours, say \
             --i-own-this-server {host}"
        ))
    }
}

/// The host of `host:port`.
pub(crate) fn host_of(target: &str) -> &str {
    let host = target.rsplit_once(':').map_or(target, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

/// Refuses more connections than this process may hold, each with so many ends here: run out of
/// descriptors, it would measure itself.
pub(crate) fn demand_descriptors(connections: u32, ends: u32) -> anyhow::Result<()> {
    let wanted = u64::from(connections) * u64::from(ends) + OTHER_DESCRIPTORS;
    match rustix::process::getrlimit(Resource::Nofile).current {
        Some(limit) if wanted > limit => misused(format!(
            "{connections} connections take {wanted} descriptors here, and {limit} are allowed: \
             raise the limit first (ulimit -n {wanted})"
        )),
        _ => Ok(()),
    }
}

pub(crate) fn seconds(secs: f64) -> anyhow::Result<Duration> {
    match Duration::try_from_secs_f64(secs) {
        Ok(duration) if secs <= SECS_MAX => Ok(duration),
        _ => misused(format!(
            "{secs} is no number of seconds that a run can take"
        )),
    }
}

/// How long a killed server may take until it answers again.
const RESTART_MAX: Duration = Duration::from_secs(60);

/// A run without other bounds.
const SECS_DEFAULT: f64 = 10.0;

/// Rings, timers, files, and connections that read mailboxes.
const OTHER_DESCRIPTORS: u64 = 200;

/// Messages a second.
const RATE_MIN: f64 = 0.001;
const RATE_MAX: f64 = 1e7;

/// A day.
const SECS_MAX: f64 = 86_400.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_or_an_owned_server_is_a_target() {
        let stranger = ServerArgs::default();
        assert!(stranger.resolve("127.0.0.1:25").is_ok());
        assert!(stranger.resolve("[::1]:25").is_ok());
        let refused = stranger.resolve("192.0.2.1:25").unwrap_err().to_string();
        assert!(
            refused.contains("--i-own-this-server 192.0.2.1"),
            "{refused}"
        );
        let owner = ServerArgs {
            i_own_this_server: Some("192.0.2.1".into()),
            ..stranger
        };
        assert!(owner.resolve("192.0.2.1:25").is_ok());
        assert!(owner.resolve("192.0.2.2:25").is_err());
        assert!(owner.resolve("127.0.0.1").is_err());
    }

    #[test]
    fn more_connections_than_descriptors_are_refused() {
        assert!(demand_descriptors(10, 1).is_ok());
        if rustix::process::getrlimit(Resource::Nofile)
            .current
            .is_some()
        {
            let why = demand_descriptors(u32::MAX, 2).unwrap_err().to_string();
            assert!(why.contains("ulimit -n 8589934790"), "{why}");
        }
    }
}
