//! Random commands of several sessions on one mailbox, in random interleavings, against what a
//! client computes from the untagged responses alone: numbers and flags must always agree.

use super::*;
use std::collections::BTreeSet;

const SEEDS: u64 = 150;
const STEPS: usize = 120;

type FlagSet = BTreeSet<String>;

/// What a client believes.
struct Believer {
    client: Client,
    heard: String,
    /// By sequence number: UID and flags, as far as they were told.
    messages: Vec<(Option<u32>, Option<FlagSet>)>,
    in_flight: Option<Command>,
    idle: bool,
    tags: u32,
}

struct Command {
    tag: String,
    text: String,
    may_expunge: bool,
}

impl Believer {
    fn new(store: &Fake) -> Believer {
        let mut client = Client::new(store, ALICE);
        client.push(b"t SELECT INBOX\r\n");
        let mut believer = Believer {
            client,
            heard: String::new(),
            messages: Vec::new(),
            in_flight: None,
            idle: false,
            tags: 0,
        };
        believer.in_flight = Some(Command {
            tag: "t".into(),
            text: "SELECT".into(),
            may_expunge: false,
        });
        believer.settle();
        believer
    }

    fn send(&mut self, text: String) {
        self.tags += 1;
        let tag = format!("t{}", self.tags);
        let may_expunge = !["FETCH", "STORE", "SEARCH"]
            .iter()
            .any(|name| text.starts_with(name));
        self.client.push(format!("{tag} {text}\r\n").as_bytes());
        self.apply_silent(&text);
        self.in_flight = Some(Command {
            tag,
            text,
            may_expunge,
        });
    }

    /// A client that asks for silence does the sum itself.
    fn apply_silent(&mut self, text: &str) {
        let words: Vec<&str> = text.split(' ').collect();
        let ["STORE", set, op, ..] = words[..] else {
            return;
        };
        let Some(op) = op.strip_suffix(".SILENT") else {
            return;
        };
        let flag = words[3].trim_matches(|c| matches!(c, '(' | ')')).to_owned();
        let (first, last) = set.split_once(':').unwrap();
        for at in first.parse::<usize>().unwrap()..=last.parse::<usize>().unwrap() {
            if let Some(flags) = &mut self.messages[at - 1].1 {
                match op {
                    "+FLAGS" => _ = flags.insert(flag.clone()),
                    "-FLAGS" => _ = flags.remove(&flag),
                    _ => *flags = BTreeSet::from([flag.clone()]),
                }
            }
        }
    }

    fn settle(&mut self) {
        let said = self.client.listen();
        self.hear(&said);
    }

    fn hear(&mut self, said: &str) {
        self.heard.push_str(said);
        // Our bodies are one octet long: the line behind such a literal belongs to the response.
        while let Some(end) = line_end(&self.heard) {
            let line: String = self.heard.drain(..end).collect();
            self.line(line.trim_end());
        }
    }

    fn line(&mut self, line: &str) {
        if let Some(data) = line.strip_prefix("* ") {
            return self.untagged(data, line);
        }
        if line.starts_with('+') {
            return;
        }
        let command = self
            .in_flight
            .take()
            .unwrap_or_else(|| panic!("nobody asked for {line}"));
        let answer = line
            .strip_prefix(&command.tag)
            .unwrap_or_else(|| panic!("{line}"));
        let gone = answer.starts_with(" NO [EXPUNGEISSUED]");
        assert!(
            answer.starts_with(" OK") || gone,
            "{}: {line}",
            command.text
        );
    }

    fn untagged(&mut self, data: &str, line: &str) {
        let mut words = data.split(' ');
        let Ok(number) = words.next().unwrap().parse::<usize>() else {
            return;
        };
        match words.next().unwrap() {
            "EXISTS" => {
                assert!(
                    number >= self.messages.len(),
                    "{line} after {}",
                    self.messages.len()
                );
                self.messages.resize(number, (None, None));
            }
            "EXPUNGE" => {
                let command = self.in_flight.as_ref();
                assert!(
                    self.idle || command.is_some_and(|c| c.may_expunge),
                    "untimely {line}"
                );
                assert!((1..=self.messages.len()).contains(&number), "{line}");
                self.messages.remove(number - 1);
            }
            "FETCH" => {
                assert!((1..=self.messages.len()).contains(&number), "{line}");
                let message = &mut self.messages[number - 1];
                if let Some(uid) = behind(data, "UID ") {
                    let uid = uid.split([' ', ')']).next().unwrap().parse().unwrap();
                    assert!(
                        message.0.is_none_or(|known| known == uid),
                        "{line}: {message:?}"
                    );
                    message.0 = Some(uid);
                }
                if let Some(flags) = behind(data, "FLAGS (") {
                    let flags = flags.split(')').next().unwrap().split(' ');
                    let shown = flags.filter(|f| !f.is_empty() && *f != "\\Recent");
                    message.1 = Some(shown.map(str::to_owned).collect());
                }
            }
            _ => {}
        }
    }
}

fn line_end(heard: &str) -> Option<usize> {
    let mut end = heard.find("\r\n")? + 2;
    while heard[..end].ends_with("{1}\r\n") {
        end += heard[end..].find("\r\n")? + 2;
    }
    Some(end)
}

fn behind<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    text.find(word).map(|at| &text[at + word.len()..])
}

fn command(random: &mut Random, believed: usize) -> String {
    let set = |random: &mut Random| {
        let (a, b) = (random.below(believed) + 1, random.below(believed) + 1);
        format!("{}:{}", a.min(b), a.max(b))
    };
    let flag = random.one_of(&["\\Seen", "\\Flagged", "\\Deleted", "\\Deleted", "kw"]);
    let op = random.one_of(&["+FLAGS", "-FLAGS", "FLAGS"]);
    match random.below(if believed == 0 { 4 } else { 16 }) {
        0 => "NOOP".into(),
        1 => "EXPUNGE".into(),
        2 => "APPEND INBOX {16+}\r\nSubject: x\r\n\r\nyy".into(),
        3 => "UID EXPUNGE 1:*".into(),
        4 => format!("FETCH {} (UID FLAGS)", set(random)),
        5 => format!("FETCH {} BODY[TEXT]<0.1>", set(random)),
        6 => "UID FETCH 1:* (FLAGS)".into(),
        7 | 8 => format!("STORE {} {op} ({flag})", set(random)),
        9 | 10 => format!("STORE {} {op}.SILENT ({flag})", set(random)),
        11 => format!("UID STORE {} {op} ({flag})", random.below(40) + 1),
        12 => format!("SEARCH {} UNSEEN", set(random)),
        13 => format!("COPY {} INBOX", set(random)),
        14 => format!("MOVE {} Other", set(random)),
        _ => format!("UID MOVE {} Other", random.below(40) + 1),
    }
}

fn run(seed: u64) {
    let mut random = Random::new(seed);
    let store = Fake::new();
    Client::new(&store, ALICE).say("x CREATE Other");
    let mut all: Vec<Believer> = (0..3).map(|_| Believer::new(&store)).collect();
    for _ in 0..STEPS {
        let chosen = random.below(4);
        let Some(believer) = all.get_mut(chosen) else {
            store.deliver(ALICE, "INBOX", b"Subject: x\r\n\r\ny");
            continue;
        };
        if believer.idle {
            believer.idle = random.below(3) != 0;
            if !believer.idle {
                believer.client.push(b"DONE\r\n");
            }
        } else if believer.in_flight.is_none() && random.below(8) == 0 {
            believer.send("IDLE".into());
            believer.idle = true;
        } else if believer.in_flight.is_none() {
            let text = command(&mut random, believer.messages.len());
            believer.send(text);
        }
        // A command runs some of its steps; others get in between.
        for _ in 0..random.below(6) {
            believer.client.step();
        }
        let said = believer.client.heard_so_far();
        believer.hear(&said);
    }
    agree(&store, &mut all);
}

/// After one more NOOP everybody believes what is.
fn agree(store: &Fake, all: &mut [Believer]) {
    for believer in all.iter_mut().filter(|b| b.idle) {
        believer.client.push(b"DONE\r\n");
    }
    all.iter_mut().for_each(Believer::settle);
    let truth = store.named_flags(ALICE, "INBOX");
    for believer in all {
        believer.idle = false;
        believer.send("NOOP".into());
        believer.settle();
        let before: Vec<_> = believer.messages.clone();
        believer.send("UID FETCH 1:* (UID FLAGS)".into());
        believer.settle();
        for (believed, (uid, flags)) in before.iter().zip(&truth) {
            assert!(
                believed.0.is_none_or(|u| u == *uid),
                "{believed:?} is {uid}"
            );
            assert!(
                believed.1.as_ref().is_none_or(|f| f == flags),
                "{believed:?} is {flags:?}"
            );
        }
        let told: Vec<_> = believer
            .messages
            .iter()
            .map(|m| (m.0.unwrap(), m.1.clone().unwrap()))
            .collect();
        assert_eq!(told, truth);
    }
}

#[test]
fn clients_and_server_count_alike() {
    for seed in 1..=SEEDS {
        let caught = std::panic::catch_unwind(|| run(seed));
        assert!(caught.is_ok(), "seed {seed}");
    }
}
