//! `ringpostctl backup`: a consistent copy of a store that may be running, and the care of such
//! copies.

use crate::client::{Client, table};
use crate::offline::now_secs;
use crate::progress;
use anyhow::{Context, bail};
use clap::Args;
use indicatif::HumanBytes;
use std::fs::{self, File, TryLockError};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use store::backup::{
    Backup as Repository, Fault, Generation, LOCK, Pruned, Taken, Verified, prune, take, verify,
};
use store::disk::blocking::{BlockingDisk, run};
use store::disk::home::{Home, HomeError, Identity, missing_shards};

/// Each time only what is new is copied; every generation stays and can be restored until it is
/// pruned. The server may run. The configuration file and certificates are not in it: copy them
/// yourself.
#[derive(Args)]
pub(crate) struct Backup {
    /// Show the generations instead of making one
    #[arg(long, conflicts_with_all = ["verify", "prune"])]
    list: bool,
    /// Read every file of every generation instead, and name what is damaged; exits with 1 then
    #[arg(long, conflicts_with = "prune")]
    verify: bool,
    /// Remove all generations but the last KEEP instead, and the files that only they need
    #[arg(long, value_name = "KEEP")]
    prune: Option<NonZeroUsize>,
    /// Where the backup is, or is to be; best on another device
    #[arg(value_name = "BACKUP")]
    target: PathBuf,
}

impl Backup {
    /// Whether all is well.
    pub(crate) fn run(self, data: &Path, client: &Client) -> anyhow::Result<bool> {
        if self.list {
            return list(&self.target, client).map(|()| true);
        }
        if self.verify {
            return read_all(&self.target, client);
        }
        if let Some(keep) = self.prune {
            return forget(&self.target, keep, client).map(|()| true);
        }
        let identity = Home::identify(data)?;
        let missing = missing_shards(data)?;
        if !missing.is_empty() {
            return Err(HomeError::Missing(data.to_owned(), missing).into());
        }
        fs::create_dir_all(&self.target)
            .with_context(|| format!("cannot make {}", self.target.display()))?;
        refuse_nesting(data, &self.target)?;
        let _lock = lock(&self.target)?;
        let taken = copy(data, &self.target, identity)?;
        show(&taken, client).map(|()| true)
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

fn read_all(target: &Path, client: &Client) -> anyhow::Result<bool> {
    let bar = progress::octets(0);
    let verified = run(async {
        let repository = Repository::open(BlockingDisk::new(target)).await?;
        verify(&repository, &|done, total| {
            bar.set_length(total);
            bar.set_position(done);
        })
        .await
    });
    let verified = verified.with_context(|| target.display().to_string())?;
    bar.finish_and_clear();
    tell(&verified, client);
    Ok(verified.faults.is_empty())
}

fn tell(verified: &Verified, client: &Client) {
    if client.is_json() {
        let fault = |fault: &Fault| {
            serde_json::json!({
                "file": fault.path, "what": fault.what, "generations": fault.generations,
            })
        };
        let faults = verified.faults.iter().map(fault);
        let line = serde_json::json!({
            "generations": verified.generations,
            "files": verified.files,
            "bytes": verified.bytes,
            "faults": serde_json::Value::from_iter(faults),
        });
        println!("{line}");
        return;
    }
    verified.faults.iter().for_each(|fault| println!("{fault}"));
    let looked = format!(
        "{} generations, {} files, {}",
        verified.generations,
        verified.files,
        HumanBytes(verified.bytes)
    );
    match verified.faults.len() {
        0 => println!("{looked}: whole."),
        count => println!(
            "{looked}: {count} damages. The generations above cannot be restored whole: begin a \
             new backup in an empty directory, and keep this one for what it still has."
        ),
    }
}

fn forget(target: &Path, keep: NonZeroUsize, client: &Client) -> anyhow::Result<()> {
    // A directory that is no backup gets no lock file.
    run(Repository::open(BlockingDisk::new(target)))
        .with_context(|| target.display().to_string())?;
    let _lock = lock(target)?;
    let bar = progress::files(0);
    let pruned = run(async {
        let repository = Repository::open(BlockingDisk::new(target)).await?;
        prune(&repository, keep, &|done, total| {
            bar.set_length(total);
            bar.set_position(done);
        })
        .await
    });
    let pruned = pruned.with_context(|| format!("{} is not pruned", target.display()))?;
    bar.finish_and_clear();
    remove_empty(target, &pruned);
    if client.is_json() {
        let line = serde_json::json!({
            "generations": pruned.generations, "kept": pruned.kept,
            "files": pruned.files, "bytes": pruned.bytes,
        });
        println!("{line}");
        return Ok(());
    }
    println!(
        "{} generations and {} files removed, {} given back; {} generations are left",
        pruned.generations.len(),
        pruned.files,
        HumanBytes(pruned.bytes),
        pruned.kept.len()
    );
    Ok(())
}

/// The directories of generations that are gone. Those that are not empty stay, and do no harm.
fn remove_empty(target: &Path, pruned: &Pruned) {
    for number in &pruned.generations {
        let directory = target.join(format!("generations/{number:08x}"));
        for shard in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let _ = fs::remove_dir(shard.path());
        }
        let _ = fs::remove_dir(directory);
    }
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
            bail!(
                "another backup into {} is under way, or it is being pruned",
                target.display()
            )
        }
        Err(TryLockError::Error(error)) => Err(error).context(path.display().to_string()),
    }
}
