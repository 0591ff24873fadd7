//! Another codec as a second opinion: imap-codec reads the same commands (RFC 3501 and what it has
//! of the extensions), and both must agree on what is a command and on what it means.

mod grammar;
mod meaning;

use super::super::literal::number63;
use super::*;
use grammar::Grammar;
use imap_codec::CommandCodec;
use imap_codec::decode::Decoder;

/// Our reading of a stream that is one command, in the form of [`meaning`].
fn ours(stream: &[u8]) -> Option<Command> {
    let mut client = Client::logged_in();
    client.send(stream);
    let mut heard = client.heard();
    heard.retain(|heard| !matches!(heard, Heard::Message(_) | Heard::Event(Event::Continue)));
    let (first, rest) = heard.split_first()?;
    let Heard::Event(Event::Command(command)) = first else {
        return None;
    };
    let is_append = matches!(command.body, Body::Append(_));
    let whole = match rest {
        [] => !is_append,
        [Heard::Event(Event::More(end))] => is_append && end.is_ok(),
        _ => false,
    };
    whole.then(|| meaning::comparable(command.clone()))
}

/// The other codec's reading.
fn theirs(stream: &[u8]) -> Option<Command> {
    let (rest, command) = CommandCodec::new().decode(stream).ok()?;
    rest.is_empty().then(|| meaning::of(command)).flatten()
}

#[test]
fn both_read_the_same_in_what_the_grammar_makes() {
    let mut grammar = Grammar(Random(0xacc0));
    for _ in 0..8_000 {
        let stream = grammar.command();
        let (ours, theirs) = (ours(&stream), theirs(&stream));
        assert!(ours.is_some(), "we refuse {}", stream.escape_ascii());
        assert_eq!(ours, theirs, "{}", stream.escape_ascii());
    }
}

#[test]
fn both_refuse_the_same_when_one_octet_is_wrong() {
    let mut grammar = Grammar(Random(0xfa17));
    let (mut read, mut refused) = (0, 0);
    for _ in 0..40_000 {
        let mut stream = grammar.command();
        grammar.spoil(&mut stream);
        if announces_a_literal(&stream) || differs_for_a_reason(&stream) {
            continue;
        }
        let (ours, theirs) = (ours(&stream), theirs(&stream));
        assert_eq!(ours, theirs, "{}", stream.escape_ascii());
        *if ours.is_some() {
            &mut read
        } else {
            &mut refused
        } += 1;
    }
    assert!(
        read > 3_000 && refused > 3_000,
        "{read} read, {refused} refused"
    );
}

/// A wrong size shifts what is literal and what is line. We take the bare LF that this may leave at
/// the end for a line end (`receive.rs` says why), the other codec does not.
fn announces_a_literal(stream: &[u8]) -> bool {
    memchr::memmem::find(stream, b"}\r\n").is_some()
}

/// Where the two may differ, each with the paragraph that is on our side.
fn differs_for_a_reason(stream: &[u8]) -> bool {
    let numbers = || {
        stream
            .split(|b| !b.is_ascii_digit())
            .filter(|digits| !digits.is_empty())
    };
    // RFC 9051 §9, nz-number = digit-nz *DIGIT: `07` is no sequence number. They take it.
    let zero_in_front = numbers().any(|digits| digits.len() > 1 && digits[0] == b'0');
    // RFC 9051 §9, number64 in LARGER, SMALLER and partials. They read RFC 3501's 32 bits.
    let number64 = numbers().any(|digits| number63(digits).is_none_or(|n| n > u32::MAX.into()));
    // RFC 5182 §2.1: `$` is the last result. They do not know it.
    let saved = stream.contains(&b'$');
    // RFC 4959 §3: an empty initial response is `=`. They take nothing behind the space for it.
    let empty_response = stream.ends_with(b" \r\n");
    zero_in_front || number64 || saved || empty_response
}
