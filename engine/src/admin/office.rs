//! Carries out what the operator orders, on the service thread: it is the only one that exchanges
//! the configuration and the directory, so two changes never cross.

use super::control::Orders;
use super::wire::{AccountLine, DomainLine, Origin, Reply, Request};
use crate::auth::Secrets;
use crate::config::{self, Config};
use crate::post::{Done, Letter, Order, Post};
use crate::reactor::{Pool, oneshot};
use crate::route::{self, Live, Plan, PlannedAccount};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use store::error::ChangeError;
use store::mail::address::Address;
use store::shard::StoredAccount;

pub struct Office {
    live: Arc<Live>,
    post: Rc<Post>,
    shards: u16,
    /// Threads that make password hashes.
    logins: Pool,
    /// One order at a time.
    turn: tokio::sync::Mutex<Kept>,
}

/// What the store keeps, as the shards said it.
#[derive(Default)]
struct Kept {
    accounts: BTreeMap<String, StoredAccount>,
    domains: BTreeMap<String, Option<String>>,
}

/// A shard does not answer: the server is going down.
#[derive(Debug)]
pub struct Gone;

impl Office {
    pub fn new(live: Arc<Live>, post: Rc<Post>, shards: u16, logins: Pool) -> Office {
        Office {
            live,
            post,
            shards,
            logins,
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Asks the shards what they keep and makes the first directory. Says what did not fit.
    pub async fn gather(&self) -> Result<Vec<String>, Gone> {
        let mut kept = self.turn.lock().await;
        for shard in 0..self.shards {
            let accounts = self.ask(shard, Order::Accounts).await?;
            kept.accounts
                .extend(accounts.into_iter().map(|one| (one.address.clone(), one)));
        }
        kept.domains = self.ask(0, Order::Domains).await?;
        self.publish(&kept).await
    }

    /// Exchanges the configuration. Says what did not fit.
    pub async fn reload(&self, config: Config) -> Result<Vec<String>, Gone> {
        let kept = self.turn.lock().await;
        self.live.config.store(Arc::new(config));
        self.publish(&kept).await
    }

    /// Tells every shard in turn.
    pub async fn tell_all(&self, order: impl Fn(oneshot::Sender<()>) -> Order) -> Result<(), Gone> {
        let mut answers = Vec::new();
        for shard in 0..self.shards {
            let (sender, receiver) = oneshot::oneshot();
            self.send(shard, order(sender)).await?;
            answers.push(receiver);
        }
        for answer in answers {
            answer.await.map_err(|_| Gone)?;
        }
        Ok(())
    }

    /// Orders something of one shard and awaits the outcome.
    pub async fn ask<T>(
        &self,
        shard: u16,
        order: impl FnOnce(oneshot::Sender<T>) -> Order,
    ) -> Result<T, Gone> {
        let (sender, receiver) = oneshot::oneshot();
        self.send(shard, order(sender)).await?;
        receiver.await.map_err(|_| Gone)
    }

    /// Configuration and directory of now.
    pub(super) fn live(&self) -> &Live {
        &self.live
    }

    /// How many there are.
    #[must_use]
    pub(super) fn shards(&self) -> u16 {
        self.shards
    }

    async fn send(&self, shard: u16, order: Order) -> Result<(), Gone> {
        self.post
            .send(usize::from(shard), Letter::Order(order))
            .await
            .map_err(|_| Gone)
    }

    /// Builds the directory from the configuration and from what is kept, and hands it out.
    async fn publish(&self, kept: &Kept) -> Result<Vec<String>, Gone> {
        let config = self.live.config.load_full();
        let mut plan = match Plan::from_config(&config, self.shards) {
            Ok(plan) => plan,
            Err(why) => return Ok(vec![why]),
        };
        let mut complaints = Vec::new();
        plan.domains.extend(kept.domains.iter().map(planned_domain));
        for account in kept.accounts.values() {
            match planned_account(account) {
                Ok(Some(planned)) => plan.accounts.push(planned),
                Ok(None) => {}
                Err(why) => complaints.push(why),
            }
        }
        let previous = self.live.directory.load_full();
        let (directory, left_out) = plan.build(Some(&previous));
        complaints.extend(left_out);
        self.live.directory.store(Arc::new(directory));
        self.tell_all(Order::Reloaded).await?;
        Ok(complaints)
    }

    async fn carry_out(&self, request: Request) -> Result<Reply, String> {
        let mut kept = self.turn.lock().await;
        match request {
            Request::AccountList => return Ok(Reply::Accounts(self.accounts())),
            Request::DomainList => return Ok(Reply::Domains(self.domains(&kept))),
            Request::AccountAdd {
                address,
                password,
                quota_bytes,
            } => {
                let address = self.new_address(&address)?;
                let secret = self.secret(password).await?;
                let name = address.to_string();
                self.change(&name, |done| Order::SetAccount {
                    address: name.clone(),
                    secret,
                    quota: quota_bytes,
                    done,
                })
                .await?;
                self.refresh(&mut kept, &name).await?;
            }
            Request::AccountPasswd { address, password } => {
                let name = self.stored_address(&kept, &address)?;
                let secret = self.secret(password).await?;
                let order = |done| Order::SetSecret {
                    address: name.clone(),
                    secret,
                    done,
                };
                self.change(&name, order).await?;
                self.refresh(&mut kept, &name).await?;
            }
            Request::AccountRemove { address } => {
                let name = self.stored_address(&kept, &address)?;
                // First nobody is let in any more, then the mail goes.
                let removed = kept.accounts.remove(&name);
                self.publish(&kept).await.map_err(say_gone)?;
                if let Err(why) = self.remove_account(&name).await {
                    kept.accounts.extend(removed.map(|account| (name, account)));
                    self.publish(&kept).await.map_err(say_gone)?;
                    return Err(why);
                }
            }
            Request::DomainAdd { name, catch_all } => {
                self.add_domain(&mut kept, &name, catch_all).await?;
            }
            Request::DomainRemove { name } => self.remove_domain(&mut kept, &name).await?,
            Request::SuppressPut { .. }
            | Request::SuppressRemove { .. }
            | Request::SuppressCheck { .. }
            | Request::SuppressList { .. } => {
                drop(kept);
                return self.suppress(request).await;
            }
            Request::RuleTest { reply, about } => return self.rule_test(&reply, &about),
            Request::RuleList => return Ok(self.rule_list()),
            about_the_queue => {
                drop(kept);
                return self.queue(about_the_queue).await;
            }
        }
        self.publish(&kept).await.map_err(say_gone)?;
        Ok(Reply::Done)
    }

    async fn add_domain(
        &self,
        kept: &mut Kept,
        name: &str,
        catch_all: Option<String>,
    ) -> Result<(), String> {
        let name = self.new_domain(kept, name)?;
        let (domain, to) = (name.clone(), catch_all.clone());
        self.change_at(0, |done| Order::SetDomain {
            name,
            catch_all: to,
            done,
        })
        .await?;
        kept.domains.insert(domain, catch_all);
        Ok(())
    }

    async fn remove_domain(&self, kept: &mut Kept, name: &str) -> Result<(), String> {
        let name = name.to_ascii_lowercase();
        if !kept.domains.contains_key(&name) {
            return Err(self.not_stored("domain", &name, self.is_configured_domain(&name)));
        }
        let domain = name.clone();
        self.change_at(0, |done| Order::RemoveDomain { name, done })
            .await?;
        kept.domains.remove(&domain);
        Ok(())
    }

    async fn change(&self, address: &str, order: impl FnOnce(Done) -> Order) -> Result<(), String> {
        self.change_at(self.owner(address)?, order).await
    }

    /// With what others allowed it to do with their mailboxes.
    async fn remove_account(&self, address: &str) -> Result<(), String> {
        let address = || address.to_owned();
        for shard in 0..self.shards {
            let address = address();
            let order = |done| Order::ForgetIdentifier { address, done };
            self.change_at(shard, order).await?;
        }
        let order = |done| Order::RemoveAccount {
            address: address(),
            done,
        };
        self.change(&address(), order).await
    }

    async fn change_at(&self, shard: u16, order: impl FnOnce(Done) -> Order) -> Result<(), String> {
        let outcome: Result<(), ChangeError> = self.ask(shard, order).await.map_err(say_gone)?;
        outcome.map_err(|error| error.to_string())
    }

    async fn refresh(&self, kept: &mut Kept, address: &str) -> Result<(), String> {
        let shard = self.owner(address)?;
        let accounts = self.ask(shard, Order::Accounts).await.map_err(say_gone)?;
        if let Some(account) = accounts
            .into_iter()
            .find(|account| account.address == address)
        {
            kept.accounts.insert(address.to_owned(), account);
        }
        Ok(())
    }

    fn owner(&self, address: &str) -> Result<u16, String> {
        let address = Address::split(address).ok_or_else(|| not_an_address(address))?;
        Ok(route::shard(&address, self.shards).0)
    }

    /// The canonical form of an address that nobody has yet.
    fn new_address(&self, text: &str) -> Result<Address, String> {
        let address = canonical(text)?;
        let directory = self.live.directory.load();
        if !directory.is_local(&address.domain) {
            let add = format!("ringpostctl domain add {}", address.domain);
            return Err(format!(
                "{} is no domain of this server; try: {add}",
                address.domain
            ));
        }
        if directory.account(&address).is_some() {
            return Err(format!("{address} exists"));
        }
        Ok(address)
    }

    fn stored_address(&self, kept: &Kept, text: &str) -> Result<String, String> {
        let address = canonical(text)?;
        let name = address.to_string();
        match kept
            .accounts
            .get(&name)
            .is_some_and(|account| account.secret.is_some())
        {
            true => Ok(name),
            false => {
                let is_configured = self.live.directory.load().account(&address).is_some();
                Err(self.not_stored("account", &name, is_configured))
            }
        }
    }

    fn new_domain(&self, kept: &Kept, text: &str) -> Result<String, String> {
        let name = config::domain_name(text);
        let name = name.ok_or_else(|| format!("{text} is no domain name"))?;
        if kept.domains.contains_key(&name) || self.is_configured_domain(&name) {
            return Err(format!("{name} exists"));
        }
        Ok(name)
    }

    fn is_configured_domain(&self, name: &str) -> bool {
        self.live
            .config
            .load()
            .domains
            .iter()
            .any(|domain| domain.name == name)
    }

    fn not_stored(&self, what: &str, name: &str, is_configured: bool) -> String {
        match is_configured {
            true => format!("the {what} {name} stands in the configuration file; change it there"),
            false => format!("there is no {what} {name}"),
        }
    }

    async fn secret(&self, password: String) -> Result<String, String> {
        let made = self.logins.offload(move || {
            Secrets::create(&password, &mut |octets| {
                getrandom::fill(octets).expect("the kernel gives randomness");
            })
        });
        let secrets = made.await.map_err(|error| error.to_string())?;
        secrets
            .map(|secrets| secrets.as_str().to_owned())
            .map_err(|error| error.to_string())
    }

    fn accounts(&self) -> Vec<AccountLine> {
        let directory = self.live.directory.load();
        let line = |account: &Arc<route::Account>| AccountLine {
            address: account.address.to_string(),
            used_bytes: account.usage(),
            quota_bytes: account.quota,
            origin: match account.origin {
                route::Origin::File => Origin::Config,
                route::Origin::Store => Origin::Store,
            },
        };
        let mut lines: Vec<AccountLine> = directory.accounts().iter().map(line).collect();
        lines.sort_by(|a, b| a.address.cmp(&b.address));
        lines
    }

    fn domains(&self, kept: &Kept) -> Vec<DomainLine> {
        let config = self.live.config.load();
        let configured = config.domains.iter().map(|domain| DomainLine {
            name: domain.name.clone(),
            catch_all: domain.catch_all.as_ref().map(Address::to_string),
            origin: Origin::Config,
        });
        let stored = kept.domains.iter().map(|(name, catch_all)| DomainLine {
            name: name.clone(),
            catch_all: catch_all.clone(),
            origin: Origin::Store,
        });
        configured.chain(stored).collect()
    }
}

impl Orders for Office {
    async fn order(&self, request: Request) -> Reply {
        self.carry_out(request).await.unwrap_or_else(Reply::Refused)
    }
}

fn canonical(text: &str) -> Result<Address, String> {
    config::address(text)
}

fn not_an_address(text: &str) -> String {
    format!("{text} is no address; one looks like alice@example.org")
}

fn planned_domain((name, catch_all): (&String, &Option<String>)) -> config::Domain {
    config::Domain {
        name: name.clone(),
        catch_all: catch_all.as_deref().and_then(Address::split),
        delimiter: Some(config::DELIMITER_DEFAULT),
        accounts_elsewhere: true,
    }
}

/// An account without a secret only keeps the mail of one in the configuration file.
fn planned_account(account: &StoredAccount) -> Result<Option<PlannedAccount>, String> {
    let Some(secret) = &account.secret else {
        return Ok(None);
    };
    let address = Address::split(&account.address);
    let address = address.ok_or_else(|| not_an_address(&account.address))?;
    let secrets = Secrets::parse(secret)
        .map_err(|why| format!("the stored password of {address} cannot be read: {why}"))?;
    Ok(Some(PlannedAccount {
        address,
        secrets,
        quota: account.quota,
        disabled: false,
        origin: route::Origin::Store,
    }))
}

pub(super) fn say_gone(_: Gone) -> String {
    "the server is going down".to_owned()
}
