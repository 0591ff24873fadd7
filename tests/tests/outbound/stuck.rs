//! A host that falls silent in the middle of a message keeps that message, and no other one.

use super::{setup_with_smarthost, submit};
use std::sync::atomic::{AtomicBool, Ordering};
use tests::binary;
use tests::server::Server;
use tests::sink::{Moment, Sink};

/// All are ready together, so that some wait behind the one that is never answered, on its
/// connection and for it.
#[test]
fn mail_does_not_wait_behind_a_message_that_is_never_answered() {
    let (setup, port) = setup_with_smarthost("connections_max = 2\n");
    let is_stuck = AtomicBool::new(false);
    let sink = Sink::with(port, move |moment| {
        if matches!(moment, Moment::Data(..)) && !is_stuck.swap(true, Ordering::SeqCst) {
            loop {
                std::thread::park();
            }
        }
        None
    });
    let server = Server::start(setup.top("shards = 1"));
    queue(&server, "suspend");
    for number in 0..COUNT {
        submit(&server, &[&format!("u{number}@far.test")], "one of many");
    }
    assert!(sink.taken().is_empty());
    queue(&server, "resume");
    let taken = sink.wait_for(COUNT - 1);
    let mut to: Vec<&String> = taken.iter().flat_map(|one| &one.to).collect();
    to.sort_unstable();
    to.dedup();
    assert_eq!(to.len(), COUNT - 1, "each came once: {to:?}");
}

const COUNT: usize = 5;

/// All mail to `far.test`.
fn queue(server: &Server, order: &str) {
    let output = std::process::Command::new(binary::ringpostctl())
        .arg("--data")
        .arg(server.setup.data())
        .args(["queue", order, "--domain", "far.test"])
        .output()
        .unwrap();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{order}: {complained}");
}
