//! The compactor of a running server: old mail moves out of the log, and nobody who reads it sees
//! more of that than the figures.

use super::{ALICE, BOB};
use std::process::Command;
use std::time::Duration;
use tests::imap::Imap;
use tests::seed::Seed;
use tests::server::Server;
use tests::setup::Setup;
use tests::{binary, corpus};

#[test]
fn mail_moves_into_packs_while_it_is_read() {
    let mut server = Server::start(setup());
    let mut seed = Seed::new(0x9ac);
    let from = server.log_position();
    // Every second one is for both: one body, two owners.
    for number in 0..MESSAGES {
        let message = corpus::plain(&format!("number {number}"), OCTETS, &mut seed);
        server.deliver(&[ALICE, BOB][..1 + number % 2], &message);
    }
    let mut reader = server.imap_in(ALICE, "INBOX");
    let before = bodies(&mut reader);
    assert_eq!(before.len(), MESSAGES);
    // The log is written on, so a checkpoint and with it the compactor follow.
    reader.ok("STORE 1:4 +FLAGS.SILENT (\\Deleted)").unwrap();
    reader.ok("EXPUNGE").unwrap();
    server.wait_for_log("compacted", from);
    assert_eq!(bodies(&mut reader), before[4..], "the same session");

    let packed = |server: &Server| {
        let samples = server.metrics();
        let of_shard = |name: &str| samples[&format!("{name}{{shard=\"0\"}}")];
        (
            of_shard("ringpost_pack_bytes"),
            of_shard("ringpost_index_bytes"),
        )
    };
    let (packs, index) = packed(&server);
    assert!(
        packs > 1e6 && index > 0.0,
        "{packs} octets of packs, {index} of index"
    );

    server.kill_and_restart();
    assert_eq!(bodies(&mut server.imap_in(ALICE, "INBOX")), before[4..]);
    let bobs = bodies(&mut server.imap_in(BOB, "INBOX"));
    assert_eq!(bobs.len(), MESSAGES / 2);
    assert!(server.terminate(Duration::from_secs(45)).success());
    let mut check = Command::new(binary::ringpostctl());
    check.arg("--data").arg(server.setup.data()).arg("fsck");
    let output = check.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

/// One shard that compacts as soon as there is a segment to empty.
fn setup() -> Setup {
    Setup::usual()
        .top("shards = 1")
        .limit("checkpoint_log_bytes_max = \"1 MiB\"")
        .limit("checkpoint_secs_max = 1")
        .limit("log_segment_bytes = \"16 MiB\"")
        .limit("log_kept_bytes_max = \"1 MiB\"")
}

fn bodies(imap: &mut Imap) -> Vec<Vec<u8>> {
    let rows = imap.fetch("UID FETCH 1:* (BODY.PEEK[])").unwrap();
    let octets = |row: &tests::imap::Fetched| row.octets("BODY[]").unwrap().to_vec();
    rows.iter().map(octets).collect()
}

const MESSAGES: usize = 24;

/// Of one message: all of them take several segments.
const OCTETS: usize = 3_000_000;
