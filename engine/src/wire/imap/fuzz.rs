//! The entry of the fuzzers: any octets, in any pieces, to any state of the receiver.
//!
//! Checks what must hold whatever comes: no panic, progress at every step, bounded memory, and
//! names, sets and dates of a command that was understood survive their own encoding.

use super::limit;
use super::receive::{Event, Receiver};

/// More than a receiver ever holds: the buffer doubles as it grows.
pub const HELD_BYTES_MAX: usize =
    2 * (limit::LINE_BYTES_MAX + limit::LITERAL_BYTES_MAX as usize + 2 * limit::LITERALS_MAX);

/// The first octet chooses the state, the second the size of the pieces, the rest is the client.
///
/// # Panics
///
/// Where a law of the receiver is broken; no input may do that.
pub fn fuzz_receiver(data: &[u8]) {
    let (choice, pieces, stream) = match data {
        [choice, pieces, stream @ ..] => (*choice, usize::from(*pieces) + 1, stream),
        _ => return,
    };
    let mut receiver = Receiver::new();
    if choice & 1 != 0 {
        receiver.log_in();
    }
    if choice & 2 != 0 {
        receiver.enable_utf8();
    }
    for piece in stream.chunks(pieces) {
        feed_all(&mut receiver, piece, choice);
    }
}

fn feed_all(receiver: &mut Receiver, mut piece: &[u8], choice: u8) {
    // An event without progress can only be told a few times about the same octet.
    let mut idle = 0;
    loop {
        let (taken, event) = receiver.feed(piece);
        assert!(taken <= piece.len(), "took more than there was");
        assert!(receiver.held_bytes() <= HELD_BYTES_MAX, "holds too much");
        idle = if taken == 0 { idle + 1 } else { 0 };
        assert!(idle < 4, "no progress");
        piece = piece.get(taken..).unwrap_or_default();
        match event {
            Event::NeedMore => {
                assert!(piece.is_empty(), "asks for more with octets left");
                return;
            }
            Event::Command(_) => {
                assert_eq!(receiver.held_bytes(), 0, "keeps what it gave away");
                if choice & 4 != 0 {
                    receiver.accept_message();
                }
                if choice & 8 != 0 && piece.len().is_multiple_of(7) {
                    receiver.expect_line();
                }
            }
            Event::Octets => assert!(taken > 0, "octets of nothing"),
            _ => {}
        }
    }
}
