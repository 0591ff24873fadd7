//! Where the server listens: `[[listener]]`, and the certificates it shows: `[[certificate]]`.

use super::name::domain_name;
use super::outbound::Network;
use super::raw::{At, Notes, Section};
use super::{Base, Found};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A protocol that a listener speaks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Protocol {
    /// Mail from other hosts (RFC 5321).
    Smtp,
    /// Mail from our own users, after login (RFC 6409, RFC 8314).
    Submission,
    /// Mail from a local MTA, one reply a recipient (RFC 2033).
    Lmtp,
    /// IMAP4rev2 and IMAP4rev1 (RFC 9051, RFC 3501).
    Imap,
    /// RFC 1939.
    Pop3,
    /// Metrics and health.
    Http,
}

/// How a connection becomes private.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TlsMode {
    None,
    /// On the client's command (RFC 3207, RFC 9051 §6.2.1, RFC 2595 §4).
    StartTls,
    /// From the first octet (RFC 8314 §3).
    Implicit,
}

/// Where connections arrive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ListenAt {
    Tcp(SocketAddr),
    /// A socket in the file system, for a program on this host.
    Unix {
        path: PathBuf,
        /// Who may connect: the owner is the user of the server, the group that of the process, or
        /// of the folder where that is setgid.
        mode: u32,
    },
}

/// One address that is listened on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listener {
    pub protocol: Protocol,
    pub address: ListenAt,
    pub tls: TlsMode,
    /// Passwords are taken without TLS; on loopback only, unless the operator says so.
    pub login_without_tls: bool,
    /// It takes mail; else, of http, it shows pages.
    pub inject: bool,
    /// Connections come from here only, and begin with a PROXY header; empty: none does.
    pub proxy: Vec<Network>,
    /// Who may name its client: XCLIENT, ID of IMAP.
    pub trusted: Vec<Network>,
}

/// A certificate and the names for which it is shown (SNI); `*.example.org` covers one label.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    pub names: Vec<String>,
    pub source: CertificateSource,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CertificateSource {
    /// PEM files: the chain, leaf first, and its private key.
    Files { chain: PathBuf, key: PathBuf },
    /// Made at start and trusted by nobody: the demo.
    SelfSigned,
}

impl Protocol {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Smtp => "smtp",
            Protocol::Submission => "submission",
            Protocol::Lmtp => "lmtp",
            Protocol::Imap => "imap",
            Protocol::Pop3 => "pop3",
            Protocol::Http => "http",
        }
    }

    fn tls_by_default(self) -> TlsMode {
        match self {
            Protocol::Smtp | Protocol::Submission | Protocol::Imap | Protocol::Pop3 => {
                TlsMode::StartTls
            }
            Protocol::Lmtp | Protocol::Http => TlsMode::None,
        }
    }
}

impl ListenAt {
    /// Can nobody but programs of this host connect?
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            ListenAt::Tcp(address) => address.ip().is_loopback(),
            ListenAt::Unix { .. } => true,
        }
    }
}

/// As the file says it.
impl fmt::Display for ListenAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAt::Tcp(address) => address.fmt(f),
            ListenAt::Unix { path, .. } => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

impl TlsMode {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            TlsMode::None => "none",
            TlsMode::StartTls => "starttls",
            TlsMode::Implicit => "implicit",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for TlsMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

pub(super) fn listener(
    mut section: Section<'_, '_>,
    base: &Base,
    notes: &mut Notes,
) -> Option<Found<Listener>> {
    let line = section.line;
    let protocol = section.text_required(notes, "protocol", "\"smtp\" or another protocol");
    let address = section.text_required(notes, "address", "\"IP:PORT\"");
    let mode = section.text(notes, "mode");
    let tls = section.text(notes, "tls");
    let login_without_tls = section.bool(notes, "login_without_tls");
    let inject = section.bool(notes, "inject");
    let proxy = networks(&mut section, "proxy", notes);
    let trusted = networks(&mut section, "trusted", notes);
    section.finish(notes);

    let protocol = protocol.and_then(|text| read_protocol(text, notes));
    let address = address.and_then(|text| match text.value.strip_prefix(UNIX) {
        Some(path) => read_socket(text.map(|_| path), mode, base, notes),
        None => read_address(text, mode, notes),
    });
    let tls = tls.and_then(|text| read_tls(text, notes));
    let (protocol, address) = (protocol?, address?);
    let tls = tls.unwrap_or_else(|| At {
        value: protocol.tls_by_default(),
        line,
    });
    if tls.value == TlsMode::StartTls && protocol == Protocol::Http {
        notes.problem(
            tls.line,
            "http has no STARTTLS; expected tls = \"none\" or \"implicit\"",
        );
    }
    if let Some(inject) = inject.filter(|inject| inject.value) {
        let in_clear = tls.value == TlsMode::None && !address.value.is_local();
        let is_meant = login_without_tls.is_some_and(|found| found.value);
        check_inject(inject.line, protocol, in_clear && !is_meant, notes);
    }
    let shows_pages = protocol == Protocol::Http && !inject.is_some_and(|found| found.value);
    if shows_pages && !proxy.is_empty() {
        let what = "pages are not served behind the PROXY protocol; take proxy out";
        notes.problem(line, what);
    }
    if protocol == Protocol::Http && !trusted.is_empty() {
        notes.problem(line, "trusted is for XCLIENT and ID; http has neither");
    }
    if let ListenAt::Unix { .. } = address.value {
        check_socket(address.line, protocol, tls, notes);
    }
    Some(Found {
        line: address.line,
        value: Listener {
            protocol,
            tls: tls.value,
            login_without_tls: login_without_tls
                .map_or(address.value.is_local(), |found| found.value),
            address: address.value,
            inject: inject.is_some_and(|found| found.value),
            proxy,
            trusted,
        },
    })
}

fn networks(section: &mut Section<'_, '_>, key: &'static str, notes: &mut Notes) -> Vec<Network> {
    let mut networks = Vec::new();
    for text in section.texts(notes, key) {
        match Network::parse(text.value) {
            Some(network) => networks.push(network),
            None => {
                let what = format!(
                    "{key}: expected addresses and networks such as \"10.0.0.0/8\", not \"{}\"",
                    text.value
                );
                notes.problem(text.line, what);
            }
        }
    }
    networks
}

/// Whoever takes mail by HTTP takes passwords and tokens.
fn check_inject(line: usize, protocol: Protocol, in_clear: bool, notes: &mut Notes) {
    if protocol != Protocol::Http {
        notes.problem(line, "inject is for protocol = \"http\"");
    } else if in_clear {
        let what = "inject takes passwords and tokens: say tls = \"implicit\", listen on \
            loopback, or say login_without_tls = true";
        notes.problem(line, what);
    }
}

/// What speaks to users needs an address that they can reach.
fn check_socket(line: usize, protocol: Protocol, tls: At<TlsMode>, notes: &mut Notes) {
    if protocol != Protocol::Lmtp {
        let what = format!("{protocol} needs \"IP:PORT\"; only lmtp is served on {UNIX}FILE");
        notes.problem(line, what);
    } else if tls.value != TlsMode::None {
        notes.problem(
            tls.line,
            "lmtp on a socket file needs no TLS; say tls = \"none\"",
        );
    }
}

pub(super) fn certificate(
    mut section: Section<'_, '_>,
    base: &Base,
    notes: &mut Notes,
) -> Option<Found<Certificate>> {
    let line = section.line;
    let written = section.texts(notes, "names");
    let chain = section.text_required(notes, "cert", "\"FILE\", the chain in PEM");
    let key = section.text_required(notes, "key", "\"FILE\", the private key in PEM");
    section.finish(notes);
    if written.is_empty() {
        notes.problem(line, "[[certificate]] needs names = [\"mail.example.org\"]");
    }
    let names = written
        .iter()
        .filter_map(|text| certificate_name(*text, notes))
        .collect();
    let (chain, key) = (chain?, key?);
    for file in [chain, key] {
        base.check_readable(file, notes);
    }
    Some(Found {
        line,
        value: Certificate {
            names,
            source: CertificateSource::Files {
                chain: base.path(chain.value),
                key: base.path(key.value),
            },
        },
    })
}

fn certificate_name(text: At<&str>, notes: &mut Notes) -> Option<String> {
    let (star, rest) = match text.value.strip_prefix("*.") {
        Some(rest) => ("*.", rest),
        None => ("", text.value),
    };
    let name = domain_name(rest).map(|domain| format!("{star}{domain}"));
    if name.is_none() {
        let what = format!("names: \"{}\" is no domain name", text.value);
        notes.problem(text.line, what);
    }
    name
}

fn read_protocol(text: At<&str>, notes: &mut Notes) -> Option<Protocol> {
    let known = match text.value {
        "smtp" => Protocol::Smtp,
        "submission" => Protocol::Submission,
        "lmtp" => Protocol::Lmtp,
        "imap" => Protocol::Imap,
        "pop3" => Protocol::Pop3,
        "http" => Protocol::Http,
        "managesieve" => {
            let what = "managesieve is not served yet; take this listener out";
            notes.problem(text.line, what);
            return None;
        }
        other => {
            let what = format!(
                "protocol \"{other}\" is unknown; expected smtp, submission, lmtp, imap, \
                 pop3 or http"
            );
            notes.problem(text.line, what);
            return None;
        }
    };
    Some(known)
}

fn read_address(text: At<&str>, mode: Option<At<&str>>, notes: &mut Notes) -> Option<At<ListenAt>> {
    if let Some(mode) = mode {
        notes.problem(mode.line, format!("mode is for address = \"{UNIX}FILE\""));
    }
    let parsed = text.value.parse::<SocketAddr>().ok();
    if parsed.is_none() {
        let what = format!(
            "address: expected \"IP:PORT\", e.g. \"0.0.0.0:25\" or \"[::]:25\", not \"{}\"",
            text.value
        );
        notes.problem(text.line, what);
    }
    parsed.map(|address| text.map(|_| ListenAt::Tcp(address)))
}

fn read_socket(
    text: At<&str>,
    mode: Option<At<&str>>,
    base: &Base,
    notes: &mut Notes,
) -> Option<At<ListenAt>> {
    let path = base.path(text.value);
    let bytes = path.as_os_str().len();
    if text.value.is_empty() || bytes > SOCKET_PATH_BYTES_MAX {
        let what = format!(
            "address: expected \"{UNIX}FILE\" with a path of 1 to {SOCKET_PATH_BYTES_MAX} octets"
        );
        notes.problem(text.line, what);
        return None;
    }
    let mode = match mode {
        None => SOCKET_MODE_DEFAULT,
        Some(mode) => match u32::from_str_radix(mode.value, 8) {
            Ok(bits) if bits <= 0o777 => bits,
            _ => {
                let what = format!("mode: expected e.g. \"0660\", not \"{}\"", mode.value);
                notes.problem(mode.line, what);
                return None;
            }
        },
    };
    Some(text.map(|_| ListenAt::Unix { path, mode }))
}

fn read_tls(text: At<&str>, notes: &mut Notes) -> Option<At<TlsMode>> {
    let mode = match text.value {
        "none" => TlsMode::None,
        "starttls" => TlsMode::StartTls,
        "implicit" => TlsMode::Implicit,
        other => {
            let what = format!("tls: expected none, starttls or implicit, not \"{other}\"");
            notes.problem(text.line, what);
            return None;
        }
    };
    Some(text.map(|_| mode))
}

/// What stands before the path of a socket.
const UNIX: &str = "unix:";

/// unix(7): `sun_path` with its end.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// The user and the group of the server.
const SOCKET_MODE_DEFAULT: u32 = 0o660;
