//! Whom to connect to, from where, under which name, with how much patience and which TLS.

use super::Proxy;
use crate::reactor::Pool;
use crate::tls::{Proof, Terms, TlsClient};
use crate::wire::sasl::Password;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// One host, as [`super::Connection::open`] needs it.
#[derive(Clone, Debug)]
pub struct Target {
    pub address: SocketAddr,
    /// The address to connect from; port 0 takes a free one.
    pub source: Option<SocketAddr>,
    /// What connects for us; then `source` is not used.
    pub proxy: Option<Proxy>,
    /// The peer's name, for what is said of it.
    pub host: Rc<str>,
    /// The name that is asked for in SNI; RFC 7672 §8.1: that of its TLSA records.
    pub server_name: Rc<str>,
    pub dialect: Dialect,
    /// The name that we say in EHLO.
    pub hello: Rc<str>,
    pub demand: Demand,
    pub terms: Terms,
    /// TLS from the first octet on (RFC 8314 §3.3) instead of STARTTLS.
    pub implicit_tls: bool,
    pub login: Option<Rc<Login>>,
    pub patience: Patience,
    /// PIPELINING where it is offered; `false` for peers that offer it and cannot.
    pub pipelining: bool,
    /// CHUNKING where it is offered.
    pub chunking: bool,
}

/// What a shard's connections share.
#[derive(Clone)]
pub struct Tools {
    pub tls: TlsClient,
    /// For the hashes of SCRAM, which would hold up the shard; without it they are done in place.
    pub pool: Option<Pool>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// RFC 5321.
    Smtp,
    /// RFC 2033.
    Lmtp,
}

/// How much TLS must be.
#[derive(Clone, Debug, Default)]
pub enum Demand {
    /// STARTTLS is not used.
    Clear,
    /// Where it is offered and works (RFC 7435); after a failed handshake a new connection goes on
    /// in clear.
    #[default]
    Opportunistic,
    /// As `Opportunistic`; what the proof finds wrong is only told (RFC 8461 §5, mode "testing").
    Trial(Proof),
    /// No mail without it. With [`Proof::Nothing`]: encrypted, to whomever.
    Required(Proof),
}

/// How we log in.
#[derive(Debug)]
pub struct Login {
    pub user: String,
    pub password: Password,
    /// Whether a mechanism that shows the password may be used without TLS.
    pub in_clear: bool,
}

/// How long the peer may take (RFC 5321 §4.5.3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    pub connect: Duration,
    pub banner: Duration,
    /// EHLO, HELO, STARTTLS, AUTH, RSET.
    pub command: Duration,
    pub handshake: Duration,
    pub mail: Duration,
    pub rcpt: Duration,
    pub data: Duration,
    /// For taking one block of the message.
    pub block: Duration,
    /// For the reply to the end of the message.
    pub end: Duration,
    pub quit: Duration,
    /// From connecting until the first MAIL.
    pub open: Duration,
    /// A whole transaction, beside what its size adds.
    pub transaction: Duration,
    /// A message of n octets may take n of these longer.
    pub octets_per_sec_min: u32,
}

impl Default for Patience {
    fn default() -> Patience {
        let secs = Duration::from_secs;
        Patience {
            connect: secs(30),
            banner: secs(300),
            command: secs(300),
            handshake: secs(60),
            mail: secs(300),
            rcpt: secs(300),
            data: secs(120),
            block: secs(180),
            end: secs(600),
            quit: secs(5),
            open: secs(600),
            transaction: secs(1800),
            octets_per_sec_min: 1024,
        }
    }
}

impl Patience {
    /// How long a transaction with a message of this size may take in all.
    #[must_use]
    pub fn whole(&self, octets: u64) -> Duration {
        let extra = octets / u64::from(self.octets_per_sec_min.max(1));
        self.transaction.saturating_add(Duration::from_secs(extra))
    }
}

impl Target {
    /// A target in the way of the Internet: SMTP, opportunistic TLS, no login.
    #[must_use]
    pub fn new(address: SocketAddr, host: &str, hello: &str) -> Target {
        Target {
            address,
            source: None,
            proxy: None,
            host: host.into(),
            server_name: host.into(),
            dialect: Dialect::Smtp,
            hello: hello.into(),
            demand: Demand::Opportunistic,
            terms: Terms::default(),
            implicit_tls: false,
            login: None,
            patience: Patience::default(),
            pipelining: true,
            chunking: true,
        }
    }
}
