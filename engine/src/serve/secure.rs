//! Pages under TLS: handshakes beside each other, a bounded number at once and each in its time.

use axum::serve::Listener;
use rustls::ServerConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Connections whose handshake is over, for `axum::serve`.
pub(super) struct Secure {
    address: SocketAddr,
    shaken: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
}

impl Secure {
    /// Begins to shake hands, in a `LocalSet`. The certificates are those of `config` at the time
    /// of each handshake.
    pub(super) fn new(
        listener: TcpListener,
        config: Arc<ServerConfig>,
        patience: Duration,
    ) -> std::io::Result<Secure> {
        let address = listener.local_addr()?;
        let (sender, shaken) = mpsc::channel(READY_MAX);
        tokio::task::spawn_local(shake_hands(listener, config.into(), patience, sender));
        Ok(Secure { address, shaken })
    }
}

async fn shake_hands(
    mut listener: TcpListener,
    acceptor: TlsAcceptor,
    patience: Duration,
    ready: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let room = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    while let Ok(permit) = Arc::clone(&room).acquire_owned().await {
        // Never fails: what one connection lacks is waited for.
        let (socket, peer) = Listener::accept(&mut listener).await;
        let (acceptor, ready) = (acceptor.clone(), ready.clone());
        tokio::task::spawn_local(async move {
            let shaken = tokio::time::timeout(patience, acceptor.accept(socket)).await;
            drop(permit);
            if let Ok(Ok(stream)) = shaken {
                // The server has ended otherwise.
                let _ = ready.send((stream, peer)).await;
            }
        });
    }
}

impl Listener for Secure {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.shaken.recv().await {
            Some(shaken) => shaken,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// Handshakes under way.
const HANDSHAKES_MAX: usize = 64;

/// Connections that wait to be served.
const READY_MAX: usize = 16;
