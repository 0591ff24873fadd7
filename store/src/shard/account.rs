//! Accounts and domains that the store itself keeps.

use super::{Entry, Shard};
use crate::disk::Disk;
use crate::error::ChangeError;
use crate::log::RECORD_HEADER_BYTES;
use crate::mail::id::{AccountId, ModSeq};
use crate::mailbox::name::INBOX;
use crate::mailbox::slots::Owner;
use crate::mailbox::{Account, Configured, SpecialUse};
use crate::record::{AccountFact, DomainFact, Fact, MailboxFact};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// An account as the log has it.
#[derive(Clone, Debug)]
pub struct StoredAccount {
    pub id: AccountId,
    pub address: String,
    /// `None`: the configuration file decides whether and how it logs in.
    pub secret: Option<String>,
    /// Octets.
    pub quota: Option<u64>,
    /// Octets stored; kept up to date while the account exists.
    pub usage: Arc<AtomicU64>,
}

type Lookup = Box<dyn Fn(&str) -> Option<Configured>>;

#[derive(Default)]
pub(super) struct Configuration(Option<Lookup>);

impl Configuration {
    /// Whether mail for an address may make its account; where nobody was named to ask, it may.
    pub(super) fn knows(&self, address: &str) -> bool {
        self.0
            .as_ref()
            .is_none_or(|lookup| lookup(address).is_some())
    }
}

impl<D: Disk> Shard<D> {
    /// Every account with mail or a secret in this shard.
    pub fn accounts(&self) -> Vec<StoredAccount> {
        self.state.borrow().slots().owners().map(stored).collect()
    }

    /// The account of an address, compared octet by octet.
    pub fn account(&self, address: &str) -> Option<StoredAccount> {
        let state = self.state.borrow();
        state.slots().owner(state.account_at(address)?).map(stored)
    }

    /// The account of an address, made with its INBOX and the usual mailboxes of RFC 6154 where it
    /// is missing.
    pub async fn open_account(&self, address: &str) -> Result<AccountId, ChangeError> {
        let known = self.state.borrow().account_at(address);
        if let Some(id) = known {
            self.warm_account(id).await;
            return Ok(id);
        }
        let _pass = self.accounts_gate.clone().enter().await;
        if let Some(id) = self.state.borrow().account_at(address) {
            return Ok(id);
        }
        self.log.room(ACCOUNT_BYTES_MAX + address.len()).await?;
        let id = self.state.borrow_mut().next_account();
        let frame = self.put(id, self.birth(id, address))?;
        self.log.durable(frame).await?;
        if let Some(lookup) = &self.configuration.borrow().0 {
            let mut state = self.state.borrow_mut();
            state.slots_mut().configure_one(id, lookup);
        }
        Ok(id)
    }

    fn birth(&self, id: AccountId, address: &str) -> Vec<Entry<'static>> {
        // The account does not exist before its facts are applied; a draft of it counts for it.
        let mut draft = Account::new(id, address.to_owned());
        let create = AccountFact::Create {
            account: id,
            address: address.to_owned(),
        };
        let mut entries = vec![Entry::of(Fact::Account(create))];
        for (name, special_use) in FIRST_MAILBOXES {
            let fact = MailboxFact::Create {
                mailbox: draft.next_mailbox(),
                uid_validity: draft.next_uid_validity((self.now_secs)()),
                modseq: ModSeq(1),
                special_use: special_use.0,
                name: name.to_owned(),
            };
            entries.push(Entry::of(Fact::Mailbox(fact)));
            let subscribe = MailboxFact::Subscribe {
                name: name.to_owned(),
            };
            entries.push(Entry::of(Fact::Mailbox(subscribe)));
        }
        entries
    }

    /// Sets or takes away what an account logs in with.
    pub async fn set_secret(
        &self,
        account: AccountId,
        secret: Option<String>,
    ) -> Result<(), ChangeError> {
        self.change_account(account, AccountFact::Secret { account, secret })
            .await
    }

    /// Sets or takes away the quota, in octets.
    pub async fn set_quota(
        &self,
        account: AccountId,
        octets: Option<u64>,
    ) -> Result<(), ChangeError> {
        self.change_account(account, AccountFact::Quota { account, octets })
            .await
    }

    /// Removes an account with all its mail. Its id is never used again.
    pub async fn remove_account(&self, account: AccountId) -> Result<(), ChangeError> {
        self.forget(account, None).await?;
        self.change_account(account, AccountFact::Remove { account })
            .await
    }

    async fn change_account(&self, id: AccountId, fact: AccountFact) -> Result<(), ChangeError> {
        let _pass = self.accounts_gate.clone().enter().await;
        self.log.room(ACCOUNT_BYTES_MAX).await?;
        if self.state.borrow().slots().owner(id).is_none() {
            return Err(ChangeError::NoAccount);
        }
        let frame = self.put(id, vec![Entry::of(Fact::Account(fact))])?;
        Ok(self.log.durable(frame).await?)
    }

    /// Asks `lookup` from now on what the configuration says of an account; it is not logged.
    pub fn configure(&self, lookup: impl Fn(&str) -> Option<Configured> + 'static) {
        self.state.borrow_mut().slots_mut().configure(&lookup);
        self.configuration
            .replace(Configuration(Some(Box::new(lookup))));
    }

    /// Domains made by `ringpostctl`, with their catch-all; kept by shard 0.
    pub fn domains(&self) -> BTreeMap<String, Option<String>> {
        self.state.borrow().domains.clone()
    }

    pub async fn add_domain(
        &self,
        name: String,
        catch_all: Option<String>,
    ) -> Result<(), ChangeError> {
        self.change_domain(DomainFact::Add { name, catch_all })
            .await
    }

    pub async fn remove_domain(&self, name: String) -> Result<(), ChangeError> {
        self.change_domain(DomainFact::Remove { name }).await
    }

    async fn change_domain(&self, fact: DomainFact) -> Result<(), ChangeError> {
        self.log.room(ACCOUNT_BYTES_MAX).await?;
        let frame = self.put(AccountId(0), vec![Entry::of(Fact::Domain(fact))])?;
        Ok(self.log.durable(frame).await?)
    }
}

fn stored(owner: Owner<'_>) -> StoredAccount {
    StoredAccount {
        id: owner.card.id,
        address: owner.card.address.clone(),
        secret: owner.card.secret.clone(),
        quota: owner.card.quota,
        usage: Arc::clone(owner.gauge),
    }
}

/// What a new account finds (RFC 6154).
const FIRST_MAILBOXES: [(&str, SpecialUse); 6] = [
    (INBOX, SpecialUse::NONE),
    ("Archive", SpecialUse::ARCHIVE),
    ("Drafts", SpecialUse::DRAFTS),
    ("Junk", SpecialUse::JUNK),
    ("Sent", SpecialUse::SENT),
    ("Trash", SpecialUse::TRASH),
];

/// Room for the facts of one account, its address not counted.
const ACCOUNT_BYTES_MAX: usize = 4096 + 16 * RECORD_HEADER_BYTES;
