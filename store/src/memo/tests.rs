//! What is found of a key is what was said last, wherever it lies by then.

use super::block::{Block, Filling};
use super::*;
use proptest::prelude::*;

/// What may happen.
#[derive(Clone, Debug)]
enum Step {
    Put { key: u8, value: u8, expiry: i64 },
    Remove { key: u8 },
    Freeze,
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..40u8, any::<u8>(), prop_oneof![Just(0), 1..9i64])
            .prop_map(|(key, value, expiry)| Step::Put { key, value, expiry }),
        3 => (0..40u8).prop_map(|key| Step::Remove { key }),
        1 => Just(Step::Freeze),
    ]
}

/// Some keys are the beginning of others.
fn name(key: u8) -> Vec<u8> {
    vec![b'k'; usize::from(key % 7)]
        .into_iter()
        .chain([key])
        .collect()
}

fn put(key: u8, value: u8, expiry_secs: i64) -> Memo {
    Memo {
        space: Space(key % 2),
        key: name(key),
        value: vec![value; usize::from(value) / 8],
        expiry_secs,
    }
}

fn apply(memos: &mut Memos, change: MemoChange) {
    let key = key_of(change.space(), change.key());
    let is_put = matches!(change, MemoChange::Put(_));
    let is_first = is_put && !memos.is_known(&key);
    memos.departed(&change);
    assert!(memos.is_going(&key));
    memos.apply(MemoFact { change, is_first });
    assert!(!memos.is_going(&key));
}

proptest! {
    #[test]
    fn the_last_word_counts(steps in proptest::collection::vec(steps(), 1..80), now in 0..9i64) {
        let mut memos = Memos::default();
        let mut model: BTreeMap<(Space, Vec<u8>), Memo> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Put { key, value, expiry } => {
                    let memo = put(key, value, expiry);
                    model.insert((memo.space, memo.key.clone()), memo.clone());
                    apply(&mut memos, MemoChange::Put(memo));
                }
                Step::Remove { key } => {
                    let memo = put(key, 0, 0);
                    model.remove(&(memo.space, memo.key.clone()));
                    apply(&mut memos, MemoChange::Remove(memo.space, memo.key));
                }
                // It is not published, so it stays where it is.
                Step::Freeze => drop(memos.freeze()),
            }
        }
        model.retain(|_, memo| memo.expiry_secs == 0 || memo.expiry_secs > now);
        for key in 0..40 {
            let memo = put(key, 0, 0);
            let found = memos.find(&key_of(memo.space, &memo.key), now).unwrap();
            prop_assert_eq!(found.as_ref(), model.get(&(memo.space, memo.key)));
        }
        for (space, prefix) in [(0, &b""[..]), (1, b""), (0, b"kk"), (1, b"k")] {
            let told: Vec<&Memo> = model.values()
                .filter(|memo| memo.space.0 == space && memo.key.starts_with(prefix))
                .collect();
            let prefix = key_of(Space(space), prefix);
            let (mut listed, mut after): (Vec<Memo>, Option<Vec<u8>>) = Default::default();
            loop {
                let page = memos.list(&prefix, after.as_deref(), 3, now).unwrap();
                let is_last = page.len() < 3;
                after = page.last().map(|memo| key_of(memo.space, &memo.key)).or(after);
                listed.extend(page);
                if is_last {
                    break;
                }
            }
            prop_assert_eq!(listed.iter().collect::<Vec<_>>(), told);
        }
    }

    #[test]
    fn blocks_are_read_or_refused(
        entries in proptest::collection::btree_map(
            proptest::collection::vec(0..3u8, 1..9),
            proptest::option::of((any::<bool>(), 0..i64::MAX, any::<[u8; 3]>())),
            1..40,
        ),
        flips in proptest::collection::vec(any::<(usize, u8)>(), 0..3),
        noise: Vec<u8>,
    ) {
        let mut filling = Filling::default();
        let entry = |of: &Option<(bool, i64, [u8; 3])>| match of {
            None => Entry::Gone,
            Some((is_first, expiry_secs, value)) => Entry::Put {
                expiry_secs: *expiry_secs,
                value: Cow::Owned(value.to_vec()),
                is_first: *is_first,
            },
        };
        entries.iter().for_each(|(key, of)| filling.add(key, &entry(of)));
        let mut octets = filling.octets().to_vec();
        for (key, of) in &entries {
            prop_assert_eq!(Block::new(&octets).find(key), Ok(Some(entry(of))));
        }
        prop_assert_eq!(Block::new(&octets).find(&[9]), Ok(None));
        for (at, flip) in flips {
            let length = octets.len();
            octets[at % length] ^= flip;
        }
        for octets in [octets, noise] {
            let (mut block, mut last) = (Block::new(&octets), Vec::new());
            while let Ok(Some(_)) = block.next() {
                prop_assert!(last.as_slice() < block.key(), "keys rise");
                last = block.key().to_vec();
            }
        }
    }
}
