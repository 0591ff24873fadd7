//! A courier's way to a host: by its egress source and proxy, with the TLS that the host must show.

use super::courier::{Courier, Link};
use super::hop::Reach;
use super::letter::Parcel;
use super::passage::way_of;
use super::privacy::{Unreached, is_about_tls, is_private, lacking, nearness, unverified};
use super::probe;
use super::security::verified;
use super::source::Source;
use crate::config::outbound::{Proxy, Via};
use crate::egress::{
    self, Connection, Demand, Failure, Login, Origin, Patience, ProxyLogin, Stage, Target, TlsUse,
};
use crate::wire::sasl::Password;
use crate::wire::smtp::client::reply::{Reply, Status};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use store::shard::Way;

/// With how much TLS a host is connected to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Manner {
    /// As operator and domain ask for.
    Usual,
    /// It proves who it is, and promises to go on likewise (RFC 8689 §4.2.1).
    Private,
    /// As the operator asks for, whatever the domain publishes.
    Loose,
}

impl Courier {
    /// The first host that takes a connection, best ones first.
    pub(super) async fn connect(
        &mut self,
        manner: Manner,
        parcels: &[Parcel],
    ) -> Result<Link, Unreached> {
        if let Some(queue) = self.desk.board.borrow().queue(self.queue) {
            self.hop = Rc::clone(&queue.hop);
        }
        let proxy = self.proxy().await?;
        let domain = parcels.first().map_or("", |parcel| &*parcel.item.domain);
        let mut missed = Missed::new(manner);
        let begun = self.desk.now();
        let hop = Rc::clone(&self.hop);
        let all = hop.hosts.iter();
        let ways = all.flat_map(|host| host.addresses.iter().map(move |address| (host, *address)));
        let source = Arc::clone(self.source());
        let ours = ways.filter(|(_, address)| source.address_for(address.ip()).is_ok());
        for (host, address) in ours.take(TRIES_MAX) {
            let Some(target) = self.target(host, address, manner, proxy.as_ref()) else {
                continue;
            };
            let opening = Connection::open(&target, &self.desk.tools);
            let opened = self.desk.ending.or(opening).await;
            let opened = opened.ok_or(Unreached::Ending)?;
            if manner == Manner::Usual {
                self.report(domain, host, address, &opened);
            }
            match opened {
                Ok(connection) => {
                    let link = self.reached(&target, connection, manner == Manner::Loose);
                    if manner != Manner::Private || is_private(&link.connection) {
                        return Ok(link);
                    }
                    link.connection.quit().await;
                    missed.note_answer(&target);
                }
                Err(failure) if failure.stage == Stage::Source => {
                    return Err(Unreached::Site(Rc::clone(&host.name), failure));
                }
                Err(failure) => missed.note(&target, failure),
            }
            if self.desk.is_ending() || self.desk.now().since(begun) > CONNECTING_MAX {
                break;
            }
        }
        Err(self.unlinked(missed))
    }

    /// A host took a connection: its site is alive, and others in line may come.
    fn reached(&mut self, target: &Target, connection: Connection, is_for_one: bool) -> Link {
        self.permit.site().answered();
        self.source().answered();
        if let Some(probe) = self.probe.take() {
            drop(probe);
            // There may be more to send, and now there may be more connections.
            self.desk.serve(self.queue);
            self.desk.call_next();
        }
        Link {
            way: Arc::new(way_of(target, connection.tls())),
            host: Rc::clone(&target.host),
            connection,
            is_for_one,
        }
    }

    fn unlinked(&mut self, missed: Missed) -> Unreached {
        let Some(nearest) = missed.nearest else {
            let (host, failure) = self.nowhere();
            return Unreached::Site(host, failure);
        };
        self.failed = Some(Arc::new(nearest.way));
        match missed.has_answered {
            true => Unreached::Private(nearest.host, nearest.failure),
            false => Unreached::Site(nearest.host, nearest.failure),
        }
    }

    /// For the report of the domain's policy.
    fn report(
        &self,
        domain: &str,
        host: &Reach,
        address: SocketAddr,
        opened: &Result<Connection, Failure>,
    ) {
        match opened {
            Ok(connection) => self.desk.report_session(domain, host, address, connection),
            Err(failure) if failure.stage == Stage::Source => {}
            Err(failure) => self.desk.report_failure(domain, host, address, failure),
        }
    }

    /// No host has an address that this source reaches.
    fn nowhere(&self) -> (Rc<str>, Failure) {
        let source = &self.source().says.name;
        let text = format!("the egress source {source} reaches no address of the hosts");
        let failure = Failure {
            stage: Stage::Connect,
            origin: Origin::Us,
            reply: Reply::own(451, Status(4, 4, 4), &text),
            tls: None,
        };
        (Rc::from(""), failure)
    }

    /// The proxy of the source, by the address that its name has now.
    async fn proxy(&self) -> Result<Option<Rc<ProxyAt>>, Unreached> {
        let Some(proxy) = &self.source().says.proxy else {
            return Ok(None);
        };
        let (Proxy::HaProxy(host) | Proxy::Socks5(host, _)) = proxy;
        let unknown = |why: &str| {
            let failure = Failure {
                stage: Stage::Source,
                origin: Origin::Us,
                reply: Reply::own(451, Status(4, 4, 1), why),
                tls: None,
            };
            Unreached::Site(Rc::from(host.name.as_str()), failure)
        };
        let found = self.desk.guides.addresses(host).await;
        let (found, _) = found.map_err(|why| unknown(&why.words))?;
        let at = found
            .first()
            .ok_or_else(|| unknown("the proxy has no address"))?;
        let login = match proxy {
            Proxy::Socks5(_, Some(login)) => Some(Rc::new(ProxyLogin {
                user: login.user.clone(),
                password: login.password.clone(),
            })),
            _ => None,
        };
        Ok(Some(Rc::new(ProxyAt { at: *at, login })))
    }

    /// `None`: the source does not reach this address, or the host cannot be had in this manner.
    fn target(
        &self,
        host: &Reach,
        address: SocketAddr,
        manner: Manner,
        proxy: Option<&Rc<ProxyAt>>,
    ) -> Option<Target> {
        let source = self.source();
        let own = source.address_for(address.ip()).ok()?;
        let mut terms = self.hop.tls.terms.clone();
        if terms.identity.is_none() {
            let files = self.desk.live.tls_files.load();
            let identity = source.says.identity.as_ref();
            terms.identity = identity.and_then(|own| files.identity(&own.cert, &own.key));
        }
        Some(Target {
            source: own.map(|own| SocketAddr::new(own, 0)),
            proxy: proxy.map(|proxy| proxy.of(source, own)),
            server_name: Rc::clone(&host.server_name),
            dialect: self.hop.dialect,
            demand: self.demand(host, address, manner)?,
            terms,
            implicit_tls: self.hop.tls.is_implicit,
            login: self.login(),
            patience: match &self.probe {
                Some(_) => probe::patience(self.desk.probes.used_percent()),
                None => Patience::default(),
            },
            ..Target::new(address, &host.name, &source.says.hello)
        })
    }

    fn demand(&self, host: &Reach, address: SocketAddr, manner: Manner) -> Option<Demand> {
        let demand = match manner {
            Manner::Usual => host.demand.clone(),
            Manner::Private => return Some(verified(&host.demand, &host.name)),
            Manner::Loose => host.own_demand.clone()?,
        };
        let frail = self.desk.frail.borrow();
        Some(match demand {
            Demand::Opportunistic | Demand::Trial(_)
                if frail.is_frail(address, self.desk.second()) =>
            {
                Demand::Clear
            }
            demand => demand,
        })
    }

    fn login(&self) -> Option<Rc<Login>> {
        let Via::Host {
            login: Some(login),
            host,
            ..
        } = &self.hop.route.via
        else {
            return None;
        };
        let is_here = host
            .name
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback());
        Some(Rc::new(Login {
            user: login.user.clone(),
            password: Password::new(login.password.clone()),
            in_clear: is_here,
        }))
    }
}

/// Hosts that took no connection that is good enough.
struct Missed {
    manner: Manner,
    /// The one that is told.
    nearest: Option<Nearest>,
    /// One was there, and is not private.
    has_answered: bool,
}

struct Nearest {
    host: Rc<str>,
    failure: Failure,
    way: Way,
}

impl Missed {
    fn new(manner: Manner) -> Missed {
        Missed {
            manner,
            nearest: None,
            has_answered: false,
        }
    }

    fn note_answer(&mut self, target: &Target) {
        self.has_answered = true;
        self.keep(target, lacking());
    }

    fn note(&mut self, target: &Target, failure: Failure) {
        if self.manner != Manner::Private || !is_about_tls(&failure) {
            return self.keep(target, failure);
        }
        self.has_answered = true;
        self.keep(target, unverified(&failure));
    }

    fn keep(&mut self, target: &Target, failure: Failure) {
        let is_nearer = |known: &Nearest| match self.manner {
            Manner::Private => nearness(&failure) > nearness(&known.failure),
            // A refusal for now says more of the set of hosts than one for good.
            Manner::Usual | Manner::Loose => is_final(&known.failure),
        };
        if self.nearest.as_ref().is_none_or(is_nearer) {
            self.nearest = Some(Nearest {
                host: Rc::clone(&target.host),
                failure,
                way: way_of(target, &TlsUse::NotOffered),
            });
        }
    }
}

/// A proxy with the address of this moment.
struct ProxyAt {
    at: SocketAddr,
    login: Option<Rc<ProxyLogin>>,
}

impl ProxyAt {
    fn of(&self, source: &Source, from: Option<IpAddr>) -> egress::Proxy {
        let (at, login) = (self.at, self.login.clone());
        match source.says.proxy {
            Some(Proxy::Socks5(..)) => egress::Proxy::Socks5 { at, login },
            _ => egress::Proxy::HaProxy { at, from },
        }
    }
}

/// Whether every host said, in words of its own, that it will never take mail from us. What is
/// wrong with TLS or with our login is for the operators to mend, and mail waits for that.
pub(super) fn is_final(failure: &Failure) -> bool {
    !failure.is_temporary() && matches!(failure.stage, Stage::Banner | Stage::Hello)
}

/// Addresses of all hosts that are tried for one connection.
const TRIES_MAX: usize = 16;

/// No further host is tried after so long: with one more, and the transaction, it stays below what
/// the watchdog gives an attempt.
const CONNECTING_MAX: Duration = Duration::from_secs(900);
