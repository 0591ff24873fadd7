//! The control socket: one JSON request a line, one JSON reply a line.
//!
//! The socket belongs to the user of the server (mode 0600), so whoever reaches it may order
//! anything. A line that is no request is answered with what is wrong; after a few the connection
//! ends.

use super::wire::{REQUEST_BYTES_MAX, Reply, Request};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

/// Who carries out requests.
pub trait Orders: 'static {
    fn order(&self, request: Request) -> impl Future<Output = Reply>;
}

/// Makes the socket, replacing one that a killed server left behind; the lock of the data
/// directory says that no other server has it.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers until the process ends. Runs in a `tokio::task::LocalSet`.
pub async fn serve(listener: UnixListener, orders: Rc<impl Orders>) {
    let open = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = Arc::clone(&open).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let orders = Rc::clone(&orders);
                tokio::task::spawn_local(async move {
                    let _ = converse(stream, &*orders).await;
                    drop(permit);
                });
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn converse(stream: UnixStream, orders: &impl Orders) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut wrong = 0;
    loop {
        let mut line = Vec::new();
        let mut bounded = (&mut reader).take(REQUEST_BYTES_MAX as u64);
        let read = bounded.read_until(b'\n', &mut line);
        let Ok(count) = tokio::time::timeout(SILENCE_MAX, read).await else {
            return Ok(());
        };
        if count? == 0 {
            return Ok(());
        }
        let reply = match serde_json::from_slice(&line) {
            Ok(request) if line.ends_with(b"\n") => orders.order(request).await,
            Ok(_) => Reply::Refused("the request does not end with a line feed".to_owned()),
            Err(error) => {
                wrong += 1;
                Reply::Refused(format!("this is no request: {error}"))
            }
        };
        let mut text = serde_json::to_vec(&reply)?;
        text.push(b'\n');
        tokio::time::timeout(SILENCE_MAX, writer.write_all(&text)).await??;
        if wrong == WRONG_MAX || !line.ends_with(b"\n") {
            return Ok(());
        }
    }
}

/// Operators at one time.
const CONNECTIONS_MAX: usize = 64;

/// Lines that are no requests before the connection ends.
const WRONG_MAX: u32 = 5;

/// A connection that neither asks nor reads for so long ends.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// When a connection cannot be accepted.
const PAUSE: Duration = Duration::from_millis(100);
