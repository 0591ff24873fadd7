//! Our IMAP beside Dovecot's: the same messages, the same commands, the same answers but for words.
//!
//! Sessions of one and two connections at one mailbox, from a seed. Behind every command the whole
//! state of the mailbox is asked for and compared as well, so that what was told without being
//! asked for needs no comparing. What is left stands in `differences`, or fails with the seed:
//! `RINGPOST_SEED=n RINGPOST_IMAP_ROUNDS=1` repeats it; `RINGPOST_IMAP_ROUNDS` sets how many.

mod alike;
mod commands;
mod differences;
mod finding;
mod mail;
mod malformed;
mod names;
mod order;
mod peer;

use super::ALICE;
use alike::{Asked, alike};
use commands::Knowledge;
use differences::Case;
use peer::Dovecot;
use std::collections::BTreeSet;
use tests::imap::{Answer, Imap, Value};
use tests::seed::{Seed, number_from_env};
use tests::server::Server;
use tests::setup::Setup;

#[test]
fn sessions_hear_what_dovecots_hear() {
    if !Dovecot::is_here() {
        return;
    }
    let mut world = World::new(GROWN);
    let first = number_from_env("RINGPOST_SEED", 1);
    for number in first..first + number_from_env("RINGPOST_IMAP_ROUNDS", ROUNDS) {
        world.session(number);
    }
    world.report();
}

/// Every message of the trial by every item and in every part.
#[test]
fn messages_are_described_as_by_dovecot() {
    if !Dovecot::is_here() {
        return;
    }
    let grown = number_from_env("RINGPOST_IMAP_MESSAGES", GROWN);
    let mut world = World::new(grown);
    let mut pair = world.pair();
    pair.both(b"SELECT INBOX");
    for (at, message) in mail::messages(grown).iter().enumerate() {
        let (number, before) = (at + 1, world.found.len());
        world.message.clone_from(&message.name);
        for item in DESCRIPTIONS {
            let command = format!("FETCH {number} ({item})");
            world.compare(&mut pair, command.as_bytes());
        }
        for part in commands::PARTS.iter().collect::<BTreeSet<_>>() {
            world.compare(&mut pair, every_text_of(number, part).as_bytes());
        }
        for part in leaves(&mut pair, number) {
            for item in ["BINARY.SIZE", "BINARY.PEEK"] {
                let command = format!("FETCH {number} ({item}[{part}])");
                world.compare(&mut pair, command.as_bytes());
            }
        }
        if world.found.len() > before {
            let name = &message.name;
            world.found.push(format!("that was {name}"));
        }
        // Dovecot ends the session of who asks for what it cannot decode.
        if pair.is_over {
            pair = world.pair();
            pair.both(b"SELECT INBOX");
        }
    }
    world.report();
}

fn every_text_of(number: usize, part: &str) -> String {
    let (dot, mime) = match part {
        "" => ("", String::new()),
        part => (".", format!(" BODY.PEEK[{part}.MIME]")),
    };
    format!(
        "FETCH {number} (BODY.PEEK[{part}{dot}HEADER] BODY.PEEK[{part}{dot}TEXT] BODY.PEEK[{part}] \
         BODY.PEEK[{part}{dot}HEADER.FIELDS.NOT (SUBJECT)] \
         BODY.PEEK[{part}{dot}HEADER.FIELDS (SUBJECT X-ODD TO)]{mime})"
    )
}

/// The numbers of the parts that have an encoding of their own, at most so many.
fn leaves(pair: &mut Pair, number: usize) -> Vec<String> {
    fn below(structure: &Value, prefix: &str, out: &mut Vec<String>) {
        let fields = structure.list().unwrap_or_default();
        let parts = fields.iter().take_while(|field| field.list().is_some());
        match fields.first().and_then(Value::list) {
            Some(_) => parts.enumerate().for_each(|(at, part)| {
                let dot = if prefix.is_empty() { "" } else { "." };
                below(part, &format!("{prefix}{dot}{}", at + 1), out);
            }),
            // A message has no encoding of its own (RFC 2045 §6.4).
            None if fields
                .iter()
                .any(|field| field.list().is_some_and(|l| l.len() == 10)) => {}
            None if prefix.is_empty() => out.push("1".into()),
            None => out.push(prefix.to_owned()),
        }
    }
    let fetched = pair.ours.fetch(&format!("FETCH {number} BODY")).unwrap();
    let mut out = Vec::new();
    below(&fetched[0].items["BODY"], "", &mut out);
    out.truncate(6);
    out
}

#[test]
fn wrong_commands_are_wrong_to_dovecot_too() {
    if !Dovecot::is_here() {
        return;
    }
    let mut world = World::new(3);
    let mut pair = world.pair();
    for command in malformed::COMMANDS {
        // Twenty wrong ones in a row end a session of either.
        for prepared in ["NOOP", "SELECT INBOX"] {
            pair.both(prepared.as_bytes());
        }
        world.conditions(&mut pair, command.as_bytes());
        if pair.is_over {
            pair = world.pair();
        }
    }
    world.report();
}

/// Both servers with the same messages in INBOX, and what was found different.
struct World {
    ours: Server,
    theirs: Dovecot,
    found: Vec<String>,
    commands: u64,
    /// Of the session under way, and what was asked in it.
    seed: u64,
    lately: Vec<String>,
    /// The name of the message that is described.
    message: String,
}

/// The same client at both.
struct Pair {
    ours: Imap,
    theirs: Imap,
    number: u64,
    /// HIGHESTMODSEQ at each mark, UIDVALIDITY.
    marks: Vec<(u64, u64)>,
    validity: (u64, u64),
    /// EXAMINE was said.
    is_read_only: bool,
    is_over: bool,
}

impl World {
    fn new(grown: u64) -> World {
        let setup = Setup::usual().limit("wrong_commands_max = 100");
        let mut world = World {
            ours: Server::start(setup),
            theirs: Dovecot::new(),
            found: Vec::new(),
            commands: 0,
            seed: 0,
            lately: Vec::new(),
            message: String::new(),
        };
        let mut pair = world.pair();
        for (number, message) in mail::messages(grown).iter().enumerate() {
            let message = &message.octets;
            let envelope = mail::envelope(number as u64);
            let mut command =
                format!("APPEND INBOX {envelope} {{{}+}}\r\n", message.len()).into_bytes();
            command.extend_from_slice(message);
            let (ours, theirs) = pair.both(&command);
            assert!(ours.is_ok() && theirs.is_ok(), "{ours:?} {theirs:?}");
        }
        // What an account has from the start.
        for name in pair.ours.ok("LIST \"\" %").unwrap().untagged {
            let name = name.text().rsplit(' ').next().unwrap().to_owned();
            if name != "INBOX" {
                pair.theirs.ok(&format!("CREATE {name}")).unwrap();
            }
        }
        world
    }

    /// Dovecot gives all messages the MODSEQ of the latest when a session first asks for one, as
    /// if all had changed (RFC 7162 §3.1 wants one for each): so its sessions begin by asking.
    fn pair(&mut self) -> Pair {
        let mut theirs = self.theirs.connect();
        theirs.ok("ENABLE CONDSTORE").unwrap();
        Pair {
            ours: self.ours.imap(ALICE),
            theirs,
            number: 0,
            marks: Vec::new(),
            validity: (0, 0),
            is_read_only: false,
            is_over: false,
        }
    }

    /// One seed: a mailbox of some of the messages, and commands at it by two clients.
    fn session(&mut self, number: u64) {
        self.seed = number;
        self.lately.clear();
        let mut seed = Seed::new(number);
        let (mailbox, other) = (format!("at{number}"), format!("beside{number}"));
        let mut keeper = self.pair();
        for command in [
            format!("CREATE {mailbox}"),
            format!("CREATE {other}"),
            "SELECT INBOX".to_owned(),
            some_of_inbox(&mut seed, &mailbox),
        ] {
            let (ours, theirs) = keeper.both(command.as_bytes());
            assert!(
                ours.is_ok() && theirs.is_ok(),
                "{command}: {ours:?} {theirs:?}"
            );
        }
        let mut pairs = [self.pair(), self.pair()];
        let mut known = Knowledge {
            mailbox,
            other,
            is_qresync: seed.below(2) == 0,
            ..Knowledge::default()
        };
        for pair in &mut pairs {
            if known.is_qresync {
                pair.both(b"ENABLE QRESYNC");
            }
            self.compare(pair, format!("SELECT {}", known.mailbox).as_bytes());
        }
        for step in 0..STEPS {
            if step % 8 == 0 {
                keeper.mark(&known.mailbox);
            }
            known.marks = keeper.marks.len() as u64;
            let pair = &mut pairs[seed.below(2) as usize];
            (pair.marks, pair.validity) = (keeper.marks.clone(), keeper.validity);
            self.step(pair, &mut seed, &mut known);
            if pair.is_over {
                break;
            }
        }
    }

    /// A command, and the whole state before and behind it.
    fn step(&mut self, pair: &mut Pair, seed: &mut Seed, known: &mut Knowledge) {
        let before = self.state(pair, known);
        if before.is_none() {
            pair.both(format!("SELECT {}", known.mailbox).as_bytes());
            self.state(pair, known);
        }
        let command = commands::any(seed, known);
        self.compare(pair, &command);
        if !pair.is_over {
            self.state(pair, known);
        }
    }

    /// Compares all messages; `None` where no mailbox is selected.
    fn state(&mut self, pair: &mut Pair, known: &mut Knowledge) -> Option<()> {
        self.compare(pair, b"NOOP");
        let (ours, _) = self.compare(pair, STATE.as_bytes())?;
        let fetched = ours.untagged.iter().filter_map(|one| one.fetched()?.ok());
        known.uids = fetched.filter_map(|one| one.uid()).collect();
        ours.is_ok().then_some(())
    }

    fn compare(&mut self, pair: &mut Pair, command: &[u8]) -> Option<(Answer, Answer)> {
        let asked = Asked::new(command);
        let (ours, theirs) = pair.ask(command)?;
        let lines = [alike(&asked, &ours), alike(&asked, &theirs)];
        self.lately
            .push(format!("{}: {}", pair.number, asked.0.escape_debug()));
        let is_alike = self.judge(pair, &asked, lines);
        pair.looks_back_at(&asked, &ours);
        // What only one of them did changes all that follows.
        let is_nothing = pair.is_read_only && asked.changes_only_flags();
        pair.is_over |= !is_alike || ours.is_ok() != theirs.is_ok() && !is_nothing;
        Some((ours, theirs))
    }

    /// Whether the command was OK, NO or BAD.
    fn conditions(&mut self, pair: &mut Pair, command: &[u8]) {
        let Some((ours, theirs)) = pair.ask(command) else {
            self.found
                .push(format!("{}: a session ended", command.escape_ascii()));
            return;
        };
        let text = Asked::new(command).0;
        if let Some((law, _)) = differences::LAX
            .iter()
            .find(|(_, lax)| lax.contains(&text.as_str()))
        {
            assert!(
                ours.status.starts_with("BAD"),
                "{text}: {law}: {}",
                ours.status
            );
            return;
        }
        let word = |answer: &Answer| vec![answer.status.split(' ').next().unwrap().to_owned()];
        self.judge(pair, &Asked::new(command), [word(&ours), word(&theirs)]);
    }

    /// Whether they are the same, or different as is known.
    fn judge(&mut self, pair: &Pair, asked: &Asked, [ours, theirs]: [Vec<String>; 2]) -> bool {
        self.commands += 1;
        let only = |these: &[String], those: &[String]| -> Vec<String> {
            these
                .iter()
                .filter(|line| !those.contains(line))
                .cloned()
                .collect()
        };
        let case = Case {
            command: &asked.0,
            ours: &only(&ours, &theirs),
            theirs: &only(&theirs, &ours),
            is_read_only: pair.is_read_only,
            message: &self.message,
        };
        let is_same = case.ours.is_empty() && case.theirs.is_empty();
        if is_same || differences::known(&case).is_some() {
            return true;
        }
        if self.found.len() >= FOUND_MAX {
            return false;
        }
        self.found.push(format!(
            "seed {} behind {}\ncommand {}: {}\n{}{}",
            self.seed,
            self.told_lately(),
            pair.number,
            asked.0.escape_debug(),
            shortened("+ ours   ", case.ours),
            shortened("- theirs ", case.theirs)
        ));
        false
    }

    /// What may have changed what now differs.
    fn told_lately(&self) -> String {
        let is_look = |asked: &&String| asked.ends_with(": NOOP") || asked.contains(STATE);
        let told = self
            .lately
            .iter()
            .rev()
            .skip(1)
            .filter(|asked| !is_look(asked));
        let told: Vec<String> = told.take(4).map(|asked| format!("{asked:.200}")).collect();
        told.join(" ← ")
    }

    fn report(&self) {
        eprintln!("{} answers compared", self.commands);
        let found = &self.found;
        assert!(
            found.is_empty(),
            "{} differences:\n{}",
            found.len(),
            found.join("\n")
        );
    }
}

impl Pair {
    fn looks_back_at(&mut self, asked: &Asked, ours: &Answer) {
        if asked.opens() && ours.is_ok() {
            self.is_read_only = ours.status.starts_with("OK [READ-ONLY]");
        }
    }

    /// What both answer, where both do.
    fn ask(&mut self, command: &[u8]) -> Option<(Answer, Answer)> {
        self.number += 1;
        let tag = format!("c{}", self.number);
        let of = |at: fn(&(u64, u64)) -> u64| {
            let marks: Vec<u64> = self.marks.iter().map(at).collect();
            [
                format!("{tag} ").as_bytes(),
                &filled(command, at(&self.validity), &marks),
                b"\r\n",
            ]
            .concat()
        };
        let (ours, theirs) = (of(|both| both.0), undeclared(of(|both| both.1)));
        let ours = answer(&mut self.ours, &tag, &ours);
        let theirs = answer(&mut self.theirs, &tag, &theirs);
        if let (Ok(ours), Ok(theirs)) = (&ours, &theirs) {
            return Some((ours.clone(), theirs.clone()));
        }
        self.is_over = true;
        let text = command.escape_ascii();
        eprintln!(
            "{text}: {:?} {:?}",
            ours.map(|a| a.status),
            theirs.map(|a| a.status)
        );
        None
    }

    fn both(&mut self, command: &[u8]) -> (Answer, Answer) {
        let answers = self.ask(command);
        answers.unwrap_or_else(|| panic!("{}: a session ended", command.escape_ascii()))
    }

    /// Remembers how far the mailbox is at both.
    fn mark(&mut self, mailbox: &str) {
        let items = "HIGHESTMODSEQ UIDVALIDITY";
        let of = |imap: &mut Imap| imap.status(mailbox, items).unwrap();
        let (ours, theirs) = (of(&mut self.ours), of(&mut self.theirs));
        self.marks
            .push((ours["HIGHESTMODSEQ"], theirs["HIGHESTMODSEQ"]));
        self.validity = (ours["UIDVALIDITY"], theirs["UIDVALIDITY"]);
    }
}

/// RFC 9051 §6.3.4: who needs no declaration that names will be made below this one is to ignore
/// it. Dovecot makes a name that cannot be selected, and none at all where it is not ASCII.
fn undeclared(command: Vec<u8>) -> Vec<u8> {
    let is_create = command.split(|octet| *octet == b' ').nth(1) == Some(b"CREATE");
    match command.strip_suffix(b"/\r\n") {
        Some(name) if is_create && !name.ends_with(b" ") => [name, b"\r\n"].concat(),
        _ => command,
    }
}

/// Sends the command and reads up to its tag. Dovecot takes the octets of a literal that it refused
/// for a command, and answers that one too.
fn answer(imap: &mut Imap, tag: &str, command: &[u8]) -> std::io::Result<Answer> {
    imap.connection.send(command)?;
    let mut untagged = Vec::new();
    loop {
        let response = imap.response()?;
        if let Some(status) = response.text().strip_prefix(&format!("{tag} ")) {
            let status = status.to_owned();
            return Ok(Answer { untagged, status });
        }
        if response.0.starts_with(b"* ") {
            untagged.push(response);
        }
    }
}

/// The command with its placeholders as one server needs them.
fn filled(command: &[u8], validity: u64, marks: &[u64]) -> Vec<u8> {
    let mut out = replaced(command, "{V}", &validity.to_string());
    for (number, mark) in marks.iter().enumerate() {
        out = replaced(&out, &format!("{{M{number}}}"), &mark.to_string());
        out = replaced(&out, &format!("{{N{number}}}"), &(mark + 1).to_string());
    }
    out
}

fn replaced(octets: &[u8], from: &str, to: &str) -> Vec<u8> {
    let Some(at) = octets
        .windows(from.len())
        .position(|window| window == from.as_bytes())
    else {
        return octets.to_vec();
    };
    let rest = replaced(&octets[at + from.len()..], from, to);
    [&octets[..at], to.as_bytes(), &rest].concat()
}

/// Of well-formed messages: what is not leaves room for what it is.
fn some_of_inbox(seed: &mut Seed, mailbox: &str) -> String {
    let first = 1 + mail::odd().len() as u64;
    let chosen: BTreeSet<u64> = (0..MESSAGES).map(|_| first + seed.below(GROWN)).collect();
    let chosen: Vec<String> = chosen.iter().map(u64::to_string).collect();
    format!("UID COPY {} {mailbox}", chosen.join(","))
}

fn shortened(sign: &str, lines: &[String]) -> String {
    let line = |line: &String| format!("  {sign}{:.600}\n", line);
    lines.iter().take(6).map(line).collect()
}

/// What is asked before and behind every command.
const STATE: &str = "UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)";

const ROUNDS: u64 = 40;
const STEPS: u64 = 40;
/// Messages of a session's mailbox, and grown ones in INBOX.
const MESSAGES: u64 = 25;
const GROWN: u64 = 60;

/// Differences that are told.
const FOUND_MAX: usize = 400;

const DESCRIPTIONS: &[&str] = &[
    "ENVELOPE",
    "BODY",
    "BODYSTRUCTURE",
    "RFC822.SIZE INTERNALDATE FLAGS",
    "RFC822.HEADER",
    "RFC822.TEXT",
    "PREVIEW",
];
