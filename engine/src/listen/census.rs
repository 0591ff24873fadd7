//! How many connections a shard has open, in all and from each address.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;

/// Counts connections; a connection that is one too many gets no [`Pass`].
#[derive(Default)]
pub struct Census {
    open: Cell<u64>,
    by_peer: RefCell<HashMap<IpAddr, u64>>,
}

/// Bounds of one shard.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    pub connections_max: u64,
    /// From one IPv4 address or one IPv6 /64; loopback is not counted.
    pub per_peer_max: u64,
}

/// Why a connection is turned away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Crowded {
    All,
    Peer,
}

impl Crowded {
    /// The limit that was reached, as the configuration calls it.
    pub fn name(self) -> &'static str {
        match self {
            Crowded::All => "connections_max",
            Crowded::Peer => "connections_per_address_max",
        }
    }
}

/// Held as long as the connection is open.
pub struct Pass {
    census: Rc<Census>,
    /// Whom it counts for.
    peer: Option<IpAddr>,
}

impl Census {
    pub fn new() -> Rc<Census> {
        Rc::default()
    }

    pub fn open(&self) -> u64 {
        self.open.get()
    }

    pub fn enter(self: &Rc<Self>, address: IpAddr, room: Room) -> Result<Pass, Crowded> {
        let mut pass = self.enter_for_somebody(room)?;
        pass.is_for(address, room)?;
        Ok(pass)
    }

    /// For a connection whose client is not known yet, or one of many behind one address.
    pub fn enter_for_somebody(self: &Rc<Self>, room: Room) -> Result<Pass, Crowded> {
        if self.open.get() >= room.connections_max {
            return Err(Crowded::All);
        }
        self.open.set(self.open.get() + 1);
        Ok(Pass {
            census: Rc::clone(self),
            peer: None,
        })
    }
}

impl Pass {
    /// From now on the connection counts for this address, and for no other.
    pub fn is_for(&mut self, address: IpAddr, room: Room) -> Result<(), Crowded> {
        self.leave_peer();
        let Some(peer) = counted(address) else {
            return Ok(());
        };
        let mut by_peer = self.census.by_peer.borrow_mut();
        let count = by_peer.get(&peer).copied().unwrap_or(0);
        if count >= room.per_peer_max {
            return Err(Crowded::Peer);
        }
        by_peer.insert(peer, count + 1);
        self.peer = Some(peer);
        Ok(())
    }

    fn leave_peer(&mut self) {
        if let Some(peer) = self.peer.take() {
            let mut by_peer = self.census.by_peer.borrow_mut();
            if let Some(count) = by_peer.get_mut(&peer) {
                *count -= 1;
                if *count == 0 {
                    by_peer.remove(&peer);
                }
            }
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.census.open.set(self.census.open.get() - 1);
        self.leave_peer();
    }
}

/// What an address is counted as. One IPv6 customer has a /64.
fn counted(address: IpAddr) -> Option<IpAddr> {
    match address.to_canonical() {
        address if address.is_loopback() => None,
        IpAddr::V6(v6) => {
            let network = u128::from(v6) & !u128::from(u64::MAX);
            Some(IpAddr::V6(network.into()))
        }
        v4 => Some(v4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_network_and_forgets() {
        let census = Census::new();
        let room = Room {
            connections_max: 3,
            per_peer_max: 2,
        };
        let first = census.enter("2001:db8::1".parse().unwrap(), room).unwrap();
        let second = census.enter("2001:db8::2".parse().unwrap(), room).unwrap();
        let third = census.enter("2001:db8::3".parse().unwrap(), room);
        assert_eq!(third.err(), Some(Crowded::Peer));
        drop(first);
        let third = census.enter("2001:db8::3".parse().unwrap(), room).unwrap();
        let local = census.enter("127.0.0.1".parse().unwrap(), room).unwrap();
        let more = census.enter("127.0.0.1".parse().unwrap(), room);
        assert_eq!(more.err(), Some(Crowded::All));
        let mut moved = third;
        assert_eq!(moved.is_for("2001:db8::9".parse().unwrap(), room), Ok(()));
        let elsewhere = "198.51.100.7".parse().unwrap();
        assert_eq!(moved.is_for(elsewhere, room), Ok(()));
        assert_eq!(census.by_peer.borrow().get(&elsewhere), Some(&1));
        drop((second, moved, local));
        assert_eq!(census.open(), 0);
        assert!(census.by_peer.borrow().is_empty());
    }
}
