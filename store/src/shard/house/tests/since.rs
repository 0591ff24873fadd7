//! A look at what is live asks no run that was written before the objects it is about.

use super::Rig;
use crate::disk::sim::SimDisk;
use crate::mail::id::ObjectId;

#[test]
fn runs_from_before_an_object_are_left_out() {
    let mut rig = Rig::open(SimDisk::new(1));
    for _ in 0..3 {
        rig.fill(&[100]);
        let written = rig.run(async |shard, here| shard.checkpoint(&here).await);
        written.unwrap();
    }
    // Each checkpoint has a MESSAGE and its DELIVER.
    for (object, runs) in [(1, 3), (2, 3), (3, 2), (5, 1), (6, 1), (7, 0)] {
        let snapshot = rig.shard.snapshot();
        let newer = snapshot.index.since(ObjectId(object)).unwrap();
        assert_eq!(newer.runs().len(), runs, "object {object}");
    }
}
