//! Lines arrive in order, nobody waits for them, and what is lost is counted.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::event;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;
use store::mail::address::Address;

fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(43_200)
}

fn file(dir: &tempfile::TempDir) -> Settings {
    Settings {
        level: Level::Info,
        format: Format::Text,
        target: Target::File(dir.path().join("log")),
    }
}

fn read(dir: &tempfile::TempDir, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(dir.path().join(name)).unwrap();
    text.lines()
        .map(|line| line.replace("1970-01-01T12:00:00.000Z ", ""))
        .collect()
}

/// A log without a writer: what is sent stays in the channel.
fn unwritten() -> (Logger, Receiver<Order>) {
    let (shared, received) = Shared::new(Level::Info, Format::Text, noon);
    (Logger { shared }, received)
}

#[test]
fn lines_are_written_in_order_and_the_level_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (logger, ending) = Logger::start(file(&dir), noon).unwrap();
    logger.attach();
    let from = Some(Address::new("a b", "c.org"));
    event!(
        Info,
        "received",
        from = from,
        size = 7u64,
        peer = IpAddr::from([10, 0, 0, 1])
    );
    event!(Debug, "unsaid", size = 1u64);
    logger.set_level(Level::Debug);
    event!(Debug, "said", took = Duration::from_micros(1_500));
    ending.finish();
    assert_eq!(
        read(&dir, "log"),
        [
            "info received from=\"<\\\"a b\\\"@c.org>\" size=7 peer=10.0.0.1",
            "debug said took=0.001500",
        ]
    );
}

#[test]
fn a_thread_that_batches_sends_by_size_by_warning_and_by_flush() {
    let (logger, received) = unwritten();
    logger.attach();
    batch();
    event!(Info, "gathered");
    assert!(received.is_empty());
    flush();
    assert_eq!(received.len(), 1);
    event!(Info, "gathered");
    event!(Warn, "urgent");
    assert_eq!(received.len(), 2);
    for _ in 0..BATCH_BYTES / 40 {
        event!(Info, "many of them, until the batch is full");
    }
    assert_eq!(received.len(), 3);
    let gathered: Vec<u64> = received
        .try_iter()
        .map(|order| match order {
            Order::Lines { text, lines } => {
                assert_eq!(text.lines().count() as u64, lines);
                lines
            }
            _ => panic!("only lines were sent"),
        })
        .collect();
    assert_eq!(gathered[..2], [1, 2]);
}

#[test]
fn a_thread_that_ends_leaves_nothing_behind() {
    let (logger, received) = unwritten();
    let thread = std::thread::spawn(move || {
        logger.attach();
        batch();
        event!(Info, "last words");
    });
    thread.join().unwrap();
    assert_eq!(received.len(), 1);
}

#[test]
fn a_full_channel_drops_counts_and_tells() {
    let (logger, received) = unwritten();
    logger.attach();
    for _ in 0..BATCHES_MAX + 5 {
        event!(Info, "x");
    }
    assert_eq!(logger.dropped().load(Ordering::Relaxed), 5);

    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::open(Arc::clone(&logger.shared), file(&dir).target).unwrap();
    let thread = std::thread::spawn(move || writer.run(&received));
    logger.wait();
    logger.shared.orders.send(Order::Stop).unwrap();
    thread.join().unwrap();
    let lines = read(&dir, "log");
    assert_eq!(lines.len(), BATCHES_MAX + 1);
    assert_eq!(lines[1], "warn log lines dropped lines=5");
}

#[test]
fn a_moved_file_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let (logger, ending) = Logger::start(file(&dir), noon).unwrap();
    logger.attach();
    event!(Info, "before");
    logger.wait();
    std::fs::rename(dir.path().join("log"), dir.path().join("log.1")).unwrap();
    logger.reopen();
    event!(Info, "after");
    ending.finish();
    assert_eq!(read(&dir, "log.1"), ["info before"]);
    assert_eq!(read(&dir, "log"), ["info after"]);
}

#[test]
fn a_folder_that_is_not_there_is_an_error_at_start() {
    let target = Target::File("/nonexistent/ringpost.log".into());
    let settings = Settings {
        level: Level::Info,
        format: Format::Text,
        target,
    };
    assert!(Logger::start(settings, noon).is_err());
}

/// A value that logs while it is shown.
struct Chatty;

impl Value for Chatty {
    fn show(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        event!(Info, "within");
        out.write_str("shown")
    }
}

#[test]
fn a_value_that_logs_does_not_break_the_line() {
    let (logger, received) = unwritten();
    logger.attach();
    event!(Info, "outer", value = Chatty);
    assert_eq!(received.len(), 1);
}

#[test]
fn levels_have_names() {
    for level in [Level::Error, Level::Warn, Level::Info, Level::Debug] {
        assert_eq!(Level::from_name(level.name()), Some(level));
    }
    assert_eq!(Level::from_name("loud"), None);
}
