//! Bits that turn on the disk: what is read is right or refused, never wrong, one flip costs one
//! message at most, and the log names it. A start either names the damage or has lost nothing.
//!
//! `RINGPOST_FLIPS` sets how many under a running server, `RINGPOST_FLIPPED_STARTS` how many before
//! a start, `RINGPOST_FLIPPED_MEGABYTES` how large the store is.

use super::{ALICE, kept};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tests::imap::Imap;
use tests::seed::{Seed, number_from_env};
use tests::server::Server;
use tests::setup::Setup;

/// A place on the disk and the bit that turned there.
struct Flip {
    file: PathBuf,
    at: u64,
    bit: u8,
}

#[test]
fn flipped_bits_under_a_server_cost_one_message_each() {
    let flips = number_from_env("RINGPOST_FLIPS", FLIPS);
    let mut seed = Seed::from_env(0xf11b);
    let (mut server, messages) = stored();
    // What a life has written it may still have in memory; the next one has to read.
    server.kill_and_restart();
    let segments = segments(&server);
    let mut refused_ever = 0;
    let mut left = flips;
    while left > 0 {
        let batch = left.min(FLIPS_AT_ONCE);
        left -= batch;
        let places: Vec<Flip> = (0..batch).map(|_| random(&segments, &mut seed)).collect();
        places.iter().for_each(Flip::turn);
        let from = server.log_position();
        let mut imap = server.imap_in(ALICE, "INBOX");
        let refused = read_all(&mut imap, messages);
        for uid in &refused {
            server.wait_for_log(&format!(" uid={uid} "), from);
        }
        assert!(
            refused.len() as u64 <= batch,
            "{refused:?} for {batch} flips"
        );
        refused_ever += refused.len();
        places.iter().for_each(Flip::turn);
        server.assert_alive();
    }
    println!("{flips} flips, {refused_ever} messages refused, no wrong octet");
    assert!(refused_ever > 0, "no flip ever hit a message");
    let refused = read_all(&mut server.imap_in(ALICE, "INBOX"), messages);
    assert!(refused.is_empty(), "{refused:?} on a whole disk");
}

#[test]
fn a_start_names_a_flipped_bit_or_has_lost_nothing() {
    let starts = number_from_env("RINGPOST_FLIPPED_STARTS", STARTS);
    let mut seed = Seed::from_env(0xf12b);
    let (mut server, messages) = stored();
    server.terminate(Duration::from_secs(60));
    let segments = segments(&server);
    let mut refusals = 0;
    for start in 0..starts {
        let flip = random(&segments, &mut seed);
        let whole = std::fs::read(&flip.file).unwrap();
        flip.turn();
        let what = format!("start {start}: {:?}, octet {}", flip.file, flip.at);
        match server.try_restart() {
            Ok(()) => {
                let mut imap = server.imap_in(ALICE, "INBOX");
                let status = imap.status("INBOX", "MESSAGES").unwrap();
                assert_eq!(status["MESSAGES"], messages, "{what}: silently lost");
                let refused = read_all(&mut imap, messages);
                assert!(refused.len() <= 1, "{what}: {refused:?}");
                server.kill();
            }
            Err((code, said)) => {
                refusals += 1;
                assert_eq!(code, Some(1), "{what}: {said}");
                assert!(said.contains("damaged"), "{what}: not named: {said}");
            }
        }
        // A start may write: the segment as it was.
        std::fs::write(&flip.file, &whole).unwrap();
    }
    println!("{starts} starts with a flipped bit, {refusals} refused by name");
}

/// A server with a store of so many megabytes, and how many messages it holds.
fn stored() -> (Server, u64) {
    let megabytes = number_from_env("RINGPOST_FLIPPED_MEGABYTES", MEGABYTES);
    let server = Server::start(Setup::usual().top("shards = 1"));
    let messages = megabytes * 1_000_000 / kept::OCTETS as u64;
    let mut lmtp = server.lmtp();
    for number in 1..=messages {
        lmtp.envelope("a@remote.test", &[ALICE]).unwrap();
        let reply = lmtp.lmtp_data(&kept::message(number), 1).unwrap().remove(0);
        assert_eq!(reply.code, 250, "{reply}");
    }
    (server, messages)
}

/// The segments of the only shard and how far each is written.
fn segments(server: &Server) -> Vec<(PathBuf, u64)> {
    let folder = server.setup.data().join("shard-00/log");
    let entries = std::fs::read_dir(&folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "log"));
    files.sort();
    files
        .into_iter()
        .map(|file| (file.clone(), written(&file)))
        .collect()
}

/// A bit somewhere in what has been written to the log.
fn random(segments: &[(PathBuf, u64)], seed: &mut Seed) -> Flip {
    let (file, end) = seed.pick(segments).clone();
    let (at, bit) = (seed.below(end), seed.below(8) as u8);
    Flip { file, at, bit }
}

/// Where the zeros that were written ahead begin.
fn written(file: &Path) -> u64 {
    let file = File::open(file).unwrap();
    let mut end = file.metadata().unwrap().len();
    let (mut block, zeros) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        let piece = &mut block[..(end - start) as usize];
        file.read_exact_at(piece, start).unwrap();
        if piece != &zeros[..piece.len()] {
            return end;
        }
        end = start;
    }
    panic!("a segment without a header");
}

impl Flip {
    fn turn(&self) {
        let file = OpenOptions::new().read(true).write(true).open(&self.file);
        let file = file.unwrap();
        let mut octet = [0];
        file.read_exact_at(&mut octet, self.at).unwrap();
        octet[0] ^= 1 << self.bit;
        file.write_all_at(&octet, self.at).unwrap();
    }
}

/// Reads every message; gives the UIDs of those that are refused. A wrong octet is the end.
fn read_all(imap: &mut Imap, messages: u64) -> BTreeSet<u32> {
    let mut refused = BTreeSet::new();
    for uid in 1..=messages {
        let answer = imap
            .command(&format!("UID FETCH {uid} BODY.PEEK[]"))
            .unwrap();
        let mut fetched = answer.untagged.iter().filter_map(|r| r.fetched());
        match fetched.next().map(Result::unwrap) {
            Some(message) => {
                let octets = message.octets("BODY[]").expect("it was asked for");
                let same = octets.ends_with(&kept::message(uid));
                assert!(same, "UID {uid} is served with wrong octets");
            }
            None => {
                assert!(
                    answer.status.starts_with("NO"),
                    "UID {uid}: {}",
                    answer.status
                );
                refused.insert(uid as u32);
            }
        }
    }
    refused
}

const FLIPS: u64 = 1_000;
const FLIPS_AT_ONCE: u64 = 200;
const STARTS: u64 = 10;
const MEGABYTES: u64 = 12;
