//! Looking for messages: SEARCH and UID SEARCH with all their options (RFC 9051 §6.4.4, RFC 4731,
//! RFC 5032, RFC 5182, RFC 6203, RFC 9394), and what SORT, THREAD and ESEARCH have in common with
//! them.
//!
//! ```text
//! keys ─ test ─▶ Hunt ─ hunt ─▶ UIDs ─┬ sort ─┬▶ answer
//!                                     └ thread ┘    └ live: kept up to date
//! ```

mod answer;
mod facts;
mod hunt;
pub(super) mod known;
pub(super) mod live;
pub(super) mod multi;
mod progress;
mod sort;
mod test;
mod texts;
mod thread;

use self::answer::Results;
use self::hunt::{Caught, Ground, Hunt};
use self::progress::Progress;
use self::test::Resolver;
use self::texts::{Fault, Texts};
use super::Session;
use super::dialogue::Dialogue;
use super::io::{Ended, Io};
use super::mailstore::{Mailstore, Picture};
use super::reply::{Reply, say};
use super::select::Selected;
use crate::wire::imap::command::{Search, SearchKey, SearchReturn};
use crate::wire::imap::find::Find;
use crate::wire::imap::response::code::{self, Code};
use crate::wire::imap::response::esearch::Correlator;
use crate::wire::imap::response::{Condition, text};
use ::store::mail::id::Uid;
use ::store::mail::uidset::UidSet;

/// What a search of the selected mailbox came to.
enum Searched {
    Caught(Caught),
    /// It cannot be done.
    Refused(Reply),
}

impl<S: Mailstore> Session<S> {
    pub(super) async fn search<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        tag: &str,
        uid: bool,
        search: Search,
    ) -> Result<Reply, Ended> {
        if self.names_charset_in_vain(&search) {
            return Ok(Reply::bad(say::CHARSET_IS_UTF8));
        }
        let saves = search.returns.is_some_and(|returns| returns.save);
        let reply = self.search_and_tell(dialogue, tag, uid, &search).await?;
        self.forget_saved(saves, &reply);
        Ok(reply)
    }

    pub(super) async fn find<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        tag: &str,
        find: Find,
    ) -> Result<Reply, Ended> {
        match find {
            Find::Sort {
                uid,
                criteria,
                search,
            } => self.sort(dialogue, tag, uid, criteria, search).await,
            Find::Thread {
                uid,
                algorithm,
                search,
            } => self.thread(dialogue, uid, algorithm, &search).await,
            Find::Multi { search, .. } if self.names_charset_in_vain(&search) => {
                Ok(Reply::bad(say::CHARSET_IS_UTF8))
            }
            Find::Multi { sources, search } => {
                self.multi_search(dialogue, tag, sources, search).await
            }
            Find::CancelUpdate(tags) => Ok(self.cancel_update(&tags)),
        }
    }

    /// RFC 9755 §3: who enabled UTF-8 names no charset. SORT and THREAD have to.
    fn names_charset_in_vain(&self, search: &Search) -> bool {
        self.utf8_accept && search.charset.is_some()
    }

    /// RFC 9051 §6.4.4.1: after NO the variable is empty, after BAD it is as before.
    fn forget_saved(&mut self, saves: bool, reply: &Reply) {
        if let (true, true, Some(selected)) = (saves, reply.is_no(), &mut self.selected) {
            selected.saved = UidSet::new();
        }
    }

    async fn search_and_tell<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        tag: &str,
        uid: bool,
        search: &Search,
    ) -> Result<Reply, Ended> {
        if self.updates_already(tag, search.returns) {
            return Ok(Reply::bad(text::TAG_REUSED));
        }
        let scored = search.returns.is_some_and(|returns| returns.relevancy);
        let caught = match self.search_selected(dialogue, search, scored).await {
            Searched::Caught(caught) => caught,
            Searched::Refused(reply) => return Ok(reply),
        };
        let uids: Vec<u32> = caught.found.iter().map(|uid| uid.0).collect();
        let results = self.results(&uids, &caught, uid, search);
        match search.returns {
            None if !self.rev2 => answer::plain(dialogue, "SEARCH", &results).await?,
            returns => {
                let returns = returns.unwrap_or(ALL);
                self.save(&uids, returns);
                let of = Correlator {
                    tag,
                    mailbox: None,
                    uid,
                };
                answer::extended(dialogue, &of, &results, returns).await?;
                self.keep_up_to_date(dialogue.out(), &of, search, live::Order::Mailbox(uids));
            }
        }
        Ok(Reply::ok(text::SEARCH_DONE))
    }

    /// Searches the selected mailbox, and names what cannot be read.
    async fn search_selected<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        search: &Search,
        scored: bool,
    ) -> Searched {
        let Some(selected) = &self.selected else {
            return Searched::Refused(Reply::not_selected());
        };
        let hunt = match self.hunt_for(selected, search, scored) {
            Ok(hunt) => hunt,
            Err(fault) => return Searched::Refused(fault.into()),
        };
        let among = UidSet::from_ascending(selected.view.uids().iter().copied().map(Uid));
        self.hunt(dialogue, &hunt, &among).await
    }

    /// A hunt in the selected mailbox.
    async fn hunt<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        hunt: &Hunt,
        among: &UidSet,
    ) -> Searched {
        let Some(selected) = &self.selected else {
            return Searched::Refused(Reply::not_selected());
        };
        let ground = Ground {
            store: &self.store,
            account: self.account,
            view: &selected.view,
        };
        let with = (&mut *dialogue, &mut Progress::default());
        let caught = hunt.run(&ground, among, &mut self.structures, with).await;
        if !caught.damaged.is_empty() {
            // RFC 9051 §7.1.2: a warning; the other messages are found.
            let code = Some(Code::ServerBug);
            code::untagged(dialogue.out(), Condition::No, code, text::MESSAGE_DAMAGED);
        }
        for (uid, error) in &caught.damaged {
            self.report(*uid, error.clone());
        }
        Searched::Caught(caught)
    }

    fn hunt_for(
        &self,
        selected: &Selected<S>,
        search: &Search,
        scored: bool,
    ) -> Result<Hunt, Fault> {
        self.hunt_in(&selected.view, &selected.saved, search, scored)
    }

    fn hunt_in(
        &self,
        view: &S::View,
        saved: &UidSet,
        search: &Search,
        scored: bool,
    ) -> Result<Hunt, Fault> {
        let keywords = self.store.keywords(self.account, view.mailbox());
        let mut texts = Texts::new(search.charset.as_deref())?;
        let mut resolver = Resolver {
            view,
            saved,
            keywords: &keywords,
            now: (self.terms.now)().unix_secs,
            texts: &mut texts,
        };
        let test = resolver.test(&search.key)?;
        Ok(Hunt {
            test,
            texts,
            scored,
            converters: self.terms.converters.clone(),
        })
    }

    fn save(&mut self, uids: &[u32], returns: SearchReturn) {
        if let (true, Some(selected)) = (returns.save, &mut self.selected) {
            selected.saved = answer::to_save(uids, returns);
        }
    }

    /// What is told of messages in their order, as UIDs or as sequence numbers.
    fn results(&self, uids: &[u32], caught: &Caught, uid: bool, search: &Search) -> Results {
        let Some(selected) = &self.selected else {
            return Results::default();
        };
        let number = |found: &u32| match uid {
            true => Some(*found),
            false => selected.view.sequence(Uid(*found)),
        };
        let scores = uids
            .iter()
            .filter_map(|uid| caught.scores.get(uid).copied());
        Results {
            order: uids.iter().filter_map(number).collect(),
            scores: scores.collect(),
            modseq: self.modseq_of(uids, search),
        }
    }

    /// The highest MODSEQ of what is returned, where it was a criterion (RFC 7162 §3.1.5, §3.1.10).
    fn modseq_of(&self, uids: &[u32], search: &Search) -> Option<u64> {
        let selected = self.selected.as_ref()?;
        if !asks_for_modseq(&search.key) {
            return None;
        }
        let returned = search.returns.filter(|returns| returns.min || returns.max);
        let told = match returned {
            Some(returns) => answer::to_save(uids, returns),
            None => answer::to_save(uids, ALL),
        };
        let mut highest = None;
        self.store.rows(&selected.view, &told, &mut |row| {
            highest = highest.max(Some(row.modseq.0));
        });
        highest
    }
}

/// RETURN (ALL).
const ALL: SearchReturn = SearchReturn {
    min: false,
    max: false,
    all: true,
    count: false,
    save: false,
    partial: None,
    relevancy: false,
    context: false,
    update: false,
};

pub(super) fn asks_for_modseq(key: &SearchKey) -> bool {
    match key {
        SearchKey::ModSeq(_) => true,
        SearchKey::Not(key) | SearchKey::Fuzzy(key) => asks_for_modseq(key),
        SearchKey::Or(one, other) => asks_for_modseq(one) || asks_for_modseq(other),
        SearchKey::And(keys) => keys.iter().any(asks_for_modseq),
        _ => false,
    }
}

impl From<Fault> for Reply {
    fn from(fault: Fault) -> Reply {
        match fault {
            Fault::Charset => Reply::bad_charset(),
            Fault::TooManyTexts => Reply::no(text::LIMIT_REACHED).with(Code::Limit),
        }
    }
}
