//! `ringpostctl restore`: a store, or mail of one account, out of a backup.

use super::moment::moment;
use super::{fsck, salvage};
use crate::client::{Client, table};
use crate::progress;
use anyhow::{Context, bail};
use clap::Args;
use indicatif::HumanBytes;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use store::backup::{Backup as Repository, BackupError, Moment, Plan, restore};
use store::check::repair;
use store::check::{self, Part};
use store::disk::blocking::{BlockingDisk, run};
use store::disk::home::{Home, Identity};
use store::log::Options;

/// Without --account: all of it, into the data directory of --data, which must be empty or missing.
/// With --account: its mail, into new mailboxes of the store of --into, whose server is stopped.
#[derive(Args)]
pub(crate) struct Restore {
    /// The generation, as `backup --list` shows them; the last one if not given
    #[arg(long)]
    generation: Option<u32>,
    /// Only what was there at a moment, for example 2026-11-22T08:30:00Z. Mail that was expunged
    /// and compacted away before a backup was taken is in none: a moment in such a time is refused,
    /// and its neighbours that can be restored are told
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<i64>,
    /// Only the mail of this account
    #[arg(long, value_name = "ADDRESS", requires = "into")]
    account: Option<String>,
    /// Only this mailbox of the account
    #[arg(long, value_name = "NAME", requires = "account")]
    mailbox: Option<String>,
    /// The data directory of the store that takes the mail of the account
    #[arg(long, value_name = "DIR", requires = "account")]
    into: Option<PathBuf>,
    /// The backup
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,
}

impl Restore {
    pub(crate) fn run(self, data: &Path, client: &Client) -> anyhow::Result<()> {
        let (repository, plan) = run(self.plan())
            .with_context(|| format!("nothing was restored from {}", self.backup.display()))?;
        match (self.account, self.into) {
            (Some(account), Some(into)) => {
                let wish = salvage::Wish {
                    account,
                    mailbox: self.mailbox,
                };
                salvage::run(&repository, plan, &wish, &into, client)
            }
            _ => whole(&repository, &plan, data, self.to, client),
        }
    }

    async fn plan(&self) -> Result<(Repository<BlockingDisk>, Plan), BackupError> {
        let repository = Repository::open(BlockingDisk::new(&self.backup)).await?;
        let mut generations = repository.generations().await?;
        if let Some(wanted) = self.generation {
            generations.retain(|generation| generation.number <= wanted);
        }
        let chosen = generations.last();
        let chosen =
            chosen.filter(|last| self.generation.is_none_or(|wanted| last.number == wanted));
        let chosen = chosen.ok_or(BackupError::NoGeneration(self.generation))?;
        let plan = match self.to {
            Some(until) => Plan::until(&repository, &generations, until).await?,
            None => Plan::whole(&repository.identity, chosen),
        };
        Ok((repository, plan))
    }
}

fn whole(
    repository: &Repository<BlockingDisk>,
    plan: &Plan,
    data: &Path,
    to: Option<i64>,
    client: &Client,
) -> anyhow::Result<()> {
    begin(data)?;
    let bytes = fill(repository, plan, data)?;
    if !client.is_json() {
        let moment = to.map_or("its end".to_owned(), |secs| Moment(secs).to_string());
        let row = [
            plan.generation.to_string(),
            moment,
            HumanBytes(bytes).to_string(),
        ];
        print!(
            "{}",
            table(["GENERATION", "UP TO", "SIZE"], [row].into_iter())
        );
        println!("{} is ready: start ringpost with it", data.display());
        return Ok(());
    }
    let line = serde_json::json!({
        "generation": plan.generation,
        "until_secs": to,
        "bytes": bytes,
    });
    println!("{line}");
    Ok(())
}

/// Marks an empty directory, so that a restore that did not end is known by everybody.
fn begin(data: &Path) -> anyhow::Result<()> {
    let mut entries = match fs::read_dir(data) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::create_dir_all(data).with_context(|| format!("cannot make {}", data.display()))?;
            fs::read_dir(data)?
        }
        Err(error) => return Err(error).context(data.display().to_string()),
    };
    if data.join(UNFINISHED).exists() {
        bail!(
            "{} holds a restore that did not end; remove the directory and start again",
            data.display()
        );
    }
    if entries.next().is_some() {
        bail!(
            "{} is not empty; restore into an empty or a new directory (--data DIR)",
            data.display()
        );
    }
    let marked = File::create(data.join(UNFINISHED)).and_then(|file| file.sync_all());
    marked.with_context(|| format!("cannot write into {}", data.display()))?;
    Ok(File::open(data)?.sync_all()?)
}

/// Copies, and makes a store of it last.
pub(super) fn fill(
    repository: &Repository<BlockingDisk>,
    plan: &Plan,
    data: &Path,
) -> anyhow::Result<u64> {
    let bar = progress::octets(0);
    let target = BlockingDisk::new(data);
    let restored = run(restore(repository, plan, &target, &|done, total| {
        bar.set_length(total);
        bar.set_position(done);
    }));
    let bytes = restored.with_context(|| {
        format!(
            "{} is not restored; remove it before another try",
            data.display()
        )
    })?;
    bar.finish_and_clear();
    for shard in &plan.shards {
        if shard.rebuilt.is_some() {
            make_index(repository, plan, shard.shard.0, data)?;
        }
    }
    let Identity { uuid, shards } = repository.identity;
    Home::found(data, &Identity { uuid, shards })?;
    match fs::remove_file(data.join(UNFINISHED)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error)?,
        _ => File::open(data)?.sync_all()?,
    }
    Ok(bytes)
}

/// Makes an index for a moment for which the backup has none, of archives and log, and looks
/// whether all of the mail is still there.
fn make_index(
    repository: &Repository<BlockingDisk>,
    plan: &Plan,
    shard: u16,
    data: &Path,
) -> anyhow::Result<()> {
    let disk = BlockingDisk::new(data);
    let owner = fsck::owner(&repository.identity, shard);
    let options = Options::new(repository.identity.uuid, shard);
    eprintln!("shard {shard}: no index is so old; one is made of its archives and log");
    let made = run(repair::rebuild(&disk, &owner, options, &mut |_| {}))?;
    if made.refused > 0 {
        bail!(
            "{} facts of shard {shard} cannot be used: nothing is restored",
            made.refused
        );
    }
    let found = run(check::check(&disk, &owner, &mut |_| {}));
    let lost = found.damages.get(&Part::Message).copied().unwrap_or(0);
    if lost > 0 {
        bail!(
            "{lost} messages that shard {shard} had then were expunged later, and compacted away \
             before the backup: it cannot be restored to that time. The next moment that can is {} \
             (UTC), the end of generation {}; {} is not whole, remove it",
            Moment(plan.taken_secs),
            plan.generation,
            data.display()
        );
    }
    match found.is_clean() {
        true => Ok(()),
        false => bail!("what was made of shard {shard} is not whole: look with ringpostctl fsck"),
    }
}

const UNFINISHED: &str = "restore-unfinished";
