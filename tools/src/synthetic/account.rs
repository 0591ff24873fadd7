//! Fills the mailboxes of one account.
//!
//! Few messages are written; windows of what lies in INBOX already are copied behind each other
//! until there are enough, which mixes their dates. Then flags are set on runs of messages, as
//! people read them, and some messages spread over all of the mailbox are expunged.

use super::Bodies;
use super::letter;
use crate::offline::Offline;
use anyhow::Context;
use fastrand::Rng;
use futures_util::future::try_join_all;
use indicatif::ProgressBar;
use store::mail::flags::Flags;
use store::mail::id::{AccountId, MailboxId, Uid};
use store::mail::uidset::UidSet;
use store::mailbox::SpecialUse;
use store::shard::{BodyWriter, FlagNames, FlagOp, StoreFlags, Transfer};

pub(super) struct Writer<'a> {
    store: &'a Offline,
    account: AccountId,
    bodies: Bodies,
    chance: Rng,
    progress: &'a ProgressBar,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        store: &'a Offline,
        account: AccountId,
        bodies: Bodies,
        seed: u64,
        progress: &'a ProgressBar,
    ) -> Writer<'a> {
        Writer {
            store,
            account,
            bodies,
            chance: Rng::with_seed(seed),
            progress,
        }
    }

    /// Mailbox number `at` gets `messages` messages that stay; number 1 is INBOX.
    pub(super) async fn fill_mailbox(&mut self, at: u32, messages: u32) -> anyhow::Result<()> {
        let mailbox = self.open_mailbox(at).await?;
        let doomed = messages / EXPUNGED_EVERY;
        let all = messages + doomed;
        let written = match self.bodies {
            Bodies::Small => all,
            Bodies::Shared if at == 1 => (messages / WRITTEN_EVERY)
                .clamp(WRITTEN_MIN, WRITTEN_MAX)
                .min(all),
            Bodies::Shared => 0,
        };
        self.write(mailbox, written).await?;
        self.copy(mailbox, written, all).await?;
        for habit in HABITS {
            self.mark(mailbox, all, habit).await?;
        }
        self.expunge(mailbox, all, doomed).await
    }

    async fn open_mailbox(&self, at: u32) -> anyhow::Result<MailboxId> {
        if at == 1 {
            let inbox = self.store.mailbox(self.account, INBOX);
            return Ok(inbox.context("every account has an INBOX")?.id);
        }
        let made = self
            .store
            .create_mailbox(self.account, &format!("Folder {at}"), SpecialUse::NONE)
            .await?;
        Ok(made.id)
    }

    /// Writes messages, many to a frame of the log.
    async fn write(&mut self, mailbox: MailboxId, messages: u32) -> anyhow::Result<()> {
        let (store, account) = (self.store, self.account);
        let names = FlagNames::default();
        let mut left = messages;
        while left > 0 {
            let turn = left.min(WRITTEN_A_TURN);
            let letters: Vec<_> = (0..turn)
                .map(|_| letter::letter(&mut self.chance))
                .collect();
            let appends = letters.into_iter().map(|letter| {
                let body = BodyWriter::with(letter.octets);
                store.append(account, mailbox, body, &names, letter.date)
            });
            try_join_all(appends).await?;
            self.progress.inc(turn.into());
            left -= turn;
        }
        Ok(())
    }

    /// Copies out of INBOX until the mailbox, which has `have` messages, has `all` of them.
    async fn copy(&mut self, mailbox: MailboxId, have: u32, all: u32) -> anyhow::Result<()> {
        let inbox = self.open_mailbox(1).await?;
        let mut have = have;
        while have < all {
            let there = match mailbox == inbox {
                true => have,
                false => all,
            };
            let turn = (all - have).min(there).min(COPIED_A_TURN);
            let first = self.chance.u32(1..=there - turn + 1);
            let window = UidSet::from_ranges([(first, first + turn - 1)]);
            let transfer = Transfer {
                source: inbox,
                uids: &window,
                target: mailbox,
                and_expunge: false,
            };
            let copied = self.store.copy(self.account, transfer).await?;
            let copied = copied.pairs.len() as u32;
            self.progress.inc(copied.into());
            have += copied;
        }
        Ok(())
    }

    /// Sets a flag or keyword on runs of messages.
    async fn mark(&mut self, mailbox: MailboxId, all: u32, habit: Habit) -> anyhow::Result<()> {
        let names = FlagNames {
            flags: habit.flag,
            keywords: habit.keyword.iter().copied().map(str::to_owned).collect(),
        };
        let runs = runs(&mut self.chance, all, habit);
        self.add_flags(mailbox, &runs, &names).await
    }

    /// Expunges `doomed` messages, one in each of as many equal stretches.
    async fn expunge(&mut self, mailbox: MailboxId, all: u32, doomed: u32) -> anyhow::Result<()> {
        let Some(stretch) = all.checked_div(doomed) else {
            return Ok(());
        };
        let uids = (0..doomed).map(|at| Uid(1 + at * stretch + self.chance.u32(0..stretch)));
        let uids = UidSet::from_ascending(uids);
        let deleted = FlagNames {
            flags: Flags::DELETED,
            keywords: Vec::new(),
        };
        self.add_flags(mailbox, &uids, &deleted).await?;
        self.store.expunge(self.account, mailbox, &uids).await?;
        Ok(())
    }

    async fn add_flags(
        &self,
        mailbox: MailboxId,
        uids: &UidSet,
        names: &FlagNames,
    ) -> anyhow::Result<()> {
        let store = StoreFlags {
            uids,
            op: FlagOp::Add,
            names,
            unchanged_since: None,
        };
        self.store.store_flags(self.account, mailbox, store).await?;
        Ok(())
    }
}

/// How people mark their mail: every so many messages, so many of them.
#[derive(Clone, Copy)]
struct Habit {
    flag: Flags,
    keyword: Option<&'static str>,
    /// Messages of one run, on average.
    run: u32,
    /// Messages from the end of a run to the next, on average.
    pause: u32,
}

/// Runs of UIDs in `1..=all`.
fn runs(chance: &mut Rng, all: u32, habit: Habit) -> UidSet {
    let mut runs = UidSet::new();
    let mut at = chance.u32(1..=2 * habit.pause);
    while at <= all {
        let last = (at + chance.u32(0..2 * habit.run - 1)).min(all);
        runs.push_range(at, last);
        at = last + 1 + chance.u32(1..2 * habit.pause);
    }
    runs
}

const fn flag(flag: Flags, run: u32, pause: u32) -> Habit {
    Habit {
        flag,
        keyword: None,
        run,
        pause,
    }
}

const fn keyword(name: &'static str, run: u32, pause: u32) -> Habit {
    Habit {
        flag: Flags::NONE,
        keyword: Some(name),
        run,
        pause,
    }
}

const HABITS: [Habit; 7] = [
    flag(Flags::SEEN, 80, 12),
    flag(Flags::ANSWERED, 2, 25),
    flag(Flags::FLAGGED, 1, 60),
    flag(Flags::DRAFT, 1, 900),
    keyword("$Forwarded", 1, 40),
    keyword("NonJunk", 30, 70),
    keyword("$label1", 3, 150),
];

const INBOX: &str = "INBOX";

/// One in so many is expunged again.
const EXPUNGED_EVERY: u32 = 50;

/// Where bodies are shared, one in so many messages of INBOX is written …
const WRITTEN_EVERY: u32 = 1000;

/// … but never fewer, as long as there are so many, and never more.
const WRITTEN_MIN: u32 = 64;
const WRITTEN_MAX: u32 = 4096;

/// Messages written together: they share a frame.
const WRITTEN_A_TURN: u32 = 512;

/// Messages copied together.
const COPIED_A_TURN: u32 = 15_000;
