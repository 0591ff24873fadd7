//! A client that knows nothing but what it was told, and holds every response against the laws.

use super::super::Random;
use super::super::pipe::Client;
use super::commands;
use super::world::{Truth, World};
use crate::session::imap::dialogue::Dialogue;
use crate::session::imap::{Session, Terms};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;
use store::mail::date::InternalDate;

/// Rounds in which everything that is on its way has to come to its end.
const ROUNDS_MAX: usize = 200_000;

type FlagSet = BTreeSet<String>;

/// What a client has enabled, and what it listens to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Kind {
    dialect: Dialect,
    events: Events,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Dialect {
    Plain,
    Condstore,
    Qresync,
    UidOnly,
    UidOnlyQresync,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Events {
    /// No NOTIFY at all.
    Usual,
    Selected,
    Delayed,
}

impl Kind {
    pub(super) fn any(random: &mut Random) -> Kind {
        use Dialect::{Condstore, Plain, Qresync, UidOnly, UidOnlyQresync};
        let dialects = [Plain, Condstore, Qresync, Qresync, UidOnly, UidOnlyQresync];
        let events = [
            Events::Usual,
            Events::Usual,
            Events::Selected,
            Events::Delayed,
        ];
        Kind {
            dialect: dialects[random.below(dialects.len())],
            events: events[random.below(events.len())],
        }
    }

    pub(super) fn has_numbers(self) -> bool {
        !matches!(self.dialect, Dialect::UidOnly | Dialect::UidOnlyQresync)
    }

    pub(super) fn is_qresync(self) -> bool {
        matches!(self.dialect, Dialect::Qresync | Dialect::UidOnlyQresync)
    }

    fn hears_vanished(self) -> bool {
        self.is_qresync() || !self.has_numbers()
    }

    fn enable(self) -> Option<&'static str> {
        Some(match self.dialect {
            Dialect::Plain => return None,
            Dialect::Condstore => "CONDSTORE",
            Dialect::Qresync => "QRESYNC",
            Dialect::UidOnly => "UIDONLY CONDSTORE",
            Dialect::UidOnlyQresync => "UIDONLY QRESYNC",
        })
    }
}

#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct Message {
    uid: Option<u32>,
    flags: Option<FlagSet>,
    modseq: Option<u64>,
}

struct Command {
    tag: String,
    text: String,
}

pub(super) struct Believer {
    kind: Kind,
    client: Client,
    heard: String,
    /// By sequence number, or in the order of UIDs where there are none.
    messages: Vec<Message>,
    in_flight: Option<Command>,
    idle: bool,
    tags: u32,
    uid_validity: Option<u32>,
    /// Everything up to here was told.
    modseq: u64,
    /// What is left of an earlier session.
    cache: BTreeMap<u32, FlagSet>,
    watched: BTreeMap<String, (u32, u32)>,
    names: BTreeSet<String>,
    log: Vec<String>,
}

impl Believer {
    pub(super) fn new(kind: Kind, world: &World) -> Believer {
        Believer {
            kind,
            client: connect(world),
            heard: String::new(),
            messages: Vec::new(),
            in_flight: None,
            idle: false,
            tags: 0,
            uid_validity: None,
            modseq: 1,
            cache: BTreeMap::new(),
            watched: BTreeMap::new(),
            names: BTreeSet::new(),
            log: Vec::new(),
        }
    }

    /// Connects anew, and is told what it missed.
    pub(super) fn come_back(&mut self, world: &mut World, random: &mut Random) {
        let in_flight = self.in_flight.as_ref();
        if in_flight.is_some_and(|command| command.text.contains(".SILENT")) {
            // Nobody said whether it was done.
            self.messages.retain(|message| message.modseq.is_some());
        }
        let known = self.messages.drain(..);
        let known = known.filter_map(|message| Some((message.uid?, message.flags?)));
        self.cache = known.collect();
        self.client = connect(world);
        self.heard.clear();
        (self.in_flight, self.idle) = (None, false);
        self.log.push("--- again".to_owned());
        if let Some(words) = self.kind.enable() {
            self.say(world, format!("ENABLE {words}"));
        }
        self.select(world, random);
        self.ask_for_events(world);
    }

    fn select(&mut self, world: &mut World, random: &mut Random) {
        let back = self.uid_validity.filter(|_| self.kind.is_qresync());
        let Some(uid_validity) = back else {
            self.cache.clear();
            return self.say(world, "SELECT INBOX".to_owned());
        };
        let known: Vec<String> = self.cache.keys().map(u32::to_string).collect();
        let known = match known.is_empty() || random.below(2) == 0 {
            true => String::new(),
            false => format!(" {}", known.join(",")),
        };
        let modseq = self.modseq;
        self.say(
            world,
            format!("SELECT INBOX (QRESYNC ({uid_validity} {modseq}{known}))"),
        );
        let truth = world.truth();
        for (uid, flags) in std::mem::take(&mut self.cache) {
            let is = truth.get(&uid).map(|(flags, _)| flags);
            assert_eq!(
                is,
                Some(&flags),
                "UID {uid} after coming back\n{}",
                self.story()
            );
        }
    }

    fn ask_for_events(&mut self, world: &mut World) {
        let selected = match self.kind.events {
            Events::Usual => return,
            Events::Selected => "selected",
            Events::Delayed => "selected-delayed",
        };
        self.names = world.names();
        self.say(
            world,
            format!(
                "NOTIFY SET STATUS ({selected} (MessageNew (UID FLAGS) MessageExpunge FlagChange)) \
                 (mailboxes Other (MessageNew MessageExpunge)) (personal (MailboxName))"
            ),
        );
    }

    fn say(&mut self, world: &mut World, text: String) {
        self.send(text);
        settle(world, std::slice::from_mut(self));
    }

    /// The next thing that this client does, if it is not waiting.
    pub(super) fn act(&mut self, random: &mut Random) {
        if self.idle {
            if random.below(3) == 0 {
                self.wake_up();
            }
        } else if self.in_flight.is_none() {
            let text = match random.below(8) {
                0 => "IDLE".to_owned(),
                _ => commands::any(random, self.kind, self.messages.len(), self.modseq),
            };
            self.send(text);
        }
    }

    pub(super) fn wake_up(&mut self) {
        if std::mem::take(&mut self.idle) {
            self.client.push(b"DONE\r\n");
        }
    }

    pub(super) fn send(&mut self, text: String) {
        self.tags += 1;
        let tag = format!("t{}", self.tags);
        self.log.push(format!("C {tag} {text}"));
        self.client.push(format!("{tag} {text}\r\n").as_bytes());
        self.idle = text == "IDLE";
        self.apply_silent(&text);
        self.in_flight = Some(Command { tag, text });
    }

    /// Runs the session a little and hears what it said.
    pub(super) fn step(&mut self) -> bool {
        let runs = self.client.step();
        let said = self.client.heard_so_far();
        self.heard.push_str(&said);
        while let Some(end) = line_end(&self.heard) {
            let line: String = self.heard.drain(..end).collect();
            self.log.push(format!("S {}", line.trim_end()));
            self.line(line.trim_end());
        }
        runs || !said.is_empty()
    }

    fn is_busy(&self) -> bool {
        self.in_flight.is_some() && !self.idle
    }

    /// A client that asks for silence does the sum itself.
    fn apply_silent(&mut self, text: &str) {
        let words: Vec<&str> = text.split(' ').collect();
        let (by_uid, words) = match words[..] {
            ["UID", ref rest @ ..] => (true, rest.to_vec()),
            _ => (false, words),
        };
        let ["STORE", set, op, flag] = words[..] else {
            return;
        };
        let Some(op) = op.strip_suffix(".SILENT") else {
            return;
        };
        let flag = flag.trim_matches(['(', ')']).to_owned();
        let (first, last) = set.split_once(':').unwrap();
        let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
        for (at, message) in self.messages.iter_mut().enumerate() {
            let place = if by_uid {
                message.uid.map_or(0, |uid| uid as usize)
            } else {
                at + 1
            };
            if !(first..=last).contains(&place) {
                // What may be in the set is not known any more.
                if by_uid && message.uid.is_none() {
                    message.flags = None;
                }
                continue;
            }
            message.modseq = None;
            if let Some(flags) = &mut message.flags {
                match op {
                    "+FLAGS" => _ = flags.insert(flag.clone()),
                    "-FLAGS" => _ = flags.remove(&flag),
                    _ => *flags = BTreeSet::from([flag.clone()]),
                }
            }
        }
    }

    fn line(&mut self, line: &str) {
        if let Some(data) = line.strip_prefix("* ") {
            return self.untagged(data);
        }
        if line.starts_with('+') {
            return;
        }
        let Some(command) = self.in_flight.take() else {
            self.fail("nobody asked")
        };
        let answer = line.strip_prefix(&command.tag).unwrap_or_default();
        let of_names = ["CREATE", "DELETE", "RENAME"]
            .iter()
            .any(|c| command.text.starts_with(c));
        let gone = answer.starts_with(" NO [EXPUNGEISSUED]");
        self.law(answer.starts_with(" OK") || gone || of_names, "an answer");
        if let Some(modseq) = behind(answer, "[HIGHESTMODSEQ ") {
            self.up_to_date(modseq);
        }
    }

    /// Everything up to here was told: it may be said when the client comes back.
    fn up_to_date(&mut self, modseq: u64) {
        self.law(modseq >= self.modseq, "HIGHESTMODSEQ falls");
        self.modseq = modseq;
    }

    fn untagged(&mut self, data: &str) {
        if let Some(validity) = behind(data, "OK [UIDVALIDITY ") {
            let validity = validity as u32;
            self.law(
                self.uid_validity.is_none_or(|known| known == validity),
                "UIDVALIDITY",
            );
            self.uid_validity = Some(validity);
        } else if let Some(modseq) = behind(data, "OK [HIGHESTMODSEQ ") {
            // What came before this session is told behind it.
            self.law(modseq >= self.modseq, "HIGHESTMODSEQ falls");
            self.modseq = modseq;
        } else if let Some(set) = data.strip_prefix("VANISHED (EARLIER) ") {
            self.vanished_earlier(set);
        } else if let Some(set) = data.strip_prefix("VANISHED ") {
            self.vanished(set);
        } else if let Some(status) = data.strip_prefix("STATUS Other ") {
            let counts = (behind(status, "MESSAGES "), behind(status, "UIDNEXT "));
            if let (Some(messages), Some(uid_next)) = counts {
                let counts = (messages as u32, uid_next as u32);
                self.watched.insert("Other".to_owned(), counts);
            }
        } else if let Some(listed) = data.strip_prefix("LIST ") {
            self.listed(listed);
        } else {
            self.numbered(data);
        }
    }

    fn listed(&mut self, listed: &str) {
        let (attributes, rest) = listed.split_once(") \"/\" ").unwrap();
        let mut names = rest
            .split([' ', '(', ')', '"'])
            .filter(|word| !word.is_empty());
        let name = names.next().unwrap().to_owned();
        if let Some(old) = names.nth(1) {
            self.names.remove(old);
        }
        match attributes.contains("\\NonExistent") {
            true => _ = self.names.remove(&name),
            false => _ = self.names.insert(name),
        }
    }

    fn numbered(&mut self, data: &str) {
        let mut words = data.split(' ');
        let Ok(number) = words.next().unwrap().parse::<usize>() else {
            return;
        };
        match words.next().unwrap() {
            "EXISTS" => {
                self.law(number >= self.messages.len(), "EXISTS falls");
                self.messages.resize(number, Message::default());
            }
            "EXPUNGE" => {
                self.law(!self.kind.hears_vanished(), "EXPUNGE for VANISHED");
                self.law(self.may_expunge(), "an untimely EXPUNGE");
                self.law(
                    (1..=self.messages.len()).contains(&number),
                    "EXPUNGE of nothing",
                );
                self.messages.remove(number - 1);
            }
            "FETCH" => {
                self.law(self.kind.has_numbers(), "a number");
                self.law(
                    (1..=self.messages.len()).contains(&number),
                    "FETCH of nothing",
                );
                let uid = behind(data, "UID ").map(|uid| uid as u32);
                if let (Some(known), Some(uid)) = (self.messages[number - 1].uid, uid) {
                    self.law(known == uid, "another UID");
                }
                self.fetched(number - 1, uid, data);
            }
            "UIDFETCH" => {
                self.law(!self.kind.has_numbers(), "UIDFETCH without UIDONLY");
                let at = self.place(number as u32);
                self.fetched(at, Some(number as u32), data);
            }
            _ => {}
        }
    }

    fn fetched(&mut self, at: usize, uid: Option<u32>, data: &str) {
        let told = behind(data, "MODSEQ (");
        let flags = data.find("FLAGS (").map(|at| flags(&data[at + 6..]));
        let message = self.messages[at].clone();
        if let (Some(old), Some(new)) = (message.modseq, told) {
            self.law(new >= old, "the MODSEQ of a message falls");
            let same = flags.is_none() || message.flags.is_none() || flags == message.flags;
            self.law(new > old || same, "two states of one MODSEQ");
        }
        let unasked = self
            .in_flight
            .as_ref()
            .is_none_or(|c| !c.text.contains("FETCH"));
        let of_new = data.contains("(UID") && self.kind.events != Events::Usual;
        if flags.is_some() && unasked && !of_new && self.kind.dialect != Dialect::Plain {
            self.law(told.is_some(), "a change without MODSEQ");
        }
        let message = &mut self.messages[at];
        message.uid = message.uid.or(uid);
        message.modseq = told.or(message.modseq.filter(|_| flags.is_none()));
        if let (Some(uid), Some(flags)) = (message.uid, &flags)
            && let Some(cached) = self.cache.get_mut(&uid)
        {
            cached.clone_from(flags);
        }
        message.flags = flags.or(message.flags.take());
    }

    /// RFC 9051 §7.5.1, and RFC 5465 §5.3 for those who count on nothing.
    fn may_expunge(&self) -> bool {
        match &self.in_flight {
            None => self.kind.events == Events::Selected,
            Some(command) => {
                let keeps = ["FETCH", "STORE", "SEARCH"];
                !keeps.iter().any(|name| command.text.starts_with(name))
            }
        }
    }

    fn vanished(&mut self, set: &str) {
        self.law(self.kind.hears_vanished(), "VANISHED unasked");
        self.law(self.may_expunge(), "an untimely VANISHED");
        for uid in numbers_in(set) {
            let at = self.place(uid);
            if self.messages.remove(at).uid.is_none() {
                self.forget_unnamed();
            }
        }
    }

    /// One of the messages whose UID is not known is gone: whose flags the others are is not known
    /// any more.
    fn forget_unnamed(&mut self) {
        let unnamed = self
            .messages
            .iter_mut()
            .filter(|message| message.uid.is_none());
        unnamed.for_each(|message| *message = Message::default());
    }

    /// RFC 7162 §3.2.10: never of what this client counts.
    fn vanished_earlier(&mut self, set: &str) {
        self.law(self.kind.is_qresync(), "VANISHED (EARLIER) unasked");
        for uid in numbers_in(set) {
            self.cache.remove(&uid);
            let counted = self.messages.iter().any(|message| message.uid == Some(uid));
            self.law(!counted, "a message that is counted vanished earlier");
        }
    }

    /// Where a message with this UID is: known, or one of those between its neighbours of which
    /// nothing is known.
    fn place(&mut self, uid: u32) -> usize {
        let known = self
            .messages
            .iter()
            .position(|message| message.uid == Some(uid));
        if let Some(at) = known {
            return at;
        }
        let above = |message: &Message| message.uid.is_some_and(|known| known > uid);
        if !self.kind.has_numbers()
            && let Some(unknown) = self.messages.iter().position(|m| m.uid.is_none())
        {
            // Without numbers, any of them may be it.
            let message = self.messages.remove(unknown);
            let at = self.messages.iter().position(above);
            let at = at.unwrap_or(self.messages.len());
            self.messages.insert(at, message);
            return at;
        }
        let end = self
            .messages
            .iter()
            .position(above)
            .unwrap_or(self.messages.len());
        let free = end
            .checked_sub(1)
            .filter(|at| self.messages[*at].uid.is_none());
        match free {
            Some(at) => at,
            None => self.fail("a message that does not exist"),
        }
    }

    /// What of the messages is known is so.
    pub(super) fn check_believed(&self, truth: &Truth) {
        self.law(self.messages.len() == truth.len(), "the number of messages");
        if !self.kind.has_numbers() {
            for message in &self.messages {
                if let Some(uid) = message.uid {
                    self.law(truth.contains_key(&uid), "a message that is gone");
                }
            }
            return;
        }
        for (message, (uid, (flags, modseq))) in self.messages.iter().zip(truth) {
            self.law(message.uid.is_none_or(|known| known == *uid), "a UID");
            self.law(
                message.flags.as_ref().is_none_or(|known| known == flags),
                "flags",
            );
            let is_new = self.kind.dialect == Dialect::Plain;
            self.law(
                is_new || message.modseq.is_none_or(|known| known == *modseq),
                "a MODSEQ",
            );
        }
    }

    /// Everything is known and so.
    pub(super) fn check_known(&self, truth: &Truth) {
        let known = self.messages.iter().map(|message| {
            let (uid, flags) = (message.uid.unwrap(), message.flags.clone().unwrap());
            (uid, (flags, message.modseq.unwrap()))
        });
        let known: Truth = known.collect();
        assert_eq!(&known, truth, "{}", self.story());
    }

    /// Of other mailboxes, too.
    pub(super) fn check_watched(&self, world: &World) {
        if self.kind.events != Events::Usual {
            let told = self.watched.get("Other");
            assert_eq!(told, Some(&world.counts("Other")), "{}", self.story());
            assert_eq!(self.names, world.names(), "{}", self.story());
        }
    }

    fn law(&self, holds: bool, what: &str) {
        if !holds {
            self.fail(what)
        }
    }

    fn fail(&self, what: &str) -> ! {
        panic!("{what}\n{}", self.story())
    }

    fn story(&self) -> String {
        let from = self.log.len().saturating_sub(60);
        format!(
            "{:?}\n{}\n{:?}",
            self.kind,
            self.log[from..].join("\n"),
            self.messages
        )
    }
}

/// Runs until every command is answered and nobody has more to say.
pub(super) fn settle(world: &mut World, all: &mut [Believer]) {
    let mut quiet = 0;
    for _ in 0..ROUNDS_MAX {
        let turned = world.turn();
        let mut runs = false;
        for one in all.iter_mut() {
            runs |= one.step();
        }
        quiet = if turned || runs { 0 } else { quiet + 1 };
        if quiet > 3 && !all.iter().any(Believer::is_busy) {
            return;
        }
    }
    all.iter()
        .for_each(|one| one.law(!one.is_busy(), "no answer"));
}

fn connect(world: &World) -> Client {
    let (store, account) = (Rc::clone(&world.store), world.account);
    let terms = Terms {
        ascii_headers: true,
        converters: None,
        autologout: Duration::from_secs(1800),
        append_bytes_max: 1 << 20,
        messages_max: None,
        now: Rc::new(|| InternalDate::utc(1_700_000_000)),
    };
    let mut client = Client::serve(move |wire| {
        Box::pin(async move {
            let mut session = Session::new(store, account, terms);
            session.run(&mut Dialogue::new(wire), "x").await
        })
    });
    client.listen();
    client
}

fn line_end(heard: &str) -> Option<usize> {
    let mut end = heard.find("\r\n")? + 2;
    while heard[..end].ends_with("{1}\r\n") {
        end += heard[end..].find("\r\n")? + 2;
    }
    Some(end)
}

/// The number behind a word.
fn behind(text: &str, word: &str) -> Option<u64> {
    let rest = &text[text.find(word)? + word.len()..];
    rest.split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

/// `(\Seen kw)` as a set, without `\Recent`.
pub(super) fn flags(text: &str) -> FlagSet {
    let list = text
        .trim_start_matches('(')
        .split(')')
        .next()
        .unwrap_or_default();
    let words = list
        .split(' ')
        .filter(|word| !word.is_empty() && *word != "\\Recent");
    words.map(str::to_owned).collect()
}

fn numbers_in(set: &str) -> Vec<u32> {
    let ends = |range: &str| {
        let (first, last) = range.split_once(':').unwrap_or((range, range));
        first.parse::<u32>().unwrap()..=last.parse::<u32>().unwrap()
    };
    set.split(',').flat_map(ends).collect()
}
