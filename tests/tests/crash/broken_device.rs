//! A device that answers EIO: nothing is acknowledged that it did not take, what it cannot read
//! costs that message and no other, the process lives, and when the device is whole again the next
//! start has everything that was acknowledged.

use super::{ALICE, Kept};
use tests::server::Server;
use tests::setup::Setup;
use tests::volume::Volume;

#[test]
fn a_failed_write_is_never_acknowledged() {
    let Some(volume) = Volume::mount(VOLUME_BYTES) else {
        return;
    };
    let (mut server, mut kept) = begun(&volume, 20);
    volume.break_behind(WHOLE_BYTES);
    let refused = (0..MESSAGES_MAX)
        .map(|_| kept.send(&server))
        .find(|reply| reply.code != 250)
        .expect("a broken device takes no mail for ever");
    assert!((400..500).contains(&refused.code), "{refused}");
    // Whatever it answers now must be true.
    let refused = (0..50).filter(|_| kept.send(&server).code != 250).count();
    assert!(refused > 0, "mail goes to a device that takes nothing");
    server.assert_alive();
    // What is not in memory any more cannot be read from such a device: that comes after it is
    // whole again.
    let mut imap = server.imap_in(ALICE, "INBOX");
    let appended = imap.append("INBOX", "", &kept.next_message()).unwrap();
    assert!(appended.status.starts_with("NO"), "{}", appended.status);

    volume.mend();
    server.kill_and_restart();
    kept.are_all_in(&mut server.imap_in(ALICE, "INBOX"));
    assert_eq!(kept.send(&server).code, 250, "the device is whole again");
    drop(server);
}

#[test]
fn a_failed_read_costs_that_message_only() {
    let Some(volume) = Volume::mount(VOLUME_BYTES) else {
        return;
    };
    let (mut server, kept) = begun(&volume, 400);
    // What a life has written it may still have in memory; the next one has to read.
    server.kill_and_restart();
    volume.break_behind(WHOLE_BYTES / 2);
    let mut imap = server.imap_in(ALICE, "INBOX");
    let mut read = 0;
    for number in 1..=400 {
        let answer = imap
            .command(&format!("FETCH {number} BODY.PEEK[]"))
            .unwrap();
        let bodies = answer.untagged.iter().filter(|r| r.fetched().is_some());
        match answer.is_ok() {
            true => read += bodies.count(),
            false => assert!(answer.status.starts_with("NO"), "{}", answer.status),
        }
    }
    assert!((1..400).contains(&read), "{read} of 400 could be read");
    server.assert_alive();
    server.wait_for_log("message cannot be read", 0);
    volume.mend();
    kept.are_all_in(&mut imap);
    drop(server);
}

fn begun(volume: &Volume, messages: usize) -> (Server, Kept) {
    let setup = Setup::usual().top("shards = 1");
    let server = Server::start(setup.data_in(&volume.path().join("data")));
    let mut kept = Kept::default();
    for _ in 0..messages {
        assert_eq!(kept.send(&server).code, 250);
    }
    (server, kept)
}

const VOLUME_BYTES: u64 = 512 << 20;
const WHOLE_BYTES: u64 = 48 << 20;
const MESSAGES_MAX: usize = 5_000;
