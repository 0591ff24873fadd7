//! A session with each account, some at a time: before a run to look, behind it to audit.

use crate::client::imap::{Access, Session};
use crate::load::accounts::Accounts;
use crate::scenario::run::alone;
use anyhow::bail;
use engine::reactor::{sleep, spawn};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// What the visitors of a thread share.
struct Round<T, F> {
    access: Arc<Access>,
    accounts: Accounts,
    act: F,
    next: Cell<u32>,
    visiting: Cell<u32>,
    told: RefCell<BTreeMap<u32, T>>,
    failure: RefCell<Option<String>>,
}

/// Lets `act` do its work in a session of each account; what it gives, in their order. The first
/// failure ends it.
pub(crate) fn visit<T, F>(
    access: &Arc<Access>,
    accounts: &Accounts,
    act: F,
) -> anyhow::Result<Vec<T>>
where
    T: Send + 'static,
    F: AsyncFn(u32, &mut Session) -> io::Result<T> + Send + 'static,
{
    let (access, accounts) = (access.clone(), accounts.clone());
    let told = alone(move || async move {
        let round = Rc::new(Round {
            access,
            accounts,
            act,
            next: Cell::new(0),
            visiting: Cell::new(VISITORS),
            told: RefCell::default(),
            failure: RefCell::default(),
        });
        for _ in 0..VISITORS {
            let round = round.clone();
            spawn(async move { round.go().await });
        }
        while round.visiting.get() > 0 {
            sleep(LOOK).await;
        }
        match round.failure.take() {
            Some(why) => Err(why),
            None => Ok(round.told.take()),
        }
    })?;
    match told {
        Ok(told) => Ok(told.into_values().collect()),
        Err(why) => bail!(why),
    }
}

impl<T, F: AsyncFn(u32, &mut Session) -> io::Result<T>> Round<T, F> {
    async fn go(&self) {
        while self.next.get() < self.accounts.len() && self.failure.borrow().is_none() {
            let account = self.next.replace(self.next.get() + 1);
            match self.call(account).await {
                Ok(told) => drop(self.told.borrow_mut().insert(account, told)),
                Err(why) => {
                    let user = self.accounts.name(account);
                    *self.failure.borrow_mut() = Some(format!("{user}: {why}"));
                }
            }
        }
        self.visiting.set(self.visiting.get() - 1);
    }

    async fn call(&self, account: u32) -> Result<T, String> {
        let user = self.accounts.name(account);
        let opened = Session::log_in(&self.access, user, account).await;
        let (mut session, _) = opened.map_err(|refused| refused.explained())?;
        let told = (self.act)(account, &mut session).await;
        session.leave().await;
        told.map_err(|error| error.to_string())
    }
}

/// Sessions at the same time.
const VISITORS: u32 = 8;

/// How often it is seen whether all are done.
const LOOK: Duration = Duration::from_millis(20);
