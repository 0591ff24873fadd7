//! The runs: every part and card, and what a mailbox adds up to.

use super::Check;
use super::damage::{Damage, Part, Whose};
use crate::disk::Disk;
use crate::mail::id::{AccountId, MailboxId};
use crate::mailbox::card::Card;
use crate::mailbox::index::Index;
use crate::table::manifest::{Manifest, RunName};
use crate::table::run::Run;
use std::collections::HashMap;
use std::rc::Rc;

impl<D: Disk> Check<'_, D> {
    /// The index of the runs; nothing where one of them cannot be opened.
    pub(super) async fn index(&mut self, manifest: &Manifest) -> Option<Rc<Index>> {
        let mut runs = Vec::new();
        for name in &manifest.runs {
            self.tell.summary.runs += 1;
            match Run::load(self.disk, &self.owner.directory, name.head(self.owner)).await {
                Ok(run) => runs.push(Rc::new(run)),
                Err(error) => self.index_damage(&error),
            }
        }
        let addresses = addresses(&runs);
        for (run, name) in runs.iter().zip(&manifest.runs) {
            self.parts(run, &addresses);
            self.tell.bytes(run.bytes());
            if runs.len() == manifest.runs.len() {
                self.length(run, name);
            }
        }
        (runs.len() == manifest.runs.len()).then(|| Rc::new(Index::new(runs)))
    }

    fn length(&mut self, run: &Run, name: &RunName) {
        if run.bytes() != name.bytes {
            let what = "it has another size than the manifest says";
            self.tell
                .damage(Damage::new(Part::Run, run.path(), None, what));
        }
    }

    /// Every part by itself, so that each that is damaged is named; then the order of the file.
    fn parts(&mut self, run: &Run, addresses: &HashMap<AccountId, String>) {
        let mut is_sound = true;
        for key in run.keys() {
            let damage = match key {
                Err(error) => Damage::table(Part::Run, &error),
                Ok((account, mailbox)) => match run.part(account, mailbox) {
                    Some(Err(error)) => {
                        let account = AccountId(account);
                        let address = addresses.get(&account).cloned().unwrap_or_default();
                        Damage::table(Part::Run, &error).of(Whose {
                            account,
                            address,
                            mailbox: (mailbox != 0).then(|| format!("number {mailbox}")),
                            uid: None,
                        })
                    }
                    _ => continue,
                },
            };
            is_sound = false;
            self.tell.damage(damage);
        }
        if is_sound && let Err(error) = run.verify() {
            self.index_damage(&error);
        }
    }
}

/// Addresses by the cards that can be read, to name whom damage is about.
fn addresses(runs: &[Rc<Run>]) -> HashMap<AccountId, String> {
    let mut addresses = HashMap::new();
    for run in runs {
        for (account, octets) in run.cards().into_iter().flatten() {
            if let Ok(card) = Card::decode(AccountId(account), octets) {
                addresses.insert(card.id, card.address);
            }
        }
    }
    addresses
}

/// The mailbox of a part of the shard itself or of an account.
pub(super) const NO_MAILBOX: MailboxId = MailboxId(0);
