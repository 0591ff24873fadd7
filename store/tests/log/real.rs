//! The log on a real file system, by plain system calls.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use store::disk::blocking::{BlockingDisk, run};
use store::log::{Draft, Log, Outcome, RecordRef, Recovered};

fn open(root: &std::path::Path) -> (Log<BlockingDisk>, Recovered, Vec<Vec<u8>>) {
    let clock = Rc::new(Cell::new(Duration::ZERO));
    let options = crate::world::options(&clock, 5);
    let mut found = Vec::new();
    let mut replay = |_, record: &RecordRef<'_>| {
        found.push(record.payload.to_vec());
        Ok(())
    };
    let disk = Rc::new(BlockingDisk::new(root));
    let opened = run(Log::open(disk, "shard-00/log", options, &mut replay));
    let (log, recovered) = opened.unwrap();
    (log, recovered, found)
}

#[test]
fn a_log_is_written_closed_and_opened_again() {
    let root = tempfile::tempdir().unwrap();
    let mut expected: Vec<Vec<u8>> = Vec::new();
    for life in 0..3u8 {
        let (log, recovered, found) = open(root.path());
        assert_eq!(found, expected);
        assert!(recovered.clean);
        let log = Rc::new(log);
        let mut left = 40;
        let feed = log.clone();
        let mut append = move || {
            let body = vec![life; 1000 + 100 * left];
            let draft = Draft {
                kind: 1,
                schema: 0,
                account: 1,
                parts: &[&body],
            };
            feed.append(&[draft]).unwrap();
            left -= 1;
            if left == 0 {
                feed.close();
            }
        };
        append();
        let mut places = Vec::new();
        run(log.run(|outcome| {
            let Outcome::Durable(commit) = outcome else {
                panic!("{outcome:?}");
            };
            places.push(commit.place.plus(64));
            if places.len() < 40 {
                append();
            }
        }));
        for place in places {
            expected.push(run(log.read(place)).unwrap().payload().to_vec());
        }
        assert_eq!(expected.len(), 40 * (usize::from(life) + 1));
    }
}
