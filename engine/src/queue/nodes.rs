//! Where every waiting recipient stands: one small node for each, chained into lists by index.
//!
//! A node lies in at most one list. Lists are linked one way; a node that is taken out of the
//! middle only becomes `Gone` and is freed when its list comes to it, so that taking out costs
//! nothing. Chunks are never moved: growing by a million nodes copies none.

use std::fmt;

/// Names a node until it is let go.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(super) struct Index(u32);

/// What the queue keeps in memory of one recipient of one message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// The name that the store gave it.
    pub(super) item: u64,
    /// The moment, in seconds since 1970, that the present state must not outlive.
    pub(super) due: u32,
    next: u32,
    /// Its place among the domains.
    pub(super) domain: u32,
    /// Tenant, band, state and whether it is in a list, packed.
    packed: u32,
}

const _: () = assert!(size_of::<Node>() <= 24);

/// What a recipient waits for.
///
/// ```text
///   Timed ─ due ─→ Resolving ─ hosts known ─→ Ready ─ taken ─→ Sending ─ end ─→ (let go)
///     ↑                │                                          │
///     └──── deferred ──┴──────────────────────────────────────────┘     any ⇄ Held by the operator
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// For a time: the next attempt, or not before the sender wants it.
    Timed,
    /// For the answer of DNS.
    Resolving,
    /// For a connection.
    Ready,
    /// For the answer of the next hop.
    Sending,
    /// For the operator.
    Held,
    /// For its list to come to it.
    Gone,
}

/// How urgent (RFC 6710).
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub(super) enum Band {
    High,
    Normal,
    Low,
}

/// A list of nodes, first in, first out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Chain {
    head: u32,
    tail: u32,
}

/// All nodes of one shard.
#[derive(Default)]
pub(super) struct Nodes {
    chunks: Vec<Box<[Node]>>,
    free: Option<u32>,
    /// Nodes of the chunks that were given out at least once.
    begun: u32,
    live: usize,
}

/// More nodes than [`NODES_MAX`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Full;

impl Nodes {
    /// Makes a node that is in no list.
    pub(super) fn add(
        &mut self,
        item: u64,
        domain: u32,
        tenant: u32,
        band: Band,
    ) -> Result<Index, Full> {
        let at = match self.free {
            Some(at) => {
                self.free = Some(self.at(at).next).filter(|next| *next != END);
                at
            }
            None => self.grow()?,
        };
        *self.at_mut(at) = Node {
            item,
            due: 0,
            next: END,
            domain,
            packed: (tenant.min(TENANT_MAX) << TENANT_SHIFT) | ((band as u32) << BAND_SHIFT),
        };
        self.live += 1;
        Ok(Index(at))
    }

    fn grow(&mut self) -> Result<u32, Full> {
        let at = self.begun;
        if at >= NODES_MAX {
            return Err(Full);
        }
        if at as usize == self.chunks.len() * CHUNK_NODES {
            let chunk = vec![Node::VACANT; CHUNK_NODES];
            self.chunks.push(chunk.into_boxed_slice());
        }
        self.begun += 1;
        Ok(at)
    }

    /// Lets a node go; one that is in a list goes when the list comes to it.
    pub(super) fn let_go(&mut self, index: Index) {
        let node = self.at_mut(index.0);
        if node.is_linked() {
            return node.set_state(State::Gone);
        }
        self.release(index.0);
    }

    fn release(&mut self, at: u32) {
        let free = self.free.unwrap_or(END);
        let node = self.at_mut(at);
        *node = Node::VACANT;
        node.next = free;
        self.free = Some(at);
        self.live -= 1;
    }

    /// Puts a node in no list at the end of one.
    pub(super) fn push(&mut self, chain: &mut Chain, index: Index) {
        let node = self.at_mut(index.0);
        assert!(!node.is_linked(), "a node lies in one list at most");
        node.next = END;
        node.set_linked(true);
        match chain.tail {
            END => chain.head = index.0,
            tail => self.at_mut(tail).next = index.0,
        }
        chain.tail = index.0;
    }

    /// Puts a whole list behind another one.
    pub(super) fn append(&mut self, chain: &mut Chain, more: Chain) {
        if more == Chain::EMPTY {
            return;
        }
        match chain.tail {
            END => chain.head = more.head,
            tail => self.at_mut(tail).next = more.head,
        }
        chain.tail = more.tail;
    }

    /// Takes the first node that is still wanted.
    pub(super) fn pop(&mut self, chain: &mut Chain) -> Option<Index> {
        loop {
            let at = chain.head;
            if at == END {
                return None;
            }
            chain.head = self.at(at).next;
            if chain.head == END {
                chain.tail = END;
            }
            let node = self.at_mut(at);
            node.set_linked(false);
            if node.state() != State::Gone {
                return Some(Index(at));
            }
            self.release(at);
        }
    }

    /// The first node that is still wanted, left where it is.
    pub(super) fn first(&mut self, chain: &mut Chain) -> Option<Index> {
        loop {
            let at = chain.head;
            if at == END {
                return None;
            }
            if self.at(at).state() != State::Gone {
                return Some(Index(at));
            }
            chain.head = self.at(at).next;
            if chain.head == END {
                chain.tail = END;
            }
            self.at_mut(at).set_linked(false);
            self.release(at);
        }
    }

    #[must_use]
    pub(super) fn node(&self, index: Index) -> &Node {
        self.at(index.0)
    }

    pub(super) fn node_mut(&mut self, index: Index) -> &mut Node {
        self.at_mut(index.0)
    }

    /// Nodes that are given out, `Gone` ones included.
    #[must_use]
    pub(super) fn live(&self) -> usize {
        self.live
    }

    /// The nodes that are wanted among the `most` behind place `from`, and the place to go on from;
    /// zero behind the last.
    pub(super) fn walk(&self, from: u32, most: u32) -> (impl Iterator<Item = Index> + '_, u32) {
        let end = from.saturating_add(most).min(self.begun);
        let wanted = |at: &u32| {
            let node = self.at(*at);
            node.item != VACANT && node.state() != State::Gone
        };
        let next = if end == self.begun { 0 } else { end };
        ((from..end).filter(wanted).map(Index), next)
    }

    /// Octets that the nodes occupy.
    #[must_use]
    pub(super) fn bytes(&self) -> usize {
        self.chunks.len() * CHUNK_NODES * size_of::<Node>()
            + self.chunks.capacity() * size_of::<Box<[Node]>>()
    }

    fn at(&self, at: u32) -> &Node {
        let (chunk, place) = (at as usize / CHUNK_NODES, at as usize % CHUNK_NODES);
        let node = self.chunks.get(chunk).and_then(|chunk| chunk.get(place));
        node.expect("an index was given out by this table")
    }

    fn at_mut(&mut self, at: u32) -> &mut Node {
        let (chunk, place) = (at as usize / CHUNK_NODES, at as usize % CHUNK_NODES);
        let chunk = self.chunks.get_mut(chunk);
        let node = chunk.and_then(|chunk| chunk.get_mut(place));
        node.expect("an index was given out by this table")
    }
}

impl Node {
    const VACANT: Node = Node {
        item: VACANT,
        due: 0,
        next: END,
        domain: 0,
        packed: 0,
    };

    #[must_use]
    pub(super) fn state(&self) -> State {
        match self.packed & STATE_MASK {
            0 => State::Timed,
            1 => State::Resolving,
            2 => State::Ready,
            3 => State::Sending,
            4 => State::Held,
            _ => State::Gone,
        }
    }

    /// Enters a state that must be over at `due`.
    pub(super) fn enter(&mut self, state: State, due: u32) {
        self.set_state(state);
        self.due = due;
    }

    fn set_state(&mut self, state: State) {
        self.packed = self.packed & !STATE_MASK | state as u32;
    }

    #[must_use]
    pub(super) fn band(&self) -> Band {
        match self.packed >> BAND_SHIFT & BAND_MASK {
            0 => Band::High,
            1 => Band::Normal,
            _ => Band::Low,
        }
    }

    #[must_use]
    pub(super) fn tenant(&self) -> u32 {
        self.packed >> TENANT_SHIFT
    }

    pub(super) fn set_tenant(&mut self, tenant: u32) {
        let rest = self.packed & ((1 << TENANT_SHIFT) - 1);
        self.packed = (tenant.min(TENANT_MAX) << TENANT_SHIFT) | rest;
    }

    #[must_use]
    pub(super) fn is_linked(&self) -> bool {
        self.packed & LINKED != 0
    }

    fn set_linked(&mut self, linked: bool) {
        self.packed = self.packed & !LINKED | if linked { LINKED } else { 0 };
    }
}

impl Chain {
    pub(super) const EMPTY: Chain = Chain {
        head: END,
        tail: END,
    };
}

impl Default for Chain {
    fn default() -> Chain {
        Chain::EMPTY
    }
}

impl State {
    #[must_use]
    pub(super) fn name(self) -> &'static str {
        match self {
            State::Timed => "deferred",
            State::Resolving => "resolving",
            State::Ready => "ready",
            State::Sending => "sending",
            State::Held => "held",
            State::Gone => "gone",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Nodes that one shard can hold.
pub(super) const NODES_MAX: u32 = 200_000_000;

/// Nodes that are made at one time.
const CHUNK_NODES: usize = 4096;

/// Behind the last node of a list.
const END: u32 = u32::MAX;

/// No item has this name.
const VACANT: u64 = u64::MAX;

const STATE_MASK: u32 = 0b111;
const LINKED: u32 = 1 << 3;
const BAND_SHIFT: u32 = 4;
const BAND_MASK: u32 = 0b11;
const TENANT_SHIFT: u32 = 6;

/// Tenants beyond this one share its turn.
pub(super) const TENANT_MAX: u32 = (1 << (32 - TENANT_SHIFT)) - 1;

const _: () = assert!(NODES_MAX < END);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out_again() {
        let mut nodes = Nodes::default();
        let index = nodes.add(7, 3, 12_345, Band::Low).unwrap();
        let node = nodes.node_mut(index);
        for state in [
            State::Timed,
            State::Resolving,
            State::Ready,
            State::Sending,
            State::Held,
        ] {
            node.enter(state, 9);
            assert_eq!((node.state(), node.due), (state, 9));
            assert_eq!((node.tenant(), node.band()), (12_345, Band::Low));
        }
        let last = nodes.add(8, 0, u32::MAX, Band::High).unwrap();
        assert_eq!(nodes.node(last).tenant(), TENANT_MAX);
    }

    #[test]
    fn what_is_gone_is_freed_when_its_list_comes_to_it() {
        let mut nodes = Nodes::default();
        let mut chain = Chain::EMPTY;
        let all: Vec<Index> = (0..5)
            .map(|item| nodes.add(item, 0, 0, Band::Normal).unwrap())
            .collect();
        all.iter().for_each(|index| nodes.push(&mut chain, *index));
        for at in [0, 2, 4] {
            nodes.let_go(all[at]);
        }
        assert_eq!(nodes.live(), 5);
        assert_eq!(nodes.first(&mut chain), Some(all[1]));
        assert_eq!(nodes.pop(&mut chain), Some(all[1]));
        assert_eq!(nodes.pop(&mut chain), Some(all[3]));
        assert_eq!(nodes.pop(&mut chain), None);
        assert_eq!(chain, Chain::EMPTY);
        assert_eq!(nodes.live(), 2);
        let again = nodes.add(9, 0, 0, Band::Normal).unwrap();
        assert!([all[0], all[2], all[4]].contains(&again));
    }

    #[test]
    fn a_million_recipients_cost_24_octets_each() {
        let mut nodes = Nodes::default();
        for item in 0..1_000_000 {
            nodes.add(item, 0, 0, Band::Normal).unwrap();
        }
        assert!(nodes.bytes() <= 24_100_000, "{} bytes", nodes.bytes());
        let mut from = 0;
        let mut seen = 0;
        loop {
            let (found, next) = nodes.walk(from, 60_000);
            seen += found.count();
            from = next;
            if next == 0 {
                break;
            }
        }
        assert_eq!(seen, 1_000_000);
    }
}
