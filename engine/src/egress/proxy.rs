//! What stands between us and a host: a proxy that takes PROXY protocol version 2, or SOCKS5.
//!
//! ```text
//! PROXY v2   signature, 0x21, family, length, from, to, ports      nothing comes back
//! SOCKS5     methods → choice [→ user, password → yes] → CONNECT → reply, bound address
//! ```
//!
//! RFC 1928, RFC 1929. The words of a proxy are no words of the host: what goes wrong here is the
//! fault of the source ([`Stage::Source`]), unless the proxy says that the host cannot be reached.

use super::connection::ours;
use super::{Failure, Stage};
use crate::tls::Stream;
use crate::wire::smtp::client::reply::Status;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;

/// How a source reaches hosts.
#[derive(Clone, Debug)]
pub enum Proxy {
    /// Told in PROXY protocol version 2 where to connect to, and from which address.
    HaProxy {
        at: SocketAddr,
        from: Option<IpAddr>,
    },
    Socks5 {
        at: SocketAddr,
        login: Option<Rc<ProxyLogin>>,
    },
}

/// RFC 1929: 1 to 255 octets each. Debug never shows the password.
pub struct ProxyLogin {
    pub user: String,
    pub password: String,
}

impl Proxy {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        match self {
            Proxy::HaProxy { at, .. } | Proxy::Socks5 { at, .. } => *at,
        }
    }

    /// Asks for the way to `target` on a connection to the proxy, under the deadlines that are set.
    pub(super) async fn pass(
        &self,
        stream: &mut Stream,
        target: SocketAddr,
    ) -> Result<(), Failure> {
        match self {
            Proxy::HaProxy { from, .. } => {
                let header = v2_header(*from, target);
                stream.send(header).await.0.map_err(|error| broken(&error))
            }
            Proxy::Socks5 { login, .. } => socks(stream, login.as_deref(), target).await,
        }
    }
}

/// PROXY protocol §2.2: a connection that is made for somebody else. Without an address of our own
/// the proxy reads the unspecified one and chooses.
fn v2_header(from: Option<IpAddr>, target: SocketAddr) -> Vec<u8> {
    let mut header = V2_SIGNATURE.to_vec();
    header.push(V2_PROXY);
    match target.ip() {
        IpAddr::V4(to) => {
            let from = match from {
                Some(IpAddr::V4(from)) => from,
                _ => Ipv4Addr::UNSPECIFIED,
            };
            header.extend_from_slice(&[V2_TCP4, 0, 12]);
            header.extend_from_slice(&from.octets());
            header.extend_from_slice(&to.octets());
        }
        IpAddr::V6(to) => {
            let from = match from {
                Some(IpAddr::V6(from)) => from.octets(),
                _ => [0; 16],
            };
            header.extend_from_slice(&[V2_TCP6, 0, 36]);
            header.extend_from_slice(&from);
            header.extend_from_slice(&to.octets());
        }
    }
    // Any port of ours.
    header.extend_from_slice(&[0, 0]);
    header.extend_from_slice(&target.port().to_be_bytes());
    header
}

async fn socks(
    stream: &mut Stream,
    login: Option<&ProxyLogin>,
    target: SocketAddr,
) -> Result<(), Failure> {
    let method = match login {
        None => METHOD_NONE,
        Some(_) => METHOD_PASSWORD,
    };
    say(stream, vec![SOCKS_VERSION, 1, method]).await?;
    let [version, chosen] = hear(stream).await?;
    if version != SOCKS_VERSION {
        return Err(refused("it does not speak SOCKS5"));
    }
    if chosen != method {
        return Err(refused("it does not take our way of logging in"));
    }
    if let Some(login) = login {
        say(stream, login.request()).await?;
        let [_, status] = hear(stream).await?;
        if status != 0 {
            return Err(refused("it refuses our user or password"));
        }
    }
    say(stream, connect_request(target)).await?;
    let [_, reply, _, kind] = listen(stream).await.map_err(|error| unanswered(&error))?;
    judge(reply)?;
    // The address that it is bound to, which nobody asks for: read, so that mail begins behind it.
    match kind {
        ADDRESS_4 => hear::<6>(stream).await.map(drop),
        ADDRESS_6 => hear::<18>(stream).await.map(drop),
        ADDRESS_NAME => {
            let [octets] = hear(stream).await?;
            for _ in 0..usize::from(octets) + 2 {
                hear::<1>(stream).await?;
            }
            Ok(())
        }
        _ => Err(refused("its reply makes no sense")),
    }
}

impl ProxyLogin {
    fn request(&self) -> Vec<u8> {
        let mut request = vec![LOGIN_VERSION];
        for text in [&self.user, &self.password] {
            let octets = text.as_bytes().get(..255).unwrap_or(text.as_bytes());
            // At most 255, as cut above.
            request.push(octets.len() as u8);
            request.extend_from_slice(octets);
        }
        request
    }
}

fn connect_request(target: SocketAddr) -> Vec<u8> {
    let mut request = vec![SOCKS_VERSION, COMMAND_CONNECT, 0];
    match target.ip() {
        IpAddr::V4(four) => {
            request.push(ADDRESS_4);
            request.extend_from_slice(&four.octets());
        }
        IpAddr::V6(six) => {
            request.push(ADDRESS_6);
            request.extend_from_slice(&six.octets());
        }
    }
    request.extend_from_slice(&target.port().to_be_bytes());
    request
}

/// RFC 1928 §6: what of a reply the host is to blame for, and what the proxy.
fn judge(reply: u8) -> Result<(), Failure> {
    let host = match reply {
        0 => return Ok(()),
        1 => return Err(refused("it has failed")),
        2 => return Err(refused("its rules do not allow this connection")),
        3 => "the network cannot be reached",
        4 => "the host cannot be reached",
        5 => "connection refused",
        6 => "no answer in time",
        8 => return Err(refused("it cannot reach addresses of this family")),
        _ => return Err(refused("its reply makes no sense")),
    };
    let text = format!("cannot connect: the proxy says: {host}");
    Err(ours(Stage::Connect, Status(4, 4, 1), &text))
}

async fn say(stream: &mut Stream, octets: Vec<u8>) -> Result<(), Failure> {
    stream.send(octets).await.0.map_err(|error| broken(&error))
}

async fn hear<const N: usize>(stream: &mut Stream) -> Result<[u8; N], Failure> {
    listen(stream).await.map_err(|error| broken(&error))
}

/// Exactly so many octets: what comes behind them is the host's.
async fn listen<const N: usize>(stream: &mut Stream) -> io::Result<[u8; N]> {
    let mut heard = Vec::with_capacity(N);
    while heard.len() < N {
        let left = N - heard.len();
        if stream.recv(&mut heard, left).await? == 0 {
            let kind = io::ErrorKind::UnexpectedEof;
            return Err(io::Error::new(kind, "it closed the connection"));
        }
    }
    Ok(<[u8; N]>::try_from(heard).unwrap_or([0; N]))
}

/// The proxy was there, and asked the host: it is the host that takes its time.
fn unanswered(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::TimedOut => {
            let text = "no answer to connecting through the proxy in time";
            ours(Stage::Connect, Status(4, 4, 1), text)
        }
        _ => broken(error),
    }
}

fn broken(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::TimedOut => refused("it does not answer in time"),
        _ => refused(&error.to_string()),
    }
}

/// The proxy is of no use now.
fn refused(why: &str) -> Failure {
    let text = format!("the proxy of the source is of no use: {why}");
    ours(Stage::Source, Status(4, 4, 1), &text)
}

impl fmt::Debug for ProxyLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyLogin")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

const V2_SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, command PROXY.
const V2_PROXY: u8 = 0x21;
const V2_TCP4: u8 = 0x11;
const V2_TCP6: u8 = 0x21;

const SOCKS_VERSION: u8 = 5;
const LOGIN_VERSION: u8 = 1;
const METHOD_NONE: u8 = 0;
const METHOD_PASSWORD: u8 = 2;
const COMMAND_CONNECT: u8 = 1;
const ADDRESS_4: u8 = 1;
const ADDRESS_NAME: u8 = 3;
const ADDRESS_6: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_that_of_the_protocol() {
        let header = v2_header(
            Some("192.0.2.7".parse().unwrap()),
            "198.51.100.9:25".parse().unwrap(),
        );
        let expected = [
            &b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x21\x11\x00\x0c"[..],
            &[192, 0, 2, 7, 198, 51, 100, 9, 0, 0, 0, 25],
        ];
        assert_eq!(header, expected.concat());
        let six = v2_header(None, "[2001:db8::1]:587".parse().unwrap());
        assert_eq!((six.len(), &six[12..16]), (52, &[0x21, 0x21, 0, 36][..]));
        assert_eq!(six[16..32], [0; 16]);
        assert_eq!(six[48..], [0, 0, 2, 75]);
    }

    #[test]
    fn requests_are_those_of_the_rfcs() {
        let login = ProxyLogin {
            user: "me".into(),
            password: "x".repeat(300),
        };
        let request = login.request();
        assert_eq!(request[..5], [1, 2, b'm', b'e', 255]);
        assert_eq!(request.len(), 5 + 255);
        assert!(!format!("{login:?}").contains("xx"));
        let request = connect_request("192.0.2.1:25".parse().unwrap());
        assert_eq!(request, [5, 1, 0, 1, 192, 0, 2, 1, 0, 25]);
        assert_eq!(connect_request("[::1]:25".parse().unwrap()).len(), 22);
    }

    #[test]
    fn a_dead_host_is_no_fault_of_the_proxy() {
        let stage = |reply| judge(reply).map_err(|failure| failure.stage);
        assert_eq!(stage(0), Ok(()));
        for (reply, expected) in [
            (1, Stage::Source),
            (2, Stage::Source),
            (3, Stage::Connect),
            (5, Stage::Connect),
            (8, Stage::Source),
            (200, Stage::Source),
        ] {
            assert_eq!(stage(reply), Err(expected), "{reply}");
        }
        let late = io::Error::from(io::ErrorKind::TimedOut);
        assert_eq!(unanswered(&late).stage, Stage::Connect);
        assert_eq!(broken(&late).stage, Stage::Source);
    }
}
