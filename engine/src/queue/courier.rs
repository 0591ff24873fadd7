//! One connection to the hosts of a ready queue: opens it, sends what is ready, keeps it a while.
//!
//! ```text
//!   take ─→ read ─→ connect, host by host ─→ send ─→ outcome is written down ─┐
//!    ↑                                                                        │
//!    └── while something is ready, or comes within a few seconds ─────────────┘
//! ```
//!
//! What is ready already is taken and read before a message is sent, so that its envelope goes out
//! with the end of that message.
//!
//! The outcome of a message is written down while the next ones are sent. A commit takes longer
//! than a transaction with a host nearby, most of all while much mail comes in: were it awaited
//! each time, what the connections of a site can take would fall as the load rises. A crash leaves
//! in doubt what was sent during a commit, and of a connection at most [`IN_DOUBT_MAX`] messages.

mod ledger;

use super::board::{Queue, QueueIndex};
use super::budget;
use super::dispatch::Dispatcher;
use super::fit::fits;
use super::hop::Hop;
use super::letter::{HERE_BYTES_MAX, HERE_BYTES_MAX_AT_FIRST, Load, Parcel, wanted_of};
use super::nodes::Index;
use super::outcome::{Tried, said_of};
use super::privacy::{Unreached, is_about_tls};
use super::schedule::pause_secs;
use super::site::{Counts, Permit, Rate, Repute};
use super::source::{Leave, Ration, Source};
use super::terms::Terms;
use crate::egress::{Connection, Disposition, Failure, Fate, Letter, Origin, Outcome, Stage};
use crate::event;
use crate::reactor::oneshot::{self, oneshot};
use crate::reactor::{clock, sleep};
use crate::telemetry::metric::Kind;
use futures_util::future::{Either, select};
use ledger::Promises;
use std::cell::Cell;
use std::collections::VecDeque;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use store::error::ReadError;
use store::shard::{HostReply, Way};

/// What a courier holds as long as it lives.
pub(super) struct Courier {
    pub(super) desk: Rc<Dispatcher>,
    pub(super) queue: QueueIndex,
    pub(super) hop: Rc<Hop>,
    leave: Leave,
    pub(super) permit: Permit,
    _connection: budget::Share,
    /// What comes next.
    ahead: Option<Departing>,
    /// Outcomes on their way into the log, each ready when it is durable.
    noted: VecDeque<oneshot::Receiver<()>>,
    /// Where the last connection was refused, or not answered.
    pub(super) failed: Option<Arc<Way>>,
    /// Until a host has answered.
    pub(super) probe: Option<budget::Share>,
    /// As long as the site puts off everything.
    sulk: Option<budget::Share>,
    /// There are more than the shard keeps up with.
    leaves: bool,
    /// Recipients, each with its item, of which nobody has said yet what came of them.
    taken: Vec<(Index, u64)>,
    /// What is counted of its egress source.
    counts: Arc<Counts>,
}

/// What a courier needs to set out.
pub(super) struct Pass {
    pub(super) permit: Permit,
    pub(super) leave: Leave,
    pub(super) connection: budget::Share,
    /// For a host that has not answered yet.
    pub(super) probe: Option<budget::Share>,
    /// For a site that puts off everything.
    pub(super) sulk: Option<budget::Share>,
}

/// A message that may leave.
struct Departing {
    load: Load,
    letter: Letter,
    ration: Ration,
    /// The one before it took so long that its recipients are ready again.
    is_given_back: Cell<bool>,
}

/// An open connection and whom it leads to.
pub(super) struct Link {
    pub(super) connection: Connection,
    pub(super) host: Rc<str>,
    pub(super) way: Arc<Way>,
    /// It was opened on other terms than the hosts ask for: good for one message.
    pub(super) is_for_one: bool,
}

impl Courier {
    pub(super) fn new(
        desk: &Rc<Dispatcher>,
        (index, queue): (QueueIndex, &Queue),
        pass: Pass,
    ) -> Courier {
        Courier {
            desk: Rc::clone(desk),
            queue: index,
            hop: Rc::clone(&queue.hop),
            counts: desk.sites.total(Kind::Source, &queue.source.says.name),
            leave: pass.leave,
            permit: pass.permit,
            _connection: pass.connection,
            ahead: None,
            noted: VecDeque::new(),
            failed: None,
            probe: pass.probe,
            sulk: pass.sulk,
            leaves: false,
            taken: Vec::new(),
        }
    }

    pub(super) async fn run(mut self) {
        let (desk, queue) = (Rc::clone(&self.desk), self.queue);
        let mut link: Option<Link> = None;
        while !self.desk.is_ending() && !self.is_kept_back() {
            // A source that is suspended or warms up gives its share to the others.
            if self.ahead.is_none() && !self.is_open() {
                break;
            }
            let Some(departing) = self.next(&mut link).await else {
                let Some(link) = &mut link else { break };
                match self.rest(link).await {
                    true => continue,
                    false => break,
                }
            };
            let begun = clock::monotonic_micros();
            if !self.send(&mut link, departing).await {
                break;
            }
            self.desk.serve(self.queue);
            if self.is_others_turn(&link) || !self.may_stay() {
                break;
            }
            self.catch_breath(begun).await;
        }
        if let Some(link) = link {
            link.connection.quit().await;
        }
        self.until_noted(0).await;
        drop(self);
        // Those in line come before more of the same.
        desk.call_next();
        desk.serve(queue);
        desk.turn();
    }

    /// What is put off is put off quickly: without a rest, few couriers for sites that take nothing
    /// would have as much of the shard as many for sites that take mail.
    async fn catch_breath(&self, begun: u64) {
        if self.sulk.is_some() {
            let took = clock::monotonic_micros().saturating_sub(begun);
            sleep(Duration::from_micros(took.saturating_mul(SULK_RESTS)).min(SULK_REST_MAX)).await;
        }
    }

    /// Others wait for a connection, and this one has sent its share.
    fn is_others_turn(&self, link: &Option<Link>) -> bool {
        let next = link
            .as_ref()
            .map_or(0, |link| link.connection.next_number());
        let is_for_sulking = self.sulk.is_some();
        let most = match is_for_sulking {
            true => TURN_LETTERS_OF_SULKING,
            false => TURN_LETTERS,
        };
        next > most && self.desk.are_others_in_line(is_for_sulking)
    }

    /// Whether there may be this courier still: few are for a site that puts off everything, and
    /// all together are no more than the shard keeps up with.
    fn may_stay(&mut self) -> bool {
        if self.permit.site().repute() == Repute::Sulking {
            self.sulk = self.sulk.take().or_else(|| self.desk.sulks.try_take(1));
            return self.sulk.is_some();
        }
        if self.sulk.take().is_some() {
            self.desk.call_next();
        }
        self.leaves = self.desk.is_to_leave();
        !self.leaves
    }

    fn has_work(&self) -> bool {
        let board = self.desk.board.borrow();
        let queue = board.queue(self.queue);
        queue.is_some_and(|queue| queue.ready() > 0)
    }

    pub(super) fn source(&self) -> &Arc<Source> {
        self.leave.source()
    }

    /// Whether mail leaves by the source of this connection now.
    fn is_open(&self) -> bool {
        let (board, now) = (self.desk.board.borrow(), self.desk.second());
        let queue = board.queue(self.queue);
        queue.is_some_and(|queue| board.is_open(queue, now))
    }

    fn ration(&self) -> Option<Ration> {
        Ration::take(self.source(), self.permit.site(), self.desk.second())
    }

    /// Waits for a share of the rates of the site and of the source.
    async fn keep_pace(&self, link: &mut Option<Link>) {
        for (per_minute, rate) in self.rates() {
            keep_rate(per_minute, rate, link).await;
        }
    }

    /// A share of each rate, where there is one at once.
    fn is_in_pace(&self) -> bool {
        let now_micros = clock::monotonic_micros();
        let [site, source] = self.rates();
        let take = |(per_minute, rate): (Option<u32>, &Rate)| {
            per_minute.is_none_or(|per_minute| rate.take(per_minute, now_micros).is_ok())
        };
        if !take(site) {
            return false;
        }
        let is_taken = take(source);
        if let (false, (Some(per_minute), rate)) = (is_taken, site) {
            rate.give_back(per_minute);
        }
        is_taken
    }

    /// Messages a minute, of the site and of the source.
    fn rates(&self) -> [(Option<u32>, &Rate); 2] {
        let source = self.source();
        let by_site = self.per_minute_max();
        [
            (by_site, &self.permit.site().rate),
            (source.says.per_minute_max, &source.rate),
        ]
    }

    /// The next message, when it may leave; `None`: nothing is ready, or its source had its
    /// messages of today.
    async fn next(&mut self, link: &mut Option<Link>) -> Option<Departing> {
        if self.ahead.is_some() {
            return self.ahead.take();
        }
        if self.has_work() {
            self.keep_pace(link).await;
        }
        loop {
            let ration = self.ration()?;
            let load = self.next_load(link.is_some()).await?;
            let departing = self.departing(load, ration).await;
            if departing.is_some() {
                return departing;
            }
        }
    }

    /// `None`: it cannot be read, and that is settled.
    async fn departing(&self, load: Load, ration: Ration) -> Option<Departing> {
        match self.desk.letter(&load.body, &load.parcels).await {
            Ok(letter) => Some(Departing {
                letter,
                load,
                ration,
                is_given_back: Cell::new(false),
            }),
            Err(error) => {
                self.unread(load.parcels, &error).await;
                None
            }
        }
    }

    async fn unread(&self, parcels: Vec<Parcel>, error: &ReadError) {
        let pace = &self.hop.route.pace;
        self.desk.unread(wanted_of(parcels), error, pace).await;
        self.desk.turn();
    }

    /// Takes what comes behind the next letter of a connection, if something may at once. Behind
    /// one of so many octets it would wait long, and a round trip is little.
    async fn look_ahead(&mut self, link: &Link, octets: u64) {
        let pace = &self.hop.route.pace;
        let is_last = link.is_for_one
            || link.connection.next_number() >= pace.messages_max
            || octets > AHEAD_OF_BYTES_MAX
            || self.desk.is_ending();
        if is_last || self.ahead.is_some() || !self.has_work() || !self.is_open() {
            return;
        }
        if self.is_kept_back() || self.is_slow() {
            return;
        }
        let Some(ration) = self.ration().filter(|_| self.is_in_pace()) else {
            return;
        };
        let now = self.desk.second();
        let taken = self
            .desk
            .take(self.queue, pace.recipients_max as usize, now);
        let taken = self.desk.keep_back(taken, self.permit.site(), now);
        if let Some(load) = self.desk.load_at_once(self.queue, taken, pace).await {
            self.ahead = self.departing(load, ration).await;
        }
    }

    /// What may ride behind the letter of this connection: what may take it, and takes it as it is.
    fn chained(&self, link: &Link) -> Option<(&Letter, u64)> {
        let Departing { load, letter, .. } = self.ahead.as_ref()?;
        let is_fit = fits(&load.body, link.connection.offer());
        let is_taken = is_fit && self.suits(link, terms(&load.parcels));
        is_taken.then(|| (letter, load.body.octets()))
    }

    /// The next transaction's recipients with their message; passes over what cannot be read.
    async fn next_load(&self, is_linked: bool) -> Option<Load> {
        let most = self.hop.route.pace.recipients_max as usize;
        let here_max = match is_linked {
            true => HERE_BYTES_MAX,
            false => HERE_BYTES_MAX_AT_FIRST,
        };
        loop {
            let now = self.desk.second();
            let taken = self.desk.take(self.queue, most, now);
            if taken.is_empty() {
                return None;
            }
            let taken = self.desk.keep_back(taken, self.permit.site(), now);
            if let Some(load) = self
                .desk
                .load(Some(self.queue), taken, here_max, &self.hop.route.pace)
                .await
            {
                return Some(load);
            }
        }
    }

    /// `false`: the hosts cannot be reached, so that more would fare the same.
    async fn send(&mut self, link: &mut Option<Link>, departing: Departing) -> bool {
        let (mut letter, ration) = (departing.letter, departing.ration);
        let Load { parcels, mut body } = departing.load;
        self.clock(&parcels);
        let named = |parcel: &Parcel| (parcel.index, parcel.item.id.0);
        self.taken = parcels.iter().map(named).collect();
        let mut blocks = body.content.blocks();
        // Also one that waited behind another.
        let indexes = parcels.iter().map(|parcel| parcel.index);
        self.desk.allow_time(indexes, body.octets());
        let is_notice = letter.envelope.reverse_path.is_none();
        for _ in 0..STALE_MAX {
            let mut open = match self.link_for(link.take(), &parcels, is_notice).await {
                Ok(open) => open,
                Err(Unreached::Site(host, failure)) => {
                    self.unreached(parcels, &host, &failure).await;
                    return false;
                }
                // Whoever had them gives them back.
                Err(Unreached::Ending) => return false,
                Err(Unreached::Private(host, failure)) => {
                    self.not_private(parcels, &host, &failure).await;
                    return true;
                }
            };
            body.enter(&self.desk.bodies).await;
            if self.fit(&mut body, &parcels, open.connection.offer()).await {
                letter = match self.desk.letter(&body, &parcels).await {
                    Ok(letter) => letter,
                    Err(error) => return self.not_sent(link, open, parcels, &error).await,
                };
                blocks = body.content.blocks();
            }
            self.look_ahead(&open, body.octets()).await;
            let next = self.chained(&open);
            let begun = clock::monotonic_micros();
            let sent = open.connection.send_before(&letter, &mut blocks, next);
            let outcome = self.or_give_back(sent).await;
            self.ahead.take_if(|ahead| ahead.is_given_back.get());
            self.note_time(begun);
            if outcome.is_stale {
                // Another connection may take long to come.
                self.let_ahead_go();
                continue;
            }
            if let Some(error) = blocks.fault.take() {
                return self.not_sent(link, open, parcels, &error).await;
            }
            let promises = Promises::of(open.connection.offer());
            let (host, way) = (Rc::clone(&open.host), Arc::clone(&open.way));
            let judged = self.judge(&parcels, &host, &outcome);
            let drops = judged.iter().flatten().any(|judged| judged.drops);
            match outcome.is_open {
                true if open.is_for_one || drops => open.connection.quit().await,
                true => *link = Some(open),
                false => {}
            }
            drop((body, blocks));
            ration.spend();
            self.source().sent.fetch_add(1, Ordering::Relaxed);
            self.learn(&outcome);
            let came = (&outcome, judged.as_slice());
            self.write_down(parcels, (&host, way), promises, came).await;
            return true;
        }
        // It closes every connection on us: as good as not there.
        self.give_back(parcels);
        false
    }

    /// A message that was taken cannot be read: no fault of the host.
    async fn not_sent(
        &mut self,
        link: &mut Option<Link>,
        open: Link,
        parcels: Vec<Parcel>,
        error: &ReadError,
    ) -> bool {
        *link = Some(open).filter(|open| open.connection.is_open());
        self.let_ahead_go();
        self.taken.clear();
        self.unread(parcels, error).await;
        true
    }

    /// What `sent` gives. While that takes long, what comes behind is left to other couriers.
    async fn or_give_back(&self, sent: impl Future<Output = Outcome>) -> Outcome {
        let Some(ahead) = &self.ahead else {
            return sent.await;
        };
        let (sent, late) = (pin!(sent), pin!(sleep(BEHIND_TIME_MAX)));
        let sent = match select(sent, late).await {
            Either::Left((outcome, _)) => return outcome,
            Either::Right(((), sent)) => sent,
        };
        ahead.is_given_back.set(true);
        let parcels = ahead.load.parcels.iter();
        self.desk.make_ready(parcels.map(|parcel| parcel.index));
        self.desk.turn();
        sent.await
    }

    /// What was to come next is ready again.
    fn let_ahead_go(&mut self) {
        if let Some(ahead) = self.ahead.take()
            && !ahead.is_given_back.get()
        {
            let parcels = ahead.load.parcels.iter();
            self.desk.make_ready(parcels.map(|parcel| parcel.index));
        }
    }

    /// The connection that is open, if it suits, or another one.
    async fn link_for(
        &mut self,
        open: Option<Link>,
        parcels: &[Parcel],
        is_notice: bool,
    ) -> Result<Link, Unreached> {
        match open {
            Some(open) if self.suits(&open, terms(parcels)) => return Ok(open),
            Some(spent) => spent.connection.quit().await,
            None => {}
        }
        self.connect_for(parcels, is_notice).await
    }

    fn is_slow(&self) -> bool {
        let board = self.desk.board.borrow();
        board.queue(self.queue).is_some_and(Queue::is_slow)
    }

    fn note_time(&self, begun: u64) {
        let took = clock::monotonic_micros().saturating_sub(begun);
        if let Some(queue) = self.desk.board.borrow_mut().queue_mut(self.queue) {
            queue.took(took);
        }
    }

    /// What the site's answers say about how much it bears: 421, or a connection that ends in the
    /// middle, is too much.
    fn learn(&self, outcome: &Outcome) {
        let site = self.permit.site();
        let is_too_much = |one: &Disposition| {
            let is_lost = one.origin == Origin::Us && one.fate != Fate::Failed;
            one.reply.code == 421 || is_lost && one.fate != Fate::Untried
        };
        let has_taken = |one: &Disposition| one.fate == Fate::Delivered;
        if outcome.recipients.iter().any(is_too_much) {
            site.crowded();
        } else if outcome.recipients.iter().any(has_taken) {
            site.took(self.hop.route.pace.connections_max);
        } else if outcome
            .recipients
            .iter()
            .any(|one| one.fate == Fate::Deferred)
        {
            site.put_off();
        }
    }

    /// No host took a connection. One message pays for it with an attempt; the others wait until
    /// the site is tried again.
    async fn unreached(&mut self, parcels: Vec<Parcel>, host: &str, failure: &Failure) {
        if failure.stage == Stage::Source {
            return self.suspend_source(parcels, failure);
        }
        let pace = &self.hop.route.pace;
        match is_about_tls(failure) {
            // The host is there: it shows too little for this mail, and perhaps enough for other.
            true => self.shun(pause_secs(pace, 1)),
            false => {
                let now_millis = self.desk.now().monotonic_millis;
                let site = self.permit.site();
                site.unreached(now_millis, |failures| pause_secs(pace, failures));
            }
        }
        let result = self.judged_failure(&parcels, host, failure);
        let tried: Vec<Tried> = parcels
            .into_iter()
            .map(|parcel| Tried {
                index: parcel.index,
                item: parcel.item,
                terms: parcel.terms,
                result,
                said: HostReply {
                    way: self.failed.clone(),
                    ..said_of(host, failure)
                },
            })
            .collect();
        self.count(&tried);
        self.taken.clear();
        self.desk.settle(tried, pace).await;
        self.desk.turn();
    }

    /// What is ready for these hosts on these terms waits.
    fn shun(&self, secs: u32) {
        let until = self.desk.second().saturating_add(secs);
        if let Some(queue) = self.desk.board.borrow_mut().queue_mut(self.queue) {
            queue.shunned = until;
        }
    }

    /// No fault of the site, and no attempt: others of the pool are asked at once, also for what
    /// would have come next.
    fn suspend_source(&mut self, parcels: Vec<Parcel>, failure: &Failure) {
        self.taken.clear();
        let why = failure.reply.text.to_string();
        let now = self.desk.second();
        if let Some(secs) = self.source().suspend(&why, now) {
            let name = self.source().says.name.as_str();
            event!(
                Warn,
                "egress source suspended",
                source = name,
                secs = secs,
                why = why.as_str()
            );
        }
        let ahead = self.ahead.take().map(|ahead| ahead.load.parcels);
        let all = parcels.into_iter().chain(ahead.into_iter().flatten());
        self.desk.make_ready(all.map(|parcel| parcel.index));
        self.desk.board.borrow_mut().part(self.queue, now);
        self.desk.turn();
    }

    fn give_back(&mut self, parcels: Vec<Parcel>) {
        self.taken.clear();
        let now = self.desk.second();
        let mut board = self.desk.board.borrow_mut();
        let wait = pause_secs(&self.hop.route.pace, 1);
        for parcel in parcels {
            board.defer(parcel.index, now.saturating_add(wait), now);
        }
    }

    /// Keeps the connection while there may be more to send; `false`: there was not.
    async fn rest(&self, link: &mut Link) -> bool {
        if !link.connection.is_open() || self.desk.are_others_in_line(self.sulk.is_some()) {
            return false;
        }
        let (call, called) = oneshot();
        {
            let mut board = self.desk.board.borrow_mut();
            let Some(queue) = board.queue_mut(self.queue) else {
                return false;
            };
            queue.idle.push(call);
        }
        let is_called = {
            let (timer, ended) = (pin!(sleep(IDLE_MAX)), pin!(link.connection.ended()));
            let over = select(timer, ended);
            matches!(select(called, over).await, Either::Left(_))
        };
        let mut board = self.desk.board.borrow_mut();
        let Some(queue) = board.queue_mut(self.queue) else {
            return false;
        };
        queue.idle.retain(|idle| !idle.is_closed());
        is_called || queue.ready() > 0
    }
}

/// A long wait is not spent on an open connection.
async fn keep_rate(per_minute: Option<u32>, rate: &Rate, link: &mut Option<Link>) {
    let Some(per_minute) = per_minute else {
        return;
    };
    while let Err(at) = rate.take(per_minute, clock::monotonic_micros()) {
        let wait = Duration::from_micros(at.saturating_sub(clock::monotonic_micros()));
        if wait > IDLE_MAX
            && let Some(link) = link.take()
        {
            link.connection.quit().await;
        }
        sleep(wait).await;
    }
}

/// Also where the task panicked: the recipients that it had are tried again.
impl Drop for Courier {
    fn drop(&mut self) {
        self.let_ahead_go();
        if self.leaves {
            self.desk.has_left();
        }
        let taken = std::mem::take(&mut self.taken);
        self.desk
            .recover(&taken, pause_secs(&self.hop.route.pace, 1));
        self.desk.courier_gone(self.queue);
    }
}

/// A message is sent within `egress::Patience`: of this size, before the watchdog looks at the one
/// behind it.
const AHEAD_OF_BYTES_MAX: u64 = 1 << 20;

/// Messages of a connection of which nobody knows after a crash whether they were sent.
const IN_DOUBT_MAX: usize = 4;

/// How long a message waits behind another one before it is left to other couriers.
const BEHIND_TIME_MAX: Duration = Duration::from_secs(5);

/// How long a connection without work is kept.
const IDLE_MAX: Duration = Duration::from_secs(5);

/// Messages that a connection sends before others in line have a turn.
const TURN_LETTERS: u32 = 50;

/// As [`TURN_LETTERS`], for a site that puts off everything.
const TURN_LETTERS_OF_SULKING: u32 = 5;

/// How many times as long as its message took a courier of such a site rests, and no longer than.
const SULK_RESTS: u64 = 4;
const SULK_REST_MAX: Duration = Duration::from_secs(1);

/// Connections that end before they answer anything, before a message waits.
const STALE_MAX: usize = 3;

/// What the sender asks of the way of a transaction; its recipients are of one mind.
pub(super) fn terms(parcels: &[Parcel]) -> Terms {
    let first = parcels.first();
    first.map(|parcel| parcel.terms).unwrap_or_default()
}
