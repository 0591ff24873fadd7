//! An HTTPS server that says the same to everybody: the policy host of MTA-STS.

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A running server; its threads end with the test.
pub struct Web {
    pub address: SocketAddr,
    said: Arc<Mutex<Vec<u8>>>,
    visits: Arc<AtomicUsize>,
}

impl Web {
    /// On a free port of 127.0.0.1. Each request must begin with these lines.
    pub fn start(config: Arc<ServerConfig>, expected: Vec<String>) -> Web {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let web = Web {
            address: listener.local_addr().unwrap(),
            said: Arc::default(),
            visits: Arc::default(),
        };
        let (said, visits) = (Arc::clone(&web.said), Arc::clone(&web.visits));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that breaks off is what some tests are about.
                let _ = answer(stream, &config, &expected, &said, &visits);
            }
        });
        web
    }

    /// From now on the server says this, octet for octet.
    pub fn say(&self, response: Vec<u8>) {
        *self.said.lock().unwrap() = response;
    }

    /// Requests that were answered.
    pub fn visits(&self) -> usize {
        self.visits.load(Ordering::Relaxed)
    }
}

/// A response with a body.
pub fn response(status: &str, kind: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n");
    format!("{head}Location: https://mta-sts.sts.test/\r\n\r\n{body}").into_bytes()
}

/// 200 with a text.
pub fn ok(text: &str) -> Vec<u8> {
    response("200 OK", "text/plain; charset=utf-8", text)
}

fn answer(
    stream: TcpStream,
    config: &Arc<ServerConfig>,
    expected: &[String],
    said: &Mutex<Vec<u8>>,
    visits: &AtomicUsize,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let connection = ServerConnection::new(Arc::clone(config)).map_err(std::io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    let (mut line, mut head) = (String::new(), String::new());
    while stream.read_line(&mut line)? > 2 {
        head.push_str(&line);
        line.clear();
    }
    for line in expected {
        assert!(head.contains(&format!("{line}\r\n")), "{head}");
    }
    visits.fetch_add(1, Ordering::Relaxed);
    let said = said.lock().unwrap().clone();
    let stream = stream.get_mut();
    stream.write_all(&said)?;
    stream.conn.send_close_notify();
    stream.flush()
}
