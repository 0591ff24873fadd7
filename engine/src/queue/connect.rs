//! A courier's way to a host: by its egress source and proxy, with the TLS that the host must show.

use super::courier::{Courier, Link};
use super::hop::Reach;
use super::letter::Parcel;
use super::source::Source;
use crate::config::outbound::{Proxy, Via};
use crate::egress::TlsUse;
use crate::egress::{self, Connection, Demand, Failure, Login, Origin, ProxyLogin, Stage, Target};
use crate::wire::sasl::Password;
use crate::wire::smtp::client::reply::{Reply, Status};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

impl Courier {
    /// The first host that takes a connection, best ones first.
    pub(super) async fn connect(&mut self, parcels: &[Parcel]) -> Result<Link, (Rc<str>, Failure)> {
        if let Some(queue) = self.desk.board.borrow().queue(self.queue) {
            self.hop = Rc::clone(&queue.hop);
        }
        let proxy = self.proxy().await?;
        let domain = parcels.first().map_or("", |parcel| &*parcel.item.domain);
        let mut last: Option<(Rc<str>, Failure)> = None;
        let all = self.hop.hosts.iter();
        let ways = all.flat_map(|host| host.addresses.iter().map(move |address| (host, *address)));
        let ours = ways.filter(|(_, address)| self.source().address_for(address.ip()).is_ok());
        for (host, address) in ours.take(TRIES_MAX) {
            let target = self.target(host, address, proxy.clone());
            match Connection::open(&target, &self.desk.tools).await {
                Ok(connection) => {
                    if !matches!(connection.tls(), TlsUse::Unwanted) {
                        self.desk.report_session(domain, host, address, &connection);
                    }
                    self.permit.site().answered();
                    self.source().answered();
                    let host = Rc::clone(&host.name);
                    return Ok(Link { connection, host });
                }
                Err(failure) if failure.stage == Stage::Source => {
                    return Err((Rc::clone(&host.name), failure));
                }
                Err(failure) => {
                    self.desk.report_failure(domain, host, address, &failure);
                    // A refusal for now says more of the set of hosts than one for good.
                    match &last {
                        Some((_, known)) if !is_final(known) => {}
                        _ => last = Some((Rc::clone(&host.name), failure)),
                    }
                }
            }
            if self.desk.is_ending() {
                break;
            }
        }
        Err(last.unwrap_or_else(|| self.nowhere()))
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
    async fn proxy(&self) -> Result<Option<Rc<ProxyAt>>, (Rc<str>, Failure)> {
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
            (Rc::from(host.name.as_str()), failure)
        };
        let found = self.desk.guides.addresses(host).await;
        let found = found.map_err(|why| unknown(&why.words))?;
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

    fn target(&self, host: &Reach, address: SocketAddr, proxy: Option<Rc<ProxyAt>>) -> Target {
        let source = self.source();
        let own = source.address_for(address.ip()).ok().flatten();
        let is_frail = self
            .desk
            .frail
            .borrow()
            .is_frail(address, self.desk.second());
        let demand = match &host.demand {
            Demand::Opportunistic | Demand::Trial(_) if is_frail => Demand::Clear,
            demand => demand.clone(),
        };
        let mut terms = self.hop.tls.terms.clone();
        if terms.identity.is_none() {
            let files = self.desk.live.tls_files.load();
            let identity = source.says.identity.as_ref();
            terms.identity = identity.and_then(|own| files.identity(&own.cert, &own.key));
        }
        Target {
            source: own.map(|own| SocketAddr::new(own, 0)),
            proxy: proxy.map(|proxy| proxy.of(source, own)),
            server_name: Rc::clone(&host.server_name),
            dialect: self.hop.dialect,
            demand,
            terms,
            implicit_tls: self.hop.tls.is_implicit,
            login: self.login(),
            ..Target::new(address, &host.name, &source.says.hello)
        }
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
