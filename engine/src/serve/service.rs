//! The service thread: directory, control socket, pages, signals, the order of start and end.

use super::begin::{Refusal, check_secret, load_certificates};
use super::outbound;
use super::resume;
use super::secure::Secure;
use crate::admin::control;
use crate::admin::http::{self, Seen};
use crate::admin::office::{Gone, Office};
use crate::auth::token;
use crate::config::{Config, Limits, TlsMode};
use crate::event;
use crate::events;
use crate::post::{Letter, Order, Post};
use crate::reactor::inbox::Receiver;
use crate::reactor::signal::{Signal, start_signals};
use crate::reactor::{Backend, Endpoint, Now, Pool, oneshot, service};
use crate::resolver;
use crate::route::Live;
use crate::telemetry::log::Logger;
use crate::telemetry::metric::Metrics;
use crate::tls::TlsContext;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use store::disk::home::Home;
use store::log::Recovered;
use tokio::sync::mpsc;

/// What the service thread is given.
pub(super) struct Bureau {
    pub(super) live: Arc<Live>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) shards: u16,
    pub(super) endpoint: Endpoint<Letter>,
    pub(super) home: Arc<Home>,
    pub(super) opened: Vec<oneshot::Receiver<Result<Recovered, String>>>,
    pub(super) logins: Pool,
    pub(super) pages: Vec<(SocketAddr, TlsMode)>,
    pub(super) file: Option<PathBuf>,
    pub(super) logger: Logger,
    /// Answers the shards' questions about other hosts.
    pub(super) names: Option<resolver::Service>,
    /// Programs that are told of messages.
    pub(super) hooks: Option<events::Hooks>,
    /// Judges bearer tokens.
    pub(super) tokens: Option<token::Service>,
}

/// Runs the service on this thread until the server has ended.
pub(super) fn run(backend: Backend, bureau: Bureau) -> Result<(), Refusal> {
    service::run_service(backend, move || serve(bureau))
        .unwrap_or_else(|error| Err(Refusal(format!("the service thread cannot start: {error}"))))
}

async fn serve(mut bureau: Bureau) -> Result<(), Refusal> {
    let started = Now::read();
    let running = bureau.live.config.load_full();
    await_stores(std::mem::take(&mut bureau.opened), started).await?;
    let noted = bureau.home.note_begun();
    noted.map_err(|error| Refusal(error.to_string()))?;
    let Bureau {
        live,
        metrics,
        shards,
        endpoint,
        logins,
        pages,
        file,
        logger,
        names,
        hooks,
        tokens,
        ..
    } = bureau;
    if let Some(tokens) = tokens {
        tokio::task::spawn_local(tokens.run());
    }
    if let Some(hooks) = hooks {
        events::run_hooks(hooks);
    }
    if let Some(names) = names {
        tokio::task::spawn_local(names.run());
    }
    let (lanes, inbox) = endpoint.split();
    let post = Post::new(usize::from(shards), lanes);
    tokio::task::spawn_local(read_answers(Rc::clone(&post), inbox));
    let office = Rc::new(Office::new(Arc::clone(&live), post, shards, logins));
    resume::resume(&office, shards).await.map_err(gone)?;
    complain(office.gather().await.map_err(gone)?);

    let face = Arc::new(Face {
        live: Arc::clone(&live),
        metrics,
        started,
        is_ending: AtomicBool::new(false),
    });
    for (address, mode) in pages {
        let tls = live.tls.as_ref().filter(|_| mode == TlsMode::Implicit);
        open_pages(address, tls, face.clone()).await?;
    }
    let control_path = live.config.load().control.clone();
    let listener = control::bind(&control_path)
        .map_err(|error| Refusal(format!("{}: {error}", control_path.display())))?;
    tokio::task::spawn_local(control::serve(listener, Rc::clone(&office)));
    let mut signals = signals()?;
    office.tell_all(Order::Open).await.map_err(gone)?;
    say_ready(&live, started);

    while let Some(signal) = signals.recv().await {
        match signal {
            Signal::Reload => {
                logger.reopen();
                reload(&live, &office, &running, file.as_deref()).await;
            }
            Signal::Stop => break,
        }
    }
    face.is_ending.store(true, Ordering::Relaxed);
    end(&office, &mut signals, &control_path).await;
    Ok(())
}

/// Every shard's store must open; the first that does not is what the operator hears.
async fn await_stores(
    opened: Vec<oneshot::Receiver<Result<Recovered, String>>>,
    started: Now,
) -> Result<(), Refusal> {
    for (shard, opened) in opened.into_iter().enumerate() {
        let recovered = opened
            .await
            .map_err(|_| Refusal(format!("shard {shard} ended while it opened its store")))?
            .map_err(Refusal)?;
        event!(
            Info,
            "store opened",
            shard = shard,
            frames = recovered.frames,
            records = recovered.records,
            bytes = recovered.bytes,
            torn = recovered.torn,
            secs = Now::read().since(started),
        );
    }
    Ok(())
}

/// Answers to what this thread asked.
async fn read_answers(post: Rc<Post>, mut inbox: Receiver<Letter>) {
    while let Some(letter) = inbox.recv().await {
        if let Letter::Answer { ticket, answer } = letter {
            post.answered(ticket, answer);
        }
    }
}

async fn open_pages(
    address: SocketAddr,
    tls: Option<&TlsContext>,
    face: Arc<Face>,
) -> Result<(), Refusal> {
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .map_err(|error| {
            Refusal(format!(
                "cannot listen on {address}: {error}; end what uses it, or change [[listener]]"
            ))
        })?;
    let Some(tls) = tls else {
        tokio::task::spawn_local(async move { axum::serve(listener, http::pages(face)).await });
        return Ok(());
    };
    let patience = face.live.config.load().limits.tls_handshake_secs_max;
    let secure = Secure::new(listener, tls.config(), Duration::from_secs(patience));
    let secure = secure.map_err(|error| Refusal::because("pages under TLS", error))?;
    tokio::task::spawn_local(async move { axum::serve(secure, http::pages(face)).await });
    Ok(())
}

fn signals() -> Result<mpsc::UnboundedReceiver<Signal>, Refusal> {
    let (sender, signals) = mpsc::unbounded_channel();
    start_signals(move |signal| {
        let _ = sender.send(signal);
    })
    .map_err(|error| Refusal(format!("signals cannot be awaited: {error}")))?;
    Ok(signals)
}

fn say_ready(live: &Live, started: Now) {
    let config = live.config.load();
    for listener in &config.listeners {
        event!(
            Info,
            "listening",
            protocol = listener.protocol.name(),
            address = listener.address.to_string(),
            tls = listener.tls.name(),
        );
    }
    event!(
        Info,
        "ready",
        hostname = config.hostname.as_str(),
        accounts = live.directory.load().accounts().len(),
        secs = Now::read().since(started),
    );
}

/// Reads the file again. Whatever is wrong with it, the server goes on as it was.
async fn reload(live: &Live, office: &Office, started: &Config, file: Option<&Path>) {
    let Some(file) = file else {
        return event!(
            Info,
            "nothing to reload: the demo has no configuration file"
        );
    };
    if let Err(why) = try_reload(live, office, started, file).await {
        for line in why.lines() {
            event!(Error, "not reloaded", what = line);
        }
    }
}

async fn try_reload(
    live: &Live,
    office: &Office,
    started: &Config,
    file: &Path,
) -> Result<(), String> {
    let path = file.to_owned();
    let read = tokio::task::spawn_blocking(move || Config::read(&path, &check_secret));
    let config = read
        .await
        .map_err(|error| error.to_string())?
        .map_err(|e| e.to_string())?;
    for what in fixed_until_restart(started, &config) {
        event!(Warn, "changes at the next start only", what = what);
    }
    let config = outbound::as_started(started, config);
    let tls_files = outbound::tls_files(&config).map_err(|error| error.to_string())?;
    live.signers.store(Arc::new(outbound::signers(&config)?));
    live.tls_files.store(Arc::new(tls_files));
    live.clients.store(Arc::new(outbound::clients(&config)?));
    live.holders.store(Arc::new(outbound::holders(&config)?));
    if let Some(tls) = &live.tls {
        tls.replace(load_certificates(&config).map_err(|refusal| refusal.0)?);
    }
    complain(
        office
            .reload(config)
            .await
            .map_err(|_| "the server is ending")?,
    );
    event!(
        Info,
        "reloaded",
        accounts = live.directory.load().accounts().len()
    );
    Ok(())
}

/// What a reload cannot change, where the file says something else than the server was started
/// with: said at every reload, until it is so or taken back.
fn fixed_until_restart(started: &Config, wanted: &Config) -> Vec<&'static str> {
    let (was, is) = (&started.limits, &wanted.limits);
    let login_threads = |limits: &Limits| (limits.login_threads, limits.login_queue_max);
    let failures = |limits: &Limits| {
        let address = limits.login_failures_per_address_max;
        (address, limits.login_failures_per_network_max)
    };
    [
        ("data", started.data != wanted.data),
        ("shards", started.shards != wanted.shards),
        ("control", started.control != wanted.control),
        ("[[listener]]", started.listeners != wanted.listeners),
        ("[tls]", started.outbound.tls != wanted.outbound.tls),
        ("[auth.oauth]", started.auth.oauth != wanted.auth.oauth),
        ("[log]", started.log != wanted.log),
        ("[[converter]]", started.converters != wanted.converters),
        ("[events], [[webhook]]", started.events != wanted.events),
        ("[resolver]", started.resolver != wanted.resolver),
        (
            "[[route]], the first or none",
            started.outbound.is_on() != wanted.outbound.is_on(),
        ),
        (
            "login_threads, login_queue_max",
            login_threads(was) != login_threads(is),
        ),
        ("login_failures_per_…_max", failures(was) != failures(is)),
    ]
    .into_iter()
    .filter_map(|(what, differs)| differs.then_some(what))
    .collect()
}

/// Conversations end, then the logs; a second signal does not wait for the conversations.
async fn end(office: &Office, signals: &mut mpsc::UnboundedReceiver<Signal>, control_path: &Path) {
    event!(Info, "ending");
    tokio::select! {
        _ = office.tell_all(Order::Drain) => {}
        _ = signals.recv() => event!(Warn, "ending at once"),
    }
    if tokio::time::timeout(CLOSE_MAX, office.tell_all(Order::Close))
        .await
        .is_err()
    {
        event!(Error, "a shard could not make its last frame durable");
    }
    let _ = std::fs::remove_file(control_path);
    event!(Info, "ended");
}

fn complain(complaints: Vec<String>) {
    for what in complaints {
        event!(Warn, "directory", what = what.as_str());
    }
}

fn gone(_: Gone) -> Refusal {
    Refusal("a shard ended while the server started; its log lines say why".to_owned())
}

/// What the pages show.
struct Face {
    live: Arc<Live>,
    metrics: Arc<Metrics>,
    started: Now,
    is_ending: AtomicBool,
}

impl Seen for Face {
    fn metrics(&self) -> String {
        self.metrics.render(Now::read().since(self.started))
    }

    fn health(&self) -> Result<(), String> {
        if self.is_ending.load(Ordering::Relaxed) {
            return Err("the server is ending".to_owned());
        }
        let shards = 0..self.live.directory.load().shards();
        let is_read_only = |shard: &u16| {
            self.metrics
                .shard(*shard)
                .is_some_and(|shard| shard.log_read_only.read() != 0)
        };
        match shards.into_iter().find(is_read_only) {
            Some(shard) => Err(format!("the log of shard {shard} takes no more mail")),
            None => Ok(()),
        }
    }

    fn hostname(&self) -> String {
        self.live.config.load().hostname.clone()
    }
}

/// How long the last frames may take.
const CLOSE_MAX: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_restart_is_named() {
        let started = Config::demo(Path::new("data"), "x");
        let mut wanted = started.clone();
        wanted.domains.clear();
        assert_eq!(fixed_until_restart(&started, &wanted), Vec::<&str>::new());
        wanted.listeners.clear();
        wanted.data = "elsewhere".into();
        wanted.limits.login_threads += 1;
        assert_eq!(
            fixed_until_restart(&started, &wanted),
            ["data", "[[listener]]", "login_threads, login_queue_max"]
        );
    }
}
