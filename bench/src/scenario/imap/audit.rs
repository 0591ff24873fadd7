//! Reads mailboxes back over IMAP and holds what is there against what was acknowledged.

use super::visit;
use crate::client::imap::mailbox::{FILL_NUMBER_MIN, Found, Part};
use crate::client::imap::{Access, Session};
use crate::load::accounts::Accounts;
use crate::load::stamp;
use crate::measure::audit::{self, Sighting};
use crate::measure::ledger::Ledgers;
use crate::outcome::Audit;
use anyhow::Context;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

/// What was seen of one run, in all mailboxes.
#[derive(Default)]
pub(crate) struct Copies {
    pub(crate) sightings: Vec<Sighting>,
}

impl Copies {
    /// Reads the mailboxes of all accounts, the first of them from the given UIDs on; a mailbox
    /// that cannot be read is an error, as nobody knows what is in it.
    pub(crate) fn read(
        access: &Arc<Access>,
        accounts: &Accounts,
        mailboxes: &[String],
        from: Vec<u32>,
        run: u32,
    ) -> anyhow::Result<Copies> {
        let mailboxes = mailboxes.to_vec();
        let read = visit(
            access,
            accounts,
            async move |account, session: &mut Session| {
                let mut seen = Vec::new();
                for (mailbox, at) in mailboxes.iter().zip(0..) {
                    let uid = from.get(account as usize).filter(|_| at == 0);
                    let found = |found: Found| {
                        if found.stamp.run == run && found.stamp.number < FILL_NUMBER_MIN {
                            seen.push(Sighting {
                                number: found.stamp.number,
                                account,
                                is_intact: found.is_intact,
                            });
                        }
                    };
                    let mut answer = session.select(mailbox).await?;
                    if answer.is_positive() {
                        answer = session
                            .read_from(uid.copied().unwrap_or(1), Part::Whole, found)
                            .await?;
                    }
                    if !answer.is_positive() {
                        return Err(io::Error::other(format!("{mailbox}: {answer}")));
                    }
                }
                Ok(seen)
            },
        );
        let sightings = read.context("no audit")?.into_iter().flatten();
        Ok(Copies {
            sightings: sightings.collect(),
        })
    }

    /// For loads that do not tell who appends what.
    pub(crate) fn forget_accounts(&mut self) {
        for sighting in &mut self.sightings {
            sighting.account = 0;
        }
    }

    /// What we deleted was there once, unless it is there still. What the server said is gone must
    /// not be there any more.
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
