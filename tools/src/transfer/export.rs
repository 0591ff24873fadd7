//! Export: the mailboxes of accounts into files, a thread a shard.

use super::flags::Marks;
use super::outlet::{Header, Looks, Outlet, make_folders, make_maildir, new_file};
use super::parcel::{Spot, Trouble};
use super::report::Report;
use super::uidls::Uidls;
use super::{Format, dovecot, name};
use crate::client::{Client, table};
use crate::offline::{self, Offline};
use crate::progress::Progress;
use crate::usage::Usage;
use anyhow::{Context, bail};
use engine::wire::imap::name::canonical;
use serde_json::json;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use store::disk::home::Home;
use store::error::ReadError;
use store::mail::uidset::UidSet;
use store::mailbox::{MailboxInfo, Row, View};
use store::shard::{Message, StoredAccount};

/// What is to be exported.
pub(crate) struct Order {
    /// All of them, if empty.
    pub(crate) accounts: Vec<String>,
    /// All of them, if empty.
    pub(crate) mailboxes: Vec<String>,
    pub(crate) format: Format,
    pub(crate) target: PathBuf,
    pub(crate) report: Option<PathBuf>,
}

/// Exports what can be read, and tells the rest; whether nothing was left out.
pub(crate) fn run(client: &Client, order: Order) -> anyhow::Result<bool> {
    let accounts = order.accounts.iter().map(|text| offline::canonical(text));
    let accounts: Vec<String> = accounts.collect::<Result<_, _>>().map_err(Usage::of)?;
    let home = offline::claim(client.data())?;
    make_folders(&order.target).with_context(|| format!("{}", order.target.display()))?;
    let export = Export {
        home: &home,
        format: order.format,
        target: &order.target,
        wanted: order.mailboxes.iter().map(|name| canonical(name)).collect(),
        progress: Progress::of(0),
        report: Mutex::new(Report::new(order.report.as_deref())?),
        tally: Mutex::default(),
        accounts,
    };
    let written = export.shards();
    export.progress.end();
    rustix::fs::syncfs(File::open(&order.target)?)?;
    export.conclude(client, written)
}

struct Export<'a> {
    home: &'a Home,
    format: Format,
    target: &'a Path,
    accounts: Vec<String>,
    /// Names of mailboxes.
    wanted: BTreeSet<String>,
    progress: Progress,
    report: Mutex<Report>,
    tally: Mutex<Tally>,
}

#[derive(Default)]
struct Tally {
    counts: Vec<Counts>,
    /// Accounts and mailboxes that were asked for and found.
    accounts: BTreeSet<String>,
    mailboxes: BTreeSet<String>,
}

/// What became of one mailbox.
struct Counts {
    account: String,
    mailbox: String,
    exported: u64,
    left_out: u64,
    octets: u64,
}

impl Export<'_> {
    /// Shards share nothing, so threads take them in turn.
    fn shards(&self) -> anyhow::Result<()> {
        let shards = self.home.identity.shards;
        let next = AtomicU16::new(0);
        let take_turns = || -> anyhow::Result<()> {
            loop {
                let shard = next.fetch_add(1, Ordering::Relaxed);
                if shard >= shards {
                    return Ok(());
                }
                offline::with_shard(self.home, shard, async |shard| self.shard(&shard).await)?;
            }
        };
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let threads = threads.min(usize::from(shards));
        thread::scope(|scope| {
            let started: Vec<_> = (0..threads).map(|_| scope.spawn(take_turns)).collect();
            let ended = started.into_iter().map(|thread| match thread.join() {
                Ok(outcome) => outcome,
                Err(_) => bail!("a thread of the export panicked"),
            });
            ended.collect()
        })
    }

    async fn shard(&self, shard: &Offline) -> anyhow::Result<()> {
        let mut accounts = shard.accounts();
        accounts.sort_by(|a, b| a.address.cmp(&b.address));
        accounts
            .retain(|account| self.accounts.is_empty() || self.accounts.contains(&account.address));
        for account in &accounts {
            let octets = account.usage.load(Ordering::Relaxed);
            self.progress.grow(octets);
        }
        for account in &accounts {
            self.account(shard, account).await?;
        }
        Ok(())
    }

    async fn account(&self, shard: &Offline, account: &StoredAccount) -> anyhow::Result<()> {
        self.tally().accounts.insert(account.address.clone());
        let folder = self.target.join(name::to_file(&account.address));
        if folder.exists() {
            bail!(
                "{} is there already; export into another folder",
                folder.display()
            );
        }
        make_folders(&folder)?;
        if self.format == Format::Maildir {
            make_maildir(&folder)?;
        }
        let subscriptions = shard.subscriptions(account.id);
        let subscriptions = dovecot::subscriptions(subscriptions.iter());
        new_file(&folder.join(dovecot::SUBSCRIPTIONS))?.write_all(&subscriptions)?;
        for info in shard.mailboxes(account.id) {
            if self.wanted.is_empty() || self.wanted.contains(&info.name) {
                self.tally().mailboxes.insert(info.name.clone());
                let done = self.mailbox(shard, account, &info, &folder).await;
                let of = || format!("{}, mailbox {}", account.address, info.name);
                self.tally().counts.push(done.with_context(of)?);
            }
        }
        Ok(())
    }

    async fn mailbox(
        &self,
        shard: &Offline,
        account: &StoredAccount,
        info: &MailboxInfo,
        folder: &Path,
    ) -> anyhow::Result<Counts> {
        let gone = "a mailbox stays while nobody else has the store";
        let status = shard.status(account.id, info.id).context(gone)?;
        let view = shard.view(account.id, info.id, false).context(gone)?;
        let keywords = shard.keywords(account.id, info.id);
        self.note_keywords(account, info, &keywords);
        let mut out = Outlet::create(self.format, folder, info, &status, &keywords)?;
        let mut counts = Counts {
            account: account.address.clone(),
            mailbox: info.name.clone(),
            exported: 0,
            left_out: 0,
            octets: 0,
        };
        let uidls = Uidls::read(shard, account.id, view.uid_validity)?;
        for row in rows(shard, &view) {
            let mut marks = marks(&row, &keywords);
            let brought = uidls.brought(row.uid);
            marks.uidl = brought.map(|text| String::from_utf8_lossy(text).into());
            match self.message(shard, &view, &row, &marks, &mut out).await? {
                Ok(()) => {
                    counts.exported += 1;
                    counts.octets += u64::from(row.octets);
                }
                Err(error) => {
                    counts.left_out += 1;
                    let place = format!("{}/{}/{}", account.address, info.name, row.uid);
                    self.report().left_out(&trouble(&place, error.to_string()));
                }
            }
            self.progress.octets(u64::from(row.octets));
            self.progress.message();
        }
        out.finish()?;
        Ok(counts)
    }

    /// Writes one message. The inner error is that of the store: the message cannot be read.
    async fn message(
        &self,
        shard: &Offline,
        view: &View,
        row: &Row,
        marks: &Marks,
        out: &mut Outlet,
    ) -> anyhow::Result<Result<(), ReadError>> {
        let (message, looks, first) = match self.look(shard, row).await {
            Ok(looked) => looked,
            Err(error) => return Ok(Err(error)),
        };
        let header = Header {
            uid: row.uid,
            date: row.internal_date,
            marks,
            is_recent: view.recent().contains(row.uid),
            octets: message.octets,
            looks: &looks,
        };
        out.begin(&header)?;
        out.push(&first)?;
        let mut from = first.len() as u64;
        while from < message.octets {
            let octets = shard.read(&message, from, from + READ_BYTES).await?;
            out.push(&octets)?;
            from += octets.len() as u64;
        }
        out.end(&header)?;
        Ok(Ok(()))
    }

    /// Reads a message once, so that nothing of it is written if it is damaged; gives out its
    /// first octets.
    async fn look(
        &self,
        shard: &Offline,
        row: &Row,
    ) -> Result<(Message, Looks, Vec<u8>), ReadError> {
        let message = shard.message(row.delivery).await?;
        let mut looks = Looks::default();
        let first = shard.read(&message, 0, READ_BYTES).await?;
        looks.push(&first);
        let mut from = first.len() as u64;
        while from < message.octets {
            let octets = shard.read(&message, from, from + READ_BYTES).await?;
            looks.push(&octets);
            from += octets.len() as u64;
        }
        Ok((message, looks, first))
    }

    /// A Maildir has letters for the first 26 keywords only.
    fn note_keywords(&self, account: &StoredAccount, info: &MailboxInfo, keywords: &[String]) {
        let beyond = keywords.get(dovecot::LETTERS..).unwrap_or_default();
        if self.format == Format::Maildir && !beyond.is_empty() {
            let place = format!("{}/{}", account.address, info.name);
            let why = format!(
                "a Maildir has no letters for the keywords {}",
                beyond.join(" ")
            );
            self.report().remark(&trouble(&place, why));
        }
    }

    fn conclude(self, client: &Client, written: anyhow::Result<()>) -> anyhow::Result<bool> {
        let secs = self.progress.elapsed().as_secs_f64();
        let tally = self
            .tally
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let report = self
            .report
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        if client.is_json() {
            let mailboxes: Vec<_> = tally.counts.iter().map(as_json).collect();
            let (left_out, notes) = (report.left_out, report.remarks);
            let told = json!({
                "mailboxes": mailboxes,
                "left_out": left_out,
                "notes": notes,
                "secs": secs,
            });
            println!("{told}");
        } else {
            print!("{}", table(HEADINGS, tally.counts.iter().map(as_row)));
            let sum: u64 = tally.counts.iter().map(|counts| counts.exported).sum();
            println!("{sum} messages exported in {secs:.1} s");
        }
        let is_whole = report.conclude();
        written?;
        if let Some(account) = self.accounts.iter().find(|a| !tally.accounts.contains(*a)) {
            return Err(Usage::of(format!("the store has no account {account}")));
        }
        if let Some(name) = self
            .wanted
            .iter()
            .find(|name| !tally.mailboxes.contains(*name))
        {
            return Err(Usage::of(format!("there is no mailbox {name}")));
        }
        Ok(is_whole)
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Flags and keywords of a message.
fn marks(row: &Row, keywords: &[String]) -> Marks {
    let named = row.keywords.positions().filter_map(|at| keywords.get(at));
    Marks {
        flags: row.flags,
        keywords: named.cloned().collect(),
        uidl: None,
    }
}

/// The rows of a view, some at a time.
fn rows<'a>(shard: &'a Offline, view: &'a View) -> impl Iterator<Item = Row> + 'a {
    view.uids().chunks(ROWS).flat_map(move |uids| {
        let uids = UidSet::from_ascending(uids.iter().copied().map(store::mail::id::Uid));
        let mut rows = Vec::with_capacity(ROWS);
        shard.rows(view, &uids, &mut |row| rows.push(row));
        rows
    })
}

fn trouble(place: &str, why: String) -> Trouble {
    let spot = Spot {
        file: Path::new(place).into(),
        offset: 0,
    };
    Trouble { spot, why }
}

fn as_json(counts: &Counts) -> serde_json::Value {
    json!({
        "account": counts.account,
        "mailbox": counts.mailbox,
        "exported": counts.exported,
        "left_out": counts.left_out,
        "octets": counts.octets,
    })
}

fn as_row(counts: &Counts) -> [String; 5] {
    [
        counts.account.clone(),
        counts.mailbox.clone(),
        counts.exported.to_string(),
        counts.left_out.to_string(),
        counts.octets.to_string(),
    ]
}

const HEADINGS: [&str; 5] = ["ACCOUNT", "MAILBOX", "EXPORTED", "LEFT OUT", "OCTETS"];

/// What is read of a message at once, in bytes.
const READ_BYTES: u64 = 1 << 20;

/// Rows held at once.
const ROWS: usize = 1_000;
