//! Threads as trees, and how they are written (RFC 5256 §4 THREAD).
//!
//! Nodes below the number of messages are messages, in the order of the mailbox; those above are
//! dummies: parents that are not there. However deep a tree is, nothing recurses.

use super::Message;
use crate::wire::imap::response::number;

/// Trees, their roots in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Forest {
    messages: u32,
    children: Vec<Vec<u32>>,
    roots: Vec<u32>,
}

impl Forest {
    /// So many messages, none in a tree.
    pub(super) fn of(messages: usize) -> Forest {
        Forest {
            messages: u32::try_from(messages).unwrap_or(u32::MAX),
            children: vec![Vec::new(); messages],
            roots: Vec::new(),
        }
    }

    pub(super) fn roots(&self) -> &[u32] {
        &self.roots
    }

    pub(super) fn set_roots(&mut self, roots: Vec<u32>) {
        self.roots = roots;
    }

    pub(super) fn is_dummy(&self, node: u32) -> bool {
        node >= self.messages
    }

    /// A new parent that is not there.
    pub(super) fn add_dummy(&mut self) -> u32 {
        self.children.push(Vec::new());
        u32::try_from(self.children.len() - 1).unwrap_or(u32::MAX)
    }

    pub(super) fn add_child(&mut self, parent: u32, child: u32) {
        if let Some(children) = self.children.get_mut(parent as usize) {
            children.push(child);
        }
    }

    pub(super) fn children(&self, node: u32) -> &[u32] {
        self.children.get(node as usize).map_or(&[], Vec::as_slice)
    }

    pub(super) fn take_children(&mut self, node: u32) -> Vec<u32> {
        let children = self.children.get_mut(node as usize);
        children.map(std::mem::take).unwrap_or_default()
    }

    /// Sorts each set of siblings by date and place. Dummies are roots, so that all of them are
    /// messages (RFC 5256 §3, step 6).
    pub(super) fn sort_siblings(&mut self, messages: &[Message]) {
        for children in self
            .children
            .iter_mut()
            .filter(|children| children.len() > 1)
        {
            children.sort_unstable_by_key(|child| (date(messages, *child), *child));
        }
    }

    /// Sorts roots by date, a dummy by its first child; siblings are sorted.
    pub(super) fn sort_roots(&mut self, messages: &[Message]) {
        let mut roots = std::mem::take(&mut self.roots);
        roots.sort_by_cached_key(|root| {
            let first = self.first(*root);
            (date(messages, first), first)
        });
        self.roots = roots;
    }

    /// Sorts roots by the latest message below them.
    pub(super) fn sort_roots_by_latest(&mut self, messages: &[Message]) {
        let mut roots = std::mem::take(&mut self.roots);
        roots.sort_by_cached_key(|root| (self.latest(*root, messages), self.first(*root)));
        self.roots = roots;
    }

    /// The message that stands for a thread: its root, or the first child of a dummy.
    pub(super) fn first(&self, root: u32) -> u32 {
        match self.is_dummy(root) {
            true => self.children(root).first().copied().unwrap_or(root),
            false => root,
        }
    }

    fn latest(&self, root: u32, messages: &[Message]) -> i64 {
        let mut waiting = vec![root];
        let mut latest = i64::MIN;
        while let Some(node) = waiting.pop() {
            waiting.extend(self.children(node));
            if !self.is_dummy(node) {
                latest = latest.max(date(messages, node));
            }
        }
        latest
    }
}

fn date(messages: &[Message], node: u32) -> i64 {
    messages
        .get(node as usize)
        .map_or(i64::MIN, |message| message.date)
}

/// Writes threads one behind the other.
pub(super) struct Writer<'a> {
    forest: &'a Forest,
    number: &'a dyn Fn(u32) -> Option<u32>,
    /// What is still to be written, the last first.
    waiting: Vec<Step>,
}

enum Step {
    /// `(`, the node, and all below it.
    Open(u32),
    Close,
}

impl<'a> Writer<'a> {
    pub(super) fn new(forest: &'a Forest, number: &'a dyn Fn(u32) -> Option<u32>) -> Writer<'a> {
        Writer {
            forest,
            number,
            waiting: Vec::new(),
        }
    }

    /// `(3 6 (4 23)(44 7 96))`; `((3)(5))` where the root is a dummy.
    pub(super) fn thread(&mut self, out: &mut Vec<u8>, root: u32) {
        self.waiting.push(Step::Open(root));
        while let Some(step) = self.waiting.pop() {
            match step {
                Step::Close => out.push(b')'),
                Step::Open(node) => {
                    out.push(b'(');
                    self.chain(out, node);
                }
            }
        }
    }

    /// Parents and only children, up to where it branches.
    fn chain(&mut self, out: &mut Vec<u8>, mut node: u32) {
        loop {
            if !self.forest.is_dummy(node) {
                number(out, (self.number)(node).unwrap_or(0).into());
            }
            let children = self.forest.children(node);
            match children {
                [only] => {
                    out.push(b' ');
                    node = *only;
                }
                _ => {
                    self.waiting.push(Step::Close);
                    if !children.is_empty() && !self.forest.is_dummy(node) {
                        out.push(b' ');
                    }
                    self.waiting
                        .extend(children.iter().rev().map(|child| Step::Open(*child)));
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(forest: &Forest) -> String {
        let mut out = Vec::new();
        let number = |at: u32| Some(at);
        let mut writer = Writer::new(forest, &number);
        for root in forest.roots() {
            writer.thread(&mut out, *root);
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_examples_of_rfc_5256() {
        let mut forest = Forest::of(97);
        for (parent, child) in [(3, 6), (6, 4), (6, 44), (4, 23), (44, 7), (7, 96)] {
            forest.add_child(parent, child);
        }
        forest.set_roots(vec![2, 3]);
        assert_eq!(written(&forest), "(2)(3 6 (4 23)(44 7 96))");
        let mut forest = Forest::of(6);
        let dummy = forest.add_dummy();
        forest.add_child(dummy, 3);
        forest.add_child(dummy, 5);
        forest.set_roots(vec![dummy]);
        assert_eq!(written(&forest), "((3)(5))");
    }

    #[test]
    fn a_deep_thread_is_written() {
        let mut forest = Forest::of(200_000);
        for child in 1..200_000 {
            forest.add_child(child - 1, child);
        }
        forest.set_roots(vec![0]);
        let text = written(&forest);
        assert!(text.starts_with("(0 1 2 3") && text.ends_with(" 199999)"));
    }
}
