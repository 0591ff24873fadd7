//! A file system without space: mail is put off with 452, reading goes on, and when there is space
//! again the server takes mail within ten seconds and has everything that it acknowledged.

use super::{ALICE, Kept};
use std::time::{Duration, Instant};
use tests::server::Server;
use tests::setup::Setup;
use tests::volume::Volume;

#[test]
fn a_full_disk_defers_mail_and_heals_by_itself() {
    let Some(volume) = Volume::mount(VOLUME_BYTES) else {
        return;
    };
    let setup = Setup::usual().top("shards = 1");
    let mut server = Server::start(setup.data_in(&volume.path().join("data")));
    let mut kept = Kept::default();
    for _ in 0..20 {
        assert_eq!(kept.send(&server).code, 250);
    }
    let filler = volume.fill();
    let refused = (0..MESSAGES_MAX)
        .map(|_| kept.send(&server))
        .find(|reply| reply.code != 250)
        .expect("a full disk takes no mail for ever");
    assert_eq!(refused.code, 452, "{refused}");
    assert!(refused.has("4.3.1"), "{refused}");

    let mut imap = server.imap_in(ALICE, "INBOX");
    kept.are_all_in(&mut imap);
    let appended = imap.append("INBOX", "", &kept.next_message()).unwrap();
    assert!(appended.status.starts_with("NO"), "{}", appended.status);
    // What makes room must go on, or nobody could ever make any.
    imap.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").unwrap();
    imap.ok("EXPUNGE").unwrap();
    kept.forget_first();
    kept.are_all_in(&mut imap);

    drop(filler);
    let freed = Instant::now();
    while kept.send(&server).code != 250 {
        let waited = freed.elapsed();
        assert!(waited < HEALED_WITHIN, "no mail {waited:?} after the space");
    }
    server.assert_alive();
    server.kill_and_restart();
    kept.are_all_in(&mut server.imap_in(ALICE, "INBOX"));
    assert_eq!(kept.send(&server).code, 250);
    drop(server);
}

const VOLUME_BYTES: u64 = 96 << 20;
const MESSAGES_MAX: usize = 5_000;
const HEALED_WITHIN: Duration = Duration::from_secs(10);
