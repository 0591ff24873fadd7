//! What is ready for one (egress source, site): bands of urgency, fair turns of tenants in each.
//!
//! Deficit round robin: a tenant has a credit of recipients; when it is used up, the next tenant
//! has its turn. Who has little to send never waits behind who has much. The urgent goes first, but
//! every [`LOW_TURN`]th choice begins at the other end, so that nothing starves.

use super::nodes::{Band, Chain, Index, Nodes};
use std::collections::{HashMap, VecDeque};

/// Recipients that wait for a connection to one site.
#[derive(Default)]
pub(super) struct Lanes {
    bands: [Turns; BANDS],
    count: usize,
    choices: u32,
}

/// The tenants of one band, whose turn it is at the front.
#[derive(Default)]
struct Turns {
    order: VecDeque<u32>,
    lanes: HashMap<u32, Lane>,
}

/// One tenant's recipients.
#[derive(Default)]
struct Lane {
    chain: Chain,
    credit: u32,
}

impl Lanes {
    /// `tenant` is whose turn it shares.
    pub(super) fn push(&mut self, nodes: &mut Nodes, index: Index, tenant: u32) {
        let band = nodes.node(index).band();
        let turns = self.turns(band);
        let lane = turns.lanes.entry(tenant).or_insert_with(|| {
            turns.order.push_back(tenant);
            Lane::default()
        });
        nodes.push(&mut lane.chain, index);
        self.count += 1;
    }

    /// Takes the recipient whose turn it is, and those behind it that `belong` to the same
    /// transaction, at most `most` in all.
    pub(super) fn take(
        &mut self,
        nodes: &mut Nodes,
        most: usize,
        mut belongs: impl FnMut(&Nodes, Index, Index) -> bool,
    ) -> Vec<Index> {
        self.choices = self.choices.wrapping_add(1);
        let mut order = [Band::High, Band::Normal, Band::Low];
        if self.choices.is_multiple_of(LOW_TURN) {
            order.reverse();
        }
        for band in order {
            let taken = self.turns(band).take(nodes, most, &mut belongs);
            if !taken.is_empty() {
                self.count = self.count.saturating_sub(taken.len());
                return taken;
            }
        }
        self.count = 0;
        Vec::new()
    }

    /// How many wait, those included that are gone and not yet met.
    #[must_use]
    pub(super) fn count(&self) -> usize {
        self.count
    }

    fn turns(&mut self, band: Band) -> &mut Turns {
        let [high, normal, low] = &mut self.bands;
        match band {
            Band::High => high,
            Band::Normal => normal,
            Band::Low => low,
        }
    }
}

impl Turns {
    fn take(
        &mut self,
        nodes: &mut Nodes,
        most: usize,
        belongs: &mut impl FnMut(&Nodes, Index, Index) -> bool,
    ) -> Vec<Index> {
        while let Some(tenant) = self.order.front().copied() {
            let Some(lane) = self.lanes.get_mut(&tenant) else {
                self.order.pop_front();
                continue;
            };
            let Some(first) = nodes.pop(&mut lane.chain) else {
                self.lanes.remove(&tenant);
                self.order.pop_front();
                continue;
            };
            let mut taken = vec![first];
            while taken.len() < most
                && let Some(next) = nodes.first(&mut lane.chain)
                && belongs(nodes, first, next)
                && let Some(next) = nodes.pop(&mut lane.chain)
            {
                taken.push(next);
            }
            lane.credit += taken.len() as u32;
            if lane.credit >= TURN_RECIPIENTS {
                lane.credit -= TURN_RECIPIENTS;
                self.order.rotate_left(1);
            }
            return taken;
        }
        Vec::new()
    }
}

/// Recipients that a tenant sends to before the next has its turn.
const TURN_RECIPIENTS: u32 = 10;

/// How often the low band is asked first.
const LOW_TURN: u32 = 16;

const BANDS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn world(tenants: &[(u32, u64, Band)]) -> (Nodes, Lanes) {
        let (mut nodes, mut lanes) = (Nodes::default(), Lanes::default());
        let mut item = 0;
        for (tenant, count, band) in tenants {
            for _ in 0..*count {
                let index = nodes.add(item, 0, *tenant, *band).unwrap();
                lanes.push(&mut nodes, index, *tenant);
                item += 1;
            }
        }
        (nodes, lanes)
    }

    fn alone(nodes: &mut Nodes, lanes: &mut Lanes) -> Option<(u32, Band)> {
        let taken = lanes.take(nodes, 1, |_, _, _| true);
        let index = *taken.first()?;
        Some((nodes.node(index).tenant(), nodes.node(index).band()))
    }

    #[test]
    fn who_has_little_does_not_wait_behind_who_has_much() {
        let (mut nodes, mut lanes) = world(&[
            (1, 100_000, Band::Normal),
            (2, 5, Band::Normal),
            (3, 30, Band::Normal),
        ]);
        let first: Vec<u32> = (0..70)
            .filter_map(|_| alone(&mut nodes, &mut lanes))
            .map(|(tenant, _)| tenant)
            .collect();
        let of = |tenant| first.iter().filter(|one| **one == tenant).count();
        assert_eq!((of(2), of(3)), (5, 30), "{first:?}");
        assert_eq!(lanes.count(), 100_035 - 70);
    }

    #[test]
    fn the_urgent_goes_first_and_the_rest_does_not_starve() {
        let (mut nodes, mut lanes) = world(&[
            (1, 500, Band::Low),
            (1, 500, Band::Normal),
            (1, 500, Band::High),
        ]);
        let first: Vec<Band> = (0..160)
            .filter_map(|_| alone(&mut nodes, &mut lanes))
            .map(|(_, band)| band)
            .collect();
        let of = |band| first.iter().filter(|one| **one == band).count();
        assert_eq!(
            (of(Band::High), of(Band::Normal), of(Band::Low)),
            (150, 0, 10)
        );
    }

    #[test]
    fn a_transaction_takes_what_belongs_together() {
        let (mut nodes, mut lanes) = world(&[(1, 10, Band::Normal)]);
        let same = |nodes: &Nodes, first: Index, next: Index| {
            nodes.node(first).item / 4 == nodes.node(next).item / 4
        };
        let sizes: Vec<usize> = std::iter::from_fn(|| {
            let taken = lanes.take(&mut nodes, 3, same);
            (!taken.is_empty()).then_some(taken.len())
        })
        .collect();
        assert_eq!(sizes, [3, 1, 3, 1, 2]);
        assert_eq!(lanes.count(), 0);
    }

    #[test]
    fn what_is_gone_is_passed_over() {
        let (mut nodes, mut lanes) = world(&[(1, 3, Band::Normal)]);
        let (found, _) = nodes.walk(0, 2);
        let gone: Vec<Index> = found.collect();
        gone.into_iter().for_each(|index| nodes.let_go(index));
        let taken = lanes.take(&mut nodes, 5, |_, _, _| true);
        assert_eq!(taken.len(), 1);
        assert!(lanes.take(&mut nodes, 5, |_, _, _| true).is_empty());
        assert_eq!((lanes.count(), nodes.live()), (0, 1));
    }
}
