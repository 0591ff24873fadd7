//! THREAD=REFERENCES (RFC 5256 §3) and THREAD=REFS.
//!
//! ```text
//! (1) link by Message IDs ─▶ (2) roots ─▶ (3) no dummies but roots of several
//!     ─▶ (4) sort roots ─▶ (5) join roots of one subject ─▶ (6) sort siblings
//! ```
//!
//! REFS leaves out step 5 and sorts roots by the latest message of their thread, as Dovecot and
//! Cyrus do. Work is bounded whatever the references say: looking whether a link would close a loop
//! has a budget, and what cannot be looked at any more is not linked.

use super::Message;
use super::forest::Forest;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Steps from a message to its parent that are gone for one message, on average, before links that
/// might close a loop are left out.
const STEPS_A_MESSAGE: usize = 256;

/// Messages that are referred to and not there, for one that is, on average; others are not made.
const DUMMIES_A_MESSAGE: usize = 8;

/// The same of a mailbox with few messages.
const DUMMIES_MIN: usize = 1 << 16;

pub(super) fn thread(messages: &[Message], by_subject: bool) -> Forest {
    let links = Links::of(messages);
    let mut forest = links.pruned();
    forest.sort_siblings(messages);
    if by_subject {
        forest.sort_roots(messages);
        Gather::new(messages, &mut forest).gather();
        forest.sort_siblings(messages);
        forest.sort_roots(messages);
    } else {
        forest.sort_roots_by_latest(messages);
    }
    forest
}

/// Who is whose parent, dummies behind the messages.
struct Links {
    messages: usize,
    parents: Vec<Option<u32>>,
    /// Whether a node is a parent; one that is none cannot be in a loop.
    has_children: Vec<bool>,
    by_id: HashMap<u64, u32>,
    nodes_max: usize,
    steps_left: usize,
}

impl Links {
    /// Step 1.
    fn of(messages: &[Message]) -> Links {
        let mut links = Links {
            messages: messages.len(),
            parents: vec![None; messages.len()],
            has_children: vec![false; messages.len()],
            by_id: HashMap::with_capacity(messages.len() * 2),
            nodes_max: messages.len() * DUMMIES_A_MESSAGE + DUMMIES_MIN,
            steps_left: messages.len() * STEPS_A_MESSAGE,
        };
        for (node, message) in (0..).zip(messages) {
            // Of messages with one ID it is the first's; the others have none that is known.
            if message.id != 0 {
                links.by_id.entry(message.id).or_insert(node);
            }
        }
        for (node, message) in (0..).zip(messages) {
            links.link(node, message);
        }
        links
    }

    fn link(&mut self, node: u32, message: &Message) {
        let mut parent = None;
        for next in &message.parents {
            let Some(next) = self.node_of(*next) else {
                continue;
            };
            if let Some(parent) = parent
                && self.parent(next).is_none()
            {
                self.set_parent(next, parent);
            }
            parent = Some(next);
        }
        if let Some(own) = self.parents.get_mut(node as usize) {
            *own = None;
        }
        if let Some(parent) = parent {
            self.set_parent(node, parent);
        }
    }

    /// The message with this ID, or a dummy; `None` where there are too many dummies.
    fn node_of(&mut self, id: u64) -> Option<u32> {
        let nodes = self.parents.len();
        match self.by_id.entry(id) {
            Entry::Occupied(known) => Some(*known.get()),
            Entry::Vacant(_) if nodes >= self.nodes_max => None,
            Entry::Vacant(vacant) => {
                self.parents.push(None);
                self.has_children.push(false);
                Some(*vacant.insert(u32::try_from(nodes).ok()?))
            }
        }
    }

    fn parent(&self, node: u32) -> Option<u32> {
        self.parents.get(node as usize).copied().flatten()
    }

    /// Makes `parent` the parent of a root, unless it stands below it.
    fn set_parent(&mut self, node: u32, parent: u32) {
        if node == parent || self.is_below(parent, node) {
            return;
        }
        if let Some(place) = self.parents.get_mut(node as usize) {
            *place = Some(parent);
        }
        if let Some(place) = self.has_children.get_mut(parent as usize) {
            *place = true;
        }
    }

    /// Whether `node` stands below `top`, or that would be too much to find out.
    fn is_below(&mut self, node: u32, top: u32) -> bool {
        if self.has_children.get(top as usize) == Some(&false) {
            return false;
        }
        let mut next = Some(node);
        while let Some(node) = next.filter(|node| *node != top) {
            let Some(left) = self.steps_left.checked_sub(1) else {
                return true;
            };
            self.steps_left = left;
            next = self.parent(node);
        }
        next.is_some()
    }

    /// Steps 2 and 3: messages below the next message above them, or below a dummy that is the root
    /// of several.
    fn pruned(mut self) -> Forest {
        let mut forest = Forest::of(self.messages);
        let mut roots = Vec::new();
        let mut orphans: HashMap<u32, Vec<u32>> = HashMap::new();
        let mut tops = Vec::new();
        for node in (0..).take(self.messages) {
            match self.parent(node).map(|parent| self.above(parent)) {
                None => roots.push(node),
                Some(above) if (above as usize) < self.messages => forest.add_child(above, node),
                Some(top) => {
                    let below = orphans.entry(top).or_default();
                    if below.is_empty() {
                        tops.push(top);
                    }
                    below.push(node);
                }
            }
        }
        for top in tops {
            match orphans.remove(&top).unwrap_or_default().as_slice() {
                [only] => roots.push(*only),
                several => {
                    let dummy = forest.add_dummy();
                    several
                        .iter()
                        .for_each(|child| forest.add_child(dummy, *child));
                    roots.push(dummy);
                }
            }
        }
        forest.set_roots(roots);
        forest
    }

    /// The next message from a node upwards, or the dummy at the top. Ways that were gone are made
    /// short.
    fn above(&mut self, node: u32) -> u32 {
        let is_message = |node: u32| (node as usize) < self.messages;
        let mut found = node;
        while !is_message(found)
            && let Some(parent) = self.parent(found)
        {
            found = parent;
        }
        let mut passed = node;
        while passed != found {
            let next = self.parent(passed);
            if let Some(place) = self.parents.get_mut(passed as usize) {
                *place = Some(found);
            }
            passed = next.unwrap_or(found);
        }
        found
    }
}

/// Step 5: roots with one base subject become one thread.
struct Gather<'a> {
    messages: &'a [Message],
    forest: &'a mut Forest,
    /// By base subject.
    table: HashMap<u32, Joined>,
}

/// The root that the others of its subject join.
#[derive(Clone, Copy)]
struct Joined {
    root: u32,
    /// Among the roots that are left, once it is one.
    place: usize,
}

impl<'a> Gather<'a> {
    fn new(messages: &'a [Message], forest: &'a mut Forest) -> Gather<'a> {
        Gather {
            messages,
            forest,
            table: HashMap::new(),
        }
    }

    fn gather(mut self) {
        let roots = self.forest.roots().to_vec();
        for root in &roots {
            self.enter(*root);
        }
        let mut left = Vec::new();
        for root in roots {
            self.merge(root, &mut left);
        }
        self.forest.set_roots(left);
    }

    /// The subject of a thread, and whether its root is a reply.
    fn subject(&self, root: u32) -> Option<(u32, bool)> {
        let first = self.messages.get(self.forest.first(root) as usize)?;
        let is_reply = !self.forest.is_dummy(root) && first.is_reply;
        (first.subject != 0).then_some((first.subject, is_reply))
    }

    /// Step 5B.
    fn enter(&mut self, root: u32) {
        let Some((subject, is_reply)) = self.subject(root) else {
            return;
        };
        let joined = Joined { root, place: 0 };
        let Some(known) = self.table.get(&subject).map(|known| known.root) else {
            self.table.insert(subject, joined);
            return;
        };
        let known_is_reply = self.subject(known).is_some_and(|(_, is_reply)| is_reply);
        let is_better = self.forest.is_dummy(root) || (known_is_reply && !is_reply);
        if !self.forest.is_dummy(known) && is_better {
            self.table.insert(subject, joined);
        }
    }

    /// Step 5C.
    fn merge(&mut self, root: u32, left: &mut Vec<u32>) {
        let Some((subject, is_reply)) = self.subject(root) else {
            return left.push(root);
        };
        let Some(known) = self
            .table
            .get_mut(&subject)
            .filter(|known| known.root != root)
        else {
            if let Some(own) = self.table.get_mut(&subject) {
                own.place = left.len();
            }
            return left.push(root);
        };
        let known = *known;
        if self.forest.is_dummy(known.root) {
            let below = match self.forest.is_dummy(root) {
                true => self.forest.take_children(root),
                false => vec![root],
            };
            for child in below {
                self.forest.add_child(known.root, child);
            }
        } else if is_reply && !self.is_reply(known.root) {
            self.forest.add_child(known.root, root);
        } else {
            // A new dummy above both, where the one stands that is known.
            let dummy = self.forest.add_dummy();
            self.forest.add_child(dummy, known.root);
            self.forest.add_child(dummy, root);
            let place = known.place;
            self.table.insert(subject, Joined { root: dummy, place });
            if let Some(place) = left.get_mut(place) {
                *place = dummy;
            }
        }
    }

    fn is_reply(&self, node: u32) -> bool {
        self.messages
            .get(node as usize)
            .is_some_and(|message| message.is_reply)
    }
}
