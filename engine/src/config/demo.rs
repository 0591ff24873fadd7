//! The configuration without a file: a safe demo on loopback high ports (design §11).

use super::{
    Account, Auth, Certificate, CertificateSource, Config, DELIMITER_DEFAULT, Domain, Forwarding,
    Imap, Inject, Limits, ListenAt, Listener, Log, Outbound, Pop3, Protocol, ResolverConfig,
    Rewrites, TlsMode,
};
use std::net::Ipv4Addr;
use std::path::Path;
use store::mail::address::Address;

/// The password of both demo accounts where the operator gives none.
pub const DEMO_PASSWORD: &str = "ringpost-demo";

/// Where the demo takes mail by HTTP.
const INJECT_PORT: u16 = 8081;

/// The domain of the demo; RFC 2606 keeps it out of the real DNS.
pub const DEMO_DOMAIN: &str = "example.test";

impl Config {
    /// The demo with its log in `data`: `alice` and `bob` at `example.test`, one password, a
    /// certificate made at start, loopback only.
    #[must_use]
    pub fn demo(data: &Path, password: &str) -> Config {
        Config {
            hostname: "localhost".to_owned(),
            data: data.to_owned(),
            shards: None,
            postmaster: Some(Address::new("alice", DEMO_DOMAIN)),
            control: data.join(super::CONTROL_SOCKET),
            listeners: listeners(),
            certificates: vec![Certificate {
                names: vec!["localhost".to_owned(), DEMO_DOMAIN.to_owned()],
                source: CertificateSource::SelfSigned,
            }],
            domains: vec![Domain {
                name: DEMO_DOMAIN.to_owned(),
                catch_all: None,
                delimiter: Some(DELIMITER_DEFAULT),
                accounts_elsewhere: true,
            }],
            accounts: ["alice", "bob"].map(|name| account(name, password)).into(),
            auth: Auth::default(),
            aliases: Vec::new(),
            rewrites: Rewrites::default(),
            forwarding: Forwarding::default(),
            outbound: Outbound::default(),
            dkim: Vec::new(),
            inject: Inject::default(),
            converters: Vec::new(),
            imap: Imap::default(),
            pop3: Pop3::default(),
            sharing: super::Sharing::default(),
            events: None,
            limits: Limits::default(),
            resolver: ResolverConfig::default(),
            log: Log::default(),
            warnings: Vec::new(),
        }
    }
}

fn account(name: &str, password: &str) -> Account {
    Account {
        address: Address::new(name, DEMO_DOMAIN),
        password: format!("{{PLAIN}}{password}"),
        quota: None,
    }
}

fn listeners() -> Vec<Listener> {
    [
        (Protocol::Smtp, 2525, TlsMode::StartTls),
        (Protocol::Submission, 5587, TlsMode::StartTls),
        (Protocol::Submission, 5465, TlsMode::Implicit),
        (Protocol::Lmtp, 2424, TlsMode::None),
        (Protocol::Imap, 1143, TlsMode::StartTls),
        (Protocol::Imap, 1993, TlsMode::Implicit),
        (Protocol::Pop3, 1110, TlsMode::StartTls),
        (Protocol::Pop3, 1995, TlsMode::Implicit),
        (Protocol::Http, 8080, TlsMode::None),
        (Protocol::Http, INJECT_PORT, TlsMode::None),
    ]
    .map(|(protocol, port, tls)| Listener {
        protocol,
        address: ListenAt::Tcp((Ipv4Addr::LOCALHOST, port).into()),
        tls,
        login_without_tls: true,
        inject: port == INJECT_PORT,
        proxy: Vec::new(),
        trusted: Vec::new(),
    })
    .into()
}
