//! The couriers of a shard: how many each ready queue has, and which queues wait for one.
//!
//! A courier needs leave of its site, of its egress source, and of the shard, whose connections are
//! fewer than the sites and no more than it keeps up with. A host that has not answered yet takes
//! one of the probes, a site that puts off everything one of the few that such sites have.

use super::board::{Queue, QueueIndex};
use super::courier::{Courier, Pass};
use super::dispatch::Dispatcher;
use super::nodes::{Index, State};
use super::site::Repute;
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
            if queue.suspended(now).is_some() || now < queue.shunned {
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
            self.feel_pulse();
        }
    }

    /// What one more courier of a queue needs; `None`: not now.
    fn pass(&self, index: QueueIndex, queue: &mut Queue, now: u32) -> Option<Pass> {
        let site = &queue.site;
        let most = site.most(queue.hop.route.pace.connections_max, now);
        let permit = site.permit(most, self.now().monotonic_millis).ok()?;
        let leave = queue.source.leave()?;
        let repute = site.repute();
        let (probe, sulk) = match repute {
            Repute::Good => (None, None),
            Repute::Unknown => (self.probes.try_take(1), None),
            Repute::Sulking => (None, self.sulks.try_take(1)),
        };
        let is_let = match repute {
            Repute::Good => self.has_breath(),
            Repute::Unknown | Repute::Sulking => probe.is_some() || sulk.is_some(),
        };
        let connection = is_let.then(|| self.connections.try_take(1)).flatten();
        let Some(connection) = connection else {
            self.stand_in_line(queue, index, repute);
            return None;
        };
        Some(Pass {
            permit,
            leave,
            connection,
            probe,
            sulk,
        })
    }

    fn stand_in_line(&self, queue: &mut Queue, index: QueueIndex, repute: Repute) {
        if !std::mem::replace(&mut queue.is_in_line, true) {
            self.line.borrow_mut().stand(index, repute);
        }
    }

    /// A connection has ended: the next ones in line, as long as there is room.
    pub(super) fn call_next(self: &Rc<Self>) {
        while self.connections.has_room_for(1) {
            let may_go = |repute| match repute {
                Repute::Good => self.has_breath(),
                Repute::Unknown => self.probes.has_room_for(1),
                Repute::Sulking => self.sulks.has_room_for(1),
            };
            let Some(index) = self.line.borrow_mut().next(may_go) else {
                return;
            };
            if let Some(queue) = self.board.borrow_mut().queue_mut(index) {
                queue.is_in_line = false;
            }
            self.serve(index);
        }
    }

    /// Whether others wait for what a courier would give back.
    pub(super) fn are_others_in_line(&self, is_for_sulking: bool) -> bool {
        let line = self.line.borrow();
        match is_for_sulking {
            true => line.has(Repute::Sulking),
            false => {
                let is_full = !self.connections.has_room_for(1);
                line.has(Repute::Good) || is_full && line.has(Repute::Unknown)
            }
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
