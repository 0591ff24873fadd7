//! The configuration: text → raw → meaning, with every line that is wrong.
//!
//! [`Config::parse`] reads the TOML of design §11 and checks it whole: the grammar, each value, and
//! what the values mean together. It reports all faults at once and never half a configuration, so
//! that a running server can ask before it changes anything. Paths are relative to the folder of
//! the file. The disk and the grammar of passwords are asked through [`Outside`].
//!
//! ```toml
//! hostname = "mx1.example.org"            # required
//! data = "/var/lib/ringpost"              # required
//! shards = 0                              # 0: one per core
//! postmaster = "alice@example.org"        # where a domain has no postmaster of its own
//! control = "/run/ringpost/control"       # default: control in data
//!
//! [[listener]]
//! protocol = "smtp"                       # smtp submission lmtp imap pop3 http
//! address = "0.0.0.0:25"
//! tls = "starttls"                        # none starttls implicit
//! login_without_tls = false               # default: true on loopback
//! proxy = ["10.0.0.5"]                    # each connection, from there only, begins with a
//!                                         # PROXY header; default: none does
//! trusted = ["10.0.0.6"]                  # may name its client: XCLIENT, ID of IMAP
//! inject = false                          # http: takes mail (`inject`) instead of showing pages
//!
//! [[listener]]
//! protocol = "lmtp"                       # for a Postfix in front
//! address = "unix:/run/ringpost/lmtp"     # only lmtp; the file is made and removed by the server
//! mode = "0660"                           # default: user and group of the server
//!
//! [[certificate]]
//! names = ["mx1.example.org", "*.example.org"]
//! cert = "mx1.pem"
//! key = "mx1.key"
//!
//! [[domain]]
//! name = "example.org"
//! catch_all = "bob@example.org"           # default: unknown names are refused
//! recipient_delimiter = "+"               # "" for none
//! accounts_elsewhere = false              # true: ringpostctl makes accounts here too
//!
//! [[account]]
//! address = "alice@example.org"
//! password = "$argon2id$…"
//! quota = "10 GiB"                        # default: none
//!
//! [auth]                                  # how users log in: see `auth`, `oauth`
//! mechanisms = ["SCRAM-SHA-256", "PLAIN"] # default: all that can work
//!
//! [[alias]]
//! from = ["team@example.org"]             # one text or a list, both; "*@…": all unknown names
//! to = ["alice@example.org", "bob+team@example.org", "carol@example.net"]
//! owner = "bob@example.org"               # of a list: who hears of members out of reach
//!
//! [[rewrite]]                             # see `rewrite`
//! what = "sender"                         # sender recipient both
//! direction = "outbound"                  # outbound inbound
//! from = ["@host.internal"]               # addresses, @domain, *.domain
//! to = "$1@example.org"
//!
//! [forward]                               # see `forward`
//! srs = "example.org"                     # default: the reverse-path is kept
//! secrets = ["long and random"]
//!
//! [[route]]                               # without one no mail leaves this host
//! domains = ["*"]                         # "example.net", "*.example.net"; the most exact holds
//! senders = ["@example.org"]              # default: all; then accounts: tenants = […]
//! via = "mx"                              # mx smarthost relay lmtp discard reject
//! host = "mail.example.net:587"           # smarthost, relay, lmtp
//! user = "ringpost"                       # smarthost
//! password = "secret"
//! tls = "opportunistic"                   # never opportunistic required verified implicit dane
//!                                         # dane-only sts, and the keys of [[tls_policy]]
//! reason = "Not from here"                # reject
//! retry = ["1m", "1h"]                    # and the other keys of [queue] about pace
//!
//! [relay]
//! networks = ["192.0.2.0/24"]             # who may send to other hosts without a login
//!
//! [queue]                                 # see `outbound`, each with its default
//! retry = ["1m", "5m", "15m", "30m", "1h", "2h", "4h"]
//! expire = "5d"
//! warn = "4h"
//! connections_max = 20                    # to one site
//! postmaster_copies = ["failed"]          # failed delayed; default: none
//!
//! [[source]]                              # where mail leaves from; default: one
//! name = "main"
//! address = ["192.0.2.1", "2001:db8::1"]  # default: the kernel chooses
//! hello = "mx1.example.org"
//! weight = 1                              # in the pool of all
//! proxy = "haproxy:10.0.0.9:5000"         # or "socks5://user:password@host:port"
//! connections_max = 500                   # of all shards to all sites, as the next
//! messages_per_minute_max = 6000
//! cert = "client.pem"                     # shown to hosts that ask for one; with key
//!
//! [source.warmup]                         # a day's messages to each site
//! start = "2026-12-01"
//! days = [50, 100, 500, 1000]             # or first = 50, growth_percent = 50, target = 100000
//! [[source.warmup.site]]                  # another ramp for one site
//! site = "google"
//! days = [10, 20, 40]
//!
//! [[pool]]                                # a route names one: pool = "bulk"
//! name = "bulk"                           # "default": all mail that nothing else is said of
//! source = [{ name = "main", weight = 3 }]
//! tenants = ["news@example.org"]          # whose mail leaves here, whatever its route
//! senders = ["@news.example.org"]
//!
//! [tls]                                   # to other hosts, see `outbound::tls`
//! authorities = "ca.pem"
//!
//! [[tls_policy]]                          # goes before what the route says of TLS
//! domains = ["bank.example"]
//! tls = "verified"
//! tls_min = "1.3"
//!
//! [[rule]]                                # what is done about replies: see `outbound::rule`
//! [suppression]                           # whom no mail is sent to: see `outbound::Suppression`
//! [[feedback]]                            # who tells of complaints: see `outbound::Feedback`
//!
//! [[dkim]]                                # signs mail of the domain that leaves this host
//! domain = "example.org"
//! selector = "a2026"                      # a2026._domainkey.example.org holds the record
//! key = "a2026.example.org.pem"           # made by ringpostctl dkim generate
//! algorithm = "rsa"                       # rsa ed25519; one of each sign side by side
//! canonicalization = "relaxed/relaxed"    # of header and body
//! not_before = "2026-12-01"               # the newest key that has begun signs; default: always
//! not_after = "2027-05-31"                # its last day; default: none
//! signature_days = 14                     # how long a signature holds; 0 for ever
//!
//! [limits]                                # see `limits`, each with its default
//! message_bytes_max = "50 MiB"
//!
//! [[converter]]                           # see `converter`
//! types = ["application/pdf"]
//! command = ["/usr/bin/pdftotext", "-q", "-enc", "UTF-8", "-", "-"]
//!
//! [imap]                                  # see `imap`
//! [pop3]                                  # see `pop3`
//! [inject]                                # see `inject`, with [[token]]
//! [events]                                # see `events`, with [[webhook]]
//!
//! [sharing]                               # see `sharing`, and `group` for [[group]]
//!
//! [resolver]                              # see `resolver`, each key with its default
//! servers = ["127.0.0.1:53"]
//!
//! [log]
//! level = "info"                          # error warn info debug
//! format = "text"                         # text json
//! target = "stderr"                       # or a file
//! ```

mod auth;
mod converter;
mod cross;
mod demo;
mod dkim;
mod domain;
mod events;
mod explain;
mod explain_inject;
mod fingerprint;
mod forward;
mod group;
mod imap;
pub mod inject;
mod limits;
mod listener;
mod log;
mod name;
mod oauth;
pub mod outbound;
mod pattern;
mod pop3;
mod problem;
mod quantity;
mod raw;
mod resolver;
mod rewrite;
mod sharing;
#[cfg(test)]
mod tests;

pub use auth::{Auth, Holder, MECHANISMS};
pub use converter::Converter;
pub use demo::{DEMO_DOMAIN, DEMO_PASSWORD};
pub use dkim::{Dkim, DkimAlgorithm, DkimCanon, record_name};
pub use domain::{Account, Alias, DELIMITER_DEFAULT, Domain};
pub use events::{EventKind, EventKinds, Events, HookUrl, Webhook};
pub use fingerprint::Fingerprint;
pub use forward::{Forwarding, Srs};
pub use group::Group;
pub use imap::Imap;
pub use inject::Inject;
pub use limits::Limits;
pub use listener::{Certificate, CertificateSource, ListenAt, Listener, Protocol, TlsMode};
pub use log::{Log, LogFormat, LogLevel, LogTarget};
pub use name::{LOCAL_PART_BYTES_MAX, address, canonical, canonical_local, domain_name, partings};
pub use oauth::{ClientLogin, OAuth, TokenJudge};
pub use outbound::{Network, Outbound};
pub use pattern::{NULL_PATH, text_of};
pub use pop3::{Expire, Pop3};
pub use problem::{Problem, Problems};
pub use quantity::{seconds, show_size, size};
pub use resolver::{Dnssec, ResolverConfig, Rollup};
pub use rewrite::{Direction, Rewrite, Rewrites, Whose};
pub use sharing::Sharing;

use raw::{At, Notes, Section};
use std::io;
use std::path::{Path, PathBuf};
use store::mail::address::Address;

/// A configuration without faults.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Our name in greetings, Received headers and replies.
    pub hostname: String,
    /// The folder of the logs.
    pub data: PathBuf,
    /// `None`: one per core.
    pub shards: Option<u16>,
    /// Takes the mail for every `postmaster` that has no account or alias (RFC 5321 §4.5.1).
    pub postmaster: Option<Address>,
    /// The socket for `ringpostctl`.
    pub control: PathBuf,
    pub listeners: Vec<Listener>,
    pub certificates: Vec<Certificate>,
    pub domains: Vec<Domain>,
    pub accounts: Vec<Account>,
    pub auth: Auth,
    pub aliases: Vec<Alias>,
    pub rewrites: Rewrites,
    pub forwarding: Forwarding,
    pub outbound: Outbound,
    pub dkim: Vec<Dkim>,
    pub inject: Inject,
    /// In the order in which they are asked.
    pub converters: Vec<Converter>,
    pub imap: Imap,
    pub pop3: Pop3,
    /// `None`: nothing is told to programs.
    pub events: Option<Events>,
    pub sharing: Sharing,
    pub limits: Limits,
    pub resolver: ResolverConfig,
    pub log: Log,
    /// What is allowed and probably not meant.
    pub warnings: Vec<Problem>,
}

/// What the check asks of the world outside the text.
#[derive(Clone, Copy)]
pub struct Outside<'a> {
    /// Can this file be read?
    pub readable: &'a dyn Fn(&Path) -> io::Result<()>,
    /// Is this a stored secret that can be checked? If not, a sentence that says what it lacks.
    pub secret: &'a dyn Fn(&str) -> Result<(), String>,
}

/// A file larger than this is no configuration, in octets.
pub const FILE_BYTES_MAX: u64 = 256 << 20;

impl Config {
    /// Reads and checks a file; `secret` is `auth::secret::check`.
    pub fn read(
        file: &Path,
        secret: &dyn Fn(&str) -> Result<(), String>,
    ) -> Result<Config, Problems> {
        let name = file.display().to_string();
        let whole = |what: String| Problems::new(name.clone(), vec![Problem::new(0, what)]);
        let text = read_text(file).map_err(whole)?;
        let outside = Outside {
            readable: &|path| std::fs::File::open(path).map(drop),
            secret,
        };
        Config::parse(file, &text, outside)
    }

    /// Checks the text of `file`.
    pub fn parse(file: &Path, text: &str, outside: Outside<'_>) -> Result<Config, Problems> {
        let mut notes = Notes::new(text);
        let document = raw::document(text, &mut notes);
        let folder = file.parent().map(Path::to_path_buf).unwrap_or_default();
        let base = Base { folder, outside };
        // What stands in a broken text is guesswork: only its grammar is reported then.
        if notes.problems.is_empty()
            && let Some(config) = top(Section::top(document.get_ref()), &base, &mut notes)
        {
            return Ok(config);
        }
        Err(Problems::new(file.display().to_string(), notes.problems))
    }
}

impl Config {
    /// The same with another data directory; the control socket goes along where it lies there.
    #[must_use]
    pub fn with_data(mut self, data: PathBuf) -> Config {
        if self.control.parent() == Some(&self.data) {
            self.control = data.join(CONTROL_SOCKET);
        }
        self.data = data;
        self
    }
}

/// The socket for `ringpostctl`, below the data directory where nothing else is said.
pub const CONTROL_SOCKET: &str = "control.sock";

/// Where paths start, and the world outside.
struct Base<'a> {
    folder: PathBuf,
    outside: Outside<'a>,
}

/// A part that was understood, and the line that is named when it does not fit the others.
struct Found<T> {
    line: usize,
    value: T,
}

/// All parts before they are compared with each other.
struct Parts {
    postmaster: Option<Found<Address>>,
    listeners: Vec<Found<Listener>>,
    certificates: Vec<Found<Certificate>>,
    domains: Vec<Found<Domain>>,
    accounts: Vec<Found<Account>>,
    aliases: Vec<Found<Alias>>,
    rewrites: Vec<Found<Rewrite>>,
    /// And its line.
    forwarding: (Forwarding, usize),
    dkim: Vec<Found<Dkim>>,
}

impl Base<'_> {
    fn path(&self, written: &str) -> PathBuf {
        self.folder.join(written)
    }

    fn check_readable(&self, file: At<&str>, notes: &mut Notes) {
        let path = self.path(file.value);
        if let Err(error) = (self.outside.readable)(&path) {
            let what = format!("cannot read {}: {error}", path.display());
            notes.problem(file.line, what);
        }
    }

    fn check_secret(&self, secret: At<&str>, notes: &mut Notes) {
        if let Err(what) = (self.outside.secret)(secret.value) {
            notes.problem(secret.line, format!("password: {what}"));
        }
    }
}

fn read_text(file: &Path) -> Result<String, String> {
    let bytes = std::fs::metadata(file)
        .and_then(|meta| match meta.len() > FILE_BYTES_MAX {
            true => Err(io::Error::from(io::ErrorKind::FileTooLarge)),
            false => std::fs::read(file),
        })
        .map_err(|error| format!("cannot be read: {error}"))?;
    String::from_utf8(bytes).map_err(|error| {
        let before = error
            .as_bytes()
            .iter()
            .take(error.utf8_error().valid_up_to());
        let line = before.filter(|byte| **byte == b'\n').count() + 1;
        format!("line {line} is not UTF-8")
    })
}

/// The keys of the first level. `None` where anything is noted as wrong.
fn top(mut section: Section<'_, '_>, base: &Base, notes: &mut Notes) -> Option<Config> {
    let hostname = section.text_required(notes, "hostname", "\"mail.example.org\"");
    let data = section.text_required(notes, "data", "\"/var/lib/ringpost\"");
    let shards_max = store::limit::SHARDS_MAX as u64;
    let shards = section.number(notes, "shards", 0, shards_max);
    let control = section.text(notes, "control");
    let limits = limits(&mut section, notes);
    let resolver = resolver(&mut section, base, notes);
    let log = log(&mut section, base, notes);
    let parts = parts(&mut section, base, notes);
    let hostname = hostname.and_then(|text| read_hostname(text, notes));
    let own_name = hostname.as_deref().unwrap_or_default();
    let outbound = outbound::outbound(&mut section, base, own_name, notes);
    let auth = auth::auth(&mut section, base, notes);
    let inject = inject::inject(&mut section, notes);
    let converters = converter::converters(&mut section, notes);
    let imap = imap::imap(&mut section, notes);
    let pop3 = pop3::pop3(&mut section, notes);
    let events = events::events(&mut section, base, notes);
    let sharing = sharing::sharing(&mut section, &parts, notes);
    section.finish(notes);
    cross::replies(&outbound, &resolver, &parts.domains, notes);

    outbound::loops(&outbound, &parts.listeners, notes);
    let mut warnings = cross::check(&parts, &outbound, notes);
    let takes_http = parts.listeners.iter().any(|found| found.value.inject);
    warnings.extend(inject::warnings(&inject, takes_http));
    let data = base.path(data?.value);
    let config = Config {
        hostname: hostname?,
        shards: shards
            .and_then(|found| u16::try_from(found.value).ok())
            .filter(|shards| *shards > 0),
        control: control.map_or_else(|| data.join(CONTROL_SOCKET), |text| base.path(text.value)),
        postmaster: parts.postmaster.map(|found| found.value),
        listeners: values(parts.listeners),
        certificates: values(parts.certificates),
        domains: values(parts.domains),
        accounts: values(parts.accounts),
        auth,
        aliases: values(parts.aliases),
        rewrites: Rewrites::new(parts.rewrites, notes),
        forwarding: parts.forwarding.0,
        outbound,
        dkim: values(parts.dkim),
        inject,
        converters,
        imap,
        pop3,
        events: events.map(|(events, file)| Events {
            file: file.unwrap_or_else(|| data.join(&events.file)),
            ..events
        }),
        data,
        sharing,
        limits,
        resolver,
        log,
        warnings,
    };
    notes.problems.is_empty().then_some(config)
}

fn parts(section: &mut Section<'_, '_>, base: &Base, notes: &mut Notes) -> Parts {
    let postmaster = section.text(notes, "postmaster").and_then(|text| {
        let value = domain::address("postmaster", text, notes)?;
        Some(Found {
            line: text.line,
            value,
        })
    });
    let listeners = section.sections(notes, "listener", "[[listener]]");
    let certificates = section.sections(notes, "certificate", "[[certificate]]");
    let domains = section.sections(notes, "domain", "[[domain]]");
    let accounts = section.sections(notes, "account", "[[account]]");
    let aliases = section.sections(notes, "alias", "[[alias]]");
    let rewrites = section.sections(notes, "rewrite", "[[rewrite]]");
    let forwarding = section.section(notes, "forward", "[forward]");
    let dkim = section.sections(notes, "dkim", "[[dkim]]");
    Parts {
        postmaster,
        listeners: each(listeners, |s| listener::listener(s, base, notes)),
        certificates: each(certificates, |s| listener::certificate(s, base, notes)),
        domains: each(domains, |s| domain::domain(s, notes)),
        accounts: each(accounts, |s| domain::account(s, base, notes)),
        aliases: each(aliases, |s| domain::alias(s, notes)),
        rewrites: each(rewrites, |s| rewrite::rewrite(s, notes)),
        forwarding: forwarding.map_or_else(Default::default, |s| forward::forward(s, notes)),
        dkim: each(dkim, |s| dkim::dkim(s, base, notes)),
    }
}

fn limits(top: &mut Section<'_, '_>, notes: &mut Notes) -> Limits {
    let Some(mut section) = top.section(notes, "limits", "[limits]") else {
        return Limits::default();
    };
    let limits = Limits::read(&mut section, notes);
    section.finish(notes);
    limits
}

fn resolver(top: &mut Section<'_, '_>, base: &Base, notes: &mut Notes) -> ResolverConfig {
    let Some(mut section) = top.section(notes, "resolver", "[resolver]") else {
        return ResolverConfig::default();
    };
    let resolver = ResolverConfig::read(&mut section, base, notes);
    section.finish(notes);
    resolver
}

fn log(top: &mut Section<'_, '_>, base: &Base, notes: &mut Notes) -> Log {
    let Some(mut section) = top.section(notes, "log", "[log]") else {
        return Log::default();
    };
    let log = Log::read(&mut section, base, notes);
    section.finish(notes);
    log
}

fn read_hostname(text: At<&str>, notes: &mut Notes) -> Option<String> {
    let name = domain_name(text.value);
    if name.is_none() {
        let what = format!("hostname: \"{}\" is no domain name", text.value);
        notes.problem(text.line, what);
    }
    name
}

fn each<'d, 't, T>(
    sections: Vec<Section<'d, 't>>,
    mut read: impl FnMut(Section<'d, 't>) -> Option<Found<T>>,
) -> Vec<Found<T>> {
    sections.into_iter().filter_map(&mut read).collect()
}

fn values<T>(found: Vec<Found<T>>) -> Vec<T> {
    found.into_iter().map(|found| found.value).collect()
}
