//! Hosts whose STARTTLS was found broken: for a while they get mail in clear at once, where no
//! policy forbids it, instead of after a handshake that fails each time.

use std::collections::HashMap;
use std::net::SocketAddr;

/// Until when each host is remembered, in seconds since 1970.
#[derive(Default)]
pub(super) struct Frail {
    hosts: HashMap<SocketAddr, u32>,
}

impl Frail {
    pub(super) fn note(&mut self, host: SocketAddr, now: u32) {
        if self.hosts.len() >= HOSTS_MAX {
            self.hosts.retain(|_, until| *until > now);
        }
        if self.hosts.len() < HOSTS_MAX {
            self.hosts.insert(host, now.saturating_add(FRAIL_SECS));
        }
    }

    #[must_use]
    pub(super) fn is_frail(&self, host: SocketAddr, now: u32) -> bool {
        self.hosts.get(&host).is_some_and(|until| now < *until)
    }
}

/// Long enough to spare a queue its handshakes, short enough to notice that a host is mended.
const FRAIL_SECS: u32 = 900;

const HOSTS_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_remembered_for_a_while() {
        let mut frail = Frail::default();
        let host = "192.0.2.1:25".parse().unwrap();
        frail.note(host, 1_000);
        assert!(frail.is_frail(host, 1_000 + FRAIL_SECS - 1));
        assert!(!frail.is_frail(host, 1_000 + FRAIL_SECS));
        assert!(!frail.is_frail("192.0.2.2:25".parse().unwrap(), 1_000));
        for n in 0..HOSTS_MAX {
            let port = u16::try_from(n).unwrap();
            frail.note(SocketAddr::from(([192, 0, 2, 9], port)), 1_000);
        }
        assert!(frail.hosts.len() <= HOSTS_MAX);
        frail.note(host, 5_000);
        assert!(frail.is_frail(host, 5_000) && frail.hosts.len() == 1);
    }
}
