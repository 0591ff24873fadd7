//! A second implementation of REFERENCES, word by word and without regard for its cost, and what
//! the first one makes of the same messages.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::forest::{Forest, Writer};
use super::{Message, ordered_subject, references};
use proptest::prelude::*;

#[derive(Clone, Default, Debug)]
struct Node {
    message: Option<usize>,
    id: Option<u64>,
    parent: Option<usize>,
    children: Vec<usize>,
}

struct Tree<'a> {
    messages: &'a [Message],
    nodes: Vec<Node>,
}

impl Tree<'_> {
    fn find(&mut self, id: u64) -> usize {
        let known = self.nodes.iter().position(|node| node.id == Some(id));
        known.unwrap_or_else(|| {
            self.nodes.push(Node {
                id: Some(id),
                ..Node::default()
            });
            self.nodes.len() - 1
        })
    }

    fn is_descendent(&self, node: usize, of: usize) -> bool {
        node == of
            || self.nodes[node]
                .parent
                .is_some_and(|up| self.is_descendent(up, of))
    }

    fn link(&mut self, parent: usize, child: usize) {
        if !self.is_descendent(parent, child) {
            self.nodes[child].parent = Some(parent);
        }
    }

    fn step_1(&mut self) {
        for (at, message) in self.messages.iter().enumerate() {
            let taken = self.nodes.iter().any(|node| node.id == Some(message.id));
            self.nodes.push(Node {
                message: Some(at),
                id: Some(message.id).filter(|id| *id != 0 && !taken),
                ..Node::default()
            });
        }
        for (at, message) in self.messages.iter().enumerate() {
            let refs: Vec<usize> = message.parents.iter().map(|id| self.find(*id)).collect();
            for pair in refs.windows(2) {
                if self.nodes[pair[1]].parent.is_none() {
                    self.link(pair[0], pair[1]);
                }
            }
            self.nodes[at].parent = None;
            if let Some(last) = refs.last() {
                self.link(*last, at);
            }
        }
        for child in 0..self.nodes.len() {
            if let Some(parent) = self.nodes[child].parent {
                self.nodes[parent].children.push(child);
            }
        }
    }

    /// Step 3 of what stands below the root.
    fn prune(&self, node: usize) -> Vec<Thread> {
        let below: Vec<Thread> = self.nodes[node]
            .children
            .iter()
            .flat_map(|child| self.prune(*child))
            .collect();
        match self.nodes[node].message {
            Some(message) => vec![Thread {
                message: Some(message),
                children: below,
            }],
            None => below,
        }
    }

    fn threads(mut self) -> Vec<Thread> {
        self.step_1();
        let roots = (0..self.nodes.len()).filter(|node| self.nodes[*node].parent.is_none());
        let mut threads = Vec::new();
        for root in roots {
            let mut pruned = self.prune(root);
            match pruned.len() {
                0 => {}
                1 => threads.append(&mut pruned),
                _ => threads.push(Thread {
                    message: None,
                    children: pruned,
                }),
            }
        }
        threads
    }
}

#[derive(Clone, PartialEq, Debug)]
struct Thread {
    message: Option<usize>,
    children: Vec<Thread>,
}

impl Thread {
    fn sort(&mut self, messages: &[Message]) {
        self.children
            .iter_mut()
            .for_each(|child| child.sort(messages));
        self.children.sort_by_key(|child| child.key(messages));
    }

    fn key(&self, messages: &[Message]) -> (i64, usize) {
        match self.message {
            Some(message) => (messages[message].date, message),
            None => self
                .children
                .iter()
                .map(|child| child.key(messages))
                .min()
                .unwrap(),
        }
    }

    fn latest(&self, messages: &[Message]) -> i64 {
        let own = self.message.map(|message| messages[message].date);
        let below = self.children.iter().map(|child| child.latest(messages));
        below.chain(own).max().unwrap()
    }

    fn subject(&self, messages: &[Message]) -> u32 {
        messages[self.key(messages).1].subject
    }

    fn is_reply(&self, messages: &[Message]) -> bool {
        self.message
            .is_some_and(|message| messages[message].is_reply)
    }

    fn write(&self) -> String {
        let mut text = self
            .message
            .map_or(String::new(), |message| message.to_string());
        match self.children.as_slice() {
            [] => {}
            [only] => text += &format!(" {}", only.write()),
            several => {
                if self.message.is_some() {
                    text.push(' ');
                }
                several
                    .iter()
                    .for_each(|child| text += &format!("({})", child.write()));
            }
        }
        text
    }
}

/// Step 5, on roots in order.
fn gather(mut threads: Vec<Option<Thread>>, messages: &[Message]) -> Vec<Thread> {
    let mut table: Vec<(u32, usize)> = Vec::new();
    for at in 0..threads.len() {
        let thread = threads[at].as_ref().unwrap();
        let subject = thread.subject(messages);
        if subject == 0 {
            continue;
        }
        match table.iter_mut().find(|(known, _)| *known == subject) {
            None => table.push((subject, at)),
            Some((_, known)) => {
                let other = threads[*known].as_ref().unwrap();
                let better = thread.message.is_none()
                    || (other.is_reply(messages) && !thread.is_reply(messages));
                if other.message.is_some() && better {
                    *known = at;
                }
            }
        }
    }
    let subjects: Vec<u32> = threads
        .iter()
        .map(|thread| thread.as_ref().unwrap().subject(messages))
        .collect();
    for (at, subject) in subjects.into_iter().enumerate() {
        let Some(known) = table
            .iter()
            .find(|(known, _)| *known == subject)
            .map(|known| known.1)
        else {
            continue;
        };
        if known == at {
            continue;
        }
        let thread = threads[at].take().unwrap();
        let other = threads[known].as_mut().unwrap();
        match (&other.message, &thread.message) {
            (None, None) => other.children.extend(thread.children),
            (None, Some(_)) => other.children.push(thread),
            _ if thread.is_reply(messages) && !other.is_reply(messages) => {
                other.children.push(thread);
            }
            _ => {
                *other = Thread {
                    message: None,
                    children: vec![other.clone(), thread],
                }
            }
        }
    }
    threads.into_iter().flatten().collect()
}

fn naive(messages: &[Message], by_subject: bool) -> String {
    let tree = Tree {
        messages,
        nodes: Vec::new(),
    };
    let mut threads = tree.threads();
    if by_subject {
        threads.sort_by_key(|thread| thread.key(messages));
        threads = gather(threads.into_iter().map(Some).collect(), messages);
        threads.iter_mut().for_each(|thread| thread.sort(messages));
        threads.sort_by_key(|thread| thread.key(messages));
    } else {
        threads.iter_mut().for_each(|thread| thread.sort(messages));
        threads.sort_by_key(|thread| {
            (
                thread.latest(messages),
                thread.message.unwrap_or(
                    thread
                        .children
                        .first()
                        .map_or(0, |child| child.message.unwrap()),
                ),
            )
        });
    }
    let written = threads.iter().map(|thread| format!("({})", thread.write()));
    written.collect()
}

fn written(forest: &Forest) -> String {
    let mut out = Vec::new();
    let number = |at: u32| Some(at);
    let mut writer = Writer::new(forest, &number);
    for root in forest.roots() {
        writer.thread(&mut out, *root);
    }
    String::from_utf8(out).unwrap()
}

fn message() -> impl Strategy<Value = Message> {
    let parents = prop::collection::vec(1u64..14, 0..5);
    (0u64..12, parents, 0i64..6, 0u32..4, any::<bool>()).prop_map(
        |(id, parents, date, subject, is_reply)| Message {
            uid: 0,
            date,
            id,
            parents,
            subject,
            is_reply,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn both_make_the_same_threads(messages in prop::collection::vec(message(), 0..14)) {
        for by_subject in [true, false] {
            let found = written(&references::thread(&messages, by_subject));
            prop_assert_eq!(found, naive(&messages, by_subject), "{:?}", messages);
        }
    }

    #[test]
    fn every_message_is_in_one_thread(messages in prop::collection::vec(message(), 0..30)) {
        for forest in [
            ordered_subject(&messages),
            references::thread(&messages, true),
            references::thread(&messages, false),
        ] {
            let text = written(&forest);
            let numbers = text.split(|c: char| !c.is_ascii_digit()).filter(|n| !n.is_empty());
            let mut numbers: Vec<usize> = numbers.map(|n| n.parse().unwrap()).collect();
            numbers.sort_unstable();
            prop_assert_eq!(numbers, (0..messages.len()).collect::<Vec<_>>());
        }
    }
}

fn with(subject: u32, date: i64) -> Message {
    Message {
        date,
        subject,
        ..Message::default()
    }
}

#[test]
fn ordered_subject_has_no_grandchildren() {
    let messages = [
        with(1, 5),
        with(2, 1),
        with(1, 3),
        with(1, 9),
        with(2, 7),
        with(3, 4),
    ];
    assert_eq!(written(&ordered_subject(&messages)), "(1 4)(2 (0)(3))(5)");
}

#[test]
fn loops_and_long_chains_are_threads() {
    let node = |id: u64, parents: &[u64]| Message {
        id,
        parents: parents.to_vec(),
        ..Message::default()
    };
    let ring: Vec<Message> = (1..=3).map(|n| node(n, &[n % 3 + 1])).collect();
    assert_eq!(written(&references::thread(&ring, false)), "(2 1 0)");
    for turned in [false, true] {
        let mut chain: Vec<Message> = (1..=50_000).map(|n| node(n, &[n - 1])).collect();
        if turned {
            chain.reverse();
        }
        let text = written(&references::thread(&chain, true));
        assert_eq!(text.matches('(').count(), 1);
    }
}

/// Trees that are joined at their deepest place, over and over.
#[test]
fn work_on_hostile_references_is_bounded() {
    let node = |id: u64, parents: Vec<u64>| Message {
        id,
        parents,
        ..Message::default()
    };
    let deep = 30_000;
    let mut messages: Vec<Message> = (1..deep).map(|n| node(n, vec![n - 1])).collect();
    for n in 0..deep {
        let (one, other) = (deep * 2 + n * 2, deep * 2 + n * 2 + 1);
        messages.push(node(0, vec![one, other]));
        messages.push(node(0, vec![deep - 1, one]));
    }
    let forest = references::thread(&messages, true);
    assert!(!forest.roots().is_empty());
}
