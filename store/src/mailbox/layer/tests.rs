//! Layers cut from a history at any places, composed in any grouping, are the mailbox.

use super::{Layer, Overlay};
use crate::mail::date::InternalDate;
use crate::mail::flags::{Flags, Keywords};
use crate::mail::id::{ModSeq, ObjectId, Uid};
use crate::mail::uidset::UidSet;
use crate::mailbox::row::Row;
use crate::mailbox::rows::Rows;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

#[derive(Clone, Debug)]
enum Step {
    Arrive(u32),
    Flag(u32, u32, u16, u64),
    Expunge(u32, u32),
    Cut,
}

fn history() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1u32..4).prop_map(Step::Arrive),
        3 => (1u32..80, 0u32..9, 0u16..32, 0u64..4)
            .prop_map(|(first, more, flags, keywords)| Step::Flag(first, more, flags, keywords)),
        2 => (1u32..80, 0u32..6).prop_map(|(first, more)| Step::Expunge(first, more)),
        2 => Just(Step::Cut),
    ];
    prop::collection::vec(step, 0..80)
}

/// The mailbox and what changed since the last cut, kept in the most obvious way.
#[derive(Default)]
struct Model {
    rows: BTreeMap<u32, Row>,
    arrived: BTreeSet<u32>,
    touched: BTreeSet<u32>,
    layer: Layer,
    whole: Layer,
    uid: u32,
    modseq: u64,
}

impl Model {
    fn apply(&mut self, step: Step) -> Option<Layer> {
        self.modseq += 1;
        match step {
            Step::Arrive(gap) => {
                self.uid += gap;
                self.rows.insert(self.uid, row(self.uid, self.modseq));
                self.arrived.insert(self.uid);
            }
            Step::Flag(first, more, flags, keywords) => {
                for (uid, row) in self.rows.range_mut(first..=first + more) {
                    row.flags = Flags(flags);
                    row.keywords = Keywords(keywords);
                    row.modseq = ModSeq(self.modseq);
                    self.touched.insert(*uid);
                }
            }
            Step::Expunge(first, more) => self.expunge(first, first + more),
            Step::Cut => return Some(self.cut()),
        }
        None
    }

    fn expunge(&mut self, first: u32, last: u32) {
        let uids: Vec<u32> = self.rows.range(first..=last).map(|row| *row.0).collect();
        for uid in &uids {
            self.rows.remove(uid);
            self.touched.remove(uid);
            if !self.arrived.remove(uid) {
                let one = UidSet::from_ranges([(*uid, *uid)]);
                self.layer.expunged = self.layer.expunged.union(&one);
            }
        }
        let gone = UidSet::from_ascending(uids.into_iter().map(Uid));
        self.layer.vanished.push(ModSeq(self.modseq), &gone);
        self.whole.vanished.push(ModSeq(self.modseq), &gone);
    }

    fn cut(&mut self) -> Layer {
        let mut layer = std::mem::take(&mut self.layer);
        let arrived = std::mem::take(&mut self.arrived);
        let touched = std::mem::take(&mut self.touched);
        layer.overlays = touched
            .difference(&arrived)
            .map(|uid| Overlay::of(&self.rows[uid]))
            .collect();
        layer.arrivals = arrived.iter().map(|uid| self.rows[uid]).collect();
        layer
    }

    fn whole(mut self) -> Layer {
        self.whole.arrivals = self.rows.into_values().collect();
        self.whole
    }
}

fn row(uid: u32, modseq: u64) -> Row {
    Row {
        uid: Uid(uid),
        modseq: ModSeq(modseq),
        flags: Flags::NONE,
        keywords: Keywords::NONE,
        internal_date: InternalDate::utc(1_700_000_000 + i64::from(uid)),
        saved_secs: 1_700_000_000 + i64::from(uid),
        octets: uid * 7919 % 60_000,
        delivery: ObjectId(u64::from(uid) * 2),
    }
}

fn layers_of(steps: Vec<Step>) -> (Vec<Layer>, Layer) {
    let mut model = Model::default();
    let mut layers: Vec<Layer> = steps
        .into_iter()
        .filter_map(|step| model.apply(step))
        .collect();
    layers.push(model.cut());
    (layers, model.whole())
}

proptest! {
    #[test]
    fn composed_in_any_grouping_layers_are_the_mailbox(
        steps in history(),
        joins in prop::collection::vec(any::<prop::sample::Index>(), 80),
    ) {
        let (mut layers, whole) = layers_of(steps);
        prop_assert_eq!(&Layer::compose_all(layers.clone()).unwrap(), &whole);
        for join in joins {
            if layers.len() == 1 {
                break;
            }
            let at = join.index(layers.len() - 1);
            let newer = layers.remove(at + 1);
            let older = layers.remove(at);
            layers.insert(at, older.compose(newer, at == 0).unwrap());
        }
        prop_assert_eq!(Layer::compose_all(layers).unwrap(), whole);
    }

    #[test]
    fn layers_come_back_from_their_bytes(steps in history()) {
        for layer in layers_of(steps).0 {
            let mut bytes = Vec::new();
            layer.encode(&mut bytes);
            prop_assert_eq!(Layer::decode(&bytes), Ok(layer));
        }
    }

    #[test]
    fn any_bytes_are_a_layer_or_an_error(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Layer::decode(&bytes);
        bytes.insert(0, 1);
        let _ = Layer::decode(&bytes);
    }

    #[test]
    fn damaged_layers_are_layers_or_errors(
        steps in history(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut: prop::sample::Index,
    ) {
        let whole = layers_of(steps).1;
        let mut bytes = Vec::new();
        whole.encode(&mut bytes);
        for (at, octet) in damage {
            let at = at.index(bytes.len());
            bytes[at] = octet;
        }
        if let Ok(layer) = Layer::decode(&bytes) {
            let _ = whole.clone().compose(layer.clone(), false);
            let _ = layer.compose(whole, true);
        }
        prop_assert!(Layer::decode(&bytes[..cut.index(bytes.len())]).is_err());
    }
}

#[test]
fn layers_that_overlap_are_an_error() {
    let layer = Layer {
        arrivals: [row(5, 1)].into_iter().collect(),
        ..Layer::default()
    };
    assert!(layer.clone().compose(layer, true).is_err());
}

#[test]
#[ignore = "a measurement: cargo nextest run --release --run-ignored only --no-capture measured"]
fn measured_layer() {
    let arrivals: Rows = (1..=1_000_000)
        .map(|uid| row(uid, u64::from(uid) * 3))
        .collect();
    let layer = Layer {
        arrivals,
        ..Layer::default()
    };
    let mut bytes = Vec::new();
    let clock = Instant::now();
    layer.encode(&mut bytes);
    let encoded = clock.elapsed();
    let clock = Instant::now();
    let again = Layer::decode(&bytes).unwrap();
    let decoded = clock.elapsed();
    let newer = Layer {
        overlays: (1..1000)
            .map(|n| Overlay::of(&row(n * 900, 9_000_000)))
            .collect(),
        expunged: UidSet::from_ranges((1..1000).map(|n| (n * 901, n * 901))),
        ..Layer::default()
    };
    let clock = Instant::now();
    let composed = again.compose(newer, true).unwrap();
    println!(
        "encode {encoded:?}, decode {decoded:?}, compose with 1,000 overlays and as many expunges \
         {:?}, {} octets a row",
        clock.elapsed(),
        bytes.len() / 1_000_000,
    );
    assert_eq!(composed.arrivals.len(), 999_001);
    assert!(bytes.len() <= 26 * 1_000_000);
}
