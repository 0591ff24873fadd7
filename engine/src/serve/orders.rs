//! What the service thread orders, carried out on a shard.

use super::follow;
use super::resume;
use super::shard::{Desk, open_doors};
use crate::events;
use crate::listen::as_owner;
use crate::post::{Order, QueueAnswer, QueueAsk};
use crate::queue::Dispatcher;
use crate::reactor::sleep;
use crate::telemetry::log;
use std::time::Duration;
use store::error::ChangeError;
use store::mail::id::AccountId;
use store::shard::Configured;

/// Carries out one order. Whoever waits for the outcome may be gone.
pub(super) async fn carry_out(desk: &Desk, order: Order) {
    let store = &desk.hall.store;
    match order {
        Order::Accounts(done) => drop(done.send(store.accounts())),
        Order::Domains(done) => drop(done.send(store.domains())),
        Order::SetAccount {
            address,
            secret,
            quota,
            done,
        } => {
            drop(done.send(set_account(desk, &address, secret, quota).await));
        }
        Order::SetSecret {
            address,
            secret,
            done,
        } => {
            let outcome = match known(desk, &address) {
                Ok(account) => store.set_secret(account, Some(secret)).await,
                Err(error) => Err(error),
            };
            drop(done.send(outcome));
        }
        Order::RemoveAccount { address, done } => {
            drop(done.send(remove_account(desk, &address).await));
        }
        Order::ForgetIdentifier { address, done } => {
            let identifier = address.to_lowercase();
            drop(done.send(store.forget_identifier(&identifier).await));
        }
        Order::SetDomain {
            name,
            catch_all,
            done,
        } => {
            drop(done.send(store.add_domain(name, catch_all).await));
        }
        Order::RemoveDomain { name, done } => drop(done.send(store.remove_domain(name).await)),
        Order::Reloaded(done) => {
            configure(desk);
            let _ = done.send(());
        }
        Order::Queue { ask, done } => drop(done.send(answer(desk, ask).await)),
        Order::Suppress { ask, done } => {
            drop(done.send(desk.hall.intake.suppression(ask).await));
        }
        Order::AsOwner(order) => as_owner(&desk.hall, order).await,
        Order::Seen(done) => drop(done.send(resume::seen(desk))),
        Order::ResumeOffers { seen, done } => {
            drop(done.send(resume::offers(desk, &seen).await));
        }
        Order::ResumeTaking { through, done } => {
            resume::taking(desk, &through).await;
            let _ = done.send(());
        }
        Order::Open(done) => {
            open_doors(desk);
            let _ = done.send(());
        }
        Order::Drain(done) => {
            drain(desk).await;
            let _ = done.send(());
        }
        Order::Close(done) => {
            close(desk).await;
            let _ = done.send(());
        }
    }
}

async fn answer(desk: &Desk, ask: QueueAsk) -> QueueAnswer {
    match &desk.dispatcher {
        Some(dispatcher) => dispatcher.answer(ask).await,
        None => QueueAnswer::Off,
    }
}

/// Everything becomes durable, and the next start has little to replay.
async fn close(desk: &Desk) {
    if let Some(dispatcher) = &desk.dispatcher {
        dispatcher.remember().await;
    }
    desk.hall.store.close();
    if let Some(written) = desk.written.take() {
        let _ = written.await;
    }
    follow::last_round(desk).await;
    log::flush();
    events::flush();
}

async fn remove_account(desk: &Desk, address: &str) -> Result<(), ChangeError> {
    let account = known(desk, address)?;
    desk.hall.store.remove_account(account).await
}

async fn set_account(
    desk: &Desk,
    address: &str,
    secret: String,
    quota: Option<u64>,
) -> Result<(), ChangeError> {
    let account = desk.hall.store.open_account(address).await?;
    desk.hall.store.set_quota(account, quota).await?;
    desk.hall.store.set_secret(account, Some(secret)).await
}

fn known(desk: &Desk, address: &str) -> Result<AccountId, ChangeError> {
    desk.hall
        .store
        .account(address)
        .map(|account| account.id)
        .ok_or(ChangeError::NoAccount)
}

/// The store asks the directory for quotas, and publishes usage to it; the queue asks for routes
/// again.
fn configure(desk: &Desk) {
    if let Some(dispatcher) = &desk.dispatcher {
        dispatcher.reconfigured();
    }
    let live = desk.hall.live.clone();
    desk.hall.store.configure(move |name| {
        let directory = live.directory.load();
        let account = directory.account_named(name)?;
        Some(Configured {
            quota: account.quota,
            usage: account.usage_gauge(),
        })
    });
}

/// Says goodbye and waits for the last conversation, for as long as the operator allows.
async fn drain(desk: &Desk) {
    desk.hall.drain.begin();
    let dispatcher = desk.dispatcher.as_deref();
    if let Some(dispatcher) = dispatcher {
        dispatcher.end();
    }
    let open = || {
        let couriers = dispatcher.map_or(0, Dispatcher::couriers);
        desk.hall.census.open() + couriers
    };
    let patience = desk.hall.live.config.load().limits.drain_secs_max * 1000;
    let start = desk.hall.now().monotonic_millis;
    while open() > 0 && desk.hall.now().monotonic_millis < start + patience {
        sleep(Duration::from_millis(50)).await;
    }
}
