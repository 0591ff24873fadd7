//! One shard's thread: its store, its letters, its listeners.

use super::compactor::Compactor;
use super::ear::{Ear, listen};
use super::follow::follow;
use super::orders;
use super::outbound::{self, Ways};
use super::tempo::Tempo;
use crate::auth::Gate;
use crate::auth::token::Tokens;
use crate::convert::Converters;
use crate::event;
use crate::events;
use crate::intake::{Claims, Counter, Feeder, Heirs, Intake, QueueIds, Shard};
use crate::listen::{Census, Guests, Hall, http, imap, pay_owed, pop3};
use crate::post::{Letter, Post, Question, Via};
use crate::queue::Dispatcher;
use crate::reactor::inbox::{Fill, Receiver};
use crate::reactor::{Drain, Endpoint, Now, Pool, RingDisk, oneshot, sleep, spawn};
use crate::route::Live;
use crate::session::imap::signing::MessageTexts;
use crate::telemetry::log;
use crate::telemetry::metric::ShardMetrics;
use crate::wire::sasl::scram::Decoy;
use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use store::disk::home::shard_directory;
use store::log::{Commit, Options, Recovered};
use store::mail::id::ShardId;

/// What a shard is given.
pub(super) struct Equipment {
    pub(super) shard: u16,
    pub(super) shards: u16,
    /// The store's directory.
    pub(super) data: PathBuf,
    /// Threads for what would block the shard.
    pub(super) files: Pool,
    pub(super) compactor: Compactor,
    /// What makes text of attachments, if anything does.
    pub(super) converters: Option<Arc<Converters>>,
    pub(super) options: Options,
    pub(super) endpoint: Endpoint<Letter>,
    pub(super) ears: Vec<Ear>,
    pub(super) live: Arc<Live>,
    pub(super) gate: Arc<Gate>,
    pub(super) logins: Pool,
    pub(super) decoy: Decoy,
    pub(super) bearer: Option<Tokens>,
    pub(super) metrics: Arc<ShardMetrics>,
    /// `None`: no mail leaves this host.
    pub(super) ways: Option<Ways>,
}

/// What the tasks of a shard share beside the hall.
pub(super) struct Desk {
    pub(super) hall: Rc<Hall>,
    pub(super) counter: Counter,
    pub(super) compactor: Compactor,
    heirs: Heirs,
    /// `None`: no mail leaves this host.
    pub(super) dispatcher: Option<Rc<Dispatcher>>,
    /// How many there are.
    pub(super) shards: usize,
    /// Taken when the shard opens its doors.
    pub(super) ears: RefCell<Vec<Ear>>,
    /// Ready when the log has written everything after it was closed.
    pub(super) written: Cell<Option<oneshot::Receiver<()>>>,
}

/// Opens the store, tells `opened`, and serves until the shard is closed.
pub(super) async fn run(equipment: Equipment, opened: oneshot::Sender<Result<Recovered, String>>) {
    let store = match open(&equipment).await {
        Ok((store, recovered)) => {
            let _ = opened.send(Ok(recovered));
            store
        }
        Err(why) => {
            let _ = opened.send(Err(why));
            return;
        }
    };
    let (desk, inbox) = furnish(equipment, store);
    let hall = &desk.hall;
    let tempo = Arc::clone(desk.compactor.tempo());
    desk.written.set(Some(start_log(hall, tempo)));
    spawn(tend(Rc::clone(hall), inbox.fill()));
    spawn(follow(Rc::clone(&desk)));
    read_letters(desk, inbox).await;
}

async fn open(equipment: &Equipment) -> Result<(Rc<Shard>, Recovered), String> {
    let directory = shard_directory(equipment.shard);
    let now_secs = || Now::read().unix_secs() as i64;
    let shard = equipment.shard;
    let disk = RingDisk::open(equipment.data.clone(), equipment.files.clone());
    let disk = disk
        .await
        .map_err(|error| format!("shard {shard}: {error}"))?;
    let options = equipment.options.clone();
    let opened = Shard::open(disk, &directory, ShardId(shard), options, now_secs).await;
    let opened = opened.map_err(|error| format!("shard {shard}: {error}"))?;
    let texts = MessageTexts {
        converters: equipment.converters.clone(),
    };
    if let Err(error) = opened.0.sign_by(Arc::new(texts)).await {
        // Searches read every message until the next round makes them anew.
        let why = error.to_string();
        event!(Warn, "signatures not read", shard = shard, why = why);
    }
    Ok(opened)
}

fn furnish(equipment: Equipment, store: Rc<Shard>) -> (Rc<Desk>, Receiver<Letter>) {
    let shard = usize::from(equipment.shard);
    let (lanes, inbox) = equipment.endpoint.split();
    let post = Post::new(shard, lanes);
    let heirs = Heirs::new(
        Arc::clone(&equipment.live),
        Arc::clone(&equipment.metrics),
        shard,
    );
    let queue_ids = Rc::new(QueueIds::new(equipment.shard as u8));
    let claims = Claims::new(Rc::clone(&store));
    let hall = Hall {
        shard,
        intake: Intake::new(Rc::clone(&store), Rc::clone(&post), heirs.clone()),
        queue_ids,
        live: equipment.live,
        gate: equipment.gate,
        logins: equipment.logins,
        decoy: equipment.decoy,
        bearer: equipment.bearer,
        metrics: equipment.metrics,
        drain: Drain::new(),
        census: Census::new(),
        maildrops: pop3::Maildrops::default(),
        inject: http::Desk::new(Rc::clone(&claims)),
        known: Rc::default(),
        converters: equipment.converters,
        guests: Guests::default(),
        store: Rc::clone(&store),
        post,
    };
    let dispatcher = outbound::dispatcher(equipment.ways, &hall, &heirs);
    if let Some(queue) = &dispatcher {
        hall.inject.know(queue);
    }
    let desk = Desk {
        counter: Counter::new(store, heirs.clone(), claims),
        dispatcher,
        heirs,
        shards: usize::from(equipment.shards),
        compactor: equipment.compactor,
        ears: RefCell::new(equipment.ears),
        written: Cell::new(None),
        hall: Rc::new(hall),
    };
    (Rc::new(desk), inbox)
}

/// Runs the log; the receiver is ready when everything is written after `close`.
fn start_log(hall: &Rc<Hall>, tempo: Arc<Tempo>) -> oneshot::Receiver<()> {
    let (done, written) = oneshot::oneshot();
    let hall = Rc::clone(hall);
    spawn(async move {
        let metrics = Arc::clone(&hall.metrics);
        let store = Rc::clone(&hall.store);
        metrics.spool_offers.set(store.offers_waiting() as u64);
        let observe = |commit: &Commit| {
            tempo.committed(hall.shard, commit.micros);
            count(&metrics, &store, commit);
        };
        hall.store.run(observe).await;
        let _ = done.send(());
    });
    written
}

fn count(metrics: &ShardMetrics, store: &Shard, commit: &Commit) {
    metrics.commits.one();
    metrics.commit_records.record(u64::from(commit.records));
    metrics.commit_bytes.record(commit.bytes as u64);
    metrics.commit_seconds.record(commit.micros);
    metrics.log_frame.set(commit.frame.0);
    metrics.log_segment.set(u64::from(commit.start.segment()));
    metrics.log_lsn.set(commit.last_lsn.0);
    metrics.spool_offers.set(store.offers_waiting() as u64);
}

async fn read_letters(desk: Rc<Desk>, mut inbox: Receiver<Letter>) {
    while let Some(letter) = inbox.recv().await {
        let desk = Rc::clone(&desk);
        match letter {
            Letter::Ask {
                ticket,
                from,
                question,
            } => spawn(async move {
                let answer = match question {
                    Question::Visit(ask) => desk.hall.guests.answer(&desk.hall, *ask).await,
                    question => desk.counter.answer(from, question).await,
                };
                let _ = desk
                    .hall
                    .post
                    .send(from, Letter::Answer { ticket, answer })
                    .await;
            }),
            Letter::Answer { ticket, answer } => desk.hall.post.answered(ticket, answer),
            Letter::Connection(handover) => match handover.via {
                Via::Imap { .. } => spawn(imap::receive(Rc::clone(&desk.hall), *handover)),
                Via::Pop3 { .. } => spawn(pop3::receive(Rc::clone(&desk.hall), *handover)),
            },
            Letter::Order(order) => {
                spawn(async move { orders::carry_out(&desk, order).await });
            }
        }
    }
}

/// What is done now and then. Log lines leave in batches: a wake-up of the writer for each would
/// cost more than the line. Gauges are read from where the truth is.
async fn tend(hall: Rc<Hall>, inbox: Fill) {
    log::batch();
    loop {
        sleep(LINES_WAIT).await;
        log::flush();
        events::flush();
        hall.metrics.inbox_bytes.set(inbox.bytes() as u64);
        let stats = hall.store.log().stats();
        hall.metrics.log_zeroed_bytes.set(stats.zeroed_bytes);
        hall.metrics
            .log_read_only
            .set(u64::from(hall.store.log().is_read_only()));
        hall.metrics.messages_delivered.set(hall.store.deliveries());
    }
}

/// How long a log line may wait to be written.
const LINES_WAIT: Duration = Duration::from_millis(64);

/// Listens on every address of this shard, and hands over what was owed before. Not earlier: the
/// directory is whole only now, and who is not in it has no account.
pub(super) fn open_doors(desk: &Desk) {
    let hall = &desk.hall;
    hall.intake.begin_suppression();
    pay_owed(hall);
    for target in (0..desk.shards).filter(|target| *target != hall.shard) {
        let (store, post) = (Rc::clone(&hall.store), Rc::clone(&hall.post));
        let metrics = Arc::clone(&hall.metrics);
        spawn(Feeder::new(store, post, desk.heirs.clone(), metrics, target).run());
    }
    if let Some(dispatcher) = &desk.dispatcher {
        spawn(Rc::clone(dispatcher).run());
    }
    for ear in desk.ears.take() {
        spawn(listen(Rc::clone(&desk.hall), ear));
    }
}
