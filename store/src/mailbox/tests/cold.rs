//! A mailbox that is frozen, closed, fetched again and restarted is the mailbox that never was.

use super::{empty, row};
use crate::mail::flags::{Flags, Keywords};
use crate::mail::id::{AccountId, MailboxId, ModSeq, Uid};
use crate::mail::uidset::UidSet;
use crate::mailbox::contents::Contents;
use crate::mailbox::layer::Layer;
use crate::mailbox::meta::MailboxMeta;
use crate::mailbox::shelf::Fetch;
use crate::mailbox::sync::{picture, sync};
use crate::mailbox::view::Change;
use crate::record::{Broken, FlagChange, FlagOp};
use proptest::prelude::*;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// What a log would say of the mailbox.
#[derive(Clone, Debug)]
enum Fact {
    Arrive,
    Flag(u32, u32, u16),
    Expunge(u32, u32),
    Recent(u32),
}

#[derive(Clone, Debug)]
enum Step {
    Fact(Fact),
    Look,
    Freeze,
    Publish,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fact = prop_oneof![
        6 => Just(Fact::Arrive),
        2 => (1u32..60, 0u32..9, 0u16..32).prop_map(|(first, more, f)| Fact::Flag(first, more, f)),
        1 => (1u32..60, 0u32..6).prop_map(|(first, more)| Fact::Expunge(first, more)),
        1 => (0u32..5).prop_map(Fact::Recent),
    ];
    let step = prop_oneof![
        6 => fact.prop_map(Step::Fact),
        1 => Just(Step::Look),
        2 => Just(Step::Freeze),
        2 => Just(Step::Publish),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 0..120)
}

fn apply(contents: &mut Contents, modseq: u64, fact: &Fact) {
    let modseq = ModSeq(modseq);
    match *fact {
        Fact::Arrive => contents.arrive(row(contents.uid_next(), modseq)),
        Fact::Flag(first, more, flags) => contents.flag(&FlagChange {
            mailbox: MailboxId(1),
            modseq,
            op: FlagOp::Set,
            flags: Flags(flags),
            keywords: Keywords::NONE,
            uids: UidSet::from_ranges([(first, first + more)]),
        }),
        Fact::Expunge(first, more) => {
            contents.expunge(&UidSet::from_ranges([(first, first + more)]), modseq);
        }
        Fact::Recent(below) => {
            contents.claim_recent(Uid(contents.uid_next().0.saturating_sub(below)));
        }
    }
}

/// What is on the disk: an index, and a log of everything since.
#[derive(Default)]
struct Disk {
    layers: Rc<RefCell<Vec<Layer>>>,
    meta: Option<MailboxMeta>,
    log: Vec<(u64, Fact)>,
    /// A checkpoint under way: what it holds, and where in the log it was taken.
    frozen: Option<(Option<Layer>, MailboxMeta, usize)>,
}

impl Disk {
    fn fetch(&self) -> Fetch {
        let layers = Rc::clone(&self.layers);
        Rc::new(move || Layer::compose_all(layers.borrow().iter().cloned()))
    }

    fn publish(&mut self, contents: &mut Contents) {
        if let Some((layer, meta, end)) = self.frozen.take() {
            self.layers.borrow_mut().extend(layer);
            self.meta = Some(meta);
            self.log.drain(..end);
            contents.rebase(self.fetch());
        }
    }

    fn restart(&mut self) -> Contents {
        self.frozen = None;
        let mut contents = match &self.meta {
            Some(meta) => Contents::from_meta(meta.clone(), self.fetch()),
            None => empty(),
        };
        for (modseq, fact) in &self.log {
            apply(&mut contents, *modseq, fact);
        }
        contents
    }
}

proptest! {
    #[test]
    fn a_mailbox_comes_back_from_its_layers(steps in steps()) {
        let (mut warm, mut cold, mut disk) = (empty(), empty(), Disk::default());
        let mut modseq = 1;
        for step in steps {
            match step {
                Step::Fact(fact) => {
                    modseq += 1;
                    apply(&mut warm, modseq, &fact);
                    apply(&mut cold, modseq, &fact);
                    disk.log.push((modseq, fact));
                }
                Step::Look => prop_assert_eq!(warm.rows(), cold.rows()),
                Step::Freeze if disk.frozen.is_none() => {
                    let meta = cold.meta();
                    disk.frozen = Some((cold.take_delta(), meta, disk.log.len()));
                    prop_assert!(!cold.is_dirty());
                }
                Step::Freeze => {}
                Step::Publish => disk.publish(&mut cold),
                Step::Restart => cold = disk.restart(),
            }
            prop_assert_eq!(warm.status(), cold.status());
        }
        prop_assert_eq!(cold.damage(), None);
        prop_assert_eq!(warm.rows(), cold.rows());
        for since in 0..=modseq {
            let since = ModSeq(since);
            prop_assert_eq!(warm.vanished_since(since), cold.vanished_since(since));
        }
    }
}

/// A mailbox of three messages, cold, that counts how often its rows are fetched.
fn cold_mailbox(fetched: &Rc<Cell<u32>>, outcome: Result<(), Broken>) -> Contents {
    let mut contents = empty();
    for uid in 1..=3 {
        contents.arrive(row(Uid(uid), ModSeq(u64::from(uid) + 1)));
    }
    let layer = contents.take_delta().unwrap();
    let fetched = Rc::clone(fetched);
    let fetch = move || {
        fetched.set(fetched.get() + 1);
        outcome.map(|()| layer.clone())
    };
    Contents::from_meta(contents.meta(), Rc::new(fetch))
}

#[test]
fn arrivals_and_counts_need_no_rows() {
    let fetched = Rc::default();
    let mut contents = cold_mailbox(&fetched, Ok(()));
    contents.arrive(row(Uid(4), ModSeq(9)));
    contents.claim_recent(Uid(4));
    contents.arrive(row(Uid(7), ModSeq(10)));
    let status = contents.status();
    assert_eq!((status.messages, status.unseen, status.recent), (5, 5, 2));
    let delta = contents.take_delta().unwrap();
    assert_eq!(delta.arrivals.uids(), [4, 7]);
    assert_eq!((fetched.get(), contents.is_dirty()), (0, false));
    assert_eq!(contents.rows().uids(), [1, 2, 3, 4, 7]);
    contents.flag(&FlagChange {
        mailbox: MailboxId(1),
        modseq: ModSeq(11),
        op: FlagOp::Add,
        flags: Flags::SEEN,
        keywords: Keywords::NONE,
        uids: UidSet::from_ranges([(2, 5)]),
    });
    let delta = contents.take_delta().unwrap();
    let touched: Vec<u32> = delta.overlays.iter().map(|overlay| overlay.uid.0).collect();
    assert_eq!((touched, fetched.get()), (vec![2, 3, 4], 1));
}

#[test]
fn rows_that_nobody_asks_for_are_given_back() {
    let fetched = Rc::default();
    let mut contents = cold_mailbox(&fetched, Ok(()));
    let whole: Layer = Layer {
        arrivals: contents.rows().clone(),
        ..Layer::default()
    };
    let fetch: Fetch = Rc::new(move || Ok(whole.clone()));
    contents.rebase(Rc::clone(&fetch));
    assert!(contents.heap_bytes() > 0, "they were asked for just now");
    let watch = contents.bell.watch();
    contents.rebase(Rc::clone(&fetch));
    assert!(contents.heap_bytes() > 0, "somebody listens");
    drop(watch);
    contents.rebase(fetch);
    assert_eq!(contents.heap_bytes(), 0);
    assert_eq!(contents.rows().uids(), [1, 2, 3]);
}

#[test]
fn a_damaged_mailbox_takes_mail_and_shows_nothing() {
    let mut contents = cold_mailbox(&Rc::default(), Err(Broken("a bit flipped")));
    contents.arrive(row(Uid(4), ModSeq(9)));
    assert!(picture(AccountId(1), &contents, true).is_none());
    assert_eq!(contents.damage(), Some(Broken("a bit flipped")));
    contents.arrive(row(Uid(5), ModSeq(10)));
    contents.expunge(&UidSet::from_ranges([(1, 4)]), ModSeq(11));
    contents.claim_recent(Uid(9));
    assert_eq!(contents.status().messages, 4);
    assert_eq!(contents.take_delta().unwrap().arrivals.uids(), [5]);
}

#[test]
fn rows_that_were_not_counted_are_damage() {
    let meta = cold_mailbox(&Rc::default(), Ok(())).meta();
    let other: Layer = Layer {
        arrivals: [row(Uid(1), ModSeq(1))].into_iter().collect(),
        ..Layer::default()
    };
    let contents = Contents::from_meta(meta, Rc::new(move || Ok(other.clone())));
    assert!(contents.damage().is_some());
}

#[test]
fn a_session_behind_the_history_learns_what_is_gone() {
    let mut contents = empty();
    let count = 3 * crate::limit::VANISHED_RANGES_MAX as u32;
    for uid in 1..=count {
        contents.arrive(row(Uid(uid), ModSeq(u64::from(uid) + 1)));
    }
    let mut view = picture(AccountId(1), &contents, false).unwrap();
    let every_other = UidSet::from_ranges((1..count / 2).map(|n| (n * 2, n * 2)));
    contents.expunge(&every_other, ModSeq(1 << 30));
    assert_eq!(contents.vanished_since(view.modseq()), None);
    let gone = sync(&mut view, &contents, true);
    let told = gone.iter().map(|change| match change {
        Change::Expunge { uid, .. } => *uid,
        other => panic!("{other:?}"),
    });
    assert_eq!(UidSet::from_ascending(told), every_other);
    assert_eq!(view.uids(), contents.rows().uids());
    assert!(sync(&mut view, &contents, true).is_empty());
}
