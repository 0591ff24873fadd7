//! Descriptors used up: newcomers wait or are turned away, nobody inside notices, the accept loop
//! does not spin, and afterwards all is well again.

use super::{ALICE, message};
use std::process::Command;
use std::time::Duration;
use tests::binary;
use tests::connection::{Connection, is_end};
use tests::server::Server;
use tests::setup::Setup;
use tests::usage;

#[test]
fn used_up_descriptors_come_back() {
    let setup = Setup::usual();
    setup.write();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 200; exec \"$@\"", "sh"]);
    command.arg(binary::ringpost());
    command.arg("--config").arg(setup.config_file());
    let mut server = Server::start_with(setup, command);
    let mut inside = server.imap_in(ALICE, "INBOX");
    let held: Vec<Connection> = (0..400)
        .map(|_| Connection::open(server.addresses().smtp).expect("the kernel queues it"))
        .collect();
    // The last one is beyond all descriptors: a refusal, an end, or silence until there is room.
    let mut last = Connection::open(server.addresses().smtp).unwrap();
    last.set_deadline(CROWDED).unwrap();
    let before = usage::cpu(server.pid());
    match last.line() {
        Ok(line) => assert!(line.starts_with(b"421"), "{line:?}"),
        Err(error) => assert!(is_end(&error) || is_silence(&error), "{error}"),
    }
    let _ = last.rest();
    let used = usage::cpu(server.pid()) - before;
    assert!(
        used < CROWDED / 10,
        "{used:?} while nothing could be accepted"
    );
    server.assert_alive();
    inside.ok("NOOP").expect("who is inside stays inside");
    drop((held, last));
    server.deliver(&[ALICE], &message("after the crowd"));
    server.imap(ALICE);
    inside.ok("NOOP").unwrap();
}

fn is_silence(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    matches!(error.kind(), TimedOut | WouldBlock)
}

/// The target is 5 % of a processor for the accept loop; ticks are coarse, so the bound is 10 %.
const CROWDED: Duration = Duration::from_secs(2);
