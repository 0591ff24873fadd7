//! `sink`: a server that takes mail and stores nothing, or misbehaves by plan; for relays, and to
//! try clients and audits on.

use super::basin::Basin;
use super::live::LiveLine;
use super::options::{ReportArgs, TlsMode, misused};
use super::submit::Ending;
use crate::client::sink::Settings;
use crate::client::sink::cover::{self, Cover};
use crate::client::sink::plan::Plan;
use crate::client::sink::record::{Copy, Record};
use crate::client::smtp::Dialect;
use crate::load::stamp;
use crate::measure::machine::machine;
use crate::outcome::{Audit, Load, Outcome};
use clap::Args;
use engine::reactor::clock::instant;
use engine::reactor::{Now, idle};
use indicatif::HumanCount;
use std::collections::HashMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Takes mail until it is interrupted
#[derive(Args, Clone, Debug)]
pub(crate) struct SinkArgs {
    /// Where to listen
    #[arg(value_name = "ADDRESS:PORT", default_value = "127.0.0.1:2526")]
    listen: SocketAddr,
    /// Threads
    #[arg(long, default_value_t = 1, value_name = "N")]
    threads: u32,
    /// Seconds until it ends [default: until Ctrl-C]
    #[arg(long = "for", value_name = "SECONDS")]
    secs: Option<f64>,
    /// Every 50 ms a line on standard output: milliseconds of the monotonic clock, copies taken
    #[arg(long)]
    tell: bool,
    #[command(flatten)]
    behaviour: Behaviour,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// How a sink behaves.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Sink (shares in percent of all messages)")]
pub(crate) struct Behaviour {
    /// Speak LMTP: an answer for each recipient
    #[arg(long)]
    pub(crate) lmtp: bool,
    /// Messages a second that the sink accepts at most
    #[arg(long, value_name = "PER_SECOND")]
    pub(crate) sink_rate: Option<f64>,
    /// Answered 452
    #[arg(long, default_value_t = 0.0, value_name = "PERCENT")]
    defer: f64,
    /// Answered 550
    #[arg(long, default_value_t = 0.0, value_name = "PERCENT")]
    reject: f64,
    /// Answered 250, an octet at a time
    #[arg(long, default_value_t = 0.0, value_name = "PERCENT")]
    drip: f64,
    /// The connection is reset instead
    #[arg(long, default_value_t = 0.0, value_name = "PERCENT")]
    reset: f64,
    /// Never answered
    #[arg(long, default_value_t = 0.0, value_name = "PERCENT")]
    stall: f64,
    /// Acknowledged and lost: an audit must find it
    #[arg(long, default_value_t = 0.0, value_name = "PERCENT")]
    lose: f64,
    /// Acknowledged and kept twice: an audit must find it
    #[arg(long, default_value_t = 0.0, value_name = "PERCENT")]
    double: f64,
    /// Acknowledged and changed by one bit: an audit must find it
    #[arg(long, default_value_t = 0.0, value_name = "PERCENT")]
    alter: f64,
    /// Takes connections and never says a word, not even the banner
    #[arg(long)]
    mute: bool,
    /// Repeats what the sink does
    #[arg(long, default_value_t = 1, value_name = "N")]
    sink_seed: u64,
    /// Speak TLS, with a certificate made on the spot; by STARTTLS it is up to the client
    #[arg(long, value_enum, default_value_t = TlsMode::None)]
    sink_tls: TlsMode,
    /// Write that certificate here, for clients that verify it (localhost, 127.0.0.1)
    #[arg(long, value_name = "FILE")]
    sink_cert: Option<PathBuf>,
}

impl Behaviour {
    pub(crate) fn takes_all() -> Behaviour {
        Behaviour {
            lmtp: false,
            sink_rate: None,
            defer: 0.0,
            reject: 0.0,
            drip: 0.0,
            reset: 0.0,
            stall: 0.0,
            lose: 0.0,
            double: 0.0,
            alter: 0.0,
            mute: false,
            sink_seed: 1,
            sink_tls: TlsMode::None,
            sink_cert: None,
        }
    }

    /// The settings of a sink of `threads` threads.
    pub(crate) fn settings(
        &self,
        accounts: HashMap<String, u32>,
        threads: u32,
    ) -> anyhow::Result<Settings> {
        let plan = Plan {
            defer: self.defer,
            reject: self.reject,
            drip: self.drip,
            reset: self.reset,
            stall: self.stall,
            lose: self.lose,
            double: self.double,
            alter: self.alter,
        };
        if let Err(why) = plan.check() {
            return misused(why.to_string());
        }
        if self.sink_rate.is_some_and(|rate| rate <= 0.0) {
            return misused("--sink-rate is a number above zero");
        }
        Ok(Settings {
            dialect: match self.lmtp {
                true => Dialect::Lmtp,
                false => Dialect::Smtp,
            },
            cover: self.cover()?,
            plan,
            is_mute: self.mute,
            seed: self.sink_seed,
            rate: self.sink_rate.map(|rate| rate / f64::from(threads)),
            accounts,
            recorded: Arc::default(),
            taken: Arc::default(),
        })
    }

    fn cover(&self) -> anyhow::Result<Cover> {
        let context = || cover::context(self.sink_cert.as_deref());
        match self.sink_tls {
            TlsMode::None if self.sink_cert.is_some() => {
                misused("--sink-cert is of a sink that speaks TLS: --sink-tls says how")
            }
            TlsMode::None => Ok(Cover::None),
            TlsMode::Starttls => Ok(Cover::Start(context()?)),
            TlsMode::Implicit => Ok(Cover::Implicit(context()?)),
        }
    }

    fn told(&self) -> Vec<String> {
        let shares = [
            ("deferred", self.defer),
            ("rejected", self.reject),
            ("dripping", self.drip),
            ("reset", self.reset),
            ("stalled", self.stall),
            ("lost", self.lose),
            ("doubled", self.double),
            ("altered", self.alter),
        ];
        let some = shares.iter().filter(|(_, share)| *share > 0.0);
        let some = some.map(|(what, share)| format!("{share} % {what}"));
        let tls = self.sink_tls.told().map(|begins| format!("TLS ({begins})"));
        let mute = self.mute.then(|| "mute".to_owned());
        some.chain(tls).chain(mute).collect()
    }
}

/// Takes mail until `stop`, or for as long as was said.
pub(crate) fn sink(args: &SinkArgs, stop: &AtomicBool) -> anyhow::Result<Ending> {
    let began = Now::read();
    if args.threads == 0 {
        return misused("a sink needs a thread");
    }
    let settings = args.behaviour.settings(HashMap::new(), args.threads)?;
    let basin = Basin::open(args.listen, args.threads, settings)?;
    eprintln!("listening on {}; Ctrl-C ends it", basin.address);
    let (line, start) = (LiveLine::new(), instant());
    let length = args.secs.map(Duration::try_from_secs_f64).transpose();
    let Ok(length) = length.map(|length| length.unwrap_or(Duration::MAX)) else {
        return misused("--for is a number of seconds");
    };
    while !stop.load(Ordering::Relaxed) && start.elapsed() < length {
        idle::rest(if args.tell { TELL } else { LOOK });
        match args.tell {
            true => tell(basin.taken())?,
            false => line.say(format!("{} copies taken", HumanCount(basin.taken()))),
        }
    }
    line.clear();
    let address = basin.address;
    let record = basin.close()?;
    let outcome = outcome(args, address, &record, began);
    Ok(Ending {
        failed: false,
        outcome,
    })
}

/// Whoever reads it has both numbers of one moment.
fn tell(taken: u64) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} {taken}", Now::read().monotonic_millis)?;
    Ok(out.flush()?)
}

fn outcome(args: &SinkArgs, address: SocketAddr, record: &Record, began: Now) -> Outcome {
    let mut remarks: Vec<String> = record.handshakes.told().into_iter().collect();
    if record.unstamped > 0 {
        remarks.push(format!(
            "{} messages had no stamp: they are not of a load of this tool",
            record.unstamped
        ));
    }
    Outcome {
        scenario: "sink".into(),
        command: std::env::args().collect(),
        target: format!("sink {address}"),
        durability: Some("none: nothing is stored".into()),
        machine: machine(None),
        began_secs: began.unix_secs() as i64,
        elapsed_micros: record.ended_micros.saturating_sub(record.began_micros),
        load: Load {
            connections: u32::try_from(record.connections).unwrap_or(u32::MAX),
            rate: args.behaviour.sink_rate,
            sizes: "as they came".into(),
            messages_per_connection: None,
            with: args.behaviour.told(),
        },
        counts: record.counts,
        octets: record.octets,
        answers: [
            ("250", record.counts.acknowledged),
            ("452 4.3.1", record.counts.deferred),
            ("550 5.7.1", record.counts.refused),
            ("none", record.counts.unanswered),
        ]
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(answer, count)| (answer.to_owned(), count))
        .collect(),
        phases: record.latencies.phases(),
        seconds: record.seconds.clone().into_vec(),
        audit: Some(alone(&record.copies)),
        remarks,
        ..Outcome::default()
    }
}

/// What a sink can see without knowing what was sent: copies that came twice or changed.
fn alone(copies: &[Copy]) -> Audit {
    let mut copies = copies.to_vec();
    copies.sort_unstable_by_key(|copy| (copy.run, copy.sighting));
    let mut audit = Audit {
        acknowledged: copies.len() as u64,
        ..Audit::default()
    };
    let key = |copy: &Copy| (copy.run, copy.sighting.number, copy.sighting.account);
    for same in copies.chunk_by(|a, b| key(a) == key(b)) {
        let Some(first) = same.first() else { continue };
        let name = || stamp::id(first.run, first.sighting.number);
        audit.found += 1;
        if same.len() > 1 {
            audit.doubled_count += same.len() as u64 - 1;
            note(&mut audit.doubled, name());
        }
        let altered = same.iter().filter(|copy| !copy.sighting.is_intact).count();
        if altered > 0 {
            audit.altered_count += altered as u64;
            note(&mut audit.altered, name());
        }
    }
    audit
}

fn note(names: &mut Vec<String>, name: String) {
    if names.len() < Audit::NAMED_MAX {
        names.push(name);
    }
}

/// How often it looks whether it is to end.
const LOOK: Duration = Duration::from_millis(200);

/// Between two lines of `--tell`.
const TELL: Duration = Duration::from_millis(50);
