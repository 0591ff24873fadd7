//! A storm of mail to sixteen accounts on four shards, and whether all of it is there afterwards.
//!
//! Half of the connections send over SMTP, most others over LMTP, some by IMAP's APPEND; most
//! messages go to several accounts. Whatever is acknowledged stands in the [`Ledger`].

use std::collections::BTreeSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;
use tests::imap::{Answer, Fetched, Imap};
use tests::ledger::{Ledger, Seen};
use tests::seed::Seed;
use tests::server::Server;
use tests::setup::{Addresses, PASSWORD, Setup};
use tests::smtp::Smtp;

/// Sixteen accounts on four shards.
pub(crate) fn setup() -> Setup {
    let setup = Setup::empty()
        .top(&format!("shards = {SHARDS}"))
        .domain("example.test");
    (0..ACCOUNTS).fold(setup, |setup, account| {
        setup.account(&address(account), PASSWORD)
    })
}

/// The same, with shards that make a checkpoint of each megabyte and compact as soon as there is a
/// segment to empty.
pub(crate) fn setup_that_compacts() -> Setup {
    setup()
        .limit("checkpoint_log_bytes_max = \"1 MiB\"")
        .limit("log_segment_bytes = \"16 MiB\"")
        .limit("log_kept_bytes_max = \"1 MiB\"")
}

pub(crate) fn address(account: usize) -> String {
    format!("u{account:02}@example.test")
}

/// For how many accounts a message is.
#[derive(Clone, Copy)]
pub(crate) enum Spread {
    /// One: no shard owes anything to another.
    One,
    /// One to four, mostly several.
    Several,
}

/// Runs `meanwhile` under the load of so many connections; then the server must be gone, or about
/// to be: only an end of the connection ends a sender.
pub(crate) fn during<T>(
    server: &mut Server,
    ledger: &Ledger,
    connections: usize,
    spread: Spread,
    seed: u64,
    meanwhile: impl FnOnce(&mut Server) -> T,
) -> T {
    let addresses = server.addresses();
    std::thread::scope(|scope| {
        for worker in 0..connections {
            let name = format!("{seed:x}-{worker}");
            let seed = Seed::new(seed ^ worker as u64);
            scope.spawn(move || send(addresses, ledger, spread, seed, worker, &name));
        }
        // Without this a failure would wait for senders that nobody ends.
        let outcome = catch_unwind(AssertUnwindSafe(|| meanwhile(server)));
        server.kill();
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Sends until the server is gone. An error is the expected end.
fn send(at: Addresses, ledger: &Ledger, spread: Spread, mut seed: Seed, worker: usize, name: &str) {
    let _ = match worker % 8 {
        0..4 => by_smtp(at, ledger, spread, &mut seed, name),
        4..7 => by_lmtp(at, ledger, spread, &mut seed, name),
        _ => by_append(at, ledger, &mut seed, name),
    };
}

fn by_smtp(
    at: Addresses,
    ledger: &Ledger,
    spread: Spread,
    seed: &mut Seed,
    name: &str,
) -> io::Result<()> {
    let mut smtp = Smtp::hello(at.smtp)?;
    for number in 0.. {
        let (id, to) = (format!("{name}-{number}"), recipients(spread, seed));
        let addresses: Vec<String> = to.iter().map(|account| address(*account)).collect();
        smtp.deliver("sender@remote.test", &addresses, &message(&id))?
            .expect(250)?;
        for account in to {
            ledger.acknowledge(account, &id, None);
        }
    }
    Ok(())
}

fn by_lmtp(
    at: Addresses,
    ledger: &Ledger,
    spread: Spread,
    seed: &mut Seed,
    name: &str,
) -> io::Result<()> {
    let mut lmtp = Smtp::hello_lmtp(at.lmtp)?;
    for number in 0.. {
        let (id, to) = (format!("{name}-{number}"), recipients(spread, seed));
        let addresses: Vec<String> = to.iter().map(|account| address(*account)).collect();
        lmtp.envelope("sender@remote.test", &addresses)?;
        let replies = lmtp.lmtp_data(&message(&id), to.len())?;
        for (account, reply) in to.into_iter().zip(replies) {
            reply.expect(250)?;
            ledger.acknowledge(account, &id, None);
        }
    }
    Ok(())
}

fn by_append(at: Addresses, ledger: &Ledger, seed: &mut Seed, name: &str) -> io::Result<()> {
    let account = seed.below(ACCOUNTS as u64) as usize;
    let mut imap = Imap::login(at.imaps, &address(account), PASSWORD)?;
    imap.ok("SELECT INBOX")?;
    for number in 0.. {
        let id = format!("{name}-{number}");
        let answer = imap.append("INBOX", "", &message(&id))?;
        let Some(uid) = appended_uid(&answer) else {
            return Err(io::Error::other(answer.status));
        };
        ledger.acknowledge(account, &id, Some(uid));
        imap.ok(&format!("UID STORE {uid} +FLAGS.SILENT (\\Flagged)"))?;
        ledger.flag(account, &id);
    }
    Ok(())
}

fn appended_uid(answer: &Answer) -> Option<u32> {
    answer.code("APPENDUID")?.get(1)?.parse().ok()
}

fn recipients(spread: Spread, seed: &mut Seed) -> BTreeSet<usize> {
    let count = match spread {
        Spread::One => 1,
        Spread::Several => 1 + seed.below(4),
    };
    (0..count)
        .map(|_| seed.below(ACCOUNTS as u64) as usize)
        .collect()
}

/// The whole message follows from its id, so that the comparison needs no copy of it.
pub(crate) fn message(id: &str) -> Vec<u8> {
    let mut seed = Seed::new(id.bytes().fold(7_u64, |sum, octet| {
        sum.wrapping_mul(31).wrapping_add(u64::from(octet))
    }));
    let octets = 200 + seed.below(8_000) as usize;
    let mut message = format!("X-Ledger: {id}\r\n").into_bytes();
    message.extend(tests::corpus::plain(id, octets, &mut seed));
    message
}

/// Every mailbox against the ledger; `whole` reads all of it again, bodies and flags too.
pub(crate) fn compare(
    server: &Server,
    ledger: &Ledger,
    seen: &mut [Seen],
    whole: bool,
) -> Vec<String> {
    let mut faults = Vec::new();
    for (account, seen) in seen.iter_mut().enumerate() {
        let mut imap = server.imap(&address(account));
        let from = if whole { 1 } else { seen.uid_next.max(1) };
        faults.extend(numbers(&mut imap, seen));
        let before = seen.messages.len();
        imap.ok("SELECT INBOX").unwrap();
        let mut listed = listed(&mut imap, from);
        if whole && listed.len() < before {
            faults.push(format!(
                "account {account}: {before} became {}",
                listed.len()
            ));
        }
        loop {
            faults.extend(listed.iter().filter_map(|(uid, id)| seen.message(*uid, id)));
            let missing = ledger.missing(account, seen);
            if missing.is_empty() {
                break;
            }
            // What is for several owners reaches the others a moment after the start.
            let mut late = server.imap(&address(account));
            late.connection.set_deadline(SETTLE_DEADLINE).unwrap();
            if late
                .wait_for_messages("INBOX", seen.messages.len() as u32 + 1)
                .is_err()
            {
                faults.extend(missing);
                break;
            }
            listed = self::listed(&mut late, from);
        }
        faults.extend(ledger.faults(account, seen));
        if whole {
            faults.extend(bodies(&mut imap, seen));
            faults.extend(flags(&mut imap, &ledger.flagged(account)));
        }
    }
    faults
}

/// UIDVALIDITY, UIDNEXT and, where it is offered, HIGHESTMODSEQ against what they were.
fn numbers(imap: &mut Imap, seen: &mut Seen) -> Vec<String> {
    let offers = imap.capabilities().unwrap();
    let mod_seq = if offers.iter().any(|name| name == "CONDSTORE") {
        " HIGHESTMODSEQ"
    } else {
        ""
    };
    let status = imap
        .status("INBOX", &format!("UIDVALIDITY UIDNEXT{mod_seq}"))
        .unwrap();
    let high = status.get("HIGHESTMODSEQ").copied().unwrap_or(0);
    seen.advance(status["UIDVALIDITY"], status["UIDNEXT"] as u32, high)
}

fn listed(imap: &mut Imap, from: u32) -> Vec<(u32, String)> {
    let command = format!("UID FETCH {from}:* (UID {LEDGER_FIELD})");
    let fetched = imap.fetch(&command.replace("BODY[", "BODY.PEEK[")).unwrap();
    let fetched = fetched
        .iter()
        .filter(|message| message.uid().unwrap() >= from);
    fetched
        .map(|message| (message.uid().unwrap(), ledger_id(message)))
        .collect()
}

fn ledger_id(message: &Fetched) -> String {
    let field = message
        .octets(LEDGER_FIELD)
        .expect("the field was asked for");
    let text = String::from_utf8_lossy(field);
    text.trim()
        .strip_prefix("X-Ledger: ")
        .expect("every message has the field")
        .to_string()
}

/// Every seventh body, octet by octet.
fn bodies(imap: &mut Imap, seen: &Seen) -> Vec<String> {
    let mut faults = Vec::new();
    for (uid, id) in seen.messages.iter().step_by(7) {
        let fetched = imap.fetch(&format!("UID FETCH {uid} BODY.PEEK[]")).unwrap();
        let same = fetched
            .first()
            .and_then(|message| message.octets("BODY[]"))
            .is_some_and(|octets| octets.ends_with(&message(id)));
        if !same {
            faults.push(format!("UID {uid}: the body of {id} is another one"));
        }
    }
    faults
}

fn flags(imap: &mut Imap, ids: &[String]) -> Vec<String> {
    let command = format!("UID FETCH 1:* (FLAGS {LEDGER_FIELD})").replace("BODY[", "BODY.PEEK[");
    let fetched = imap.fetch(&command).unwrap();
    let is_flagged = |message: &&Fetched| {
        let flags = message.items["FLAGS"].list().expect("FLAGS is a list");
        flags.iter().any(|flag| flag.octets() == Some(b"\\Flagged"))
    };
    let flagged: BTreeSet<String> = fetched.iter().filter(is_flagged).map(ledger_id).collect();
    let lost = ids.iter().filter(|id| !flagged.contains(*id));
    lost.map(|id| format!("{id} lost its flag")).collect()
}

const LEDGER_FIELD: &str = "BODY[HEADER.FIELDS (X-LEDGER)]";
pub(crate) const SHARDS: usize = 4;
pub(crate) const ACCOUNTS: usize = 16;

/// How long a copy may be on its way between shards after a start.
const SETTLE_DEADLINE: Duration = Duration::from_secs(10);
