//! The addresses of this host's interfaces, as the kernel lists them: who listens on all of them is
//! reached by each.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Every address, those of the loopback among them. A list that cannot be read is empty.
pub(super) fn addresses() -> Vec<IpAddr> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let four = fours(&read("/proc/net/fib_trie"))
        .into_iter()
        .map(IpAddr::V4);
    let six = sixes(&read("/proc/net/if_inet6"))
        .into_iter()
        .map(IpAddr::V6);
    let mut all: Vec<IpAddr> = four.chain(six).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// `|-- 192.0.2.7`, and below it `/32 host LOCAL`.
fn fours(text: &str) -> Vec<Ipv4Addr> {
    let mut found: Vec<Ipv4Addr> = Vec::new();
    let mut last: Option<Ipv4Addr> = None;
    for line in text.lines() {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(last);
        }
    }
    found
}

/// `20010db8000000000000000000000007 02 40 00 80 eth0`.
fn sixes(text: &str) -> Vec<Ipv6Addr> {
    let words = text
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    let bits = words.filter_map(|word| u128::from_str_radix(word, 16).ok());
    bits.map(Ipv6Addr::from_bits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lists_are_read() {
        let four = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 192.0.2.0\n        /24 link UNICAST\n\
            Local:\n     |-- 192.0.2.7\n        /32 host LOCAL\n     |-- 192.0.2.255\n        \
            /32 link BROADCAST\n     |-- 127.0.0.1\n        /32 host LOCAL\n";
        let expected: [Ipv4Addr; 2] = [[192, 0, 2, 7].into(), [127, 0, 0, 1].into()];
        assert_eq!(fours(four), expected);
        let six = "20010db8000000000000000000000007 02 40 00 80     eth0\nnonsense\n";
        assert_eq!(sixes(six), ["2001:db8::7".parse::<Ipv6Addr>().unwrap()]);
    }

    #[test]
    fn this_host_has_a_loopback() {
        assert!(addresses().contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)));
    }
}
