//! Class 19 once more, over sockets: grown and damaged IMAP commands, and POP3 ones, to a live
//! server that others use.
//!
//! Every command is followed by a NOOP, which is answered whatever came before it; what is said in
//! between can be read; only BYE ends a connection. `RINGPOST_RANDOM_COMMANDS` sets how many.

use super::Watch;
use engine::wire::imap::fuzz::grammar;
use std::io;
use tests::connection::is_end;
use tests::imap::{Imap, Response, parse};
use tests::pop3::Pop3;
use tests::seed::{Seed, number_from_env};
use tests::setup::{Addresses, PASSWORD, Setup};

#[test]
fn grown_commands_are_answered_in_step() {
    let commands = number_from_env("RINGPOST_RANDOM_COMMANDS", 8_000);
    let seed = number_from_env("RINGPOST_SEED", 191);
    let mut watch = Watch::start(
        Setup::usual()
            .account(LOGIN.user, PASSWORD)
            .limit("wrong_commands_max = 200")
            .limit("login_failures_per_address_max = 100000")
            .limit("login_failures_per_network_max = 1000000"),
    );
    let a = watch.addresses();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let mut seed = Seed::new(seed.wrapping_mul(1_000).wrapping_add(thread));
            let commands = commands / THREADS;
            scope.spawn(move || match thread {
                0 => pop3(a, &mut seed, commands),
                _ => imap(a, &mut seed, commands),
            });
        }
    });
    watch.is_well();
}

fn imap(a: Addresses, seed: &mut Seed, mut left: u64) {
    while left > 0 {
        let mut talk = Talk::open(a, seed);
        while left > 0 {
            left -= 1;
            let line = line(seed);
            match talk.turn(&line, seed) {
                Ok(()) => {}
                Err(error) if is_end(&error) && talk.heard_bye => break,
                Err(error) => panic!("{}: {error}", line.escape_ascii()),
            }
        }
    }
}

/// A command as a client that pipelines sends it. One that leaves octets of a literal out would
/// only make both sides wait.
fn line(seed: &mut Seed) -> Vec<u8> {
    loop {
        let grown = grammar::command(&mut |limit| seed.below(limit as u64) as usize, LOGIN);
        let is_unfit = |word: &str| grown.windows(word.len()).any(|at| at == word.as_bytes());
        if ["{2000000+}", "{99999999}", "COMPRESS", "STARTTLS"]
            .into_iter()
            .any(is_unfit)
        {
            continue;
        }
        if seed.below(3) > 0 {
            return grown;
        }
        let damaged = grammar::damaged(&grown, &mut |limit| seed.below(limit as u64) as usize);
        if !damaged.contains(&b'{') {
            return damaged;
        }
    }
}

struct Talk {
    imap: Imap,
    number: u64,
    heard_bye: bool,
}

impl Talk {
    fn open(a: Addresses, seed: &mut Seed) -> Talk {
        let mut imap = match seed.below(4) {
            0 => Imap::connect(a.imap).expect("IMAP greets"),
            _ => Imap::connect_tls(a.imaps).expect("IMAP greets"),
        };
        // In clear it is refused, and the session goes on without.
        let login = format!("LOGIN {} {PASSWORD}", LOGIN.user);
        if seed.below(4) > 0 && imap.command(&login).expect("it is answered").is_ok() {
            imap.ok("SELECT INBOX").expect("everybody has one");
        }
        Talk {
            imap,
            number: 0,
            heard_bye: false,
        }
    }

    fn turn(&mut self, line: &[u8], seed: &mut Seed) -> io::Result<()> {
        self.number += 1;
        self.say(&[format!("T{} ", self.number).as_bytes(), line].concat())?;
        for _ in 0..RESPONSES_MAX {
            let response = self.imap.response()?;
            let text = response.text();
            self.heard_bye |= text.starts_with("* BYE");
            assert!(
                is_readable(&response),
                "{}: {response:?}",
                line.escape_ascii()
            );
            if text.starts_with('+') {
                let chance = &mut |limit| seed.below(limit as u64) as usize;
                self.say(&grammar::response(chance, LOGIN))?;
            } else if text.starts_with(&format!("N{} OK", self.number)) {
                return Ok(());
            }
        }
        panic!("no end of responses to {}", line.escape_ascii());
    }

    /// A line, and a NOOP behind it under the next number.
    fn say(&mut self, line: &[u8]) -> io::Result<()> {
        self.number += 1;
        let noop = format!("\r\nN{} NOOP\r\n", self.number);
        // Where the session ended meanwhile, its last words are still to be read.
        match self.imap.connection.send(&[line, noop.as_bytes()].concat()) {
            Err(error) if !is_end(&error) => Err(error),
            _ => Ok(()),
        }
    }
}

/// Whether a client can take the response apart; texts for people may hold anything, and a keyword
/// may hold a bracket, which our reader takes for the begin of a section; the names of fields in
/// one may be literals.
fn is_readable(response: &Response) -> bool {
    let text = response.text();
    let is_text = ["OK", "NO", "BAD", "BYE"].iter().any(|word| {
        let behind = text.split_once(' ').map_or("", |(_, behind)| behind);
        behind.starts_with(word)
    });
    let is_bracketed = text.matches('[').count() != text.matches(']').count();
    is_text
        || is_bracketed
        || text.contains("HEADER.FIELDS")
        || text.starts_with('+')
        || text.starts_with("* ") && parse(&response.0).is_ok()
}

/// Lines of POP3 commands; each has one answer, and a multi-line one its end.
fn pop3(a: Addresses, seed: &mut Seed, mut left: u64) {
    let words: Vec<&str> = POP3_WORDS.split('|').collect();
    while left > 0 {
        let mut pop3 = Pop3::open(a.pop3s).expect("POP3 greets");
        if seed.below(4) > 0 {
            let user = format!("USER {}", LOGIN.user);
            // Another session may still have the maildrop.
            let _ = pop3
                .ok(&user)
                .and_then(|_| pop3.ok(&format!("PASS {PASSWORD}")));
        }
        while left > 0 {
            left -= 1;
            let line: Vec<&str> = (0..1 + seed.below(3)).map(|_| *seed.pick(&words)).collect();
            let line = line.join(" ");
            match pop3_turn(&mut pop3, &line) {
                Ok(()) => {}
                Err(error) if is_end(&error) => break,
                Err(error) => panic!("{line}: {error}"),
            }
        }
    }
}

fn pop3_turn(pop3: &mut Pop3, line: &str) -> io::Result<()> {
    let word = line.split(' ').next().unwrap_or_default();
    let count = line.split(' ').count();
    match pop3.ok(line) {
        Ok(_) => {
            let is_long = matches!(word, "RETR" | "TOP" | "CAPA");
            if is_long
                || matches!(word, "LIST" | "UIDL") && count == 1
                || matches!(word, "LANG" | "AUTH") && count == 1
            {
                pop3.body()?;
            }
            Ok(())
        }
        Err(error) if error.to_string().starts_with("-ERR") => Ok(()),
        Err(error) if error.to_string().starts_with('+') => pop3.ok("*").map(drop).or(Ok(())),
        Err(error) => Err(error),
    }
}

const LOGIN: grammar::Login<'static> = grammar::Login {
    user: "grown@example.test",
    password: PASSWORD,
};

const THREADS: u64 = 8;

/// Of one command: a mailbox of this trial stays small.
const RESPONSES_MAX: u32 = 1_000_000;

const POP3_WORDS: &str = "STAT|LIST|UIDL|RETR|TOP|DELE|RSET|NOOP|CAPA|LANG|UTF8|USER|PASS|AUTH|\
    PLAIN|STLS|APOP|1|2|0|5|4294967295|-1|x|AHgAeA==|=|en|NOOP|STAT|LIST";
