//! Several people in one house: rights, quotas, annotations, visits.

mod annotations;
mod quotas;
mod rights;
mod seeded;
mod visits;

use super::fake::{ALICE, BOB, Fake};
use super::pipe::Client;
use super::random::Random;
use crate::post::visit::{Lent, Visitor};
use crate::session::imap::dialogue::Dialogue;
use crate::session::imap::sharing::{Abroad, Belongings, Booth, Guest, House, News, lent_here};
use crate::session::imap::{Session, Terms};
use ::store::mail::date::InternalDate;
use futures_util::future::LocalBoxFuture;
use std::rc::Rc;
use std::time::Duration;

const ALICE_NAME: &str = "alice@example.test";
const BOB_NAME: &str = "bob@example.test";

/// A store whose accounts visit each other.
#[derive(Clone)]
struct Village {
    store: Fake,
    news: Rc<News>,
    administrator: &'static str,
    shared: Option<String>,
    /// Identifiers of the groups that Bob is in.
    groups_of_bob: Vec<String>,
}

impl Village {
    fn new() -> Village {
        Village {
            store: Fake::new(),
            news: Rc::default(),
            administrator: "",
            shared: None,
            groups_of_bob: Vec::new(),
        }
    }

    fn house(&self, user: &str) -> House {
        House {
            user: user.to_owned(),
            groups: match user {
                BOB_NAME => self.groups_of_bob.clone(),
                _ => Vec::new(),
            },
            is_administrator: user == self.administrator,
            others: true,
            shared: self.shared.clone(),
            comment: Some("A village".into()),
            admin: Some("mailto:alice@example.test".into()),
            abroad: Some(Rc::new(self.clone())),
            news: Rc::clone(&self.news),
        }
    }

    fn client(&self, user: &str) -> Client {
        let account = if user == ALICE_NAME { ALICE } else { BOB };
        let session = Session::new(self.store.clone(), account, terms());
        let mut session = session.housed(Rc::new(self.house(user)));
        let mut client = Client::serve(|wire| {
            Box::pin(async move { session.run(&mut Dialogue::new(wire), "x").await })
        });
        client.listen();
        client
    }

    /// Alice, who says something.
    fn alice(&self, commands: &[&str]) {
        let mut alice = self.client(ALICE_NAME);
        for command in commands {
            let answer = alice.say(&format!("x {command}"));
            assert!(answer.contains("x OK"), "{command}: {answer}");
        }
    }
}

impl Abroad for Village {
    fn lent<'a>(&'a self, visitor: &'a Visitor) -> LocalBoxFuture<'a, Vec<Lent>> {
        Box::pin(lent_here(&self.store, visitor, self.shared.as_deref()))
    }

    fn visit<'a>(
        &'a self,
        visitor: Visitor,
        owner: &'a str,
    ) -> LocalBoxFuture<'a, Option<Rc<dyn Guest>>> {
        Box::pin(async move {
            let account = self.store.open(owner).await?;
            let session = Session::new(self.store.clone(), account, terms());
            let session = session.housed(Rc::new(self.house(&visitor.user)));
            Some(Rc::new(Booth::new(session, owner)) as Rc<dyn Guest>)
        })
    }
}

fn terms() -> Terms {
    Terms {
        ascii_headers: true,
        converters: None,
        autologout: Duration::from_secs(1800),
        append_bytes_max: 1 << 20,
        messages_max: None,
        now: Rc::new(|| InternalDate::utc(1_700_000_000)),
    }
}
