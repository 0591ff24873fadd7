//! Whole shards on a thread of their own: real files and sockets, no process.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod offers;
mod patience;

use crate::intake::Shard;
use crate::reactor::runtime::run_shard;
use crate::reactor::{Backend, Clock, Pool, RingDisk, Seat, oneshot, spawn};
use crate::route::Live;
use crate::telemetry::log::{Format, Level, Logger, Settings, Target};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;
use store::disk::home::shard_directory;
use store::log::Options;
use store::mail::id::ShardId;
use store::shard::Configured;

/// Runs `work` on a shard's thread; gives the log's lines and what came of it.
fn on_a_shard<F, T>(
    clock: Clock,
    path: &Path,
    work: impl FnOnce(std::path::PathBuf) -> F + Send + 'static,
) -> (Vec<String>, T)
where
    F: Future<Output = T> + 'static,
    T: Send + 'static,
{
    let file = path.join("lines");
    let settings = Settings {
        level: Level::Info,
        format: Format::Text,
        target: Target::File(file.clone()),
    };
    let (logger, ending) = Logger::start(settings, SystemTime::now).unwrap();
    let seat = Seat {
        backend: Backend::probe().0,
        core: None,
        on_panic: Arc::new(|what| panic!("{what}")),
        clock,
    };
    let path = path.to_owned();
    let thread = std::thread::spawn(move || {
        logger.attach();
        run_shard(seat, || work(path)).unwrap()
    });
    let output = thread.join().unwrap();
    ending.finish();
    let text = std::fs::read_to_string(file).unwrap();
    (text.lines().map(str::to_owned).collect(), output)
}

/// The store of one of the shards in `path`; its log does not run yet.
async fn open_store(path: &Path, shard: usize, live: &Arc<Live>) -> Rc<Shard> {
    let pool = Pool::start("disk", 1, 16).unwrap();
    let disk = RingDisk::open(path.to_owned(), pool).await.unwrap();
    let options = Options {
        segment_bytes: 16 << 20,
        ..Options::new([7; 16], shard as u16)
    };
    let log = shard_directory(shard as u16);
    let opened = Shard::open(disk, &log, ShardId(shard as u16), options, || 1_700_000_000);
    let (store, _) = opened.await.map_err(|error| error.to_string()).unwrap();
    configure(&store, live);
    store
}

/// Ready when the log has written everything after it was closed.
fn run_log(store: &Rc<Shard>) -> oneshot::Receiver<()> {
    let (done, written) = oneshot::oneshot();
    let store = Rc::clone(store);
    spawn(async move {
        store.run(|_| {}).await;
        let _ = done.send(());
    });
    written
}

fn configure(store: &Rc<Shard>, live: &Arc<Live>) {
    let live = Arc::clone(live);
    store.configure(move |name| {
        let directory = live.directory.load();
        let account = directory.account_named(name)?;
        Some(Configured {
            quota: account.quota,
            usage: account.usage_gauge(),
        })
    });
}
