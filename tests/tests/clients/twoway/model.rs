//! What both sides must hold, and the changes of a round with their outcome.
//!
//! A message is its number, which decides its octets. In one round a side does one thing to a
//! message at most; both may do something to the same one, except that only one may move it.

use ::tests::corpus::plain;
use ::tests::seed::Seed;
use std::collections::{BTreeMap, BTreeSet};

/// The flags of a message, as the letters of a Maildir.
pub(crate) type Flags = BTreeSet<char>;
/// The messages of a mailbox by number.
pub(crate) type Messages = BTreeMap<u64, Flags>;

pub(crate) struct Model {
    mailboxes: BTreeMap<String, Messages>,
    next: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Near,
    Far,
}

/// One thing that one side does to one message.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub side: Side,
    pub mailbox: String,
    pub number: u64,
    /// The flags that the message has on that side before.
    pub before: Flags,
    pub what: What,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Add,
    /// Each of these flags is set where it was not, and removed where it was.
    Toggle(Flags),
    Remove,
    /// To a mailbox that may not be there yet.
    Move(String),
}

impl Model {
    pub(crate) fn with(mailboxes: &[&str], each: u64, seed: &mut Seed) -> Model {
        let mut model = Model {
            mailboxes: BTreeMap::new(),
            next: 0,
        };
        for name in mailboxes {
            let messages = (0..each)
                .map(|_| (model.take_number(), flags(seed)))
                .collect();
            model.mailboxes.insert((*name).to_owned(), messages);
        }
        model
    }

    pub(crate) fn mailboxes(&self) -> &BTreeMap<String, Messages> {
        &self.mailboxes
    }

    /// The changes of both sides, in the order in which they are made; with `merged` both may
    /// change the flags of one message.
    pub(crate) fn draw(&mut self, round: u64, merged: bool, seed: &mut Seed) -> Vec<Change> {
        let places: Vec<(String, u64, Flags)> = self.places();
        let mut changes = Vec::new();
        for (mailbox, number, before) in places {
            let (mut is_moved, mut is_flagged) = (false, false);
            for side in [Side::Near, Side::Far] {
                let Some(what) = what(round, seed) else {
                    continue;
                };
                match what {
                    What::Move(_) if is_moved => continue,
                    What::Toggle(_) if is_flagged && !merged => continue,
                    _ => {}
                }
                is_moved |= matches!(what, What::Move(_));
                is_flagged |= matches!(what, What::Toggle(_));
                let (mailbox, before) = (mailbox.clone(), before.clone());
                changes.push(Change {
                    side,
                    mailbox,
                    number,
                    before,
                    what,
                });
            }
        }
        for side in [Side::Near, Side::Far] {
            for _ in 0..1 + seed.below(4) {
                let mailbox = mailbox(round, seed);
                let (number, before) = (self.take_number(), flags(seed));
                changes.push(Change {
                    side,
                    mailbox,
                    number,
                    before,
                    what: What::Add,
                });
            }
        }
        changes
    }

    fn places(&self) -> Vec<(String, u64, Flags)> {
        let each = self.mailboxes.iter().flat_map(|(name, messages)| {
            let place = |(number, flags): (&u64, &Flags)| (name.clone(), *number, flags.clone());
            messages.iter().map(place).collect::<Vec<_>>()
        });
        each.collect()
    }

    /// What all of it comes to.
    pub(crate) fn settle(&mut self, changes: &[Change]) {
        let mut gone = Vec::new();
        for change in changes {
            let here = (change.mailbox.clone(), change.number);
            match &change.what {
                What::Add => self.put(&change.mailbox, change.number, change.before.clone()),
                // One changed flag is one change, though both sides made it: both began alike.
                What::Toggle(toggled) => {
                    if let Some(flags) = self.flags(&change.mailbox, change.number) {
                        let others = flags.difference(toggled);
                        let set = toggled.difference(&change.before);
                        *flags = others.chain(set).copied().collect();
                    }
                }
                What::Remove => gone.push(here),
                // It left before the other side's change could reach it.
                What::Move(to) => {
                    self.put(to, change.number, change.before.clone());
                    gone.push(here);
                }
            }
        }
        for (mailbox, number) in gone {
            if let Some(messages) = self.mailboxes.get_mut(&mailbox) {
                messages.remove(&number);
            }
        }
    }

    fn flags(&mut self, mailbox: &str, number: u64) -> Option<&mut Flags> {
        self.mailboxes.get_mut(mailbox)?.get_mut(&number)
    }

    fn put(&mut self, mailbox: &str, number: u64, flags: Flags) {
        let messages = self.mailboxes.entry(mailbox.to_owned()).or_default();
        messages.insert(number, flags);
    }

    fn take_number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

/// A third of the messages is touched by each side, so that a ninth is by both.
fn what(round: u64, seed: &mut Seed) -> Option<What> {
    match seed.below(24) {
        0..=4 => {
            let toggled = flags(seed);
            (!toggled.is_empty()).then_some(What::Toggle(toggled))
        }
        5 | 6 => Some(What::Remove),
        7 => Some(What::Move(target(round, seed))),
        _ => None,
    }
}

/// Not one where the message can be already.
fn target(round: u64, seed: &mut Seed) -> String {
    format!("Moved{}", round * 2 + seed.below(2))
}

/// Both sides may make the same new mailbox in the same round.
fn mailbox(round: u64, seed: &mut Seed) -> String {
    match seed.below(4) {
        0 => format!("New{}/Below", round / 2),
        1 => "Work".to_owned(),
        _ => "INBOX".to_owned(),
    }
}

fn flags(seed: &mut Seed) -> Flags {
    LETTERS.into_iter().filter(|_| seed.below(3) == 0).collect()
}

/// The octets of a message.
pub(crate) fn message(number: u64) -> Vec<u8> {
    plain(
        &format!("m{number}"),
        300 + (number as usize * 131) % 3_000,
        &mut Seed::new(number),
    )
}

/// The number of a message, once its octets are what they must be.
pub(crate) fn number(octets: &[u8], place: &str) -> u64 {
    let text = String::from_utf8_lossy(octets);
    let (_, behind) = text
        .split_once("Subject: m")
        .expect("each of ours has a subject");
    let line = behind.split("\r\n").next();
    let number = line.and_then(|digits| digits.parse().ok());
    let number = number.expect("the subject is the number");
    assert!(
        without_mark(&text).as_bytes() == message(number),
        "message {number} changed, {place}:\n{text}"
    );
    number
}

/// mbsync finds what it stored by a line of its own.
fn without_mark(text: &str) -> String {
    let is_mark = |line: &&str| line.starts_with("X-TUID: ");
    let lines = text.split_inclusive('\n');
    lines.filter(|line| !is_mark(line)).collect()
}

/// Draft, flagged, replied, seen.
const LETTERS: [char; 4] = ['D', 'F', 'R', 'S'];

#[cfg(test)]
mod tests {
    use super::*;

    fn change(side: Side, number: u64, before: &str, what: What) -> Change {
        let before = before.chars().collect();
        Change {
            side,
            mailbox: "INBOX".into(),
            number,
            before,
            what,
        }
    }

    #[test]
    fn conflicts_come_to_one_outcome() {
        let toggle = |letters: &str| What::Toggle(letters.chars().collect());
        let mut model = Model {
            mailboxes: BTreeMap::new(),
            next: 9,
        };
        for number in 1..=3 {
            model.put("INBOX", number, "FS".chars().collect());
        }
        model.settle(&[
            change(Side::Near, 1, "FS", toggle("FD")),
            change(Side::Far, 1, "FS", toggle("FR")),
            change(Side::Near, 2, "FS", What::Remove),
            change(Side::Far, 2, "FS", toggle("R")),
            change(Side::Near, 3, "FS", What::Remove),
            change(Side::Far, 3, "FS", What::Move("Else".into())),
        ]);
        assert_eq!(
            model.mailboxes["INBOX"],
            [(1, "DRS".chars().collect())].into()
        );
        assert_eq!(
            model.mailboxes["Else"],
            [(3, "FS".chars().collect())].into()
        );
    }
}
