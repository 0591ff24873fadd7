//! Import: sources into the mailboxes of one account.

use super::Format;
use super::feed::{self, Turn};
use super::landing::{Counts, Landing, Terms};
use super::receipt::Receipts;
use super::report::Report;
use super::source::{self, Found};
use crate::client::{Client, table};
use crate::offline::{self, Housekeeper, Offline};
use crate::progress::Progress;
use crate::usage::Usage;
use anyhow::Context;
use crossbeam_channel::Receiver;
use serde_json::json;
use std::path::PathBuf;
use store::mail::id::AccountId;

/// What is to be imported.
pub(crate) struct Order {
    pub(crate) address: String,
    /// Where to, if not where names of the source say.
    pub(crate) mailbox: Option<String>,
    pub(crate) format: Option<Format>,
    pub(crate) sources: Vec<PathBuf>,
    pub(crate) terms: Terms,
    pub(crate) report: Option<PathBuf>,
}

/// Imports what can be imported, and tells the rest; whether nothing was left out.
pub(crate) fn run(client: &Client, order: Order) -> anyhow::Result<bool> {
    let address = offline::canonical(&order.address).map_err(Usage::of)?;
    let home = offline::claim(client.data())?;
    let found = discover(&order)?;
    let mut report = Report::new(order.report.as_deref())?;
    for trouble in &found.troubles {
        report.left_out(trouble);
    }
    let progress = Progress::of(found.folders.iter().map(|folder| folder.octets).sum());
    let mut intake = Intake {
        address: &address,
        found: &found,
        receipts: Receipts::read(client.data(), &address)?,
        terms: order.terms,
        report,
        progress: &progress,
        keeper: Housekeeper::new(&home),
        done: Vec::new(),
        is_new: false,
    };
    let taken = feed::run(&found.folders, |turns| {
        let intake = &mut intake;
        offline::with_owner(&home, &address, async move |shard| {
            intake.take(&shard, &turns).await
        })
    });
    progress.end();
    if intake.is_new {
        client.note(&format!(
            "{address} was not in the store; it can log in when the configuration file names it, \
             or with a password of ringpostctl account passwd"
        ));
    }
    conclude(
        client,
        intake.done,
        progress.elapsed().as_secs_f64(),
        intake.report,
        taken,
    )
}

fn discover(order: &Order) -> anyhow::Result<Found> {
    let mut all = Found::default();
    for path in &order.sources {
        let found = source::discover(path, order.format, order.mailbox.as_deref());
        let mut found = found.map_err(Usage::of)?;
        all.folders.append(&mut found.folders);
        all.subscriptions.append(&mut found.subscriptions);
        all.troubles.append(&mut found.troubles);
    }
    Ok(all)
}

struct Intake<'a> {
    address: &'a str,
    found: &'a Found,
    receipts: Receipts,
    terms: Terms,
    report: Report,
    progress: &'a Progress,
    keeper: Housekeeper,
    done: Vec<Counts>,
    /// The account was made for this.
    is_new: bool,
}

impl Intake<'_> {
    async fn take(&mut self, shard: &Offline, turns: &Receiver<Turn>) -> anyhow::Result<()> {
        self.is_new = shard.account(self.address).is_none();
        let account = shard.open_account(self.address).await?;
        let mut open: Option<(usize, Landing)> = None;
        for turn in turns {
            let landing = match open.take() {
                Some((folder, landing)) if folder == turn.folder => landing,
                other => {
                    self.finish(other).await?;
                    self.begin(shard, account, turn.folder).await?
                }
            };
            let (_, landing) = open.insert((turn.folder, landing));
            for parcel in turn.parcels {
                landing
                    .take(parcel, &mut self.report, self.progress)
                    .await?;
                self.keeper.look(shard).await?;
            }
        }
        self.finish(open).await?;
        self.keeper.checkpoint(shard).await?;
        for name in &self.found.subscriptions {
            shard.subscribe(account, name, true).await?;
        }
        Ok(())
    }

    async fn begin(
        &mut self,
        shard: &Offline,
        account: AccountId,
        number: usize,
    ) -> anyhow::Result<Landing> {
        let folder = self
            .found
            .folders
            .get(number)
            .context("a folder is numbered by us")?;
        Landing::open(shard, account, folder, &mut self.receipts, self.terms).await
    }

    async fn finish(&mut self, open: Option<(usize, Landing)>) -> anyhow::Result<()> {
        if let Some((_, landing)) = open {
            self.done.push(landing.finish(&mut self.report).await?);
        }
        Ok(())
    }
}

fn conclude(
    client: &Client,
    done: Vec<Counts>,
    secs: f64,
    report: Report,
    taken: anyhow::Result<()>,
) -> anyhow::Result<bool> {
    if client.is_json() {
        let mailboxes: Vec<_> = done.iter().map(as_json).collect();
        let (left_out, notes) = (report.left_out, report.remarks);
        println!(
            "{}",
            json!({ "mailboxes": mailboxes, "left_out": left_out, "notes": notes, "secs": secs })
        );
    } else {
        print!("{}", table(HEADINGS, done.iter().map(as_row)));
        let sum: u64 = done.iter().map(|counts| counts.imported).sum();
        println!(
            "{sum} messages imported in {secs:.1} s, {:.0}/s",
            sum as f64 / secs.max(0.001)
        );
    }
    let is_whole = report.conclude();
    taken.map(|()| is_whole)
}

fn as_json(counts: &Counts) -> serde_json::Value {
    json!({
        "mailbox": counts.mailbox,
        "imported": counts.imported,
        "there": counts.there,
        "left_out": counts.left_out,
        "uids_kept": counts.uids_kept,
        "uidls": counts.uidls,
        "octets": counts.octets,
    })
}

fn as_row(counts: &Counts) -> [String; 6] {
    [
        counts.mailbox.clone(),
        counts.imported.to_string(),
        counts.there.to_string(),
        counts.left_out.to_string(),
        counts.uids_kept.to_string(),
        counts.octets.to_string(),
    ]
}

const HEADINGS: [&str; 6] = [
    "MAILBOX",
    "IMPORTED",
    "THERE BEFORE",
    "LEFT OUT",
    "UIDS KEPT",
    "OCTETS",
];
