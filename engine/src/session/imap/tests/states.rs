//! Attack class 19 in every state: grown and damaged commands to whole connections, from before
//! login to LOGOUT and past UNAUTHENTICATE, in IDLE, in SASL exchanges, in literals, compressed.
//!
//! Whatever comes: every command that is right in form is answered once under its tag, after any
//! other a NOOP is answered within a bounded number of octets, and only BYE ends a connection.
//! `RINGPOST_STATE_COMMANDS` sets how many, `RINGPOST_SEED` begins elsewhere: it and 250 commands
//! repeat a failure, which also shows what was said last. A million take most of an hour unless the
//! engine is optimised:
//!
//! ```sh
//! RINGPOST_STATE_COMMANDS=1000000 cargo test -p engine --lib \
//!   --config 'profile.test.package.engine.opt-level=1' every_state_keeps_its_word
//! RINGPOST_RANDOM_COMMANDS=1000000 cargo test -p tests --test attacks grown_commands   # live
//! ```

use super::door::Way;
use super::*;
use crate::wire::imap::deflate::{Layer, deflated};
use crate::wire::imap::fuzz::grammar;
use std::collections::{BTreeMap, VecDeque};

/// Commands of the usual run, and of one store.
const COMMANDS: u64 = 5_000;
const COMMANDS_OF_A_STORE: u64 = 250;

/// Octets behind a damaged command until a NOOP is answered: the largest message that is thrown
/// away, and the end of its command.
const DEAF_OCTETS_MAX: usize = 68 << 20;

const LOGIN: grammar::Login<'static> = grammar::Login {
    user: "alice",
    password: "secret",
};

/// What a run has to have seen, so that it tries what it says: words of answers.
const REACHED: &[&str] = &[
    "OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE IDLE",
    "OK [READ-WRITE] Selected",
    "OK [READ-ONLY] Selected",
    "+ idling",
    "OK Idle completed",
    "OK [APPENDUID",
    "OK Compressed from here on",
    "OK Begin TLS now",
    "NO [AUTHENTICATIONFAILED]",
    "* BYE Goodbye",
    "OK Fetch completed",
    "OK Search completed",
    "BAD ",
];

#[test]
fn every_state_keeps_its_word() {
    let commands = number("RINGPOST_STATE_COMMANDS", COMMANDS);
    let first = number("RINGPOST_SEED", 1);
    let mut reached = BTreeMap::new();
    for seed in first..first + commands.div_ceil(COMMANDS_OF_A_STORE) {
        let caught = std::panic::catch_unwind(|| run(seed));
        let heard = caught.unwrap_or_else(|_| panic!("RINGPOST_SEED={seed}"));
        for (word, count) in heard {
            *reached.entry(word).or_insert(0) += count;
        }
    }
    for word in REACHED {
        let count = reached.get(word).copied().unwrap_or(0);
        assert!(
            count > 0 || commands < COMMANDS,
            "never heard {word}: {reached:?}"
        );
    }
}

fn number(variable: &str, default: u64) -> u64 {
    let value = std::env::var(variable).ok();
    value.map_or(default, |value| value.parse().expect("a number"))
}

/// One store, and one connection after the other to it; how often each word was heard.
fn run(seed: u64) -> BTreeMap<&'static str, u64> {
    let store = Fake::new();
    store.deliver(ALICE, "INBOX", b"Subject: x\r\n\r\ny");
    let mut talker = Talker::new(&store, seed);
    for _ in 0..COMMANDS_OF_A_STORE {
        if talker.client.ended.is_some() || talker.random.below(60) == 0 {
            talker.connect(&store);
        }
        if talker.random.below(10) == 0 {
            store.deliver(ALICE, "INBOX", b"Subject: fresh\r\n\r\nz");
        }
        if talker.random.below(12) == 0 {
            talker.log_in();
        }
        if talker.client.ended.is_some() {
            continue;
        }
        talker.turn();
    }
    std::mem::take(&mut talker.reached)
}

struct Talker {
    client: Client,
    layer: Option<Layer>,
    random: Random,
    number: u64,
    /// What followed COMPRESS in clear is no compressed text, and nobody can say so.
    is_garbled: bool,
    reached: BTreeMap<&'static str, u64>,
    /// The last of both sides, for who looks for a failure.
    lately: VecDeque<String>,
}

impl Drop for Talker {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let lately: Vec<String> = self.lately.drain(..).collect();
            eprintln!("{}", lately.join("\n"));
        }
    }
}

impl Talker {
    fn new(store: &Fake, seed: u64) -> Talker {
        let mut talker = Talker {
            client: connection(store, false),
            layer: None,
            random: Random::new(seed),
            number: 0,
            is_garbled: false,
            reached: BTreeMap::new(),
            lately: VecDeque::new(),
        };
        talker.connect(store);
        talker
    }

    fn connect(&mut self, store: &Fake) {
        let in_clear = self.random.below(4) > 0;
        self.client = connection(store, in_clear);
        self.client.pipe.chunk.set(self.random.below(40));
        self.layer = None;
        self.is_garbled = false;
        assert!(self.client.listen().starts_with("* OK [CAPABILITY "));
        if self.random.below(4) > 0 {
            self.log_in();
        }
    }

    /// Where it is one already, this is one more command.
    fn log_in(&mut self) {
        for command in ["a LOGIN alice secret\r\n", "b SELECT INBOX\r\n"] {
            if self.client.ended.is_none() {
                self.say(command.as_bytes());
            }
        }
    }

    /// A command, whatever answers it takes, and a NOOP that shows that both still count alike.
    fn turn(&mut self) {
        self.number += 1;
        let tag = format!("T{}", self.number);
        let grown = grammar::command(&mut |limit| self.random.below(limit), LOGIN);
        let mut line = [tag.as_bytes(), b" ", &grown].concat();
        let is_whole = self.random.below(3) > 0;
        if !is_whole {
            line = grammar::damaged(&line, &mut |limit| self.random.below(limit));
        }
        line.extend_from_slice(b"\r\n");
        let told = self.exchange(&tag, &line);
        if is_whole && !skips(&grown) {
            let answers = told.iter().filter(|line| answers(line, &tag)).count();
            let is_over = self.client.ended.is_some();
            let text = line.escape_ascii();
            assert!(answers == 1 || is_over && answers == 0, "{text}: {told:?}");
        }
        self.come_back(&line);
    }

    /// Says a command, and something to every go-ahead, until its tag is answered or nothing more
    /// is said.
    fn exchange(&mut self, tag: &str, line: &[u8]) -> Vec<String> {
        let mut told = self.say(line);
        for answered in 0..GO_AHEADS_MAX {
            let is_answered = told.iter().any(|line| answers(line, tag));
            let mut waits = told.iter().filter(|line| line.starts_with('+'));
            let (Some(last), false) = (waits.nth(answered), is_answered) else {
                break;
            };
            let mut response = match last == "+ idling" {
                true if self.random.below(4) > 0 => b"DONE".to_vec(),
                _ => grammar::response(&mut |limit| self.random.below(limit), LOGIN),
            };
            response.extend_from_slice(b"\r\n");
            told.extend(self.say(&response));
        }
        told
    }

    /// Whatever is open is closed, until a NOOP is answered.
    fn come_back(&mut self, line: &[u8]) {
        let mut filler = 0;
        let mut octets = 0;
        while self.client.ended.is_none() {
            self.number += 1;
            let tag = format!("N{}", self.number);
            let told = self.say(format!("{tag} NOOP\r\n").as_bytes());
            let is_back = told.iter().any(|told| answers(told, &tag));
            // Who has heard BYE says nothing more.
            if is_back || self.client.ended.is_some() {
                return;
            }
            assert!(
                octets < DEAF_OCTETS_MAX,
                "deaf behind {}",
                line.escape_ascii()
            );
            filler = (2 * filler + 2).min(4 << 20);
            octets += filler;
            let mut deaf = vec![b'x'; filler];
            deaf.extend_from_slice(b"\r\n");
            self.say(&deaf);
        }
    }

    /// Says octets and gives the lines that came back, literals within them.
    fn say(&mut self, octets: &[u8]) -> Vec<String> {
        match self.layer {
            None => self.client.push(octets),
            Some(_) => self.client.push(&deflated(octets)),
        }
        let heard = self.client.listen_octets();
        let heard = self.inflated(heard);
        let told = responses(&heard);
        if told.iter().any(|line| line.ends_with(COMPRESSED)) {
            self.layer = Some(Layer::new(Vec::new()));
            let lines = octets.iter().filter(|octet| **octet == b'\n').count();
            self.is_garbled = lines != 1 || !octets.ends_with(b"\r\n");
        }
        for word in REACHED {
            if told.iter().any(|line| line.contains(word)) {
                *self.reached.entry(word).or_insert(0) += 1;
            }
        }
        self.remember(octets, &told);
        let said_goodbye = told.iter().any(|line| line.starts_with("* BYE"));
        let is_fair = self.client.ended.is_none() || said_goodbye || self.is_garbled;
        let ended = self.client.ended;
        assert!(is_fair, "{}: {told:?} {ended:?}", octets.escape_ascii());
        told
    }

    fn remember(&mut self, octets: &[u8], told: &[String]) {
        if self.lately.len() == LATELY_MAX {
            self.lately.pop_front();
        }
        let (said, heard) = (octets.escape_ascii().to_string(), format!("{told:?}"));
        self.lately
            .push_back(format!("C: {said:.400}\nS: {heard:.400}"));
    }

    fn inflated(&mut self, heard: Vec<u8>) -> Vec<u8> {
        let Some(layer) = &mut self.layer else {
            return heard;
        };
        let mut out = Vec::new();
        *layer.packed() = heard;
        while layer.has_more() {
            layer.inflate(&mut out).unwrap();
        }
        out
    }
}

/// Whether the client of this command may wait for more than its line: an announced literal that
/// is not sent.
fn skips(grown: &[u8]) -> bool {
    grown.ends_with(b"{2000000+}") || grown.ends_with(b"{99999999}")
}

fn answers(line: &str, tag: &str) -> bool {
    let condition = line
        .strip_prefix(tag)
        .and_then(|rest| rest.strip_prefix(' '));
    condition.is_some_and(|text| {
        ["OK", "NO", "BAD"]
            .iter()
            .any(|word| text.starts_with(word))
    })
}

/// The responses, each with its literals: what a client reads.
fn responses(heard: &[u8]) -> Vec<String> {
    let mut all = Vec::new();
    let mut rest = heard;
    while !rest.is_empty() {
        let mut end = 0;
        loop {
            let line = memchr::memchr(b'\n', &rest[end..]).expect("responses end with CRLF");
            end += line + 1;
            let Some(literal) = announced(&rest[..end]) else {
                break;
            };
            end += literal;
        }
        let (response, behind) = rest.split_at(end);
        all.push(String::from_utf8_lossy(response).trim_end().to_owned());
        rest = behind;
    }
    all
}

fn announced(line: &[u8]) -> Option<usize> {
    let line = line.strip_suffix(b"}\r\n")?;
    let start = line.iter().rposition(|octet| *octet == b'{')?;
    std::str::from_utf8(&line[start + 1..]).ok()?.parse().ok()
}

fn connection(store: &Fake, in_clear: bool) -> Client {
    let append_bytes_max = APPEND_BYTES_MAX;
    let way = Way {
        in_clear,
        append_bytes_max,
    };
    way.connect(store)
}

const APPEND_BYTES_MAX: u64 = 1 << 20;

/// Exchanges before a failure that are shown.
const LATELY_MAX: usize = 12;

const COMPRESSED: &str = "OK Compressed from here on";

/// Literals and SASL responses of one command.
const GO_AHEADS_MAX: usize = 40;
