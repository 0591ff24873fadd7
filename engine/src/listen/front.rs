//! What comes before the greeting of a listener behind a proxy: its header, and with it the client.
//!
//! A listener with `proxy` takes connections from those networks only, and each must begin with a
//! header: who could choose whether to send one could choose its address. From then on the
//! connection is the client's: limits, throttles, logs and headers know no other address. A header
//! has little time and few octets ([`HEADER_BYTES_MAX`]); until it is there, the connection counts
//! for nobody but the shard.

use super::hall::Hall;
use crate::config::Network;
use crate::event;
use crate::reactor::{Side, Socket};
use crate::wire::proxy::{self, Broken, HEADER_BYTES_MAX, Progress};
use std::io;
use std::time::Duration;

/// Which addresses are believed, and with what.
#[derive(Clone, Default, Debug)]
pub struct Believed {
    /// Whoever connects from here says first for whom; empty: nobody does.
    pub proxies: Vec<Network>,
    /// Clients of these may name others by XCLIENT or ID, and are not counted by address.
    pub trusted: Vec<Network>,
}

/// Why a connection ends before its greeting.
#[derive(Debug)]
enum Unfit {
    /// It does not come from a proxy.
    Stranger,
    Header(Broken),
    Io(io::Error),
}

impl Believed {
    pub fn is_trusted(&self, socket: &Socket) -> bool {
        holds(&self.trusted, socket)
    }
}

/// The connection as that of the client; `None`: it has no place here, and that was said.
pub async fn unwrap(hall: &Hall, mut socket: Socket, believed: &Believed) -> Option<Socket> {
    if believed.proxies.is_empty() {
        return Some(socket);
    }
    let proxy = socket.peer_addr();
    let unfit = match read(hall, &socket, believed).await {
        Ok(header) => {
            if let Some(client) = header.client {
                socket.is_for(client);
            }
            if let Some(id) = header.unique_id {
                let client = socket.peer_addr();
                event!(
                    Info,
                    "behind a proxy",
                    proxy = proxy,
                    client = client,
                    id = id
                );
            }
            return Some(socket);
        }
        Err(unfit) => unfit,
    };
    hall.metrics.proxy_headers_refused.one();
    let why = match &unfit {
        Unfit::Stranger => "it is none of the proxies of this listener".to_owned(),
        Unfit::Header(Broken(why)) => (*why).to_owned(),
        Unfit::Io(error) => error.to_string(),
    };
    event!(Info, "no PROXY header", peer = proxy, why = why);
    None
}

async fn read(hall: &Hall, socket: &Socket, believed: &Believed) -> Result<proxy::Header, Unfit> {
    if !holds(&believed.proxies, socket) {
        return Err(Unfit::Stranger);
    }
    let patience = hall.live.config.load().limits.proxy_header_secs_max;
    socket.set_deadline(Side::Read, Duration::from_secs(patience));
    let mut header = Vec::new();
    let read = loop {
        match proxy::read(&header).map_err(Unfit::Header)? {
            Progress::Whole(header) => break header,
            Progress::Needs(octets) => {
                assert!(
                    header.len() + octets <= HEADER_BYTES_MAX,
                    "a bounded header"
                );
                let received = socket.recv_into(&mut header, octets).await;
                if received.map_err(Unfit::Io)? == 0 {
                    return Err(Unfit::Io(io::ErrorKind::UnexpectedEof.into()));
                }
            }
        }
    };
    socket.clear_deadline(Side::Read);
    Ok(read)
}

fn holds(networks: &[Network], socket: &Socket) -> bool {
    let peer = socket.peer_addr().ip().to_canonical();
    networks.iter().any(|network| network.holds(peer))
}
