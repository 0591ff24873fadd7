//! `ringpostctl backup`: a consistent copy of a store that may be running.

use crate::client::{Client, table};
use crate::offline::now_secs;
use crate::progress;
use anyhow::{Context, bail};
use clap::Args;
use indicatif::HumanBytes;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use store::backup::{Backup as Repository, Generation, LOCK, Taken, take};
use store::disk::blocking::{BlockingDisk, run};
use store::disk::home::{Home, Identity};

/// Each time only what is new is copied; every generation stays and can be restored. The server may
/// run. The configuration file and certificates are not in it: copy them yourself.
#[derive(Args)]
pub(crate) struct Backup {
    /// Show the generations instead of making one
    #[arg(long)]
    list: bool,
    /// Where the backup is, or is to be; best on another device
    #[arg(value_name = "BACKUP")]
    target: PathBuf,
}

impl Backup {
    pub(crate) fn run(self, data: &Path, client: &Client) -> anyhow::Result<()> {
        if self.list {
            return list(&self.target, client);
        }
        let identity = Home::identify(data)?;
        fs::create_dir_all(&self.target)
            .with_context(|| format!("cannot make {}", self.target.display()))?;
        refuse_nesting(data, &self.target)?;
        let _lock = lock(&self.target)?;
        let taken = copy(data, &self.target, identity)?;
        show(&taken, client)
    }
}

fn copy(data: &Path, target: &Path, identity: Identity) -> anyhow::Result<Taken> {
    let bar = progress::octets(0);
    let source = BlockingDisk::new(data);
    let disk = BlockingDisk::new(target);
    let taken = run(async {
        let repository = Repository::open_or_make(disk, identity).await?;
        take(&source, &repository, now_secs(), &|done, total| {
            bar.set_length(total);
            bar.set_position(done);
        })
        .await
    });
    taken.with_context(|| format!("no backup was taken in {}", target.display()))
}

fn show(taken: &Taken, client: &Client) -> anyhow::Result<()> {
    if client.is_json() {
        let line = serde_json::json!({
            "generation": taken.generation,
            "taken_secs": taken.taken_secs,
            "files": taken.files,
            "bytes": taken.bytes,
            "new_files": taken.new_files,
            "new_bytes": taken.new_bytes,
            "restarts": taken.restarts,
        });
        println!("{line}");
        return Ok(());
    }
    let row = |what: &str, files: u64, bytes: u64| {
        [
            what.to_owned(),
            files.to_string(),
            HumanBytes(bytes).to_string(),
        ]
    };
    let rows = [
        row("copied now", taken.new_files, taken.new_bytes),
        row("in all", taken.files, taken.bytes),
    ];
    let generation = taken.generation.to_string();
    let head = format!("generation {generation}");
    print!(
        "{}",
        table([head.as_str(), "FILES", "SIZE"], rows.into_iter())
    );
    Ok(())
}

fn list(target: &Path, client: &Client) -> anyhow::Result<()> {
    let generations = run(async {
        let repository = Repository::open(BlockingDisk::new(target)).await?;
        repository.generations().await
    });
    let generations = generations.with_context(|| target.display().to_string())?;
    if client.is_json() {
        let line = |one: &Generation| {
            serde_json::json!({
                "generation": one.number,
                "taken_secs": one.taken_secs,
                "bytes": one.bytes(),
            })
        };
        println!(
            "{}",
            serde_json::Value::from_iter(generations.iter().map(line))
        );
        return Ok(());
    }
    let rows = generations.iter().map(|one| {
        [
            one.number.to_string(),
            store::backup::Moment(one.taken_secs).to_string(),
            HumanBytes(one.bytes()).to_string(),
        ]
    });
    print!("{}", table(["GENERATION", "TAKEN", "SIZE"], rows));
    Ok(())
}

/// A backup in the store would copy itself, and is lost with it.
fn refuse_nesting(data: &Path, target: &Path) -> anyhow::Result<()> {
    let real = |path: &Path| {
        path.canonicalize()
            .with_context(|| path.display().to_string())
    };
    let (data, target) = (real(data)?, real(target)?);
    if target.starts_with(&data) || data.starts_with(&target) {
        bail!(
            "the backup {} and the data directory {} must not lie in each other; name another \
             directory, best on another device",
            target.display(),
            data.display()
        );
    }
    Ok(())
}

fn lock(target: &Path) -> anyhow::Result<File> {
    let path = target.join(LOCK);
    let mut options = File::options();
    let file = options.create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!("another backup into {} is under way", target.display())
        }
        Err(TryLockError::Error(error)) => Err(error).context(path.display().to_string()),
    }
}
