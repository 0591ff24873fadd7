//! `ringpostctl reindex`: signs all messages anew for searches and sorting, with no server on the
//! store.
//!
//! The server does the same by itself, a few thousand messages at a time, whenever signatures are
//! missing, damaged or of another version.

use crate::client::Client;
use crate::offline::{Offline, claim, with_shard};
use crate::progress;
use crate::usage::Usage;
use anyhow::Context;
use clap::Args;
use engine::config::Config;
use engine::convert::Converters;
use engine::serve::check_secret;
use engine::session::imap::signing::MessageTexts;
use indicatif::ProgressBar;
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::compact::{Pace, Paced, Progress};
use store::disk::blocking::BlockingDisk;

/// Makes anew what searches, SORT and THREAD look at instead of messages. Nothing else is touched;
/// until it is done, searches read more.
#[derive(Args)]
pub(crate) struct Reindex {
    /// Drop nothing: only sign what is not signed yet
    #[arg(long)]
    missing: bool,
    /// The server's configuration file, whose [[converter]]s read attachments; without it, and
    /// where the server has some, the server signs anew
    #[arg(long)]
    config: Option<PathBuf>,
}

impl Reindex {
    pub(crate) fn run(self, client: &Client) -> anyhow::Result<bool> {
        let home = claim(client.data())?;
        let converters = match &self.config {
            Some(file) => converters_of(file)?,
            None => None,
        };
        let texts = Arc::new(MessageTexts { converters });
        let mut signed = 0;
        for shard in 0..home.identity.shards {
            let disk = BlockingDisk::new(&home.path).around_cache();
            let worked = with_shard(&home, shard, async |shard| {
                let bar = Bar::new(messages(&shard));
                shard.sign_by(Arc::clone(&texts) as _).await?;
                signed += sign(&shard, &Paced(disk, &bar), !self.missing, &bar).await?;
                Ok(())
            });
            worked.with_context(|| format!("shard {shard}: no mail is touched"))?;
        }
        client.say(&format!("{signed} messages were signed."));
        Ok(true)
    }
}

fn converters_of(file: &Path) -> anyhow::Result<Option<Arc<Converters>>> {
    let config = Config::read(file, &check_secret).map_err(Usage::of)?;
    Converters::start(&config.converters).context("threads for attachments")
}

/// How many messages were signed.
async fn sign(
    shard: &Offline,
    aside: &Paced<BlockingDisk, &Bar>,
    is_anew: bool,
    bar: &Bar,
) -> anyhow::Result<u64> {
    shard.checkpoint(aside).await?;
    let mut report = shard.sign_step(aside, is_anew).await?;
    while report.has_more_to_sign {
        bar.before.set(report.signed);
        report.add(shard.sign_step(aside, false).await?);
    }
    shard.sweep(aside).await?;
    Ok(report.signed)
}

/// Messages in all mailboxes; those that lie in several are signed once.
fn messages(shard: &Offline) -> u64 {
    let accounts = shard.accounts().into_iter();
    let mailboxes = accounts.flat_map(|account| {
        let mailboxes = shard.mailboxes(account.id).into_iter();
        mailboxes.filter_map(move |mailbox| shard.status(account.id, mailbox.id))
    });
    mailboxes.map(|status| u64::from(status.messages)).sum()
}

struct Bar {
    messages: ProgressBar,
    /// What the steps before have signed.
    before: Cell<u64>,
}

impl Bar {
    fn new(messages: u64) -> Bar {
        Bar {
            messages: progress::messages(messages),
            before: Cell::new(0),
        }
    }
}

impl Pace for Bar {
    async fn pause(&self, progress: Progress) {
        self.messages
            .set_position(self.before.get() + progress.done);
    }
}
