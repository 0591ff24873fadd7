//! The entry of the fuzzers: any octets, in any pieces, to any state of the receiver.
//!
//! Checks what must hold whatever comes: no panic, progress at every step, bounded memory, and that
//! names, strings, sets and dates of a command that was understood survive their own encoding.

pub mod grammar;

use store::mail::date::InternalDate;

use super::append::Step;
use super::command::{Body, SequenceSet};
use super::date::{date_time, write_date_time};
use super::limit::{Limits, NAME_WIRE_BYTES_MAX};
use super::name;
use super::receive::{Event, Receiver};
use super::response;
use super::set::{resolve, sequence_set, write_set};
use super::token::Cursor;

/// The first octet chooses the state, the second the size of the pieces, the rest is the client.
///
/// # Panics
///
/// Where a law of the receiver is broken; no input may do that.
pub fn fuzz_receiver(data: &[u8]) {
    let (choice, pieces, stream) = match data {
        [choice, pieces, stream @ ..] => (Choice(*choice), usize::from(*pieces) + 1, stream),
        _ => return,
    };
    let mut receiver = Receiver::new();
    if choice.logged_in() {
        receiver.log_in();
    }
    if choice.utf8() {
        receiver.enable_utf8();
    }
    for piece in stream.chunks(pieces) {
        feed_all(&mut receiver, piece, choice);
    }
}

/// What the driver does, a bit each.
#[derive(Clone, Copy)]
struct Choice(u8);

impl Choice {
    fn logged_in(self) -> bool {
        self.0 & 1 != 0
    }

    fn held_bytes_max(self) -> usize {
        match self.logged_in() {
            true => Limits::AFTER_LOGIN.held_bytes_max(),
            false => Limits::BEFORE_LOGIN.held_bytes_max(),
        }
    }

    fn utf8(self) -> bool {
        self.0 & 2 != 0
    }

    fn accepts_messages(self) -> bool {
        self.0 & 4 != 0
    }

    fn expects_lines(self) -> bool {
        self.0 & 8 != 0
    }
}

fn feed_all(receiver: &mut Receiver, mut piece: &[u8], choice: Choice) {
    // Only an event that ends a command can come without an octet being taken.
    let mut idle = 0;
    loop {
        let (taken, event) = receiver.feed(piece);
        assert!(
            receiver.held_bytes() <= choice.held_bytes_max(),
            "holds too much"
        );
        idle = if taken == 0 { idle + 1 } else { 0 };
        assert!(idle < 4, "no progress");
        piece = piece.get(taken..).expect("it takes no more than there is");
        match event {
            Event::NeedMore => {
                assert!(piece.is_empty(), "asks for more with octets left");
                return;
            }
            Event::Command(command) => {
                assert_eq!(receiver.held_bytes(), 0, "keeps what it gave away");
                check(&command.body, choice.utf8());
                if choice.accepts_messages() {
                    receiver.accept_message();
                }
                if choice.expects_lines() && matches!(command.body, Body::Idle) {
                    receiver.expect_line();
                }
            }
            Event::More(Ok(_)) => {
                assert_eq!(receiver.held_bytes(), 0, "keeps what it gave away");
                if choice.accepts_messages() {
                    receiver.accept_message();
                }
            }
            Event::Octets => assert!(taken > 0, "octets of nothing"),
            _ => {}
        }
    }
}

/// What was understood is written as what is understood again.
fn check(body: &Body, utf8: bool) {
    match body {
        Body::Select { mailbox } | Body::Subscribe { mailbox } => check_name(mailbox, utf8),
        Body::Rename { from, to } => {
            check_name(from, utf8);
            check_name(to, utf8);
        }
        Body::Append(append) => {
            check_name(&append.mailbox, utf8);
            for step in &append.steps {
                if let Step::Begin { date, .. } = step {
                    date.iter().copied().for_each(check_date);
                }
            }
        }
        Body::Login { user, password } => {
            check_string(user, utf8);
            check_string(password, utf8);
        }
        Body::UidExpunge(set) | Body::Fetch { set, .. } | Body::Store { set, .. } => check_set(set),
        Body::Copy { set, mailbox, .. } | Body::Move { set, mailbox, .. } => {
            check_set(set);
            check_name(mailbox, utf8);
        }
        _ => {}
    }
}

fn check_name(mailbox: &str, utf8: bool) {
    let mut wire = Vec::new();
    response::mailbox(&mut wire, mailbox, utf8);
    // NUL is written as `?`: such a name is in no mailbox tree.
    if mailbox.len() <= NAME_WIRE_BYTES_MAX / 3 && !(utf8 && mailbox.contains('\0')) {
        let octets = Cursor::new(&wire, utf8).astring();
        let again = octets.and_then(|octets| name::read(&octets, utf8));
        assert_eq!(again.as_deref(), Ok(mailbox), "a name changed");
    }
}

fn check_string(text: &[u8], utf8: bool) {
    let mut wire = Vec::new();
    response::astring(&mut wire, text, utf8);
    let again = Cursor::new(&wire, utf8).astring();
    assert_eq!(again.as_deref(), Ok(text), "a string changed");
}

fn check_set(set: &SequenceSet) {
    let SequenceSet::Ranges(ranges) = set else {
        return;
    };
    let numbers = resolve(ranges, 7);
    let mut wire = Vec::new();
    write_set(&mut wire, &numbers);
    let again = sequence_set(&mut Cursor::new(&wire, false));
    let Ok(SequenceSet::Ranges(again)) = again else {
        panic!("a set is no set any more");
    };
    assert_eq!(resolve(&again, 7), numbers, "a set changed");
}

fn check_date(date: InternalDate) {
    let mut wire = Vec::new();
    write_date_time(&mut wire, date);
    assert_eq!(
        date_time(&mut Cursor::new(&wire, false)),
        Ok(date),
        "a date changed"
    );
}
