//! The log on a real file system.
//!
//! What would break for a user if this failed: a shard that waits for ever for a lock that it holds
//! itself, or files that the kernel treats otherwise than the simulated disk does.

use super::{DIRECTORY, content, options};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use store::disk::blocking::{BlockingDisk, run};
use store::log::{Begin, Draft, Log, RecordRef};

#[test]
fn segments_are_recycled_and_read_again() {
    let root = tempfile::tempdir().unwrap();
    let disk = || BlockingDisk::new(root.path());
    let mut begin = Begin::default();
    let mut ignore = |_, _: &RecordRef<'_>| Ok(());
    let opened = Log::open(disk(), DIRECTORY, options(), begin, &mut ignore);
    let (log, _) = run(opened).unwrap();
    {
        let mut writer = pin!(log.run(|_| {}));
        let mut context = Context::from_waker(Waker::noop());
        for id in 0..60 {
            let payload = content(id, 900_000);
            let draft = Draft {
                kind: 1,
                account: 2,
                parts: [&payload, &[]],
            };
            let frame = log.append([draft]).unwrap().frame;
            assert_eq!(writer.as_mut().poll(&mut context), Poll::Pending);
            assert!(log.is_durable(frame));
            begin = Begin {
                first_segment: log.end().segment,
                from: None,
            };
            run(log.retire(begin.first_segment)).unwrap();
        }
        log.close();
        assert_eq!(writer.as_mut().poll(&mut context), Poll::Ready(()));
    }
    assert!(log.stats().recycled_segments >= 4);
    drop(log);
    let mut last = Vec::new();
    let mut replay = |_, record: &RecordRef<'_>| {
        last = record.payload.to_vec();
        Ok(())
    };
    let opened = Log::open(disk(), DIRECTORY, options(), begin, &mut replay);
    let (_, recovered) = run(opened).unwrap();
    assert!(!recovered.torn && recovered.leftovers == 0);
    assert!(last == content(59, 900_000));
}
