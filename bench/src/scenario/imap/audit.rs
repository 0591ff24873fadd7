//! Reads mailboxes back over IMAP and holds what is there against what was acknowledged.

use crate::client::imap::mailbox::Found;
use crate::client::imap::{Access, Session};
use crate::load::accounts::Accounts;
use crate::load::stamp;
use crate::measure::audit::{self, Sighting};
use crate::measure::ledger::Ledgers;
use crate::outcome::Audit;
use crate::scenario::run::alone;
use anyhow::bail;
use engine::reactor::{sleep, spawn};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// What was seen of one run, in all mailboxes.
#[derive(Default)]
pub(crate) struct Copies {
    pub(crate) sightings: Vec<Sighting>,
}

/// What the readers of a thread share.
struct Readers {
    access: Arc<Access>,
    mailboxes: Vec<String>,
    accounts: Accounts,
    run: u32,
    next: Cell<u32>,
    working: Cell<u32>,
    sightings: RefCell<Vec<Sighting>>,
    failure: RefCell<Option<String>>,
}

impl Copies {
    /// Reads the mailboxes of all accounts; a mailbox that cannot be read is an error, as
    /// nobody knows what is in it.
    pub(crate) fn read(
        access: &Arc<Access>,
        accounts: &Accounts,
        mailboxes: &[String],
        run: u32,
    ) -> anyhow::Result<Copies> {
        let (access, accounts) = (access.clone(), accounts.clone());
        let mailboxes = mailboxes.to_vec();
        let told = alone(move || async move {
            let readers = Rc::new(Readers {
                access,
                mailboxes,
                accounts,
                run,
                next: Cell::new(0),
                working: Cell::new(READERS),
                sightings: RefCell::default(),
                failure: RefCell::default(),
            });
            for _ in 0..READERS {
                spawn(readers.clone().work());
            }
            while readers.working.get() > 0 {
                sleep(LOOK).await;
            }
            match readers.failure.take() {
                Some(why) => Err(why),
                None => Ok(readers.sightings.take()),
            }
        })?;
        match told {
            Ok(sightings) => Ok(Copies { sightings }),
            Err(why) => bail!("the audit ended: {why}"),
        }
    }

    /// For loads that do not tell who appends what.
    pub(crate) fn forget_accounts(&mut self) {
        for sighting in &mut self.sightings {
            sighting.account = 0;
        }
    }

    /// What we deleted was there once, unless it is there still. `answered`: the server said that it
    /// is gone, so it must not be there any more.
    pub(crate) fn count_deleted(&mut self, deleted: &[Deleted]) {
        let key = |seen: &Sighting| (seen.number, seen.account);
        let there: BTreeSet<(u64, u32)> = self.sightings.iter().map(key).collect();
        for gone in deleted {
            if gone.is_answered || !there.contains(&(gone.number, gone.account)) {
                self.sightings.push(Sighting {
                    number: gone.number,
                    account: gone.account,
                    is_intact: true,
                });
            }
        }
    }
}

/// A message that we expunged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Deleted {
    pub(crate) number: u64,
    pub(crate) account: u32,
    pub(crate) is_answered: bool,
}

/// Compares; `recipients` gives the accounts that a message was for.
pub(crate) fn audit<R: Iterator<Item = u32>>(
    ledgers: &Ledgers,
    copies: Copies,
    run: u32,
    recipients: impl Fn(u64) -> R,
) -> Audit {
    let name = |number, account| format!("{} of account {account}", stamp::id(run, number));
    audit::audit(ledgers, copies.sightings, recipients, name)
}

impl Readers {
    async fn work(self: Rc<Readers>) {
        while self.failure.borrow().is_none() {
            let account = self.next.get();
            if account >= self.accounts.len() {
                break;
            }
            self.next.set(account + 1);
            if let Err(why) = self.read(account).await {
                let user = self.accounts.name(account);
                *self.failure.borrow_mut() = Some(format!("{user}: {why}"));
            }
        }
        self.working.set(self.working.get() - 1);
    }

    async fn read(&self, account: u32) -> Result<(), String> {
        let opened = Session::log_in(&self.access, self.accounts.name(account), account).await;
        let (mut session, _) = opened.map_err(|refused| refused.explained())?;
        for mailbox in &self.mailboxes {
            let found = |found: Found| {
                if found.stamp.run == self.run {
                    self.sightings.borrow_mut().push(Sighting {
                        number: found.stamp.number,
                        account,
                        is_intact: found.is_intact,
                    });
                }
            };
            let mut answer = session.select(mailbox).await.map_err(|e| e.to_string())?;
            if answer.is_positive() {
                let read = session.read_all(found).await;
                answer = read.map_err(|error| error.to_string())?;
            }
            if !answer.is_positive() {
                return Err(format!("{mailbox}: the server answers {answer}"));
            }
        }
        session.leave().await;
        Ok(())
    }
}

/// Mailboxes that are read at the same time.
const READERS: u32 = 8;

/// How often it is seen whether all are read.
const LOOK: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::ledger::{Fate, Ledger};

    fn judged(seen: &[u64], deleted: &[(u64, bool)]) -> Audit {
        let mut ledger = Ledger::new(0, 1);
        for number in 0..3 {
            ledger.settle(number, Fate::Acknowledged);
        }
        let sighting = |number: &u64| Sighting {
            number: *number,
            account: 0,
            is_intact: true,
        };
        let mut copies = Copies {
            sightings: seen.iter().map(sighting).collect(),
        };
        let deleted: Vec<Deleted> = deleted
            .iter()
            .map(|&(number, is_answered)| Deleted {
                number,
                account: 0,
                is_answered,
            })
            .collect();
        copies.count_deleted(&deleted);
        audit(&Ledgers(vec![ledger]), copies, 1, |_| std::iter::once(0))
    }

    #[test]
    fn what_was_deleted_by_us_is_not_lost() {
        assert!(judged(&[0, 2], &[(1, true)]).is_clean());
        assert!(judged(&[0, 2], &[(1, false)]).is_clean());
        assert!(judged(&[0, 1, 2], &[(1, false)]).is_clean(), "nobody knows");
        assert_eq!(judged(&[0, 2], &[]).missing_count, 1);
    }

    #[test]
    fn what_comes_back_after_its_deletion_is_doubled() {
        let audit = judged(&[0, 1, 2], &[(1, true)]);
        assert_eq!((audit.doubled_count, audit.missing_count), (1, 0));
    }
}
