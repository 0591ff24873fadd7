//! Stories of mail that left the log: what they tell, and how they are bounded.

use super::queue::{attempt, end, sent};
use super::{DIRECTORY, Rig, inbox};
use crate::check::Owner;
use crate::check::facts::{Facts, Holder, Shown};
use crate::compact::{Stories, Task};
use crate::disk::executor::Executor;
use crate::disk::sim::SimDisk;
use crate::mail::header::message_id;
use crate::mail::id::{ItemId, ShardId};
use crate::record::{Fact, MessageHead, kind};
use crate::shard::{BodyWriter, Custody, Note};
use std::ops::ControlFlow;

const MAIL: &[u8] = b"Subject: x\r\nMessage-ID: <one@story.test>\r\n\r\nwhat it says\r\n";

impl Rig {
    /// A message that comes and goes, and the emptying of its segment.
    fn live_a_life(&mut self, item: u64, stories: Stories) {
        self.run(async move |shard, _| {
            inbox(&shard).await;
            let mut custody = Custody {
                body: BodyWriter::with(MAIL.to_vec()),
                ..sent(0, &[("a", "one.test")])
            };
            custody.source.is_transaction = true;
            shard.take(custody).await.unwrap();
            let notes = vec![
                attempt(ItemId(item), 1, "not now"),
                Note::End(end(ItemId(item))),
            ];
            shard.note(notes).await.unwrap();
        });
        self.roll();
        let emptied = self.run(async move |shard, here| {
            shard.checkpoint(&here).await.unwrap();
            shard.empty(&here, u32::MAX, stories).await.unwrap()
        });
        assert!(emptied.segments_emptied > 0);
    }

    fn prune(&mut self, stories: Stories, now_secs: i64) -> usize {
        self.run(async move |shard, here| {
            let task = Task::Empty {
                through: 0,
                held: [].into(),
                stories,
                now_secs,
            };
            shard.compact(&here, task).await.unwrap()
        });
        self.stories().len()
    }

    fn stories(&self) -> Vec<Holder> {
        on(&self.disk, async |facts| facts.stories().await)
    }
}

fn on<T: 'static>(disk: &SimDisk, work: impl AsyncFnOnce(Facts<'_, SimDisk>) -> T + 'static) -> T {
    let looked = disk.clone();
    let looking = async move {
        let owner = Owner {
            store: [7; 16],
            shard: ShardId(0),
            directory: DIRECTORY.to_owned(),
        };
        work(Facts::open(&looked, &owner).await.unwrap()).await
    };
    Executor::new(disk.clone(), 1).finish(looking).unwrap()
}

#[test]
fn a_story_tells_all_but_the_text() {
    let mut rig = Rig::open(SimDisk::new(1));
    rig.live_a_life(1, Stories::default());
    let told = on(&rig.disk, async |facts| {
        let mut told = Vec::new();
        for story in facts.stories().await {
            let mut hear = |shown: Shown<'_>| {
                told.push((shown.record.kind, shown.record.payload.to_vec()));
                ControlFlow::Continue(())
            };
            let _ = facts.read(&story, &mut hear).await.unwrap();
        }
        told
    });
    let payload = |kind: u8| &told.iter().find(|(one, _)| *one == kind).unwrap().1;
    let (head, fields) = MessageHead::split(payload(kind::MESSAGE)).unwrap();
    assert_eq!(head.octets, MAIL.len() as u64);
    assert_eq!(message_id(fields), Some(&b"one@story.test"[..]));
    assert!(!fields.windows(4).any(|some| some == b"what"));
    let fact = |kind| Fact::decode(kind, payload(kind)).unwrap();
    let Fact::Queue(queue) = fact(kind::QUEUE) else {
        panic!("it is one");
    };
    assert_eq!(queue.recipients[0].address.to_string(), "a@one.test");
    let Fact::Attempt { attempt, .. } = fact(kind::ATTEMPT) else {
        panic!("it is one");
    };
    assert_eq!(attempt.reply.text, "not now");
    assert!(matches!(fact(kind::END), Fact::End(end) if end.at_secs == 1200));
}

#[test]
fn stories_are_bounded() {
    let mut rig = Rig::open(SimDisk::new(2));
    for item in 1..=4 {
        rig.live_a_life(item, Stories::default());
    }
    let stories = rig.stories();
    assert_eq!(stories.len(), 4);
    let two = Stories {
        bytes_max: stories[2].bytes + stories[3].bytes,
        secs_max: 100,
    };
    assert_eq!(rig.prune(two, 1_700_000_000), 2);
    assert_eq!(rig.stories(), stories[2..]);
    let none = Stories {
        bytes_max: 0,
        ..two
    };
    assert_eq!(rig.prune(none, 1_700_000_000), 0);
    rig.live_a_life(5, none);
    assert_eq!(rig.stories(), []);
}
