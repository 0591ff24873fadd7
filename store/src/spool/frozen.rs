//! What changed of the queue, as another thread can write it down.
//!
//! A million items are frozen in some twenty milliseconds: their slots are lent, and copied chunk
//! by chunk by the first changes that come meanwhile. Only the names are copied at once, each once.

use super::chunk::{Slot, encode};
use super::names::Names;
use std::sync::Arc;

#[derive(Debug, Default)]
pub(crate) struct FrozenItems {
    /// By rising number; nothing for one that is empty now.
    chunks: Vec<(u32, Option<Arc<Vec<Slot>>>)>,
    /// Those that slots name, by rising number.
    names: Vec<(u32, Box<str>)>,
}

impl FrozenItems {
    pub(super) fn new(
        mut chunks: Vec<(u32, Option<Arc<Vec<Slot>>>)>,
        names: &Names,
    ) -> FrozenItems {
        chunks.sort_unstable_by_key(|(number, _)| *number);
        let slots = chunks.iter().filter_map(|(_, slots)| slots.as_ref());
        let mut is_used = vec![false; names.numbers()];
        for slot in slots.flat_map(|slots| slots.iter()) {
            for number in [slot.domain, slot.tenant] {
                if let Some(is_used) = is_used.get_mut(number as usize) {
                    *is_used = true;
                }
            }
        }
        let used = (0..).zip(is_used).filter(|(_, is_used)| *is_used);
        let names = used.map(|(number, _)| (number, Box::from(&*names.text(number))));
        FrozenItems {
            chunks,
            names: names.collect(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The chunks by rising number, each with the octets of its part.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (u32, Vec<u8>)> {
        self.chunks.iter().map(|(number, slots)| {
            let mut octets = Vec::new();
            if let Some(slots) = slots {
                encode(slots, |number| self.name(number), &mut octets);
            }
            (*number, octets)
        })
    }

    fn name(&self, number: u32) -> &str {
        let at = self
            .names
            .binary_search_by_key(&number, |(number, _)| *number);
        let name = at.ok().and_then(|at| self.names.get(at));
        name.map_or("", |(_, name)| name)
    }
}
