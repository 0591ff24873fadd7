//! The start: everything that can be refused is refused here, in a sentence that says what to do.

use super::compactor::Compactor;
use super::ear::Ear;
use super::outbound::{self, Ways};
use super::service::{self, Bureau};
use super::shard::{self, Equipment};
use super::told;
use crate::auth::token::{self, Tokens};
use crate::auth::{Gate, Secrets, ThrottleLimits};
use crate::config::{
    CertificateSource, Config, ListenAt, Listener, LogFormat, LogLevel, LogTarget, Protocol,
    TlsMode,
};
use crate::convert::Converters;
use crate::event;
use crate::post::Letter;
use crate::reactor::idle::rest;
use crate::reactor::inbox::Limit;
use crate::reactor::net::{BindError, Bound};
use crate::reactor::{Backend, Clock, Endpoint, Mesh, Pool, Seat, clock, oneshot, runtime};
use crate::route::{Live, Plan};
use crate::telemetry::log::{self, Format, Level, Logger, Target};
use crate::telemetry::metric::{Metrics, Process};
use crate::tls::{CertificateFiles, Certificates, TlsContext, demo};
use crate::wire::sasl::scram::Decoy;
use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::disk::home::{Home, HomeError, Identity};
use store::limit::{BLOCK_BYTES, SHARDS_MAX};
use store::log::{Options, Recovered};

/// Why the server does not start, for the operator.
#[derive(Debug)]
pub struct Refusal(pub String);

impl Refusal {
    pub(super) fn because(what: &str, error: impl Display) -> Refusal {
        Refusal(format!("{what}: {error}"))
    }
}

/// A server that is about to run.
pub struct Server {
    home: Arc<Home>,
    live: Arc<Live>,
    backend: Backend,
    ears: Vec<Vec<Ear>>,
    pages: Vec<(SocketAddr, TlsMode)>,
    /// Removed at the end.
    socket_files: Vec<PathBuf>,
    logger: (Logger, log::Ending),
    /// The configuration file, read again on SIGHUP; the demo has none.
    file: Option<PathBuf>,
}

impl Server {
    /// Takes the data directory and the sockets.
    pub fn prepare(config: Config, file: Option<PathBuf>) -> Result<Server, Refusal> {
        let logger = start_log(&config)?;
        for warning in &config.warnings {
            event!(
                Warn,
                "configuration",
                line = warning.line,
                what = warning.what.as_str()
            );
        }
        let descriptors = runtime::raise_descriptor_limit().unwrap_or(u64::MAX);
        event!(Debug, "descriptors", max = descriptors);
        let wanted = config
            .shards
            .map_or_else(|| runtime::cores().len(), usize::from);
        let wanted = wanted.clamp(1, SHARDS_MAX) as u16;
        let home = open_when_free(&config.data, wanted).map_err(|e| Refusal(e.to_string()))?;
        let shards = home.identity.shards;
        if shards != wanted {
            event!(
                Warn,
                "the store keeps its number of shards",
                shards = shards,
                wanted = wanted
            );
        }
        let (backend, sentence) = Backend::probe();
        match backend {
            Backend::Uring => event!(Info, "io_uring", what = sentence.as_str()),
            Backend::Epoll => event!(Warn, "no io_uring", what = sentence.as_str()),
        }
        let tls = tls_context(&config)?;
        let ears = (0..shards).map(|_| Vec::new()).collect();
        let mut server = Server {
            live: live(config, shards, tls)?,
            home: Arc::new(home),
            backend,
            ears,
            pages: Vec::new(),
            socket_files: Vec::new(),
            logger,
            file,
        };
        server.bind()?;
        Ok(server)
    }

    fn bind(&mut self) -> Result<(), Refusal> {
        let config = self.live.config.load_full();
        for listener in &config.listeners {
            match &listener.address {
                ListenAt::Tcp(address)
                    if listener.protocol == Protocol::Http && !listener.inject =>
                {
                    self.pages.push((*address, listener.tls));
                }
                ListenAt::Tcp(address) => self.bind_address(listener, *address)?,
                ListenAt::Unix { path, mode } => self.bind_file(listener, path, *mode)?,
            }
        }
        Ok(())
    }

    fn bind_address(&mut self, listener: &Listener, address: SocketAddr) -> Result<(), Refusal> {
        let bound = share_when_free(address, self.ears.len());
        let bound = bound.map_err(|error| Refusal(error.to_string()))?;
        for (ears, bound) in self.ears.iter_mut().zip(bound) {
            ears.push(Ear::new(bound, listener));
        }
        Ok(())
    }

    fn bind_file(&mut self, listener: &Listener, path: &Path, mode: u32) -> Result<(), Refusal> {
        let refused = |error: io::Error| {
            let path = path.display();
            Refusal(match error.kind() {
                io::ErrorKind::AddrInUse => format!(
                    "cannot listen on {path}: another program listens there, or the file is no \
                     socket; stop it or choose another file"
                ),
                io::ErrorKind::NotFound => {
                    format!("cannot listen on {path}: make its folder first")
                }
                _ => format!("cannot listen on {path}: {error}"),
            })
        };
        let bound = Bound::bind_file(path, mode, BACKLOG).map_err(refused)?;
        self.socket_files.push(path.to_owned());
        for ears in &mut self.ears {
            ears.push(Ear::new(bound.duplicate().map_err(refused)?, listener));
        }
        Ok(())
    }

    /// Runs until a signal ends it. `Err`: it could not begin, or a shard could not.
    pub fn run(self) -> Result<(), Refusal> {
        let Server {
            home,
            live,
            backend,
            ears,
            pages,
            socket_files,
            logger: (logger, log_ending),
            file,
        } = self;
        let told = told::start(&live.config.load())?;
        let shards = home.identity.shards;
        let workers = Workers::start(&live, &home.path, shards)?;
        let (ways, names) = outbound::open(&live.config.load(), &workers.logins)?.unzip();
        let (bearer, tokens) = tokens(&live.config.load())?.unzip();
        let logins = workers.logins.clone();
        let metrics = Metrics::new(shards, process(backend, &logger));
        if let Some(ways) = &ways {
            ways.show_sites(&metrics);
        }
        let (hooks, told_ending) = told.map(|told| told.show(&metrics)).unzip();
        outbound::show_series(&metrics, &live, ways.as_ref());
        let secret = home.secret().map_err(|error| Refusal(error.to_string()))?;
        let gate = Arc::new(gate(&live.config.load(), &secret));
        let mut endpoints = Mesh::<Letter>::new(usize::from(shards) + 1, LANE)
            .into_endpoints()
            .into_iter();
        let common = Common {
            identity: home.identity,
            data: home.path.clone(),
            backend,
            live: Arc::clone(&live),
            metrics: Arc::clone(&metrics),
            gate,
            decoy: Decoy::new(secret),
            bearer,
            workers,
            ways,
        };
        let mut opened = Vec::new();
        for ((shard, ears), endpoint) in (0..shards).zip(ears).zip(endpoints.by_ref()) {
            opened.push(common.start_shard(shard, ears, endpoint)?);
        }
        let endpoint = endpoints.next();
        let endpoint = endpoint.ok_or_else(|| Refusal("no endpoint is left".into()))?;
        let bureau = Bureau {
            live,
            metrics,
            shards,
            endpoint,
            home: Arc::clone(&home),
            opened,
            logins,
            pages,
            file,
            logger,
            names,
            hooks,
            tokens,
        };
        let ended = service::run(backend, bureau);
        socket_files.iter().for_each(remove_quietly);
        drop(home);
        if let Some(ending) = told_ending {
            ending.finish();
        }
        log_ending.finish();
        ended
    }
}

fn process(backend: Backend, logger: &Logger) -> Process {
    Process {
        version: env!("CARGO_PKG_VERSION"),
        backend: match backend {
            Backend::Uring => "uring",
            Backend::Epoll => "epoll",
        },
        log_lines_dropped: Arc::clone(logger.dropped()),
    }
}

/// At the end there is nobody left who could do something about a file that stays.
fn remove_quietly(path: &PathBuf) {
    let _ = std::fs::remove_file(path);
}

/// What a killed predecessor had lives until the kernel has ended what its ring had under way: its
/// sockets, and its lock on the store. So both are tried for a while.
fn share_when_free(address: SocketAddr, shards: usize) -> Result<Vec<Bound>, BindError> {
    patiently(BindError::is_in_use, || {
        Bound::share(address, shards, BACKLOG)
    })
}

/// As [`share_when_free`].
fn open_when_free(data: &Path, shards: u16) -> Result<Home, HomeError> {
    let is_in_use = |error: &HomeError| matches!(error, HomeError::InUse(_));
    patiently(is_in_use, || Home::open(data, shards))
}

fn patiently<T, E>(
    is_in_use: impl Fn(&E) -> bool,
    attempt: impl Fn() -> Result<T, E>,
) -> Result<T, E> {
    for _ in 0..TRIES_MAX {
        match attempt() {
            Err(error) if is_in_use(&error) => rest(TRY_WAIT),
            other => return other,
        }
    }
    attempt()
}

/// What every shard is given alike.
struct Common {
    identity: Identity,
    data: PathBuf,
    backend: Backend,
    live: Arc<Live>,
    metrics: Arc<Metrics>,
    gate: Arc<Gate>,
    decoy: Decoy,
    bearer: Option<Tokens>,
    workers: Workers,
    /// `None`: no mail leaves this host.
    ways: Option<Ways>,
}

/// Threads beside the shards, for what would block them.
struct Workers {
    logins: Pool,
    files: Pool,
    compactor: Compactor,
    converters: Option<Arc<Converters>>,
}

impl Workers {
    fn start(live: &Live, data: &Path, shards: u16) -> Result<Workers, Refusal> {
        let start = |what| move |error: io::Error| Refusal::because(what, error);
        let limits = live.config.load().limits.clone();
        let logins = Pool::start(
            "login",
            limits.login_threads as usize,
            limits.login_queue_max as usize,
        );
        let files = Pool::start("files", FILE_THREADS, FILE_JOBS_MAX);
        let converters = Converters::start(&live.config.load().converters);
        let compactor = Compactor::start(data.to_owned(), usize::from(shards));
        Ok(Workers {
            logins: logins.map_err(start("login threads"))?,
            files: files.map_err(start("file threads"))?,
            compactor: compactor.map_err(start("the compactor's thread"))?,
            converters: converters.map_err(start("threads for attachments"))?,
        })
    }
}

impl Common {
    /// Starts the thread of a shard, which says when its store is open.
    fn start_shard(
        &self,
        shard: u16,
        ears: Vec<Ear>,
        endpoint: Endpoint<Letter>,
    ) -> Result<oneshot::Receiver<Result<Recovered, String>>, Refusal> {
        let metrics = self.metrics.shard(shard).cloned().unwrap_or_default();
        let segment_bytes = self.live.config.load().limits.log_segment_bytes;
        let seat = seat(self.backend, shard, &metrics);
        let equipment = Equipment {
            shard,
            shards: self.identity.shards,
            data: self.data.clone(),
            files: self.workers.files.clone(),
            compactor: self.workers.compactor.clone(),
            converters: self.workers.converters.clone(),
            options: Options {
                segment_bytes: segment_bytes - segment_bytes % BLOCK_BYTES as u64,
                clock_micros: clock::monotonic_micros,
                ..Options::new(self.identity.uuid, shard)
            },
            endpoint,
            ears,
            live: Arc::clone(&self.live),
            gate: Arc::clone(&self.gate),
            logins: self.workers.logins.clone(),
            decoy: self.decoy.clone(),
            bearer: self.bearer.clone(),
            metrics,
            ways: self.ways.clone(),
        };
        let (sender, opened) = oneshot::oneshot();
        runtime::start_shard(usize::from(shard), seat, move || {
            shard::run(equipment, sender)
        })
        .map_err(|error| Refusal::because("shard thread", error))?;
        Ok(opened)
    }
}

fn start_log(config: &Config) -> Result<(Logger, log::Ending), Refusal> {
    let settings = log::Settings {
        level: match config.log.level {
            LogLevel::Error => Level::Error,
            LogLevel::Warn => Level::Warn,
            LogLevel::Info => Level::Info,
            LogLevel::Debug => Level::Debug,
        },
        format: match config.log.format {
            LogFormat::Text => Format::Text,
            LogFormat::Json => Format::Json,
        },
        target: match &config.log.target {
            LogTarget::Stderr => Target::Stderr,
            LogTarget::File(path) => Target::File(path.clone()),
        },
    };
    let (logger, ending) = Logger::start(settings, clock::wall)
        .map_err(|error| Refusal::because("the log cannot be written", error))?;
    logger.set_for_process();
    Ok((logger, ending))
}

/// A first directory from the configuration alone; the service adds what the store keeps before
/// anything is accepted.
fn live(config: Config, shards: u16, tls: Option<TlsContext>) -> Result<Arc<Live>, Refusal> {
    let plan = Plan::from_config(&config, shards).map_err(Refusal)?;
    let signers = outbound::signers(&config).map_err(Refusal)?;
    let tls_files = outbound::tls_files(&config).map_err(|error| Refusal(error.to_string()))?;
    let (directory, _) = plan.build(None);
    let live = Live::new(config, directory, tls);
    live.signers.store(Arc::new(signers));
    live.tls_files.store(Arc::new(tls_files));
    let clients = outbound::clients(&live.config.load()).map_err(Refusal)?;
    live.clients.store(Arc::new(clients));
    let holders = outbound::holders(&live.config.load()).map_err(Refusal)?;
    live.holders.store(Arc::new(holders));
    Ok(Arc::new(live))
}

/// `None`: no bearer tokens are taken.
fn tokens(config: &Config) -> Result<Option<(Tokens, token::Service)>, Refusal> {
    let opened = config.auth.oauth.clone().map(token::open).transpose();
    opened.map_err(|why| Refusal(format!("[auth.oauth]: {why}")))
}

fn tls_context(config: &Config) -> Result<Option<TlsContext>, Refusal> {
    if config
        .listeners
        .iter()
        .all(|listener| listener.tls == TlsMode::None)
    {
        return Ok(None);
    }
    let certificates = load_certificates(config)?;
    let context = TlsContext::new(certificates);
    context
        .map(Some)
        .map_err(|error| Refusal::because("TLS cannot be set up", error))
}

/// Reads and checks every certificate; doubts are logged.
pub(super) fn load_certificates(config: &Config) -> Result<Certificates, Refusal> {
    let mut files = Vec::new();
    for certificate in &config.certificates {
        files.push(match &certificate.source {
            CertificateSource::Files { chain, key } => CertificateFiles {
                names: certificate.names.clone(),
                cert: chain.clone(),
                key: key.clone(),
            },
            CertificateSource::SelfSigned => demo::certificate(&config.data, &certificate.names)
                .map_err(|error| Refusal::because("the demo's certificate", error))?,
        });
    }
    let now = crate::reactor::Now::read().unix_secs();
    let (certificates, doubts) =
        Certificates::load(&files, now).map_err(|error| Refusal(error.to_string()))?;
    for doubt in doubts {
        let file = doubt.file.display().to_string();
        event!(
            Warn,
            "certificate",
            file = file.as_str(),
            what = doubt.reason.as_str()
        );
    }
    Ok(certificates)
}

fn gate(config: &Config, salt_secret: &[u8]) -> Gate {
    let limits = ThrottleLimits {
        address_failures_max: config.limits.login_failures_per_address_max,
        network_failures_max: config.limits.login_failures_per_network_max,
    };
    Gate::new(limits, salt_secret, &mut |octets| {
        getrandom::fill(octets).expect("the kernel gives randomness after boot");
    })
}

fn seat(
    backend: Backend,
    shard: u16,
    metrics: &Arc<crate::telemetry::metric::ShardMetrics>,
) -> Seat {
    let cores = runtime::cores();
    let metrics = Arc::clone(metrics);
    Seat {
        backend,
        core: cores.get(usize::from(shard) % cores.len().max(1)).copied(),
        on_panic: Arc::new(move |what: &str| {
            metrics.panics.one();
            event!(Error, "a connection panicked", shard = shard, what = what);
        }),
        clock: Clock::Kernel,
    }
}

/// Whether a stored secret can be checked, as the configuration asks it.
pub fn check_secret(text: &str) -> Result<(), String> {
    Secrets::parse(text).map(drop)
}

/// Connections that wait for `accept`.
const BACKLOG: i32 = 4096;

/// What one thread may have under way to another.
const LANE: Limit = Limit {
    items_max: 4096,
    bytes_max: 64 << 20,
};

/// How often a port in use is tried again, and after how long.
const TRIES_MAX: u32 = 20;
const TRY_WAIT: Duration = Duration::from_millis(100);

/// Threads for opening, pre-writing and renaming files.
const FILE_THREADS: usize = 2;
const FILE_JOBS_MAX: usize = 1024;
