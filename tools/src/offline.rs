//! Orders carried out on the store itself, while no server has it open.
//!
//! The configuration file is not asked here: what stands there belongs to the server.

use anyhow::{Context, anyhow, bail};
use engine::admin::wire::{AccountLine, DomainLine, Origin, Reply, Request};
use engine::auth::Secrets;
use engine::{config, route};
use futures_util::future::join;
use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};
use store::compact::Here;
use store::disk::blocking::BlockingDisk;
use store::disk::home::{Home, HomeError, shard_directory};
use store::log::Options;
use store::mail::address::Address;
use store::mail::id::{AccountId, ShardId};
use store::shard::{Shard, Task};

pub(crate) type Offline = Rc<Shard<BlockingDisk>>;

/// Opens the store, which must be there and free, and carries out one request.
pub(crate) fn order(data: &Path, request: Request) -> anyhow::Result<Reply> {
    let home = Home::existing(data)?;
    match request {
        Request::AccountAdd {
            address,
            password,
            quota_bytes,
        } => {
            let name = canonical(&address)?;
            let secret = secret(&password)?;
            with_owner(&home, &name, async |shard| {
                if shard
                    .account(&name)
                    .is_some_and(|account| account.secret.is_some())
                {
                    bail!("{name} exists");
                }
                let account = shard.open_account(&name).await?;
                shard.set_quota(account, quota_bytes).await?;
                Ok(shard.set_secret(account, Some(secret)).await?)
            })?;
        }
        Request::AccountPasswd { address, password } => {
            let name = canonical(&address)?;
            let secret = secret(&password)?;
            with_owner(&home, &name, async |shard| {
                let account = stored_account(&shard, &name)?;
                Ok(shard.set_secret(account, Some(secret)).await?)
            })?;
        }
        Request::AccountRemove { address } => {
            let name = canonical(&address)?;
            with_owner(&home, &name, async |shard| {
                let account = stored_account(&shard, &name)?;
                Ok(shard.remove_account(account).await?)
            })?;
        }
        Request::AccountList => return accounts(&home),
        Request::DomainAdd { name, catch_all } => {
            let name = config::domain_name(&name).ok_or(anyhow!("{name} is no domain name"))?;
            with_shard(&home, 0, async |shard| {
                if shard.domains().contains_key(&name) {
                    bail!("{name} exists");
                }
                Ok(shard.add_domain(name, catch_all).await?)
            })?;
        }
        Request::DomainRemove { name } => with_shard(&home, 0, async |shard| {
            let name = name.to_ascii_lowercase();
            if !shard.domains().contains_key(&name) {
                bail!("the store keeps no domain {name}");
            }
            Ok(shard.remove_domain(name).await?)
        })?,
        Request::DomainList => return domains(&home),
        _ => bail!(
            "this is asked of the running server: start it first; rules are also known by \
             --config FILE or --shipped"
        ),
    }
    Ok(Reply::Done)
}

/// Takes a store for an order that no server carries out.
pub(crate) fn claim(data: &Path) -> anyhow::Result<Home> {
    match Home::existing(data) {
        Err(HomeError::InUse(path)) => bail!(
            "{} is in use: stop the server (systemctl stop ringpost, or SIGTERM) and run this \
             again; nothing was changed",
            path.display()
        ),
        other => Ok(other?),
    }
}

fn accounts(home: &Home) -> anyhow::Result<Reply> {
    let mut lines = Vec::new();
    for shard in 0..home.identity.shards {
        with_shard(home, shard, async |shard| {
            lines.extend(shard.accounts().into_iter().map(|account| AccountLine {
                used_bytes: account.usage.load(Ordering::Relaxed),
                quota_bytes: account.quota,
                origin: match account.secret {
                    Some(_) => Origin::Store,
                    None => Origin::Config,
                },
                address: account.address,
            }));
            Ok(())
        })?;
    }
    lines.sort_by(|a, b| a.address.cmp(&b.address));
    Ok(Reply::Accounts(lines))
}

fn domains(home: &Home) -> anyhow::Result<Reply> {
    let mut lines = Vec::new();
    with_shard(home, 0, async |shard| {
        let line = |(name, catch_all)| DomainLine {
            name,
            catch_all,
            origin: Origin::Store,
        };
        lines.extend(shard.domains().into_iter().map(line));
        Ok(())
    })?;
    Ok(Reply::Domains(lines))
}

pub(crate) fn canonical(text: &str) -> anyhow::Result<String> {
    let address = config::address(text).map_err(anyhow::Error::msg)?;
    Ok(address.to_string())
}

pub(crate) fn secret(password: &str) -> anyhow::Result<String> {
    let secrets = Secrets::create(password, &mut |octets| {
        getrandom::fill(octets).expect("the kernel gives randomness after boot");
    });
    Ok(secrets
        .map_err(|error| anyhow!("{error}"))?
        .as_str()
        .to_owned())
}

fn stored_account(shard: &Offline, name: &str) -> anyhow::Result<AccountId> {
    match shard.account(name) {
        Some(account) if account.secret.is_some() => Ok(account.id),
        _ => bail!("the store keeps no account {name}"),
    }
}

pub(crate) fn with_owner(
    home: &Home,
    address: &str,
    work: impl AsyncFnOnce(Offline) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let address = Address::split(address).context("an address has two parts")?;
    with_shard(home, route::shard(&address, home.identity.shards).0, work)
}

/// Opens one shard, does the work, and closes the shard when everything is durable.
pub(crate) fn with_shard(
    home: &Home,
    shard: u16,
    work: impl AsyncFnOnce(Offline) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let options = Options::new(home.identity.uuid, shard);
    let disk = BlockingDisk::new(&home.path);
    let directory = shard_directory(shard);
    pollster::block_on(async {
        let opened = Shard::open(disk, &directory, ShardId(shard), options, now_secs).await;
        let (shard, _) = opened.map_err(|error| anyhow!("{error}"))?;
        let worked = async {
            let outcome = work(Rc::clone(&shard)).await;
            shard.close();
            outcome
        };
        join(shard.run(|_| {}), worked).await.1
    })
}

/// Makes checkpoints while a tool writes much: they bound the log that the next start replays, and
/// the memory of this process.
pub(crate) struct Housekeeper {
    aside: Here<BlockingDisk>,
    /// Octets of the log at the last checkpoint.
    logged: Cell<u64>,
}

impl Housekeeper {
    pub(crate) fn new(home: &Home) -> Housekeeper {
        Housekeeper {
            aside: Here(BlockingDisk::new(&home.path)),
            logged: Cell::new(0),
        }
    }

    /// Makes a checkpoint if enough was written since the last one.
    pub(crate) async fn look(&self, shard: &Offline) -> anyhow::Result<()> {
        let logged = shard.log().stats().bytes;
        if logged - self.logged.get() >= LOGGED_BYTES_MAX {
            self.logged.set(logged);
            self.checkpoint(shard).await?;
        }
        Ok(())
    }

    /// Spares the next start what was logged so far.
    pub(crate) async fn checkpoint(&self, shard: &Offline) -> anyhow::Result<()> {
        let written = async {
            shard.checkpoint(&self.aside).await?;
            shard.compact(&self.aside, Task::Merge).await?;
            shard.sweep(&self.aside).await
        };
        let written = written.await;
        written.map_err(|error| anyhow!("the index cannot be written: {error}"))?;
        Ok(())
    }
}

/// Log that is written between two checkpoints of a tool, in bytes.
const LOGGED_BYTES_MAX: u64 = 512 << 20;

pub(crate) fn now_secs() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() as i64)
}
