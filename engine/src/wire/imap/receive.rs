//! The command receiver: octets of a connection in, whole commands out, whatever the pieces.
//!
//! A command is lines and the literals announced at their ends. Only a whole command is parsed,
//! once; every octet is looked at once on its way in. What a limit forbids is refused when it is
//! announced, before anything is allocated for it.
//!
//! ```text
//!            line ends: Command, Bad, Line
//! AwaitLine ──────────────────────────────▶ AwaitLine
//!   │ {n}, {n+}: Continue, or nothing
//!   ├─────▶ AwaitLiteral ── n octets ─────▶ AwaitLine, in the same command
//!   │ a message of APPEND: Command, More
//!   ├─────▶ AwaitVerdict ── accepted ─────▶ AwaitMessage ── n octets ──▶ AwaitLine, in APPEND
//!   │            ├───────── refused, {n} ─▶ AwaitLine                    line ends: More
//!   │            └───────── refused, {n+} ▶ Skip
//!   │ {n+} refused, or line too long: Bad
//!   ├─────▶ Skip ── end of the command ───▶ AwaitLine
//!   │ more than may be skipped: Fatal
//!   └─────▶ Closed
//! ```
//!
//! A line ends with CRLF (RFC 9051 §2.2). A bare LF is taken for one as well, as other servers do
//! for people who type: no octet of a command outside a counted literal can be LF, so nothing is
//! read in two ways. A bare CR is no line end and a syntax error in every string.
//!
//! A literal that is refused: a client that waits for `+` gets BAD and goes on with a new command.
//! One that does not wait (RFC 7888 §4) gets BAD, and the rest of its command is read and thrown
//! away up to `SKIP_BYTES_MAX`, or else the connection ends. LITERAL- of IMAP4rev2 forbids clients
//! `{n+}` above 4,096; we offer LITERAL+ and take it up to the same limits as `{n}`.

use super::append::{Literal, Step, literal_of};
use super::command::{Body, Command};
use super::fault::{Bad, Fault};
use super::limit::{Limits, SKIP_MESSAGE_BYTES_MAX, TAG_BYTES_MAX};
use super::literal::{MARKER_BYTES_MAX, Marker, ends_in_quotes};
use super::parse::{self, Place, Stretch};

/// What the driver has to do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Everything was consumed: feed more when it comes.
    NeedMore,
    /// Send `+ OK` and CRLF: the client waits for it to send a literal.
    Continue,
    /// A command. Where the steps of a `Body::Append` end with octets, those are still to come: see
    /// [`Receiver::accept_message`].
    Command(Command),
    /// Answer BAD.
    Bad(Bad),
    /// The line that [`Receiver::expect_line`] asked for, without its end.
    Line(Vec<u8>),
    /// All octets consumed by this call belong to the message of the accepted APPEND.
    Octets,
    /// What stands behind the accepted octets: the command is over, unless more octets are
    /// announced, which wait to be accepted like the first. After an error the command is over and
    /// nothing of it must be kept.
    More(Result<Vec<Step>, Bad>),
    /// Answer BAD if there is a tag, then `* BYE`, and close.
    Fatal(Bad),
}

/// One connection's receiver. At rest it holds no memory.
#[derive(Debug, Default)]
pub struct Receiver {
    phase: Phase,
    /// The command so far: lines, a CRLF behind each announcement, literals in place.
    held: Vec<u8>,
    /// Where in `held` the present line begins.
    line_start: usize,
    /// Octets of literals in `held`.
    literal_octets: u64,
    /// Literals in `held`.
    literals: usize,
    /// The next line is not a command.
    raw: bool,
    /// The next line goes on with an APPEND.
    within: Option<Within>,
    logged_in: bool,
    utf8: bool,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    AwaitLine,
    AwaitLiteral {
        left: u64,
    },
    AwaitVerdict(Literal),
    AwaitMessage {
        left: u64,
    },
    Skip {
        /// Octets of the announced literal that are still to come.
        literal: u64,
        /// Octets that may still be skipped behind it.
        budget: u64,
    },
    Closed,
}

/// What is remembered of an APPEND while its octets come.
#[derive(Debug)]
struct Within {
    tag: String,
    place: Place,
}

/// What one state did with its octets: how many it took, and what there is to say.
type Taken = (usize, Option<Event>);

impl Receiver {
    #[must_use]
    pub fn new() -> Receiver {
        Receiver::default()
    }

    /// The limits after login hold from the next command on.
    pub fn log_in(&mut self) {
        self.logged_in = true;
    }

    /// The client enabled IMAP4rev2 or UTF8=ACCEPT: quoted strings and mailbox names are UTF-8.
    pub fn enable_utf8(&mut self) {
        self.utf8 = true;
    }

    /// The next line comes as [`Event::Line`]: a SASL response, or what ends IDLE.
    pub fn expect_line(&mut self) {
        self.raw = true;
    }

    /// Takes the octets that were just announced; the driver sends `+ OK` if their literal is
    /// synchronising. A driver that feeds on instead has refused them: then the receiver expects a
    /// new command or, if the client did not wait, throws the rest of this one away.
    pub fn accept_message(&mut self) {
        self.phase = match std::mem::take(&mut self.phase) {
            Phase::AwaitVerdict(literal) if literal.octets == 0 => Phase::AwaitLine,
            Phase::AwaitVerdict(literal) => Phase::AwaitMessage {
                left: literal.octets,
            },
            other => other,
        };
    }

    /// Octets of memory held at present.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.capacity()
    }

    /// Takes octets up to the next event; says how many it took. What it did not take is fed again.
    pub fn feed(&mut self, input: &[u8]) -> (usize, Event) {
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            let (taken, event) = self.step(rest);
            used += taken;
            match event {
                Some(event) => return (used, event),
                None if used == input.len() => return (used, Event::NeedMore),
                None => {}
            }
        }
    }

    fn step(&mut self, input: &[u8]) -> Taken {
        match std::mem::take(&mut self.phase) {
            Phase::AwaitLine => self.line(input),
            Phase::AwaitLiteral { left } => self.literal(input, left),
            Phase::AwaitVerdict(literal) => self.refused(literal),
            Phase::AwaitMessage { left } => self.message(input, left),
            Phase::Skip { literal, budget } => self.skip(input, literal, budget),
            Phase::Closed => {
                self.phase = Phase::Closed;
                (input.len(), None)
            }
        }
    }

    fn line(&mut self, input: &[u8]) -> Taken {
        let end = memchr::memchr(b'\n', input);
        let (line, _) = input.split_at(end.unwrap_or(input.len()));
        let text = self.held.len().saturating_sub(self.literal_octets as usize);
        let room = self.limits().line_bytes_max.saturating_sub(text);
        if line.len() > room {
            return (0, Some(self.line_too_long(line)));
        }
        self.hold(line);
        if end.is_none() {
            return (line.len(), None);
        }
        // The CR must be of this line and not the last octet of the literal before it.
        if self.held.len() > self.line_start && self.held.last() == Some(&b'\r') {
            self.held.pop();
        }
        (line.len() + 1, self.line_end())
    }

    fn line_end(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.raw) {
            return Some(Event::Line(self.release()));
        }
        match (self.announcement(), self.within.take()) {
            (Some(marker), None) => self.announced(marker),
            (marker, Some(within)) => self.append_goes_on(marker, within),
            (None, None) => {
                let octets = self.release();
                Some(match parse::command(&octets, self.utf8) {
                    Ok(command) => Event::Command(command),
                    Err(bad) => Event::Bad(bad),
                })
            }
        }
    }

    /// The literal that the present line announces.
    fn announcement(&self) -> Option<Marker> {
        let line = self.held.get(self.line_start..).unwrap_or_default();
        Marker::at_end(line).filter(|_| !ends_in_quotes(line))
    }

    fn announced(&mut self, marker: Marker) -> Option<Event> {
        self.hold(b"\r\n");
        match parse::head(&self.held, self.utf8, self.logged_in) {
            Err(bad) => Some(self.refuse(marker, bad)),
            Ok(parse::Head::Message(command, place)) => Some(self.append(command, place)),
            Ok(parse::Head::Argument) => match self.fault_of(marker) {
                Some(fault) => {
                    let tag = parse::tag_of(&self.held);
                    Some(self.refuse(marker, Bad { tag, fault }))
                }
                None => self.invite(marker),
            },
        }
    }

    /// The line behind the octets of a message, or behind a string of that line.
    fn append_goes_on(&mut self, marker: Option<Marker>, within: Within) -> Option<Event> {
        if marker.is_some() {
            self.hold(b"\r\n");
        }
        let fault = match (parse::stretch(&self.held, self.utf8, within.place), marker) {
            (Ok(Stretch::Steps(steps, place)), _) => {
                self.release();
                if let Some(literal) = literal_of(&steps) {
                    self.phase = Phase::AwaitVerdict(literal);
                    self.within = Some(Within { place, ..within });
                }
                return Some(Event::More(Ok(steps)));
            }
            (Ok(Stretch::Argument), Some(marker)) => match self.fault_of(marker) {
                None => {
                    self.within = Some(within);
                    return self.invite(marker);
                }
                Some(fault) => fault,
            },
            (Ok(Stretch::Argument), None) => Fault::Unfinished,
            (Err(fault), _) => fault,
        };
        let tag = Some(within.tag);
        let bad = Bad { tag, fault };
        let Some(marker) = marker else {
            self.release();
            return Some(Event::More(Err(bad)));
        };
        Some(match self.refuse(marker, bad) {
            Event::Bad(bad) => Event::More(Err(bad)),
            other => other,
        })
    }

    /// Why a literal cannot be an argument.
    fn fault_of(&self, marker: Marker) -> Option<Fault> {
        let limits = self.limits();
        let octets = marker
            .octets
            .and_then(|n| n.checked_add(self.literal_octets));
        if octets.is_none_or(|octets| octets > limits.literal_bytes_max) {
            return Some(Fault::LiteralTooLarge);
        }
        if self.literals == limits.literals_max {
            return Some(Fault::TooMany("Too many literals"));
        }
        // RFC 3516 §4.4: literal8 is for messages; RFC 5464 §5: and for annotations.
        let is_misplaced = marker.binary && !parse::takes_literal8(&self.held);
        is_misplaced.then_some(Fault::Syntax(
            "A literal8 is only for APPEND and SETMETADATA",
        ))
    }

    fn invite(&mut self, marker: Marker) -> Option<Event> {
        let left = marker.octets.unwrap_or_default();
        self.literals += 1;
        self.literal_octets += left;
        self.phase = Phase::AwaitLiteral { left };
        (!marker.non_synchronizing).then_some(Event::Continue)
    }

    fn literal(&mut self, input: &[u8], left: u64) -> Taken {
        let octets = up_to(input, left);
        self.hold(octets);
        let left = left - octets.len() as u64;
        if left > 0 {
            self.phase = Phase::AwaitLiteral { left };
        } else {
            self.line_start = self.held.len();
        }
        (octets.len(), None)
    }

    fn append(&mut self, command: Command, place: Place) -> Event {
        self.release();
        if let Body::Append(append) = &command.body
            && let Some(literal) = append.literal()
        {
            let tag = command.tag.clone();
            self.within = Some(Within { tag, place });
            self.phase = Phase::AwaitVerdict(literal);
        }
        Event::Command(command)
    }

    /// The driver did not accept the octets.
    fn refused(&mut self, literal: Literal) -> Taken {
        self.within = None;
        if !literal.non_synchronizing {
            return (0, None);
        }
        let Some(budget) = SKIP_MESSAGE_BYTES_MAX.checked_sub(literal.octets) else {
            return (0, Some(self.fatal(None, Fault::LiteralTooLarge)));
        };
        self.phase = Phase::Skip {
            literal: literal.octets,
            budget: budget.max(self.limits().skip_bytes_max),
        };
        (0, None)
    }

    fn message(&mut self, input: &[u8], left: u64) -> Taken {
        let octets = up_to(input, left).len();
        let left = left - octets as u64;
        self.phase = match left {
            0 => Phase::AwaitLine,
            left => Phase::AwaitMessage { left },
        };
        (octets, (octets > 0).then_some(Event::Octets))
    }

    /// BAD for a command with a literal that nobody wants.
    fn refuse(&mut self, marker: Marker, bad: Bad) -> Event {
        self.release();
        if !marker.non_synchronizing {
            return Event::Bad(bad);
        }
        let skip_bytes_max = self.limits().skip_bytes_max;
        match marker.octets {
            Some(literal) if literal <= skip_bytes_max => {
                let budget = skip_bytes_max - literal;
                self.phase = Phase::Skip { literal, budget };
                Event::Bad(bad)
            }
            _ => self.fatal(bad.tag, bad.fault),
        }
    }

    /// Nothing of `line` is consumed: it is skipped with what follows.
    fn line_too_long(&mut self, line: &[u8]) -> Event {
        let within = self.within.take();
        let tag = match &within {
            _ if self.raw => None,
            Some(within) => Some(within.tag.clone()),
            None => {
                let enough = TAG_BYTES_MAX + 1;
                self.hold(up_to(line, enough as u64));
                parse::tag_of(&self.held)
            }
        };
        self.raw = false;
        self.release();
        self.phase = Phase::Skip {
            literal: 0,
            budget: self.limits().skip_bytes_max,
        };
        let bad = Bad {
            tag,
            fault: Fault::LineTooLong,
        };
        match within {
            Some(_) => Event::More(Err(bad)),
            None => Event::Bad(bad),
        }
    }

    /// Throws away the rest of a command that has been answered. `held` keeps the end of a line, so
    /// that an announcement is seen.
    fn skip(&mut self, input: &[u8], literal: u64, budget: u64) -> Taken {
        if literal > 0 {
            let octets = up_to(input, literal).len();
            let literal = literal - octets as u64;
            self.phase = Phase::Skip { literal, budget };
            return (octets, None);
        }
        let end = memchr::memchr(b'\n', input);
        let (line, _) = input.split_at(end.unwrap_or(input.len()));
        let Some(budget) = budget.checked_sub(line.len() as u64) else {
            return (0, Some(self.fatal(None, Fault::LineTooLong)));
        };
        self.keep_end_of(line);
        self.phase = Phase::Skip { literal: 0, budget };
        if end.is_none() {
            return (line.len(), None);
        }
        (line.len() + 1, self.skipped_line(budget))
    }

    fn skipped_line(&mut self, budget: u64) -> Option<Event> {
        let line = self.release();
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        let marker = Marker::at_end(line).filter(|marker| marker.non_synchronizing);
        self.phase = match marker.map(|marker| marker.octets) {
            None => Phase::AwaitLine,
            Some(Some(literal)) if literal <= budget => Phase::Skip {
                literal,
                budget: budget - literal,
            },
            Some(_) => return Some(self.fatal(None, Fault::LiteralTooLarge)),
        };
        None
    }

    fn keep_end_of(&mut self, line: &[u8]) {
        const KEPT: usize = MARKER_BYTES_MAX + 1;
        let from = line.len().saturating_sub(KEPT);
        self.held
            .extend_from_slice(line.get(from..).unwrap_or_default());
        let surplus = self.held.len().saturating_sub(KEPT);
        self.held.drain(..surplus);
    }

    fn fatal(&mut self, tag: Option<String>, fault: Fault) -> Event {
        self.release();
        self.phase = Phase::Closed;
        Event::Fatal(Bad { tag, fault })
    }

    /// Grows by doubling, but never beyond what a command may have: a connection that fills its
    /// buffer before login is no friend.
    fn hold(&mut self, octets: &[u8]) {
        let wanted = self.held.len() + octets.len();
        if wanted > self.held.capacity() {
            let doubled = 2 * self.held.capacity();
            let room = doubled.min(self.limits().held_bytes_max()).max(wanted);
            self.held.reserve_exact(room - self.held.len());
        }
        self.held.extend_from_slice(octets);
    }

    /// Gives up the command that was held and is ready for another.
    fn release(&mut self) -> Vec<u8> {
        self.line_start = 0;
        self.literal_octets = 0;
        self.literals = 0;
        std::mem::take(&mut self.held)
    }

    fn limits(&self) -> Limits {
        match self.logged_in {
            true => Limits::AFTER_LOGIN,
            false => Limits::BEFORE_LOGIN,
        }
    }
}

/// The first `count` octets, or all.
fn up_to(input: &[u8], count: u64) -> &[u8] {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    input.get(..count).unwrap_or(input)
}
