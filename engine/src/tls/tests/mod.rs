//! TLS with real sockets against rustls as a client.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod certificates;
mod hostile;
mod streams;

use super::{CertificateFiles, Certificates, TlsContext, demo};
use crate::reactor::net::BACKLOG;
use crate::reactor::runtime::run_shard;
use crate::reactor::{Backend, Clock, Listener, Seat};
use crate::tls::{Stream, anybody};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;

type Client = StreamOwned<ClientConnection, TcpStream>;

fn shard<M, F>(backend: Backend, make: M) -> JoinHandle<F::Output>
where
    M: FnOnce() -> F + Send + 'static,
    F: Future + 'static,
    F::Output: Send + 'static,
{
    let seat = Seat {
        backend,
        core: None,
        on_panic: Arc::new(|_| {}),
        clock: Clock::Kernel,
    };
    std::thread::spawn(move || run_shard(seat, make).unwrap())
}

/// A shard that accepts one connection and serves it, and the address.
fn serve<M, F>(serve: M) -> (SocketAddr, JoinHandle<F::Output>)
where
    M: FnOnce(Stream) -> F + Send + 'static,
    F: Future + 'static,
    F::Output: Send + 'static,
{
    serve_on(Backend::probe().0, serve)
}

fn serve_on<M, F>(backend: Backend, serve: M) -> (SocketAddr, JoinHandle<F::Output>)
where
    M: FnOnce(Stream) -> F + Send + 'static,
    F: Future + 'static,
    F::Output: Send + 'static,
{
    let (sender, receiver) = std::sync::mpsc::channel();
    let thread = shard(backend, move || async move {
        let loopback = "127.0.0.1:0".parse().unwrap();
        let listener = Listener::bind(loopback, BACKLOG).unwrap();
        sender.send(listener.local_addr()).unwrap();
        let socket = listener.accept(|_| {}).await.unwrap();
        serve(Stream::plain(socket)).await
    });
    (receiver.recv().unwrap(), thread)
}

/// Two certificates, the first for mx.example.test and mail.example.test.
fn files(directory: &tempfile::TempDir) -> Vec<CertificateFiles> {
    let names = [
        vec!["mx.example.test", "mail.example.test"],
        vec!["*.wild.test"],
    ];
    let make = |(index, names): (usize, Vec<&str>)| {
        let place = directory.path().join(index.to_string());
        std::fs::create_dir_all(&place).unwrap();
        let names: Vec<_> = names.into_iter().map(String::from).collect();
        demo::certificate(&place, &names).unwrap()
    };
    names.into_iter().enumerate().map(make).collect()
}

fn context() -> TlsContext {
    let directory = tempfile::tempdir().unwrap();
    let (certificates, warnings) = Certificates::load(&files(&directory), 0).unwrap();
    assert_eq!(warnings, []);
    TlsContext::new(certificates).unwrap()
}

fn client_config(version: &'static rustls::SupportedProtocolVersion) -> Arc<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(anybody(&provider));
    Arc::new(config.with_no_client_auth())
}

fn connect(address: SocketAddr, config: &Arc<ClientConfig>, name: &str) -> Client {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connection = ClientConnection::new(config.clone(), name).unwrap();
    StreamOwned::new(connection, TcpStream::connect(address).unwrap())
}

/// Sends and receives as many octets back.
fn exchange(client: &mut Client, octets: &[u8]) -> Vec<u8> {
    client.write_all(octets).unwrap();
    client.flush().unwrap();
    let mut back = vec![0; octets.len()];
    client.read_exact(&mut back).unwrap();
    back
}

async fn echo(mut stream: Stream) -> std::io::Result<()> {
    let mut octets = Vec::new();
    while stream.recv(&mut octets, 100_000).await? > 0 {
        let (sent, back) = stream.send(octets).await;
        sent?;
        octets = back;
        octets.clear();
    }
    stream.close().await;
    Ok(())
}
