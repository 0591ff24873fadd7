//! Bodies that are still arriving: their first pieces lie in segments that must stay.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// How many bodies began in which segment.
#[derive(Clone, Debug, Default)]
pub(super) struct Arriving(Rc<RefCell<BTreeMap<u32, u32>>>);

/// Held by a body from its first piece until its MESSAGE is durable, or it is given up.
#[derive(Debug)]
pub(super) struct Lease {
    segment: u32,
    arriving: Arriving,
}

impl Arriving {
    /// A body may have a piece in `segment` or a later one.
    pub(super) fn lease(&self, segment: u32) -> Lease {
        *self.0.borrow_mut().entry(segment).or_default() += 1;
        Lease {
            segment,
            arriving: self.clone(),
        }
    }

    /// The lowest segment with a piece of a body that is still arriving.
    pub(super) fn lowest(&self) -> Option<u32> {
        self.0.borrow().keys().next().copied()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut bodies = self.arriving.0.borrow_mut();
        if let Some(count) = bodies.get_mut(&self.segment) {
            *count -= 1;
            if *count == 0 {
                bodies.remove(&self.segment);
            }
        }
    }
}
