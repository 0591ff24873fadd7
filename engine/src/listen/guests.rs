//! Guest sessions: users of any shard at accounts of this one, and users of this one anywhere.
//!
//! A guest session lives on the shard that owns the mailboxes. For a user of the same shard it is
//! called directly; for one of another it has a number here, and what both say are letters. It
//! ends when the user's connection lets go of it.

use super::hall::Hall;
use super::imap::{report, terms};
use crate::post::visit::{Ask, Errand, Lent, Said, Visitor};
use crate::post::{Answer, AsOwner, Question, VisitAnswer, VisitAsk};
use crate::reactor::{spawn, yield_now};
use crate::session::imap::Session;
use crate::session::imap::sharing::{
    Abroad, Belongings, Booth, Guest, House, News, group_identifier, lent_here,
};
use crate::wire::imap::command::Command;
use crate::wire::imap::receive::{Event, Receiver};
use futures_util::future::LocalBoxFuture;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Guest sessions of one shard for users of others. A connection has two at most.
const GUESTS_MAX: usize = 100_000;

/// The guests of one shard, and the news of it.
#[derive(Default)]
pub struct Guests {
    booths: RefCell<BTreeMap<u64, Rc<dyn Guest>>>,
    last: Cell<u64>,
    news: Rc<News>,
}

impl Guests {
    /// Answers a letter.
    pub async fn answer(&self, hall: &Rc<Hall>, ask: VisitAsk) -> Answer {
        let answer = match ask {
            VisitAsk::Lent(visitor) => VisitAnswer::Lent(lent(hall, &visitor).await),
            VisitAsk::Open { visitor, owner } => {
                let booth = booth(hall, visitor, &owner).await;
                VisitAnswer::Opened(booth.and_then(|booth| self.admit(booth)))
            }
            VisitAsk::Say { guest, ask } => {
                let booth = self.booths.borrow().get(&guest).cloned();
                VisitAnswer::Said(match booth {
                    Some(booth) => booth.ask(ask).await,
                    None => Said::Gone,
                })
            }
            VisitAsk::Close { guest } => {
                let gone = self.booths.borrow_mut().remove(&guest);
                drop(gone);
                VisitAnswer::Closed
            }
        };
        Answer::Visited(Box::new(answer))
    }

    fn admit(&self, booth: Rc<dyn Guest>) -> Option<u64> {
        let mut booths = self.booths.borrow_mut();
        if booths.len() >= GUESTS_MAX {
            return None;
        }
        let number = self.last.get() + 1;
        self.last.set(number);
        booths.insert(number, booth);
        Some(number)
    }
}

/// What a session of `user` is told of the house.
pub(super) fn house(hall: &Rc<Hall>, user: &str) -> House {
    let config = hall.live.config.load();
    let sharing = &config.sharing;
    let is = |address: &store::mail::address::Address| address.to_string() == user;
    let is_open = sharing.others || sharing.shared.is_some();
    let street = || Rc::new(Street(Rc::clone(hall))) as Rc<dyn Abroad>;
    House {
        user: user.to_owned(),
        groups: sharing.groups_of(user).map(group_identifier).collect(),
        is_administrator: sharing.administrators.iter().any(is),
        others: sharing.others,
        shared: sharing.shared.as_ref().map(ToString::to_string),
        comment: sharing.comment.clone(),
        admin: sharing.contact.clone(),
        abroad: is_open.then(street),
        news: Rc::clone(&hall.guests.news),
    }
}

/// A guest session at an account of this shard; `None`: nobody ever used it.
async fn booth(hall: &Rc<Hall>, visitor: Visitor, owner: &str) -> Option<Rc<dyn Guest>> {
    let account = hall.store.open(owner).await?;
    let house = House {
        is_administrator: visitor.is_administrator,
        ..house(hall, &visitor.user)
    };
    let session = Session::new(Rc::clone(&hall.store), account, terms(hall));
    let session = session.reporting_to(report()).housed(Rc::new(house));
    Some(Rc::new(Booth::new(session, owner)))
}

/// Carries out a command of the operator in the place of an account's owner: what it brought, or
/// why it was refused.
pub async fn as_owner(hall: &Rc<Hall>, order: AsOwner) {
    let outcome = brought(hall, &order.owner, &order.command).await;
    let _ = order.done.send(outcome);
}

async fn brought(hall: &Rc<Hall>, owner: &str, line: &str) -> Result<String, String> {
    let command = understood(line)?;
    let opened = hall.store.open_account(owner).await;
    opened.map_err(|error| error.to_string())?;
    let visitor = Visitor {
        user: owner.to_owned(),
        groups: Vec::new(),
        is_administrator: true,
    };
    let booth = booth(hall, visitor, owner).await;
    let booth = booth.ok_or("there is no such account")?;
    let enable = understood("ENABLE IMAP4rev2")?;
    attended(&*booth, enable).await?;
    let answer = attended(&*booth, command).await?;
    let (lines, last) = match answer.trim_end().rsplit_once("\r\n") {
        Some((lines, last)) => (lines.to_owned(), last),
        None => (String::new(), answer.trim_end()),
    };
    match last.strip_prefix(TAG) {
        Some(outcome) if outcome.starts_with(" OK") => Ok(lines),
        outcome => Err(outcome.unwrap_or(last).trim().to_owned()),
    }
}

fn understood(line: &str) -> Result<Command, String> {
    let mut receiver = Receiver::new();
    receiver.log_in();
    receiver.enable_utf8();
    match receiver.feed(format!("{TAG} {line}\r\n").as_bytes()) {
        (_, Event::Command(command)) => Ok(command),
        (_, Event::Bad(bad)) => Err(bad.fault.text().to_owned()),
        _ => Err("this is no whole command".to_owned()),
    }
}

/// All that a guest session says to a command that wants nothing more from its client.
async fn attended(guest: &dyn Guest, command: Command) -> Result<String, String> {
    let errand = Errand {
        command,
        receiver: Receiver::new(),
        input: Vec::new(),
    };
    let mut heard = Vec::new();
    let mut ask = Ask::Obey(Box::new(errand));
    loop {
        match guest.ask(ask).await {
            Said::Octets(octets) => heard.extend_from_slice(&octets),
            Said::Pause => yield_now().await,
            Said::Done { .. } => return Ok(String::from_utf8_lossy(&heard).into_owned()),
            _ => return Err("this command is not for operators".to_owned()),
        }
        ask = Ask::Next;
    }
}

/// The tag of an operator's commands.
const TAG: &str = "operator";

async fn lent(hall: &Rc<Hall>, visitor: &Visitor) -> Vec<Lent> {
    let sharing = hall.live.config.load().sharing.clone();
    let shared = sharing.shared.map(|shared| shared.to_string());
    let mut lent = lent_here(&hall.store, visitor, shared.as_deref()).await;
    lent.retain(|one| sharing.others || Some(&one.owner) == shared.as_ref());
    lent
}

/// The way from this shard to all accounts.
struct Street(Rc<Hall>);

impl Abroad for Street {
    fn lent<'a>(&'a self, visitor: &'a Visitor) -> LocalBoxFuture<'a, Vec<Lent>> {
        Box::pin(async move {
            let hall = &self.0;
            let mut all = lent(hall, visitor).await;
            let shards = usize::from(hall.live.directory.load().shards());
            for shard in (0..shards).filter(|shard| *shard != hall.shard) {
                let ask = VisitAsk::Lent(visitor.clone());
                if let VisitAnswer::Lent(lent) = say(hall, shard, ask).await {
                    all.extend(lent);
                }
            }
            all
        })
    }

    fn visit<'a>(
        &'a self,
        visitor: Visitor,
        owner: &'a str,
    ) -> LocalBoxFuture<'a, Option<Rc<dyn Guest>>> {
        Box::pin(async move {
            let hall = &self.0;
            let directory = hall.live.directory.load_full();
            let shard = usize::from(directory.account_named(owner)?.shard.0);
            if shard == hall.shard {
                return booth(hall, visitor, owner).await;
            }
            let owner = owner.to_owned();
            match say(hall, shard, VisitAsk::Open { visitor, owner }).await {
                VisitAnswer::Opened(Some(guest)) => Some(Rc::new(Away {
                    hall: Rc::clone(hall),
                    shard,
                    guest,
                }) as Rc<dyn Guest>),
                _ => None,
            }
        })
    }
}

async fn say(hall: &Hall, shard: usize, ask: VisitAsk) -> VisitAnswer {
    match hall.post.ask(shard, Question::Visit(Box::new(ask))).await {
        Ok(Answer::Visited(answer)) => *answer,
        _ => VisitAnswer::Closed,
    }
}

/// A guest session on another shard.
struct Away {
    hall: Rc<Hall>,
    shard: usize,
    guest: u64,
}

impl Guest for Away {
    fn ask(&self, ask: Ask) -> LocalBoxFuture<'_, Said> {
        let ask = VisitAsk::Say {
            guest: self.guest,
            ask,
        };
        Box::pin(async move {
            match say(&self.hall, self.shard, ask).await {
                VisitAnswer::Said(said) => said,
                _ => Said::Gone,
            }
        })
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        let (hall, shard) = (Rc::clone(&self.hall), self.shard);
        let ask = VisitAsk::Close { guest: self.guest };
        spawn(async move {
            say(&hall, shard, ask).await;
        });
    }
}
