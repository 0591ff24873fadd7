//! The couriers of a shard: how many each ready queue has, and which queues wait for one.
//!
//! A courier needs leave of its site, of its egress source, and of the shard, whose connections are
//! fewer than the sites; for a host that has not answered yet, also one of the probes.

use super::board::{Queue, QueueIndex};
use super::courier::{Courier, Pass};
use super::dispatch::Dispatcher;
use super::nodes::{Index, State};
use super::suspend::Field;
use crate::reactor::spawn;
use std::rc::Rc;
use std::sync::Arc;

impl Dispatcher {
    /// Sends as many couriers to a queue as it has work for and its site bears.
    pub(super) fn serve(self: &Rc<Self>, index: QueueIndex) {
        let mut called = 0;
        while !self.is_ending() {
            let now = self.second();
            let mut board = self.board.borrow_mut();
            board.part(index, now);
            let Some(site) = board.queue(index).map(|queue| Arc::clone(&queue.site)) else {
                return;
            };
            let is_meant = |field: &Field| field.is_site(site.name());
            if board.suspensions.find(now, is_meant).is_some() {
                return;
            }
            if !board
                .queue(index)
                .is_some_and(|queue| board.is_open(queue, now))
            {
                return;
            }
            let Some(queue) = board.queue_mut(index) else {
                return;
            };
            if queue.suspended(now).is_some() {
                return;
            }
            let busy = (queue.couriers as usize).saturating_sub(queue.idle.len());
            if queue.ready() <= (busy + called) * queue.left_to_each() {
                return;
            }
            if let Some(idle) = queue.idle.pop() {
                // One that just left is counted no more either way.
                let _ = idle.send(());
                called += 1;
                continue;
            }
            let Some(pass) = self.pass(index, queue, now) else {
                return;
            };
            queue.couriers += 1;
            let courier = Courier::new(self, (index, queue), pass);
            drop(board);
            spawn(courier.run());
        }
    }

    /// What one more courier of a queue needs; `None`: not now.
    fn pass(&self, index: QueueIndex, queue: &mut Queue, now: u32) -> Option<Pass> {
        let site = &queue.site;
        let most = site.most(queue.hop.route.pace.connections_max, now);
        let permit = site.permit(most, self.now().monotonic_millis).ok()?;
        let leave = queue.source.leave()?;
        let is_proven = site.is_proven();
        let probe = (!is_proven).then(|| self.probes.try_take(1)).flatten();
        let connection = match is_proven || probe.is_some() {
            true => self.connections.try_take(1),
            false => None,
        };
        let Some(connection) = connection else {
            self.stand_in_line(queue, index);
            return None;
        };
        Some(Pass {
            permit,
            leave,
            connection,
            probe,
        })
    }

    fn stand_in_line(&self, queue: &mut Queue, index: QueueIndex) {
        if !std::mem::replace(&mut queue.is_in_line, true) {
            let is_proven = queue.site.is_proven();
            self.line.borrow_mut().stand(index, is_proven);
        }
    }

    /// A connection has ended: the next ones in line, as long as there is room.
    pub(super) fn call_next(self: &Rc<Self>) {
        while self.connections.has_room_for(1) {
            let may_probe = self.probes.has_room_for(1);
            let Some(index) = self.line.borrow_mut().next(may_probe) else {
                return;
            };
            if let Some(queue) = self.board.borrow_mut().queue_mut(index) {
                queue.is_in_line = false;
            }
            self.serve(index);
        }
    }

    /// Lets recipients whose courier was lost wait for another.
    pub(super) fn recover(&self, taken: &[(Index, u64)], wait_secs: u32) {
        let now = self.second();
        let mut board = self.board.borrow_mut();
        for (index, item) in taken {
            let node = board.nodes.node(*index);
            if node.item == *item && node.state() == State::Sending {
                board.defer(*index, now.saturating_add(wait_secs), now);
            }
        }
    }

    pub(super) fn courier_gone(&self, index: QueueIndex) {
        let mut board = self.board.borrow_mut();
        if let Some(queue) = board.queue_mut(index) {
            queue.couriers = queue.couriers.saturating_sub(1);
        }
        board.prune(index);
    }

    /// Whether the operator, or a rule, keeps this queue from being sent.
    pub(super) fn is_suspended(&self, index: QueueIndex, site: &str) -> bool {
        let now = self.second();
        let mut board = self.board.borrow_mut();
        let is_meant = |field: &Field| field.is_site(site);
        board.suspensions.find(now, is_meant).is_some()
            || board
                .queue(index)
                .is_some_and(|queue| queue.suspended(now).is_some())
    }
}
