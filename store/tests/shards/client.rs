//! A client of two shards: it does at random what clients do, and keeps the ledger.

use super::*;

pub(super) struct Client {
    pub(super) shards: Vec<Sim>,
    pub(super) ledger: Rc<RefCell<Ledger>>,
    pub(super) seed: RefCell<Seed>,
}

impl Client {
    pub(super) async fn run(&self) {
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
                return;
            }
        }
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
    async fn deliver(&self) -> Option<()> {
        let (id, octets) = self.message();
        let first = self.below(4) as usize;
        let mut owners = BTreeSet::from([first]);
        owners.extend((0..self.below(3)).map(|_| self.below(4) as usize));
        let here = first % 2;
        let shard = &self.shards[here];
        let mut body = shard.body();
        shard.body_write(&mut body, &octets).await.ok()?;
        let shares = |of: usize| owners.iter().filter(move |owner| *owner % 2 == of);
        let offered: Vec<Share> = shares(1 - here).copied().map(share).collect();
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
            shares: shares(here).copied().map(share).collect(),
            offers,
        };
        let delivered = shard.take(custody).await.ok()?;
        assert!(delivered.shares.iter().all(Result::is_ok));
        self.ledger.borrow_mut().acknowledged.insert(id, owners);
        Some(())
    }

    /// A client on a slow line: what it has begun to read it gets whole.
    async fn read_slowly(&self) -> Option<()> {
        let (_, shard, account) = self.account().await?;
        let mailbox = self.mailbox(shard, account, self.mailbox_name()).await?;
        let Some(uid) = self.any_uid(shard, account, mailbox) else {
            return Some(());
        };
        let view = shard.view(account, mailbox, false)?;
        let row = shard.row(&view, uid)?;
        let message = match shard.message(row.delivery).await {
            Ok(message) => message,
            Err(error) => {
                assert_eq!(error, ReadError::Gone);
                assert_eq!(shard.row(&view, uid), None, "only what is gone may be gone");
                return Some(());
            }
        };
        let mut octets = Vec::new();
        while (octets.len() as u64) < message.octets {
            let from = octets.len() as u64;
            octets.extend(shard.read(&message, from, from + 50_000).await.unwrap());
            for _ in 0..self.below(40) {
                pass_turn().await;
            }
        }
        assert_eq!(octets.len(), row.octets as usize);
        identify(&octets);
        Some(())
    }

    async fn append(&self) -> Option<()> {
        let (id, octets) = self.message();
        let (owner, shard, account) = self.account().await?;
        let name = self.mailbox_name();
        let mailbox = self.mailbox(shard, account, name).await?;
        let mut body = shard.body();
        shard.body_write(&mut body, &octets).await.ok()?;
        let names = FlagNames {
            flags: Flags::NONE,
            keywords: vec!["Key".into()],
        };
        let date = InternalDate::utc(5);
        shard
            .append(account, mailbox, body, &names, date)
            .await
            .ok()?;
        self.ledger
            .borrow_mut()
            .acknowledged
            .insert(id, BTreeSet::from([owner]));
        Some(())
    }

    async fn flag(&self, flags: Flags) -> Option<()> {
        let (owner, shard, account) = self.account().await?;
        let name = self.mailbox_name();
        let mailbox = self.mailbox(shard, account, name).await?;
        let Some(uid) = self.any_uid(shard, account, mailbox) else {
            return Some(());
        };
        if flags == Flags::DELETED {
            // From now on anybody's EXPUNGE may take it.
            self.note_removal(shard, account, mailbox, |row| row.uid == uid)
                .await;
        }
        let uids = UidSet::from_ascending([uid]);
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
        shard.store_flags(account, mailbox, store).await.ok()?;
        if flags == Flags::SEEN {
            self.ledger
                .borrow_mut()
                .seen_flag
                .insert((owner, name.to_owned(), uid.0));
        }
        Some(())
    }

    async fn expunge(&self) -> Option<()> {
        let (owner, shard, account) = self.account().await?;
        let name = self.mailbox_name();
        let mailbox = self.mailbox(shard, account, name).await?;
        let every = UidSet::from_ranges([(1, u32::MAX)]);
        let gone = shard.expunge(account, mailbox, &every).await.ok()?;
        let told = gone.iter().map(|uid| (owner, name.to_owned(), uid.0));
        self.ledger.borrow_mut().expunged.extend(told);
        Some(())
    }

    async fn copy(&self, and_expunge: bool) -> Option<()> {
        let (_, shard, account) = self.account().await?;
        let source = self.mailbox(shard, account, MAILBOXES[0]).await?;
        let target = self.mailbox(shard, account, MAILBOXES[1]).await?;
        let Some(uid) = self.any_uid(shard, account, source) else {
            return Some(());
        };
        let view = shard.view(account, source, false)?;
        if let Some(row) = shard.row(&view, uid)
            && let Ok(message) = shard.message(row.delivery).await
            && let Ok(octets) = shard.read(&message, 0, u64::MAX).await
        {
            *self
                .ledger
                .borrow_mut()
                .copies
                .entry(identify(&octets))
                .or_default() += 1;
        }
        let uids = UidSet::from_ascending([uid]);
        let transfer = Transfer {
            source,
            uids: &uids,
            target,
            and_expunge,
        };
        shard.copy(account, transfer).await.ok()?;
        Some(())
    }

    /// Remembers which messages are about to be removed.
    async fn note_removal(
        &self,
        shard: &Sim,
        account: AccountId,
        mailbox: MailboxId,
        is_doomed: impl Fn(&store::mailbox::Row) -> bool,
    ) {
        let Some(view) = shard.view(account, mailbox, false) else {
            return;
        };
        let mut doomed = Vec::new();
        shard.rows(&view, &UidSet::from_ranges([(1, u32::MAX)]), &mut |row| {
            if is_doomed(&row) {
                doomed.push(row);
            }
        });
        for row in doomed {
            if let Ok(message) = shard.message(row.delivery).await
                && let Ok(octets) = shard.read(&message, 0, u64::MAX).await
            {
                self.ledger.borrow_mut().removing.insert(identify(&octets));
            }
        }
    }

    async fn account(&self) -> Option<(usize, &Sim, AccountId)> {
        let owner = self.below(4) as usize;
        let shard = &self.shards[owner % 2];
        let account = shard.open_account(ACCOUNTS[owner]).await.ok()?;
        Some((owner, shard, account))
    }

    fn mailbox_name(&self) -> &'static str {
        MAILBOXES[self.below(2) as usize]
    }

    async fn mailbox(&self, shard: &Sim, account: AccountId, name: &str) -> Option<MailboxId> {
        if let Some(info) = shard.mailbox(account, name) {
            return Some(info.id);
        }
        let _ = shard.create_mailbox(account, name, SpecialUse::NONE).await;
        Some(shard.mailbox(account, name)?.id)
    }

    fn any_uid(&self, shard: &Sim, account: AccountId, mailbox: MailboxId) -> Option<Uid> {
        let view = shard.view(account, mailbox, false)?;
        let at = self.below(u64::from(view.exists()).max(1)) as usize;
        view.uids().get(at).copied().map(Uid)
    }
}
