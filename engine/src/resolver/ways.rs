//! The ways to a domain: its mail exchangers in the order in which they are tried.

use std::net::IpAddr;
use std::sync::Arc;

/// Where mail for one domain goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ways {
    /// The mail exchangers of the domain as one canonical name: sorted, joined by commas. Domains
    /// of one such name may share connections and transactions.
    pub exchange: Arc<str>,
    /// Whose limits count: the provider, where a roll-up names it, else the same as `exchange`.
    pub site: Arc<str>,
    /// At least one, by preference; those of equal preference in random order (RFC 5321 §5.1).
    pub hosts: Vec<Host>,
    pub origin: Origin,
    /// Whether who the hosts are is known by DNSSEC.
    pub is_secure: bool,
    /// How long all of this holds; 0: for this once.
    pub ttl_secs: u32,
}

/// How the hosts were found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    Mx,
    /// There is no MX: the domain is its own host (RFC 5321 §5.1).
    Implicit,
    /// The mail is addressed to an address literal (RFC 5321 §4.1.3).
    Literal,
}

/// One mail exchanger.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Host {
    pub preference: u16,
    /// In lower-case A-labels without the last dot; a literal as it was written, with brackets.
    pub name: Arc<str>,
    /// What the name is an alias of, where it is one.
    pub canonical: Option<Arc<str>>,
    /// At least one, in random order.
    pub addresses: Vec<IpAddr>,
    /// Whether the addresses are known by DNSSEC.
    pub is_secure: bool,
}

impl Ways {
    /// Shuffles hosts of equal preference, and the addresses of each host.
    pub(super) fn shuffle(&mut self, random: &dyn Fn() -> u64) {
        for equals in self.hosts.chunk_by_mut(|a, b| a.preference == b.preference) {
            shuffle(equals, random);
        }
        for host in &mut self.hosts {
            shuffle(&mut host.addresses, random);
        }
    }
}

/// Fisher and Yates. The rest of a division favours no element of so few noticeably.
pub(super) fn shuffle<T>(list: &mut [T], random: &dyn Fn() -> u64) {
    for last in (1..list.len()).rev() {
        let other = random() % (last as u64 + 1);
        list.swap(last, other as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::collections::BTreeSet;

    fn host(preference: u16, name: &str) -> Host {
        Host {
            preference,
            name: name.into(),
            canonical: None,
            addresses: vec![[192, 0, 2, 1].into(), [192, 0, 2, 2].into()],
            is_secure: false,
        }
    }

    #[test]
    fn only_equals_change_places_and_all_orders_come() {
        let state = Cell::new(7u64);
        let random = || {
            state.set(
                state
                    .get()
                    .wrapping_mul(6364136223846793005)
                    .wrapping_add(1442695),
            );
            state.get() >> 33
        };
        let mut orders = BTreeSet::new();
        let mut firsts = BTreeSet::new();
        for _ in 0..200 {
            let mut ways = Ways {
                exchange: "x".into(),
                site: "x".into(),
                hosts: vec![host(5, "a"), host(10, "b"), host(10, "c"), host(10, "d")],
                origin: Origin::Mx,
                is_secure: false,
                ttl_secs: 0,
            };
            ways.shuffle(&random);
            assert_eq!(&*ways.hosts[0].name, "a");
            let order: String = ways.hosts.iter().map(|host| &*host.name).collect();
            orders.insert(order);
            firsts.insert(ways.hosts[0].addresses[0]);
        }
        assert_eq!(orders.len(), 6);
        assert_eq!(firsts.len(), 2);
    }
}
