//! A gate for tasks of one thread that change what only one may change at a time.

use crate::bell::Bell;
use std::cell::Cell;
use std::rc::Rc;

/// Lets one task through at a time, in the order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    is_taken: Cell<bool>,
    bell: Rc<Bell>,
}

impl Gate {
    pub(crate) async fn enter(self: Rc<Self>) -> GatePass {
        let mut watch = self.bell.watch();
        while self.is_taken.replace(true) {
            watch.changed().await;
        }
        GatePass(self)
    }
}

/// Held by the task that is inside.
pub(crate) struct GatePass(Rc<Gate>);

impl Drop for GatePass {
    fn drop(&mut self) {
        self.0.is_taken.set(false);
        self.0.bell.ring();
    }
}
