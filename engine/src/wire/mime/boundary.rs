//! The boundaries that are open while a message is scanned (RFC 2046 §5.1.1).
//!
//! A line is a delimiter if it begins with `--` and an open boundary, whatever follows. Where
//! several fit, the longest wins, and of equal ones the innermost. The boundaries are sorted, so
//! that a line costs its own length and a few comparisons, however many are open.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::work::spend;

/// Open boundaries, each with the depths at which it is open.
#[derive(Clone, Debug, Default)]
pub(super) struct Boundaries {
    open: BTreeMap<Vec<u8>, Vec<usize>>,
}

/// What a delimiter line says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Delimiter {
    /// Depth of the multipart that it belongs to.
    pub(super) depth: usize,
    /// `--boundary--`.
    pub(super) closes: bool,
}

impl Boundaries {
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Opens `boundary` at a depth greater than that of any open one.
    pub(super) fn open(&mut self, boundary: &[u8], depth: usize) {
        self.open.entry(boundary.to_vec()).or_default().push(depth);
    }

    /// Closes the innermost `boundary`.
    pub(super) fn close(&mut self, boundary: &[u8]) {
        if let Some(depths) = self.open.get_mut(boundary) {
            depths.pop();
            if depths.is_empty() {
                self.open.remove(boundary);
            }
        }
    }

    /// The delimiter that this line is; the start of the line is enough.
    pub(super) fn find(&self, line: &[u8]) -> Option<Delimiter> {
        if self.open.is_empty() {
            return None;
        }
        let text = line.strip_prefix(b"--")?;
        // The greatest boundary up to `candidate` is a prefix of it, or shares with it at most the
        // prefix that is tried next: every turn shortens the candidate.
        let mut candidate = text;
        loop {
            spend(candidate.len());
            let (boundary, depths) = self.greatest(candidate)?;
            if let Some(after) = text.strip_prefix(boundary.as_slice()) {
                let depth = *depths.last()?;
                return Some(Delimiter {
                    depth,
                    closes: after.starts_with(b"--"),
                });
            }
            candidate = common_prefix(candidate, boundary);
        }
    }

    /// The greatest open boundary that is not greater than `text`.
    fn greatest(&self, text: &[u8]) -> Option<(&Vec<u8>, &Vec<usize>)> {
        let up_to = (Bound::Unbounded, Bound::Included(text));
        self.open.range::<[u8], _>(up_to).next_back()
    }
}

fn common_prefix<'a>(left: &'a [u8], right: &[u8]) -> &'a [u8] {
    let octets = left.iter().zip(right).take_while(|(l, r)| l == r).count();
    left.get(..octets).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(boundaries: &[&str]) -> Boundaries {
        let mut open = Boundaries::default();
        boundaries
            .iter()
            .enumerate()
            .for_each(|(depth, b)| open.open(b.as_bytes(), depth));
        open
    }

    fn found(open: &Boundaries, line: &str) -> Option<(usize, bool)> {
        open.find(line.as_bytes()).map(|d| (d.depth, d.closes))
    }

    #[test]
    fn the_longest_prefix_wins_and_among_equals_the_innermost() {
        let open = opened(&["a", "ab", "abcd", "ab", "b"]);
        assert_eq!(found(&open, "--abcd\r\n"), Some((2, false)));
        assert_eq!(found(&open, "--abc--"), Some((3, false)));
        assert_eq!(found(&open, "--ab-- \r\n"), Some((3, true)));
        assert_eq!(found(&open, "--ac"), Some((0, false)));
        assert_eq!(found(&open, "--bzz"), Some((4, false)));
        assert_eq!(found(&open, "--"), None);
        assert_eq!(found(&open, "-a"), None);
        assert_eq!(found(&open, "--c"), None);
    }

    #[test]
    fn a_closed_boundary_leaves_the_outer_one_of_the_same_name() {
        let mut open = opened(&["x", "x"]);
        open.close(b"x");
        assert_eq!(found(&open, "--x"), Some((0, false)));
        open.close(b"x");
        assert!(open.is_empty());
    }
}
