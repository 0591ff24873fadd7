//! The same octets in other pieces are the same commands: a packet boundary changes nothing.

use super::{CORPUS, Client, Heard, noop};

/// A client that does not pipeline waits for `+`; what follows a refused `{n}` is a new command.
fn heard_in_pieces(stream: &[u8], pieces: &[&[u8]]) -> Vec<Heard> {
    let mut client = Client::logged_in();
    for piece in pieces {
        client.send(piece);
    }
    let mut heard = client.heard();
    client.send(b"z NOOP\r\n");
    let after = client.heard();
    assert!(!after.is_empty(), "deaf after {}", stream.escape_ascii());
    heard.extend(after);
    heard
}

#[test]
fn every_command_in_every_two_pieces_and_octet_by_octet() {
    for command in CORPUS {
        let stream = command.as_bytes();
        let whole = heard_in_pieces(stream, &[stream]);
        for at in 0..=stream.len() {
            let (head, tail) = stream.split_at(at);
            assert_eq!(
                whole,
                heard_in_pieces(stream, &[head, tail]),
                "{command:?} at {at}"
            );
        }
        let octets: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(whole, heard_in_pieces(stream, &octets), "{command:?}");
    }
}

#[test]
fn commands_in_one_packet_come_one_by_one() {
    let whole = CORPUS.concat();
    let mut together = Client::logged_in();
    together.send(whole.as_bytes());
    let mut alone = Client::logged_in();
    for command in CORPUS {
        alone.send(command.as_bytes());
    }
    assert_eq!(together.heard(), alone.heard());
}

#[test]
fn a_bare_lf_ends_a_line_and_a_bare_cr_does_not() {
    let mut client = Client::logged_in();
    client.send(b"a NOOP\nb LOGIN {1}\nx {1+}\ny\nc NOOP\r\n");
    let heard = client.events();
    assert_eq!(heard.len(), 4, "{heard:?}");
    assert_eq!((&heard[0], &heard[3]), (&noop("a"), &noop("c")));
    client.send(b"a NOOP\rb NOOP\r\n");
    assert_eq!(client.events().len(), 1);
}

#[test]
fn a_cr_at_the_end_of_a_literal_is_its_own() {
    for pieces in 1..9 {
        let mut client = Client::logged_in();
        for piece in b"a LOGIN x {2+}\r\ny\r\nb NOOP\r\n".chunks(pieces) {
            client.send(piece);
        }
        let heard = client.events();
        let login = super::Body::Login {
            user: b"x".to_vec(),
            password: b"y\r".to_vec(),
        };
        assert!(
            matches!(&heard[0], super::Event::Command(c) if c.body == login),
            "{heard:?}"
        );
        assert_eq!(heard[1], noop("b"));
    }
}

#[test]
fn at_rest_it_holds_nothing() {
    let mut client = Client::logged_in();
    for command in CORPUS {
        client.send(command.as_bytes());
        assert_eq!(client.receiver.held_bytes(), 0, "after {command:?}");
    }
}
