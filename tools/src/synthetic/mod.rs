//! `ringpostctl synthetic`: a new store full of made-up mail, for measuring and for trials.
//!
//! Everything goes in through the door of the shard, as mail does: a few messages by APPEND, the
//! others by COPY, flags by STORE, holes by EXPUNGE. Accounts are finished one after another, a
//! few at a time so that their changes share frames of the log, and memory holds no more than the
//! store itself keeps. What lies in a mailbox depends on the seed and the number of its account
//! only, not on how many shards or accounts there are.

mod account;
mod letter;

use crate::client::Client;
use crate::offline::{self, Housekeeper, Offline};
use crate::progress;
use account::Writer;
use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use engine::config::{DEMO_DOMAIN, DEMO_PASSWORD};
use engine::route;
use futures_util::{TryStreamExt, stream};
use indicatif::{HumanCount, HumanDuration, ProgressBar};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Instant;
use store::disk::home::Home;
use store::limit::{MAILBOXES_MAX, SHARDS_MAX};
use store::mail::address::Address;

/// Fill a new store with made-up mail
#[derive(Args)]
pub(crate) struct Synthetic {
    /// Logs of the store: the cores that it can use
    #[arg(
        long,
        default_value_t = 1,
        value_parser = clap::value_parser!(u16).range(1..=SHARDS_MAX as i64),
    )]
    shards: u16,
    /// Accounts: u1@example.test and so on
    #[arg(long, default_value_t = 1)]
    accounts: u32,
    /// Mailboxes with mail in each account, INBOX among them
    #[arg(
        long,
        default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=MAILBOXES_OF_OURS_MAX),
    )]
    mailboxes: u32,
    /// Messages in each of these mailboxes
    #[arg(
        long,
        default_value_t = 1000,
        value_parser = clap::value_parser!(u32).range(..=MESSAGES_MAX),
    )]
    messages: u32,
    /// Whether messages share a few bodies or have a small one each
    #[arg(long, value_enum, default_value_t = Bodies::Shared)]
    bodies: Bodies,
    /// The same seed makes the same mail
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The password of every account
    #[arg(long, default_value = DEMO_PASSWORD)]
    password: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Bodies {
    /// A few messages are written, the others are copies with flags and dates of their own
    Shared,
    /// Every message is written
    Small,
}

impl Synthetic {
    pub(crate) fn run(self, data: &Path, client: &Client) -> anyhow::Result<()> {
        refuse_what_is_there(data)?;
        let begin = Instant::now();
        let home = Home::open(data, self.shards)?;
        let secret = offline::secret(&self.password)?;
        let messages =
            u64::from(self.accounts) * u64::from(self.mailboxes) * u64::from(self.messages);
        let progress = progress::messages(messages);
        for shard in 0..self.shards {
            self.fill_shard(&home, shard, &secret, &progress)
                .with_context(|| format!("filling shard {shard}"))?;
        }
        drop(progress);
        client.say(&format!(
            "{} messages in {} accounts after {}; log in as u1@{DEMO_DOMAIN}",
            HumanCount(messages),
            HumanCount(self.accounts.into()),
            HumanDuration(begin.elapsed()),
        ));
        Ok(())
    }

    /// The accounts that belong to this shard, one after the other.
    fn fill_shard(
        &self,
        home: &Home,
        shard: u16,
        secret: &str,
        progress: &ProgressBar,
    ) -> anyhow::Result<()> {
        let ours = (1..=self.accounts)
            .map(|number| (number, Address::new(format!("u{number}"), DEMO_DOMAIN)))
            .filter(|(_, address)| route::shard(address, self.shards).0 == shard);
        offline::with_shard(home, shard, async |store| {
            let keeper = Housekeeper::new(home);
            let fill = async |(number, address)| {
                self.fill_account(&store, number, address, secret, progress)
                    .await?;
                keeper.look(&store).await
            };
            stream::iter(ours.map(Ok))
                .try_for_each_concurrent(ACCOUNTS_AT_ONCE, fill)
                .await?;
            keeper.checkpoint(&store).await
        })
    }

    async fn fill_account(
        &self,
        store: &Offline,
        number: u32,
        address: Address,
        secret: &str,
        progress: &ProgressBar,
    ) -> anyhow::Result<()> {
        let account = store.open_account(&address.to_string()).await?;
        store.set_secret(account, Some(secret.to_owned())).await?;
        let seed = self.seed ^ (u64::from(number) << 32);
        let mut writer = Writer::new(store, account, self.bodies, seed, progress);
        for at in 1..=self.mailboxes {
            writer.fill_mailbox(at, self.messages).await?;
        }
        Ok(())
    }
}

/// Never into a directory that somebody else uses.
fn refuse_what_is_there(data: &Path) -> anyhow::Result<()> {
    match fs::read_dir(data) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("{}", data.display())),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => bail!(
                "{} is not empty; name a new directory with --data",
                data.display()
            ),
        },
    }
}

/// Accounts that are filled at the same time.
const ACCOUNTS_AT_ONCE: usize = 32;

/// A new account has mailboxes already, which stay empty.
const MAILBOXES_OF_OURS_MAX: i64 = MAILBOXES_MAX as i64 - 100;

/// UIDs are given to what is expunged again as well.
const MESSAGES_MAX: i64 = 1 << 30;
