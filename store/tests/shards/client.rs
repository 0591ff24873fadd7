//! A client of two shards: it does at random what clients do, and keeps the ledger.

use crate::ledger::{Ledger, content, contents, identify};
use crate::weather::Climate;
use crate::world::{ACCOUNTS, MAILBOXES, Sim, pass_turn, share};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use store::disk::fault::Seed;
use store::error::{ChangeError, ReadError};
use store::mail::date::InternalDate;
use store::mail::flags::Flags;
use store::mail::id::{AccountId, MailboxId, ObjectId, QueueId, Uid};
use store::mail::uidset::UidSet;
use store::mailbox::{Row, SpecialUse, View};
use store::shard::{Custody, FlagNames, FlagOp, Share, Source, StoreFlags, Transfer};

pub(crate) struct Client {
    pub(crate) shards: Vec<Sim>,
    pub(crate) ledger: Rc<RefCell<Ledger>>,
    pub(crate) seed: RefCell<Seed>,
    pub(crate) climate: Climate,
    /// Reads that were answered with an error.
    pub(crate) unread: Rc<Cell<u32>>,
}

/// `None`: what was tried was refused, or is not there any more.
type Outcome<T = ()> = Option<T>;

impl Client {
    pub(crate) async fn run(&self) {
        loop {
            let outcome = match self.below(12) {
                0..=2 => self.deliver().await,
                3..=4 => self.append().await,
                5 => self.flag(Flags::SEEN).await,
                6 => self.flag(Flags::DELETED).await,
                7 => self.expunge().await,
                8 => self.copy(false).await,
                9 => self.copy(true).await,
                _ => self.read_slowly().await,
            };
            if outcome.is_none() {
                pass_turn().await;
            }
        }
    }

    /// The device may refuse anything at any time.
    fn is_rough(&self) -> bool {
        self.climate != Climate::Fair
    }

    fn below(&self, bound: u64) -> u64 {
        self.seed.borrow_mut().below(bound)
    }

    fn message(&self) -> (u64, Vec<u8>) {
        let mut ledger = self.ledger.borrow_mut();
        ledger.next += 1;
        let id = ledger.next;
        let octets = match self.seed.borrow_mut().below(20) {
            0 => 300_000,
            length => 50 * length as usize,
        };
        (id, content(id, octets))
    }

    /// SMTP: to accounts of one shard or of both, so that one shard coordinates.
    async fn deliver(&self) -> Outcome {
        let (id, octets) = self.message();
        let first = self.below(4) as usize;
        let mut owners = BTreeSet::from([first]);
        owners.extend((0..self.below(3)).map(|_| self.below(4) as usize));
        let here = first % 2;
        let shard = &self.shards[here];
        let mut body = shard.body();
        let written = shard.body_write(&mut body, &octets).await;
        self.accepted(written)?;
        let shares = |of: usize| owners.iter().copied().filter(move |owner| *owner % 2 == of);
        let offered: Vec<Share> = shares(1 - here).map(share).collect();
        let offers = match offered.is_empty() {
            true => Vec::new(),
            false => vec![(1 - here as u16, offered)],
        };
        let custody = Custody {
            queue: QueueId(id),
            source: Source {
                is_transaction: true,
                ..Source::default()
            },
            received_secs: 1,
            body,
            each_alone: false,
            shares: shares(here).map(share).collect(),
            offers,
            ..Custody::default()
        };
        let delivered = self.accepted(shard.take(custody).await)?;
        let refused = shares(here).zip(delivered.shares);
        let refused = refused.filter(|(_, share)| share.is_err());
        let refused: BTreeSet<usize> = refused.map(|(owner, _)| owner).collect();
        assert!(self.is_rough() || refused.is_empty());
        let owners = owners.difference(&refused).copied().collect();
        self.ledger.borrow_mut().acknowledged.insert(id, owners);
        Some(())
    }

    /// A client on a slow line: what it has begun to read it gets whole.
    async fn read_slowly(&self) -> Outcome {
        let (_, shard, account) = self.account().await?;
        let mailbox = self.mailbox(shard, account, self.mailbox_name()).await?;
        let (view, row) = self.any_row(shard, account, mailbox)?;
        let message = shard.message(row.delivery).await;
        let message = self.read(shard, &view, &row, message)?;
        let mut octets = Vec::new();
        while (octets.len() as u64) < message.octets {
            let from = octets.len() as u64;
            let read = shard.read(&message, from, from + 50_000).await;
            if let Err(error) = &read {
                assert_ne!(*error, ReadError::Gone, "it was begun");
            }
            octets.extend(self.read(shard, &view, &row, read)?);
            for _ in 0..self.below(40) {
                pass_turn().await;
            }
        }
        assert_eq!(octets.len(), row.octets as usize);
        identify(&octets);
        Some(())
    }

    async fn append(&self) -> Outcome {
        let (id, octets) = self.message();
        let (owner, shard, account) = self.account().await?;
        let name = self.mailbox_name();
        let mailbox = self.mailbox(shard, account, name).await?;
        let mut body = shard.body();
        let written = shard.body_write(&mut body, &octets).await;
        self.accepted(written)?;
        let names = FlagNames {
            flags: Flags::NONE,
            keywords: vec!["Key".into()],
        };
        let date = InternalDate::utc(5);
        let appended = shard.append(account, mailbox, body, &names, date).await;
        self.accepted(appended)?;
        let mut ledger = self.ledger.borrow_mut();
        ledger.acknowledged.insert(id, BTreeSet::from([owner]));
        Some(())
    }

    async fn flag(&self, flags: Flags) -> Outcome {
        let (owner, shard, account) = self.account().await?;
        let name = self.mailbox_name();
        let mailbox = self.mailbox(shard, account, name).await?;
        let (view, row) = self.any_row(shard, account, mailbox)?;
        if flags == Flags::DELETED {
            // From now on anybody's EXPUNGE may take it.
            let id = self.identity(shard, &view, &row).await?;
            self.ledger.borrow_mut().removing.insert(id);
        }
        let uids = UidSet::from_ascending([row.uid]);
        let names = FlagNames {
            flags,
            keywords: Vec::new(),
        };
        let store = StoreFlags {
            uids: &uids,
            op: FlagOp::Add,
            names: &names,
            unchanged_since: None,
        };
        self.accepted(shard.store_flags(account, mailbox, store).await)?;
        if flags == Flags::SEEN {
            let uid = (owner, name.to_owned(), row.uid.0);
            self.ledger.borrow_mut().seen_flag.insert(uid);
        }
        Some(())
    }

    async fn expunge(&self) -> Outcome {
        let (owner, shard, account) = self.account().await?;
        let name = self.mailbox_name();
        let mailbox = self.mailbox(shard, account, name).await?;
        let every = UidSet::from_ranges([(1, u32::MAX)]);
        let gone = self.accepted(shard.expunge(account, mailbox, &every).await)?;
        let told = gone.iter().map(|uid| (owner, name.to_owned(), uid.0));
        self.ledger.borrow_mut().expunged.extend(told);
        Some(())
    }

    async fn copy(&self, and_expunge: bool) -> Outcome {
        let (_, shard, account) = self.account().await?;
        let source = self.mailbox(shard, account, MAILBOXES[0]).await?;
        let target = self.mailbox(shard, account, MAILBOXES[1]).await?;
        let (view, row) = self.any_row(shard, account, source)?;
        let id = self.identity(shard, &view, &row).await?;
        *self.ledger.borrow_mut().copies.entry(id).or_default() += 1;
        let uids = UidSet::from_ascending([row.uid]);
        let transfer = Transfer {
            source,
            uids: &uids,
            target,
            and_expunge,
        };
        self.accepted(shard.copy(account, transfer).await)?;
        Some(())
    }

    async fn account(&self) -> Outcome<(usize, &Sim, AccountId)> {
        let owner = self.below(4) as usize;
        let shard = &self.shards[owner % 2];
        let account = self.accepted(shard.open_account(ACCOUNTS[owner]).await)?;
        Some((owner, shard, account))
    }

    fn mailbox_name(&self) -> &'static str {
        MAILBOXES[self.below(2) as usize]
    }

    async fn mailbox(&self, shard: &Sim, account: AccountId, name: &str) -> Outcome<MailboxId> {
        if let Some(info) = shard.mailbox(account, name) {
            return Some(info.id);
        }
        let _ = shard.create_mailbox(account, name, SpecialUse::NONE).await;
        Some(shard.mailbox(account, name)?.id)
    }

    fn any_row(&self, shard: &Sim, account: AccountId, mailbox: MailboxId) -> Outcome<(View, Row)> {
        let view = shard.view(account, mailbox, false)?;
        let at = self.below(u64::from(view.exists()).max(1)) as usize;
        let uid = view.uids().get(at).copied().map(Uid)?;
        let row = shard.row(&view, uid)?;
        Some((view, row))
    }

    /// Which message a row is.
    async fn identity(&self, shard: &Sim, view: &View, row: &Row) -> Outcome<u64> {
        let octets = contents(shard, row).await;
        Some(identify(&self.read(shard, view, row, octets)?))
    }

    /// Only what is gone may be gone, and only a device that refuses may be refused by.
    fn read<T>(
        &self,
        shard: &Sim,
        view: &View,
        row: &Row,
        outcome: Result<T, ReadError>,
    ) -> Outcome<T> {
        let delivery = |row: Row| -> ObjectId { row.delivery };
        match outcome {
            Ok(read) => return Some(read),
            Err(ReadError::Gone) => {
                let is_there = shard.row(view, row.uid).map(delivery) == Some(row.delivery);
                assert!(
                    self.is_rough() || !is_there,
                    "only what is gone may be gone"
                );
            }
            Err(ReadError::Io { .. }) if self.is_rough() => {}
            Err(ReadError::Damaged { .. }) if self.climate == Climate::Lying => {}
            Err(error) => panic!("{error}"),
        }
        self.unread.set(self.unread.get() + 1);
        None
    }

    /// In fair weather only the log may refuse.
    fn accepted<T>(&self, outcome: Result<T, ChangeError>) -> Outcome<T> {
        if let Err(error) = &outcome {
            let is_allowed = matches!(error, ChangeError::Log(_))
                || self.is_rough() && *error == ChangeError::Damaged;
            assert!(is_allowed, "{error}");
        }
        outcome.ok()
    }
}
