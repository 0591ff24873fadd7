//! What a group commit costs the log: records put into a frame, checksums, the write. The disk is
//! memory.

use super::{Operation, Run, smtp};
use std::future::Future;
use std::task::{Context, Waker};
use store::disk::blocking::{BlockingDisk, run};
use store::log::{Begin, Draft, Log, Options};

pub(crate) const FRAME: Operation = Operation {
    name: "frame_build",
    what: "eight messages of 4 KiB and their DELIVER records in one frame, sealed and written",
    runs: 2_000,
    prepare: frame,
};

fn frame() -> Run {
    let folder = tempfile::tempdir_in("/dev/shm").expect("there is memory");
    let mut options = Options::new([7; 16], 0);
    options.segment_bytes = 16 << 20;
    let disk = BlockingDisk::new(folder.path());
    let begin = Begin::default();
    let opened = run(Log::open(disk, "log", options, begin, &mut |_, _| Ok(())));
    let (log, _) = opened.expect("it is new");
    let log: &'static Log<_> = Box::leak(Box::new(log));
    let mut writer = Box::pin(log.run(|_| {}));
    let (body, delivery) = (smtp::message(), vec![b'd'; DELIVERY_BYTES]);
    let mut segment = log.end().segment;
    Box::new(move || {
        let payloads: [&[u8]; 2] = [&body, &delivery];
        let drafts: [Draft; 2 * MESSAGES] = std::array::from_fn(|at| Draft {
            kind: 1,
            account: 1,
            parts: [payloads[at % 2], &[]],
        });
        let appended = log.append(drafts).expect("a frame has room for them");
        let written = writer
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        assert!(written.is_pending() && log.is_durable(appended.frame));
        // Old segments are written over, so that the memory does not fill up.
        if log.end().segment > segment {
            segment = log.end().segment;
            run(log.retire(segment)).expect("memory does not fail");
        }
        let _ = folder.path();
    })
}

const MESSAGES: usize = 8;

/// As long as one with a recipient and a prefix.
const DELIVERY_BYTES: usize = 180;
