//! Results that are kept up to date while their mailbox is selected (RFC 5267 §4.3).
//!
//! ```text
//! RETURN (UPDATE) ─▶ Live ── EXPUNGE: REMOVEFROM before it
//!                     ├──── FETCH, EXISTS: what changed is searched again, ADDTO and REMOVEFROM
//!                     └──── CANCELUPDATE, another mailbox: the end
//! ```
//!
//! A change costs a search of the messages that changed. Only the order of a SORT is made anew.

use super::super::Session;
use super::super::dialogue::Dialogue;
use super::super::io::{Ended, Io};
use super::super::mailstore::{Mailstore, Picture};
use super::super::reply::Reply;
use super::super::sequence;
use super::Searched;
use crate::wire::imap::command::{Search, SearchKey, SearchReturn, SequenceNumber, SequenceSet};
use crate::wire::imap::find::{Criterion, SortKey};
use crate::wire::imap::response::esearch::{self, Correlator, Update};
use crate::wire::imap::response::text;
use ::store::mail::id::Uid;
use ::store::mail::uidset::UidSet;
use std::collections::BTreeMap;

/// Results that one session has kept up to date.
const CONTEXTS_MAX: usize = 16;

/// Messages in all of them together.
const RESULTS_MAX: usize = 1_000_000;

/// Places told in one response.
const PLACES_A_LINE: usize = 512;

/// The results of a session.
#[derive(Default)]
pub(in super::super) struct Live {
    contexts: Vec<Context>,
}

/// UIDs in the order of a result.
pub(super) enum Order {
    Mailbox(Vec<u32>),
    Sorted(Vec<u32>, Vec<Criterion>),
}

struct Context {
    tag: String,
    uid: bool,
    search: Search,
    order: Order,
    /// The largest UID that was looked at.
    seen: u32,
}

impl Live {
    fn has(&self, tag: &str) -> bool {
        self.contexts.iter().any(|context| context.tag == tag)
    }

    fn has_room(&self, more: usize) -> bool {
        let kept = self
            .contexts
            .iter()
            .map(|context| context.order.uids().len());
        self.contexts.len() < CONTEXTS_MAX && kept.sum::<usize>() + more <= RESULTS_MAX
    }
}

impl Order {
    fn uids(&self) -> &[u32] {
        match self {
            Order::Mailbox(uids) | Order::Sorted(uids, _) => uids,
        }
    }

    fn uids_mut(&mut self) -> &mut Vec<u32> {
        match self {
            Order::Mailbox(uids) | Order::Sorted(uids, _) => uids,
        }
    }

    fn place(&self, uid: Uid) -> Option<usize> {
        match self {
            Order::Mailbox(uids) => uids.binary_search(&uid.0).ok(),
            Order::Sorted(uids, _) => uids.iter().position(|known| *known == uid.0),
        }
    }

    /// How a place is told: from 1, or 0 where the order is that of the mailbox.
    fn told(&self, place: usize) -> u32 {
        match self {
            Order::Mailbox(_) => 0,
            Order::Sorted(..) => u32::try_from(place + 1).unwrap_or(u32::MAX),
        }
    }
}

impl Context {
    fn correlator(&self) -> Correlator<'_> {
        Correlator {
            tag: &self.tag,
            mailbox: None,
            uid: self.uid,
        }
    }
}

impl<S: Mailstore> Session<S> {
    /// RFC 5267 §4.3: the tag would name two results.
    pub(super) fn updates_already(&self, tag: &str, returns: Option<SearchReturn>) -> bool {
        let updates = returns.is_some_and(|returns| returns.update);
        updates
            && self
                .selected
                .as_ref()
                .is_some_and(|selected| selected.live.has(tag))
    }

    /// From now on, where that was asked for and there is room.
    pub(super) fn keep_up_to_date(
        &mut self,
        out: &mut Vec<u8>,
        of: &Correlator<'_>,
        search: &Search,
        order: Order,
    ) {
        let Some(selected) = &mut self.selected else {
            return;
        };
        if !search.returns.is_some_and(|returns| returns.update) {
            return;
        }
        if is_scored(&order) || !selected.live.has_room(order.uids().len()) {
            return esearch::no_update(out, of.tag, text::TOO_MANY_UPDATES);
        }
        let numbers =
            |set: &SequenceSet| sequence::matching(&selected.view, set, false, &selected.saved);
        let search = Search {
            returns: None,
            charset: search.charset.clone(),
            key: with_uids(&search.key, &numbers),
        };
        let seen = selected.view.uids().last().copied().unwrap_or(0);
        selected.live.contexts.push(Context {
            tag: of.tag.to_owned(),
            uid: of.uid,
            search,
            order,
            seen,
        });
    }

    pub(super) fn cancel_update(&mut self, tags: &[String]) -> Reply {
        let Some(selected) = &mut self.selected else {
            return Reply::not_selected();
        };
        if !tags.iter().all(|tag| selected.live.has(tag)) {
            return Reply::bad(text::NO_SUCH_UPDATE);
        }
        let contexts = &mut selected.live.contexts;
        contexts.retain(|context| !tags.contains(&context.tag));
        Reply::ok(text::NO_MORE_UPDATES)
    }

    /// Tells that a message leaves every result that has it; said before the EXPUNGE, while its
    /// sequence number is still good.
    pub(in super::super) fn leave_results(&mut self, out: &mut Vec<u8>, uid: Uid, sequence: u32) {
        let Some(selected) = &mut self.selected else {
            return;
        };
        for context in &mut selected.live.contexts {
            let Some(place) = context.order.place(uid) else {
                continue;
            };
            context.order.uids_mut().remove(place);
            let number = if context.uid { uid.0 } else { sequence };
            let gone = [(context.order.told(place), number)];
            tell(out, &context.correlator(), Update::RemoveFrom, gone);
        }
    }

    pub(in super::super) fn has_results(&self) -> bool {
        self.selected
            .as_ref()
            .is_some_and(|selected| !selected.live.contexts.is_empty())
    }

    /// Searches again what was touched and what is new, and tells how the results changed.
    pub(in super::super) async fn update_results<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        touched: &UidSet,
    ) -> Result<(), Ended> {
        let contexts = match &mut self.selected {
            Some(selected) => std::mem::take(&mut selected.live.contexts),
            None => return Ok(()),
        };
        let mut kept = Vec::with_capacity(contexts.len());
        for mut context in contexts {
            self.update(dialogue, &mut context, touched).await;
            kept.push(context);
            dialogue.flush_if_full().await?;
        }
        if let Some(selected) = &mut self.selected {
            selected.live.contexts = kept;
        }
        Ok(())
    }

    async fn update<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        context: &mut Context,
        touched: &UidSet,
    ) {
        let Some(selected) = &self.selected else {
            return;
        };
        let uids = selected.view.uids();
        let new = uids.get(uids.partition_point(|uid| *uid <= context.seen)..);
        let new = UidSet::from_ascending(new.unwrap_or_default().iter().copied().map(Uid));
        let among = touched.union(&new);
        context.seen = uids.last().copied().unwrap_or(0).max(context.seen);
        if among.is_empty() {
            return;
        }
        let Ok(hunt) = self.hunt_for(selected, &context.search, false) else {
            return;
        };
        let Searched::Caught(caught) = self.hunt(dialogue, &hunt, &among).await else {
            return;
        };
        let has = |uid: &Uid| context.order.place(*uid).is_some();
        let gone = among.without(&caught.found);
        let gone = UidSet::from_ascending(gone.iter().filter(has));
        let came = UidSet::from_ascending(caught.found.iter().filter(|uid| !has(uid)));
        self.take_out(dialogue.out(), context, &gone);
        self.put_in(dialogue, context, &came).await;
    }

    fn take_out(&self, out: &mut Vec<u8>, context: &mut Context, gone: &UidSet) {
        if gone.is_empty() {
            return;
        }
        let numbers = self.numbers_of(context);
        let mut told = Vec::new();
        // From the end, so that the places before stay what they are.
        for (place, uid) in context.order.uids().iter().enumerate().rev() {
            if gone.contains(Uid(*uid)) {
                told.extend(numbers(*uid).map(|number| (context.order.told(place), number)));
            }
        }
        if matches!(context.order, Order::Mailbox(_)) {
            told.reverse();
        }
        tell(out, &context.correlator(), Update::RemoveFrom, told);
        context
            .order
            .uids_mut()
            .retain(|uid| !gone.contains(Uid(*uid)));
    }

    async fn put_in<I: Io>(
        &self,
        dialogue: &mut Dialogue<I>,
        context: &mut Context,
        came: &UidSet,
    ) {
        if came.is_empty() {
            return;
        }
        let mut all: Vec<u32> = context.order.uids().to_vec();
        all.extend(came.iter().map(|uid| uid.0));
        all.sort_unstable();
        match &mut context.order {
            Order::Mailbox(uids) => *uids = all,
            Order::Sorted(uids, criteria) => {
                let all = UidSet::from_ascending(all.into_iter().map(Uid));
                *uids = self
                    .sorted(dialogue, &all, criteria, &BTreeMap::new())
                    .await;
            }
        }
        let numbers = self.numbers_of(context);
        let places = context.order.uids().iter().enumerate();
        let new = places.filter(|(_, uid)| came.contains(Uid(**uid)));
        let told: Vec<(u32, u32)> = new
            .filter_map(|(place, uid)| Some((context.order.told(place), numbers(*uid)?)))
            .collect();
        tell(dialogue.out(), &context.correlator(), Update::AddTo, told);
    }

    /// What a UID is told as.
    fn numbers_of(&self, context: &Context) -> impl Fn(u32) -> Option<u32> + use<'_, S> {
        let (as_uid, selected) = (context.uid, self.selected.as_ref());
        move |uid| match as_uid {
            true => Some(uid),
            false => selected?.view.sequence(Uid(uid)),
        }
    }
}

/// Scores are not kept: such a result is not either.
fn is_scored(order: &Order) -> bool {
    let by_score = |by: &Criterion| by.key == SortKey::Relevancy;
    matches!(order, Order::Sorted(_, criteria) if criteria.iter().any(by_score))
}

/// Numbers with their places, in as few sets as keep their order: one that follows another in both
/// joins it, and where there are no places all that rise.
fn tell(
    out: &mut Vec<u8>,
    of: &Correlator<'_>,
    what: Update,
    told: impl IntoIterator<Item = (u32, u32)>,
) {
    let mut pairs: Vec<(u32, UidSet)> = Vec::new();
    let mut last = (0, 0);
    for (place, number) in told {
        let joins = match what {
            _ if place == 0 => number > last.1,
            Update::AddTo => place == last.0 + 1 && number > last.1,
            Update::RemoveFrom => false,
        };
        match pairs.last_mut().filter(|_| joins) {
            Some((_, set)) => set.push(Uid(number)),
            None => pairs.push((place, UidSet::from_ranges([(number, number)]))),
        }
        last = (place, number);
    }
    for pairs in pairs.chunks(PLACES_A_LINE) {
        esearch::update(out, of, what, pairs);
    }
}

/// A key whose sequence numbers and saved results are the messages that they mean now (RFC 5267
/// §4.3).
fn with_uids(key: &SearchKey, numbers: &dyn Fn(&SequenceSet) -> UidSet) -> SearchKey {
    let boxed = |key: &SearchKey| Box::new(with_uids(key, numbers));
    match key {
        SearchKey::Sequence(set) | SearchKey::Uid(set @ SequenceSet::Saved) => {
            let uids = numbers(set);
            let number = SequenceNumber::Number;
            let ranges = uids
                .ranges()
                .iter()
                .map(|range| (number(range.0), number(range.1)));
            SearchKey::Uid(SequenceSet::Ranges(ranges.collect()))
        }
        SearchKey::Not(key) => SearchKey::Not(boxed(key)),
        SearchKey::Fuzzy(key) => SearchKey::Fuzzy(boxed(key)),
        SearchKey::Or(one, other) => SearchKey::Or(boxed(one), boxed(other)),
        SearchKey::And(keys) => {
            SearchKey::And(keys.iter().map(|key| with_uids(key, numbers)).collect())
        }
        key => key.clone(),
    }
}
