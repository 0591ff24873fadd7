//! Our side, read and changed by the tests' own client while other programs work on it.

use super::super::ALICE;
use super::Holder;
use super::model::{Change, Flags, Messages, Model, What, message, number};
use std::collections::BTreeMap;
use tests::imap::{Fetched, Imap, Value};
use tests::server::Server;

pub(crate) struct Far {
    imap: Imap,
}

impl Far {
    pub(crate) fn open(server: &Server) -> Far {
        Far::of(server, ALICE)
    }

    pub(crate) fn of(server: &Server, account: &str) -> Far {
        let imap = server.imap(account);
        Far { imap }
    }

    pub(crate) fn build(&mut self, model: &Model) {
        for (mailbox, messages) in model.mailboxes() {
            for (number, flags) in messages {
                self.add(mailbox, *number, flags);
            }
        }
    }

    fn fetched(&mut self, mailbox: &str, items: &str) -> Vec<Fetched> {
        let answer = self.imap.ok(&format!("SELECT {mailbox}")).unwrap();
        let exists = answer
            .untagged
            .iter()
            .find_map(|response| response.exists());
        match exists {
            Some(0) => Vec::new(),
            _ => self
                .imap
                .fetch(&format!("UID FETCH 1:* ({items})"))
                .unwrap(),
        }
    }

    /// What would move if anything were done.
    pub(crate) fn marks(&mut self, model: &Model) -> Vec<BTreeMap<String, u64>> {
        let items = "UIDNEXT UIDVALIDITY HIGHESTMODSEQ MESSAGES";
        let names = model.mailboxes().keys();
        names
            .map(|name| self.imap.status(name, items).unwrap())
            .collect()
    }

    fn uid(&mut self, mailbox: &str, wanted: u64) -> u32 {
        self.ok(&format!("SELECT {mailbox}"));
        let found = self.imap.fetch("UID FETCH 1:* (UID BODY.PEEK[])").unwrap();
        let is_wanted = |fetched: &&Fetched| {
            let octets = fetched.octets("BODY[]").expect("it was asked for");
            number(octets, mailbox) == wanted
        };
        let fetched = found.iter().find(is_wanted);
        fetched
            .and_then(Fetched::uid)
            .unwrap_or_else(|| panic!("no {wanted} in {mailbox}"))
    }

    fn add(&mut self, mailbox: &str, number: u64, flags: &Flags) {
        self.create(mailbox);
        let place = format!("{mailbox} ({})", words(flags));
        let answer = self.imap.append(&place, "", &message(number)).unwrap();
        assert!(answer.is_ok(), "{answer:?}");
    }

    /// It may be there already.
    fn create(&mut self, mailbox: &str) {
        let answer = self.imap.command(&format!("CREATE {mailbox}")).unwrap();
        let is_there = ["OK", "NO [ALREADYEXISTS]"]
            .iter()
            .any(|s| answer.status.starts_with(s));
        assert!(is_there || mailbox == "INBOX", "{answer:?}");
    }

    fn ok(&mut self, command: &str) {
        self.imap.ok(command).unwrap();
    }
}

impl Holder for Far {
    fn apply(&mut self, change: &Change) {
        if let What::Add = change.what {
            return self.add(&change.mailbox, change.number, &change.before);
        }
        let uid = self.uid(&change.mailbox, change.number);
        match &change.what {
            What::Add => {}
            What::Remove => {
                self.ok(&format!("UID STORE {uid} +FLAGS.SILENT (\\Deleted)"));
                self.ok(&format!("UID EXPUNGE {uid}"));
            }
            What::Toggle(toggled) => {
                let (off, on): (Flags, Flags) = toggled
                    .iter()
                    .copied()
                    .partition(|flag| change.before.contains(flag));
                for (sign, flags) in [('-', &off), ('+', &on)] {
                    self.ok(&format!("UID STORE {uid} {sign}FLAGS ({})", words(flags)));
                }
            }
            What::Move(to) => {
                self.create(to);
                self.ok(&format!("UID MOVE {uid} {to}"));
            }
        }
    }

    fn picture(&mut self, mailbox: &str) -> Messages {
        let place = format!("far {mailbox}");
        let mut messages = Messages::new();
        for fetched in self.fetched(mailbox, "FLAGS BODY.PEEK[]") {
            let octets = fetched.octets("BODY[]").expect("it was asked for");
            let twice = messages.insert(number(octets, &place), flags(&fetched));
            assert!(twice.is_none(), "a message is twice in {place}");
        }
        messages
    }
}

fn flags(fetched: &Fetched) -> Flags {
    let words = fetched
        .items
        .get("FLAGS")
        .and_then(Value::list)
        .expect("they were asked for");
    let letter = |word: &Value| {
        let word = word.string()?;
        LETTERS
            .into_iter()
            .find(|(_, name)| *name == word)
            .map(|(letter, _)| letter)
    };
    words.iter().filter_map(letter).collect()
}

fn words<'a>(flags: impl IntoIterator<Item = &'a char>) -> String {
    let word = |flag: &char| {
        LETTERS
            .into_iter()
            .find(|(letter, _)| letter == flag)
            .unwrap()
            .1
    };
    flags.into_iter().map(word).collect::<Vec<_>>().join(" ")
}

/// The letters of a Maildir and our names. `\Deleted` is none: whoever removes also expunges.
const LETTERS: [(char, &str); 5] = [
    ('D', "\\Draft"),
    ('F', "\\Flagged"),
    ('R', "\\Answered"),
    ('S', "\\Seen"),
    ('T', "\\Deleted"),
];
