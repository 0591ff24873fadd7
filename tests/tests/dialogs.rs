//! Every script of `tests/dialogs` against one server a protocol, each in a world of its own.
//!
//! A world is a domain of the same length as `example.test` that only this script has, with its
//! own accounts, so that scripts run side by side and literals keep their counts.
//! `RINGPOST_DIALOG=fetch` runs only the scripts whose name contains `fetch`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tests::binary::workspace;
use tests::dialog::{Protocol, Script, World, run};
use tests::server::Server;
use tests::setup::{PASSWORD, Setup};

#[test]
fn smtp() {
    every(Protocol::Smtp);
}

#[test]
fn submission() {
    every(Protocol::Submission);
}

#[test]
fn lmtp() {
    every(Protocol::Lmtp);
}

#[test]
fn imap() {
    every(Protocol::Imap);
}

#[test]
fn pop3() {
    every(Protocol::Pop3);
}

/// Needs no server: a script with a slip in it must not wait for one to be found.
#[test]
fn scripts_can_be_read() {
    for path in paths() {
        let protocol = Protocol::of(&path).unwrap_or_else(|| panic!("{path:?} is no script"));
        parsed(&path, protocol, 0);
    }
}

/// Every verb of every protocol has a script that says it.
#[test]
fn every_verb_is_tried() {
    for (ending, verbs) in [
        ("smtp", SMTP_VERBS),
        ("lmtp", LMTP_VERBS),
        ("imap", IMAP_VERBS),
        ("pop3", POP3_VERBS),
    ] {
        let scripts = paths()
            .into_iter()
            .filter(|path| path.extension().unwrap() == ending);
        let said: String = scripts
            .map(|path| std::fs::read_to_string(path).unwrap())
            .collect();
        let said: Vec<&str> = said.lines().filter(|line| line.starts_with('C')).collect();
        for verb in verbs.split(", ") {
            let tried = said
                .iter()
                .any(|line| line.to_ascii_uppercase().contains(verb));
            assert!(tried, "no .{ending} script says {verb}");
        }
    }
}

fn every(protocol: Protocol) {
    let wanted = std::env::var("RINGPOST_DIALOG").unwrap_or_default();
    let mut paths = paths();
    paths.retain(|path| Protocol::of(path) == Some(protocol));
    paths.retain(|path| path.to_string_lossy().contains(&wanted));
    if paths.is_empty() && !wanted.is_empty() {
        return;
    }
    assert!(!paths.is_empty(), "no scripts for {protocol:?}");
    let server = Server::start(setup(paths.len()));
    let failures = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..RUNNERS {
            scope.spawn(|| {
                while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let number = paths.iter().position(|other| other == path).unwrap();
                    let script = parsed(path, protocol, number);
                    let user = mapped("alice@example.test", number);
                    let world = World {
                        addresses: server.addresses(),
                        user,
                    };
                    if let Err(why) = run(&script, &world) {
                        failures.lock().unwrap().push(why);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    let count = (failures.len(), paths.len());
    assert!(
        failures.is_empty(),
        "{} of {} failed\n{}",
        count.0,
        count.1,
        failures.join("\n")
    );
}

fn parsed(path: &PathBuf, protocol: Protocol, number: usize) -> Script {
    let text = std::fs::read_to_string(path).unwrap();
    let shown = path.strip_prefix(workspace()).unwrap();
    Script::parse(shown, protocol, &mapped(&text, number)).unwrap_or_else(|why| panic!("{why}"))
}

/// The names of world `number`, as long as the ones in the scripts.
fn mapped(text: &str, number: usize) -> String {
    text.replace("example.test", &format!("ex{number:05}.test"))
        .replace("EXAMPLE.TEST", &format!("EX{number:05}.TEST"))
        .replace("ales00000", &format!("ales{number:05}"))
        .replace("catchall.test", &format!("cat{number:05}.test"))
}

fn setup(worlds: usize) -> Setup {
    let mut setup = Setup::empty()
        .top(&format!(
            "postmaster = \"{}\"",
            mapped("alice@example.test", 0)
        ))
        .limit("login_failures_per_address_max = 100000")
        .limit("login_failures_per_network_max = 1000000");
    for number in 0..worlds {
        let name = |text: &str| mapped(text, number);
        setup = setup
            .domain(&name("example.test"))
            .domain_with_catch_all(&name("catchall.test"), &name("alice@example.test"))
            .account(&name("alice@example.test"), PASSWORD)
            .account(&name("bob@example.test"), PASSWORD)
            .account_with_quota(&name("small@example.test"), PASSWORD, "1 MiB")
            .alias(
                &name("team@example.test"),
                &[&name("alice@example.test"), &name("bob@example.test")],
            )
            .alias(&name("chain@example.test"), &[&name("team@example.test")])
            .table(&format!(
                "[[group]]\nname = \"sales{number:05}\"\nmembers = [{:?}]",
                name("bob@example.test")
            ));
    }
    // Alice of every world sets quotas.
    let alices = (0..worlds).map(|number| format!("{:?}", mapped("alice@example.test", number)));
    let alices: Vec<String> = alices.collect();
    setup.table(&format!(
        "[sharing]\nadministrators = [{}]",
        alices.join(", ")
    ))
}

fn paths() -> Vec<PathBuf> {
    let folder = workspace().join("tests/dialogs");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}

/// Scripts wait for answers most of the time.
const RUNNERS: usize = 8;

const SMTP_VERBS: &str = "EHLO, HELO, MAIL FROM:, RCPT TO:, DATA, BDAT, RSET, NOOP, QUIT, VRFY, \
    EXPN, HELP, STARTTLS, AUTH";
const POP3_VERBS: &str = "CAPA, STLS, AUTH, USER, PASS, APOP, UTF8, LANG, STAT, LIST, UIDL, RETR, \
    TOP, DELE, NOOP, RSET, QUIT";
const LMTP_VERBS: &str = "LHLO, MAIL FROM:, RCPT TO:, DATA, BDAT, RSET, NOOP, QUIT, VRFY, HELP";
const IMAP_VERBS: &str = "CAPABILITY, NOOP, LOGOUT, ID, STARTTLS, AUTHENTICATE, LOGIN, ENABLE, \
    SELECT, EXAMINE, CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, LIST, LSUB, NAMESPACE, \
    STATUS, APPEND, IDLE, CLOSE, UNSELECT, EXPUNGE, SEARCH, FETCH, STORE, COPY, MOVE, CHECK, \
    UID FETCH, UID STORE, UID SEARCH, UID COPY, UID MOVE, UID EXPUNGE, SETACL, DELETEACL, \
    GETACL, LISTRIGHTS, MYRIGHTS, GETQUOTA, GETQUOTAROOT, SETQUOTA, GETMETADATA, SETMETADATA, \
    NOTIFY, UIDBATCHES";
