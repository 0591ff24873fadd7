//! `ringpost-bench compare`: sets servers up, loads them in turn, says how they compare.

use super::source::Source;
use super::turns::{Extent, Loaded, Taken, Turns};
use crate::client::pop3::Order;
use crate::load::fanout::Fanout;
use crate::load::sizes::Sizes;
use crate::outcome::Outcome;
use crate::peer::command::{SCRATCH, USERS};
use crate::peer::{Kind, Peer, Place, Target};
use crate::report;
use crate::scenario::imap::WorkArgs;
use crate::scenario::mixed::DayArgs;
use crate::scenario::options::{
    Inject, LoadArgs, MessageArgs, ProofArgs, ReportArgs, ServerArgs, TlsMode, WireArgs, misused,
};
use crate::scenario::relay::SINK;
use crate::scenario::submit::{self, submit};
use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The same load against several servers, in turn, repeated; ratios pair by pair
#[derive(Args, Clone, Debug)]
pub(crate) struct Compare {
    /// What they are loaded with
    #[arg(value_enum)]
    scenario: Scenario,
    /// Which, the first is compared with the others; `peers list` names them; or any host:port
    #[arg(long, required = true, value_delimiter = ',', value_name = "SERVER,…")]
    pub(super) servers: Vec<Kind>,
    /// Rounds
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// What loads them
    #[arg(long, value_enum, default_value_t = Generator::Own)]
    generator: Generator,
    /// Mailboxes of servers that are set up; of mixed the users
    #[arg(long, default_value_t = USERS)]
    users: usize,
    /// Where servers are set up; it decides which disk is measured
    #[arg(long, value_name = "DIR", default_value = SCRATCH)]
    scratch: PathBuf,
    /// Measure how long messages take to the INBOX, by watching the first N mailboxes by IMAP
    #[arg(long, value_name = "N")]
    pub(super) inbox: Option<u32>,
    /// A host:port that is not loopback is refused, unless this names its host
    #[arg(long, value_name = "HOST")]
    pub(super) i_own_this_server: Option<String>,
    #[command(flatten)]
    pub(super) load: LoadArgs,
    #[command(flatten)]
    pub(super) message: MessageArgs,
    #[command(flatten)]
    pub(super) wire: WireArgs,
    #[command(flatten)]
    pub(super) work: WorkArgs,
    #[command(flatten)]
    pub(super) poll: PollArgs,
    #[command(flatten)]
    pub(super) day: DayArgs,
    /// mixed: mail arrives by LMTP, and answers leave by it, instead of SMTP and submission
    #[arg(long, help_heading = "Days")]
    pub(super) lmtp: bool,
    /// relay: where the sink of this tool listens
    #[arg(long, value_name = "ADDRESS:PORT", default_value = SINK)]
    pub(super) sink: SocketAddr,
    #[command(flatten)]
    report: ReportArgs,
}

/// What polls of POP3 ask for.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Polls")]
pub(super) struct PollArgs {
    /// What a poll asks for; STAT is said in any case
    #[arg(
        long = "poll",
        value_enum,
        value_delimiter = ',',
        default_value = "stat,uidl,list,retr"
    )]
    pub(super) orders: Vec<Order>,
    /// Messages of a poll, the newest, for which top, retr and dele are said
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub(super) each: u32,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Scenario {
    Smtp,
    /// With a login and implicit TLS
    Submission,
    Lmtp,
    /// Sessions that append, fetch, flag, search
    Imap,
    /// Polls of mailboxes that are filled first
    Pop3,
    /// Users' days; mail by SMTP and submission
    Mixed,
    /// Mail that is passed on, into a sink of this tool
    Relay,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Generator {
    /// Our own clients
    Own,
    /// Postfix's smtp-source, which tells rates only
    SmtpSource,
}

impl Compare {
    pub(crate) fn run(&self, stop: &Arc<AtomicBool>) -> anyhow::Result<ExitCode> {
        self.check()?;
        let place = Place {
            scratch: self.scratch.clone(),
            users: self.users,
            next_hop: (self.scenario == Scenario::Relay).then_some(self.sink),
        };
        let raised = self.servers.iter().map(|kind| {
            eprintln!("setting up {kind}");
            Peer::raise(kind, &place)
        });
        let peers = raised.collect::<anyhow::Result<Vec<Peer>>>()?;
        let targets: Vec<&Target> = peers.iter().map(|peer| &peer.target).collect();
        let taken = self.take(&targets, stop);
        for peer in peers {
            peer.clear()?;
        }
        self.tell(&taken?)
    }

    /// What would be found out too late.
    fn check(&self) -> anyhow::Result<()> {
        if self.runs == 0 || self.users == 0 {
            return misused("a comparison needs one run and one mailbox at least");
        }
        if self.message.recipients == Fanout::Mix {
            return misused(
                "how many copies must arrive is not known with --recipients mix: give a number",
            );
        }
        if self.load.steps.is_some() {
            return misused("a comparison loads all servers alike: --steps is for one server");
        }
        if self.generator == Generator::SmtpSource {
            self.source()?;
        }
        match self.scenario {
            Scenario::Smtp | Scenario::Submission | Scenario::Lmtp => {}
            Scenario::Imap => self.check_sessions()?,
            Scenario::Pop3 => self.check_mailboxes()?,
            Scenario::Mixed => self.check_days()?,
            Scenario::Relay => self.check_relaying()?,
        }
        Ok(())
    }

    fn take(&self, targets: &[&Target], stop: &Arc<AtomicBool>) -> anyhow::Result<Taken> {
        let mut kept = |outcomes: &[Outcome]| {
            if let Some(outcome) = outcomes.last() {
                eprintln!("{}", report::line(outcome));
            }
            match &self.report.json {
                Some(file) => report::write(file, outcomes),
                None => Ok(()),
            }
        };
        let mut turns = Turns {
            runs: self.runs,
            scratch: self.scratch.clone(),
            command: std::env::args().collect(),
            kept: &mut kept,
            is_stopped: &|| stop.load(Ordering::Relaxed),
        };
        match self.generator {
            Generator::Own => turns.take(targets, &mut |target, extent| {
                self.own(target, extent, stop)
            }),
            Generator::SmtpSource => {
                let source = self.source()?;
                let mut pace = Pace::default();
                turns.take(targets, &mut |target, extent| {
                    let messages = match (extent, self.load.messages) {
                        (Extent::Pilot, _) => PILOT_MESSAGES,
                        (Extent::Whole, Some(messages)) => messages,
                        (Extent::Whole, None) => pace.messages(target, self.secs()),
                    };
                    let outcome = source.load(target, messages)?;
                    pace.learn(target, &outcome);
                    let copies = outcome.counts.acknowledged;
                    Ok(Loaded {
                        outcome,
                        copies: Some(copies),
                    })
                })
            }
        }
    }

    fn secs(&self) -> f64 {
        self.load.secs.unwrap_or(SECS_DEFAULT)
    }

    fn own(
        &self,
        target: &Target,
        extent: Extent,
        stop: &Arc<AtomicBool>,
    ) -> anyhow::Result<Loaded> {
        let (kind, door) = match self.scenario {
            Scenario::Smtp => (submit::Kind::Smtp, &target.doors.smtp),
            Scenario::Submission => (submit::Kind::Submission, &target.doors.submissions),
            Scenario::Lmtp => (submit::Kind::Lmtp, &target.doors.lmtp),
            Scenario::Imap => return self.sessions(target, extent, stop),
            Scenario::Pop3 => return self.polls(target, extent, stop),
            Scenario::Mixed => return self.days(target, extent, stop),
            Scenario::Relay => return self.relaying(target, extent, stop),
        };
        let what = || format!("{} has no door for this scenario", target.name);
        let door = door.as_ref().with_context(what)?;
        let inject = self.inject(target, door, extent)?;
        let ending = submit(kind, &inject, stop.clone())?;
        if ending.failed {
            bail!("{}", ending.outcome.remarks.join("; "));
        }
        let outcome = ending.outcome;
        let recipients = match self.message.recipients {
            Fanout::Fixed(count) => u64::from(count.min(inject.message.accounts.len())),
            Fanout::Mix => 1,
        };
        let copies = outcome.counts.acknowledged * recipients;
        Ok(Loaded {
            outcome,
            copies: Some(copies),
        })
    }

    /// The load for one server; the pilot is the warm-up.
    pub(super) fn inject(
        &self,
        target: &Target,
        door: &str,
        extent: Extent,
    ) -> anyhow::Result<Inject> {
        let mut inject = Inject {
            target: door.to_string(),
            load: self.load.clone(),
            message: self.message.clone(),
            wire: self.wire.clone(),
            server: ServerArgs {
                i_own_this_server: self.i_own_this_server.clone(),
                folder: target.folder.clone(),
                durability: Some(target.durability.clone()),
                ..ServerArgs::default()
            },
            proof: ProofArgs::default(),
            report: ReportArgs::default(),
        };
        inject.load.warm_up = 0.0;
        if target.folder.is_some() {
            let accounts = target.users.join(",").parse();
            inject.message.accounts = accounts.map_err(anyhow::Error::msg)?;
            inject.wire.access.password = Some(target.password.clone());
            if self.scenario == Scenario::Submission {
                inject.wire.access.tls = TlsMode::Implicit;
            }
            if target.next_hop.is_none() {
                inject.proof.imap.clone_from(&target.doors.imap);
            }
        }
        let is_read = inject.proof.imap.is_some();
        match extent {
            Extent::Pilot => {
                inject.load.messages = Some(PILOT_MESSAGES);
                inject.load.secs = None;
                inject.proof.audit = is_read;
            }
            Extent::Whole => inject.proof.inbox = self.inbox.filter(|_| is_read),
        }
        Ok(inject)
    }

    /// What smtp-source can do of what was asked.
    fn source(&self) -> anyhow::Result<Source> {
        if !matches!(self.scenario, Scenario::Smtp | Scenario::Lmtp) {
            return misused("smtp-source sends mail by SMTP or LMTP");
        }
        let Sizes::One(bytes) = self.message.size else {
            return misused("smtp-source sends messages of one size: give --size 4k or the like");
        };
        if self.scenario == Scenario::Submission {
            return misused("smtp-source knows neither TLS nor logins");
        }
        if self.message.recipients != Fanout::Fixed(1) || self.load.rate.is_some() {
            return misused("smtp-source sends to one recipient, as fast as it goes");
        }
        let is_kept = match self.load.per_connection {
            None => true,
            Some(1) => false,
            Some(_) => return misused("smtp-source sends one message a connection, or all"),
        };
        Ok(Source {
            sessions: self.load.connections,
            is_kept,
            bytes,
            is_lmtp: self.scenario == Scenario::Lmtp,
        })
    }

    fn tell(&self, taken: &Taken) -> anyhow::Result<ExitCode> {
        print!("{}", report::summary(&taken.outcomes));
        if let Some(file) = &self.report.html {
            report::write_page(file, &taken.outcomes)?;
        }
        for failure in &taken.failures {
            eprintln!("ringpost-bench: {failure}");
        }
        Ok(
            match taken.failures.is_empty() && !taken.outcomes.is_empty() {
                true => ExitCode::SUCCESS,
                false => ExitCode::FAILURE,
            },
        )
    }
}

/// How many messages smtp-source must be given to be busy for so long: as the last run went.
#[derive(Default)]
struct Pace {
    known: Vec<(String, f64)>,
}

impl Pace {
    fn learn(&mut self, target: &Target, outcome: &Outcome) {
        self.known.retain(|(name, _)| *name != target.name);
        self.known.push((target.name.clone(), outcome.rate()));
    }

    fn messages(&self, target: &Target, secs: f64) -> u64 {
        let known = self.known.iter().find(|(name, _)| *name == target.name);
        let rate = known.map_or(0.0, |(_, rate)| *rate);
        (rate * secs).clamp(PILOT_MESSAGES as f64, MESSAGES_MAX) as u64
    }
}

/// Enough to make twenty mailboxes and to start every process.
pub(super) const PILOT_MESSAGES: u64 = 500;
const SECS_DEFAULT: f64 = 10.0;
/// What a guess from a pilot may come to.
const MESSAGES_MAX: f64 = 10e6;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::peer::Doors;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        compare: Compare,
    }

    /// As the command line gives it, which must make sense to clap.
    pub(in crate::compare) fn compare(line: &str) -> Compare {
        let words = ["bench"].into_iter().chain(line.split_whitespace());
        Line::try_parse_from(words).unwrap().compare
    }

    #[test]
    fn the_line_of_the_readme_is_understood() {
        let compare = compare(
            "smtp --servers ringpost,postfix-dovecot,exim,opensmtpd --runs 5 --size 4k \
             --connections 10",
        );
        assert_eq!((compare.servers.len(), compare.runs), (4, 5));
        assert!(compare.check().is_ok());
        let target = Target {
            users: vec!["a@example.test".to_string(), "b@example.test".to_string()],
            folder: Some(PathBuf::from("/")),
            ..Target::default()
        };
        let pilot = compare
            .inject(&target, "127.0.0.1:25", Extent::Pilot)
            .unwrap();
        assert_eq!((pilot.load.messages, pilot.load.secs), (Some(500), None));
        assert_eq!(pilot.message.accounts.len(), 2);
        assert!(!pilot.proof.audit, "it has no door for that");
        let read = Target {
            doors: Doors {
                imap: Some("127.0.0.1:143".to_string()),
                ..Doors::default()
            },
            ..target.clone()
        };
        let pilot = compare
            .inject(&read, "127.0.0.1:25", Extent::Pilot)
            .unwrap();
        assert!(pilot.proof.audit && pilot.wire.access.password.is_some());
        let whole = compare
            .inject(&target, "127.0.0.1:25", Extent::Whole)
            .unwrap();
        assert_eq!(whole.load.messages, None);
    }

    #[test]
    fn what_smtp_source_cannot_do_is_refused_before_anything_starts() {
        let source = "smtp --servers ringpost --generator smtp-source";
        let kept = compare(source).source().unwrap();
        assert!(kept.is_kept && kept.sessions == 10 && !kept.is_lmtp);
        let single = compare(&format!("{source} --per-connection 1"))
            .source()
            .unwrap();
        assert!(!single.is_kept);
        for wrong in [
            "--size classic",
            "--recipients 2",
            "--per-connection 7",
            "--rate 5",
        ] {
            assert!(
                compare(&format!("{source} {wrong}")).check().is_err(),
                "{wrong}"
            );
        }
        assert!(
            compare("smtp --servers exim --recipients mix")
                .check()
                .is_err()
        );
        assert!(compare("smtp --servers exim --runs 0").check().is_err());
    }

    #[test]
    fn the_pace_is_that_of_the_last_run_within_bounds() {
        let target = Target {
            name: "x".to_string(),
            ..Target::default()
        };
        let pace = Pace::default();
        assert_eq!(pace.messages(&target, 10.0), PILOT_MESSAGES);
        let pace = Pace {
            known: vec![("y".to_string(), 1.0), ("x".to_string(), 1000.0)],
        };
        assert_eq!(pace.messages(&target, 10.0), 10_000);
    }
}
