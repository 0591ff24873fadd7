//! Loopback ports that no other test has: blocks of them, each held by a file lock.
//!
//! The server binds with SO_REUSEPORT, so two tests on one port would not notice each other; the
//! lock makes that impossible across processes. The range lies below the kernel's ephemeral ports.
//!
//! A lock may end before its listeners do: a test that gave its block back, a process on its way
//! out. So a block is taken only where nothing listens at any address of the host.

use rustix::io;
use rustix::net::{AddressFamily, SocketType, bind, socket, sockopt};
use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr};

/// Some ports that are ours while this lives.
#[derive(Debug)]
pub struct Ports {
    first: u16,
    next: u16,
    _lock: File,
}

impl Ports {
    /// Takes the first block that nobody holds and nothing listens in.
    pub fn take() -> Ports {
        let directory = std::env::temp_dir().join("ringpost-test-ports");
        std::fs::create_dir_all(&directory).expect("the temporary directory is writable");
        for block in 0..BLOCKS {
            let path = directory.join(block.to_string());
            let mut options = OpenOptions::new();
            let Ok(lock) = options.create(true).truncate(false).write(true).open(path) else {
                continue;
            };
            let first = FIRST_PORT + block * BLOCK_PORTS;
            if lock.try_lock().is_ok() && all_free(first) {
                return Ports {
                    first,
                    next: first,
                    _lock: lock,
                };
            }
        }
        panic!("no block of {BLOCK_PORTS} loopback ports is free");
    }

    /// The next port of the block.
    pub fn port(&mut self) -> SocketAddr {
        assert!(
            self.next < self.first + BLOCK_PORTS,
            "a test needs too many ports"
        );
        self.next += 1;
        address(self.next - 1)
    }
}

fn all_free(first: u16) -> bool {
    (first..first + BLOCK_PORTS).all(|port| is_free(port).is_ok())
}

/// Bound to every address and never listening: only a listener is in its way.
fn is_free(port: u16) -> io::Result<()> {
    let probe = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    sockopt::set_socket_reuseaddr(&probe, true)?;
    bind(&probe, &SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

const FIRST_PORT: u16 = 12_000;
const BLOCK_PORTS: u16 = 16;
const BLOCKS: u16 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn two_takers_get_different_blocks() {
        let (mut one, mut two) = (Ports::take(), Ports::take());
        assert_ne!(one.port(), two.port());
    }

    #[test]
    fn a_block_in_use_is_passed_over() {
        for host in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 9)] {
            let mut held = Ports::take();
            let port = held.port().port();
            let _listener = TcpListener::bind((host, port)).unwrap();
            drop(held);
            assert_ne!(Ports::take().first, port, "{host}");
        }
    }
}
