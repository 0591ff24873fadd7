//! Random commands of a guest under random rights: nothing changes, and nothing is told, without
//! the right to it.

use super::*;
use crate::session::imap::mailstore::Mailstore;
use crate::wire::imap::rights::Rights;
use ::store::mail::flags::Flags;
use std::collections::BTreeMap;

const SEEDS: u64 = 120;
const STEPS: usize = 60;

const NAMES: [&str; 4] = ["INBOX", "open", "open/below", "closed"];

/// What there is of a mailbox: its contents, and who may what.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Seen {
    messages: BTreeMap<u32, (Flags, Vec<String>)>,
    rights: String,
    notes: String,
}

struct World {
    village: Village,
    rights: BTreeMap<&'static str, Rights>,
    random: Random,
}

impl World {
    fn new(seed: u64) -> World {
        let village = Village::new();
        let mut random = Random::new(seed);
        village.alice(&["CREATE open/below", "CREATE closed"]);
        let mut rights = BTreeMap::new();
        for name in NAMES {
            let text = format!("Subject: s\r\n\r\nSECRET of {name}.");
            for _ in 0..3 {
                village.store.deliver(ALICE, name, text.as_bytes());
            }
            let letters: String = "lrswipkxtea"
                .chars()
                .filter(|letter| random.below(3) > usize::from(*letter == 'l'))
                .collect();
            village.alice(&[&format!("SETACL {name} bob \"{letters}\"")]);
            rights.insert(name, Rights::parse(&letters).unwrap());
        }
        World {
            village,
            rights,
            random,
        }
    }

    fn look(&self) -> BTreeMap<String, Seen> {
        let store = &self.village.store;
        let mut alice = self.village.client(ALICE_NAME);
        let all = store.mailboxes(ALICE);
        let seen = all.into_iter().map(|info| {
            let flags = store.named_flags(ALICE, &info.name).into_iter();
            let messages = store.contents(ALICE, &info.name).into_iter();
            let both = messages.zip(flags);
            let messages = both.map(|((uid, flags, _), (_, names))| {
                let keywords = names.into_iter().filter(|name| !name.starts_with('\\'));
                (uid, (flags, keywords.collect()))
            });
            let note = format!("a GETMETADATA (DEPTH infinity) \"{}\" /shared", info.name);
            let seen = Seen {
                messages: messages.collect(),
                rights: alice.say(&format!("a GETACL \"{}\"", info.name)),
                notes: alice.say(&note),
            };
            (info.name, seen)
        });
        seen.collect()
    }

    fn has(&self, name: &str, right: &str) -> bool {
        let right = Rights::parse(right).unwrap();
        self.rights
            .get(name)
            .is_some_and(|rights| rights.contains(right))
    }

    fn command(&mut self) -> String {
        let name = |random: &mut Random| {
            let name = random.one_of(&NAMES);
            format!("\"Other Users/alice@example.test/{name}\"")
        };
        let random = &mut self.random;
        let form = random.one_of(&[
            "SELECT #",
            "SELECT #",
            "SELECT #",
            "EXAMINE #",
            "SELECT INBOX",
            "FETCH 1:* (FLAGS BODY[])",
            "FETCH 1:* BODY.PEEK[TEXT]",
            "FETCH 1 RFC822",
            "STORE 1:* +FLAGS (\\Seen \\Deleted \\Flagged word)",
            "STORE 1 FLAGS (\\Answered)",
            "STORE 2 FLAGS ()",
            "STORE 1:* -FLAGS (\\Seen \\Deleted word)",
            "EXPUNGE",
            "CLOSE",
            "UID EXPUNGE 1:*",
            "COPY 1:* #",
            "MOVE 1 #",
            "COPY 1 INBOX",
            "UID MOVE 2 INBOX",
            "STATUS # (MESSAGES UNSEEN)",
            "APPEND # (\\Seen \\Deleted x) {3+}\r\nnew",
            "NOOP",
            "DELETE #",
            "RENAME # #-new",
            "CREATE #-new",
            "SETACL # bob lrswipkxtea",
            "SETACL # anyone +lr",
            "DELETEACL # bob",
            "GETACL #",
            "LISTRIGHTS # bob",
            "MYRIGHTS #",
            "GETMETADATA # /shared/note",
            "SETMETADATA # (/shared/note \"bob\")",
            "GETQUOTAROOT #",
            "SEARCH BODY SECRET",
            "SEARCH ALL",
            "SORT (SUBJECT) UTF-8 ALL",
            "THREAD REFERENCES UTF-8 BODY SECRET",
            "ESEARCH IN (personal) BODY SECRET",
            "ESEARCH IN (mailboxes # subtree \"Other Users\") BODY SECRET",
            "UNSELECT",
            "CHECK",
            "LIST \"\" *",
            "LIST \"\" \"Other Users/*\" RETURN (STATUS (MESSAGES) MYRIGHTS)",
        ]);
        let one = name(random);
        let below = format!("{}/below-new\"", one.trim_end_matches('"'));
        let two = name(random);
        let text = form.replace("#-new", &below).replacen('#', &one, 1);
        format!("a {}", text.replace('#', &two))
    }
}

#[test]
fn nothing_is_reached_without_the_right() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        let mut bob = world.village.client(BOB_NAME);
        for _ in 0..STEPS {
            let command = world.command();
            let before = world.look();
            let answer = bob.say(&command);
            if bob.ended.is_some() {
                // Too many commands in a row made no sense.
                bob = world.village.client(BOB_NAME);
                continue;
            }
            assert!(answer.contains("a "), "seed {seed}: {command}: {answer}");
            let after = world.look();
            check_told(&world, &answer, &format!("seed {seed}: {command}"));
            check_done(
                &world,
                &before,
                &after,
                &format!("seed {seed}: {command}\n{answer}"),
            );
            if before.keys().ne(after.keys())
                || before
                    .values()
                    .map(|one| &one.rights)
                    .ne(after.values().map(|one| &one.rights))
            {
                // Names and rights are others now: the rest of it is another world.
                break;
            }
        }
    }
}

/// Only what may be read or seen is told.
fn check_told(world: &World, answer: &str, what: &str) {
    for name in NAMES {
        let told = answer.contains(&format!("SECRET of {name}."));
        let full = format!("Other Users/alice@example.test/{name}\"");
        // Copies in the guest's own INBOX were read lawfully when they were made.
        let is_copied = world.village.store.contents(BOB, "INBOX");
        let is_copied = is_copied.iter().any(|(_, _, octets)| {
            String::from_utf8_lossy(octets).contains(&format!("SECRET of {name}."))
        });
        // So were copies in other mailboxes of the owner.
        let elsewhere = NAMES.iter().any(|other| {
            *other != name
                && world.has(other, "lr")
                && world.village.store.mailbox(ALICE, other).is_some()
                && world
                    .village
                    .store
                    .contents(ALICE, other)
                    .iter()
                    .any(|(_, _, octets)| {
                        String::from_utf8_lossy(octets).contains(&format!("SECRET of {name}."))
                    })
        });
        assert!(
            !told || world.has(name, "lr") || is_copied || elsewhere,
            "{what}: {answer}"
        );
        if is_copied || elsewhere {
            assert!(world.has(name, "lr"), "{what}: copied without a right");
        }
        if answer.contains(&full) {
            let is_level = answer.contains(&format!(
                "\\NonExistent \\Noselect \\HasChildren) \"/\" \"{full}"
            ));
            assert!(world.has(name, "l") || is_level, "{what}: {answer}");
        }
    }
}

/// Each change has its right.
fn check_done(
    world: &World,
    before: &BTreeMap<String, Seen>,
    after: &BTreeMap<String, Seen>,
    what: &str,
) {
    for (name, old) in before {
        let Some(new) = after.get(name) else {
            let moved = name.strip_prefix("open/").is_some() && world.has("open", "lx");
            assert!(world.has(name, "lx") || moved, "{what}: {name} went");
            continue;
        };
        assert!(
            old.rights == new.rights || world.has(name, "la"),
            "{what}: rights of {name}"
        );
        assert!(
            old.notes == new.notes || world.has(name, "l"),
            "{what}: notes of {name}"
        );
        for (uid, (flags, keywords)) in &old.messages {
            let Some((now, words)) = new.messages.get(uid) else {
                assert!(world.has(name, "lre"), "{what}: {uid} of {name} went");
                continue;
            };
            let changed = Flags(flags.0 ^ now.0);
            let needs = |flag, right| changed.contains(flag) && !world.has(name, right);
            assert!(!needs(Flags::SEEN, "lrs"), "{what}: \\Seen in {name}");
            assert!(!needs(Flags::DELETED, "lrt"), "{what}: \\Deleted in {name}");
            let others = changed & !(Flags::SEEN | Flags::DELETED);
            let is_written = !others.is_empty() || words != keywords;
            assert!(
                !is_written || world.has(name, "lrw"),
                "{what}: flags in {name}"
            );
        }
        let is_fed = new
            .messages
            .keys()
            .any(|uid| !old.messages.contains_key(uid));
        assert!(
            !is_fed || world.has(name, "li"),
            "{what}: messages for {name}"
        );
    }
    for name in after.keys().filter(|name| !before.contains_key(*name)) {
        let mut above = name.as_str();
        while !before.contains_key(above) {
            above = above.rsplit_once('/').map_or("", |(above, _)| above);
            assert!(
                !above.is_empty(),
                "{what}: {name} was made on the first level"
            );
        }
        assert!(world.has(above, "lk"), "{what}: {name} was made");
    }
}
