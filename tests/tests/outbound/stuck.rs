//! A host that falls silent in the middle of a message keeps that message, and no other one; one
//! that answers late gets none twice, and none under the envelope of another.

use super::{setup_with_smarthost, submit};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
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

/// While the answer is late, the message behind it, whose envelope the host has already, is left to
/// the other connection. Then this one goes on with a third, which must not be taken for that.
#[test]
fn a_late_answer_brings_no_message_under_the_envelope_of_another() {
    let (setup, port) = setup_with_smarthost("connections_max = 2\nretry = \"1h\"\n");
    let is_late = AtomicBool::new(false);
    let sink = Sink::with(port, move |moment| {
        if matches!(moment, Moment::Data(..)) && !is_late.swap(true, Ordering::SeqCst) {
            let begun = Instant::now();
            while begun.elapsed() < LATE {
                std::thread::park_timeout(LATE);
            }
        }
        None
    });
    let server = Server::start(setup.top("shards = 1"));
    queue(&server, "suspend");
    for number in 0..COUNT {
        submit(
            &server,
            &[&format!("u{number}@far.test")],
            &format!("for u{number}"),
        );
    }
    queue(&server, "resume");
    server.wait_for_log("how=delivered", 0);
    for number in COUNT..2 * COUNT {
        submit(
            &server,
            &[&format!("u{number}@far.test")],
            &format!("for u{number}"),
        );
    }
    let taken = sink.wait_for(2 * COUNT);
    let mut to: Vec<&str> = taken
        .iter()
        .flat_map(|one| &one.to)
        .map(String::as_str)
        .collect();
    to.sort_unstable();
    to.dedup();
    assert_eq!((to.len(), taken.len()), (2 * COUNT, 2 * COUNT), "{to:?}");
    for one in &taken {
        let name = one.to[0].trim_end_matches("@far.test");
        assert!(
            one.text.contains(&format!("Subject: for {name}\r\n")),
            "{one:?}"
        );
    }
}

/// Longer than a message waits behind another one (`queue::courier`).
const LATE: Duration = Duration::from_secs(7);

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
