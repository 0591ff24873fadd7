//! The service thread: what exists only for tokio (HTTP, DNS, directories) runs here, on
//! tokio-uring where io_uring works and on plain tokio where it does not.

use super::runtime::Backend;
use std::io;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use tokio::net::TcpStream;

/// Starts the thread `service` and runs the future that `make` makes there until it ends.
///
/// The future is in the context of a tokio runtime with net and time, and of a `LocalSet`
/// (`tokio::task::spawn_local` works).
pub fn start_service<M, F>(backend: Backend, make: M) -> io::Result<JoinHandle<io::Result<()>>>
where
    M: FnOnce() -> F + Send + 'static,
    F: Future<Output = ()> + 'static,
{
    std::thread::Builder::new()
        .name(String::from("service"))
        .spawn(move || run_service(backend, make))
}

/// Runs the service on this thread.
pub fn run_service<M, F>(backend: Backend, make: M) -> io::Result<F::Output>
where
    M: FnOnce() -> F,
    F: Future,
{
    match backend {
        Backend::Uring => {
            let runtime = tokio_uring::Runtime::new(&tokio_uring::builder())?;
            let output = runtime.block_on(async { make().await });
            // As on a shard: operations in flight end with the process.
            std::mem::forget(runtime);
            Ok(output)
        }
        Backend::Epoll => {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            let runtime = builder.enable_all().build()?;
            let local = tokio::task::LocalSet::new();
            Ok(runtime.block_on(local.run_until(async { make().await })))
        }
    }
}

/// A connection to another host, for a client on the service thread.
pub async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    TcpStream::connect(address).await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::oneshot::oneshot;
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[test]
    fn tokio_sockets_timers_and_local_tasks_work_on_both_backends() {
        for backend in [Backend::probe().0, Backend::Epoll] {
            let answer = run_service(backend, || async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                let (sender, receiver) = oneshot();
                let server = tokio::task::spawn_local(async move {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    stream.write_all(b"served").await.unwrap();
                    sender.send(7).unwrap();
                });
                let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
                let mut text = String::new();
                stream.read_to_string(&mut text).await.unwrap();
                server.await.unwrap();
                (text, receiver.await.unwrap())
            });
            assert_eq!(answer.unwrap(), (String::from("served"), 7));
        }
    }
}
