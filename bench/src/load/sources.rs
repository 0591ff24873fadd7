//! Where connections come from: several addresses, because one has some 28,000 ports.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// Source addresses that connections take in turn; none leaves it to the kernel.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Sources(Vec<IpAddr>);

/// More than this is a mistake.
const SOURCES_MAX: usize = 4_096;

impl Sources {
    /// The address that connection `number` comes from, with a port of the kernel's choice.
    pub(crate) fn of(&self, number: u32) -> Option<SocketAddr> {
        let at = (number as usize).checked_rem(self.0.len())?;
        self.0.get(at).map(|address| SocketAddr::new(*address, 0))
    }
}

impl FromStr for Sources {
    type Err = String;

    /// `8` for 127.0.0.1 to 127.0.0.8, `127.0.0.5-127.0.0.9`, or a list.
    fn from_str(text: &str) -> Result<Sources, String> {
        let wrong = || {
            format!("`{text}`: write a count (8), a range (127.0.0.1-127.0.0.8) or a list (a,b)")
        };
        if let Ok(count) = text.parse::<u32>() {
            let last = Ipv4Addr::from_bits(FIRST.to_bits() + count.saturating_sub(1));
            return range(FIRST, last).ok_or_else(wrong);
        }
        if let Some((first, last)) = text.split_once('-') {
            let first = first.parse().map_err(|_| wrong())?;
            let last = last.parse().map_err(|_| wrong())?;
            return range(first, last).ok_or_else(wrong);
        }
        let addresses: Result<Vec<IpAddr>, _> = text.split(',').map(str::parse).collect();
        addresses.map(Sources).map_err(|_| wrong())
    }
}

fn range(first: Ipv4Addr, last: Ipv4Addr) -> Option<Sources> {
    let bits = first.to_bits()..=last.to_bits();
    let addresses: Vec<IpAddr> = bits
        .take(SOURCES_MAX)
        .map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)))
        .collect();
    (!addresses.is_empty()).then_some(Sources(addresses))
}

const FIRST: Ipv4Addr = Ipv4Addr::LOCALHOST;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_in_turn() {
        for text in ["3", "127.0.0.1-127.0.0.3", "127.0.0.1,127.0.0.2,127.0.0.3"] {
            let sources: Sources = text.parse().unwrap();
            let fifth = sources.of(4).unwrap();
            assert_eq!(fifth.to_string(), "127.0.0.2:0", "{text}");
        }
        assert_eq!(Sources::default().of(1), None);
        for wrong in ["", "x", "127.0.0.3-127.0.0.1", "1.2.3", "-"] {
            assert!(wrong.parse::<Sources>().is_err(), "{wrong}");
        }
    }
}
