//! What SMTP costs without a socket: commands, the end of data, a whole dialogue.

use super::{Operation, Run};
use engine::session::smtp::{Action, Answer, Kind, Output, Peer, Session, Settings, Verdicts};
use engine::wire::sasl::Channel;
use engine::wire::smtp::command::Command;
use engine::wire::smtp::data::{BareLineEnds, BodyReceiver, Framing};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

pub(crate) const COMMANDS: Operation = Operation {
    name: "smtp_commands",
    what: "MAIL, RCPT and DATA parsed",
    runs: 20_000,
    prepare: commands,
};

pub(crate) const END_OF_DATA: Operation = Operation {
    name: "smtp_end_of_data",
    what: "a message of 4 KiB unstuffed and its end found",
    runs: 10_000,
    prepare: end_of_data,
};

pub(crate) const DIALOGUE: Operation = Operation {
    name: "smtp_dialogue",
    what: "a message of 4 KiB through the dialogue, pipelined, every answer yes",
    runs: 5_000,
    prepare: dialogue,
};

/// A message of 4 KiB in lines of 72 octets, one of which begins with a dot.
pub(crate) fn message() -> Vec<u8> {
    let mut message = b"From: a@remote.example\r\nTo: user@example.test\r\nSubject: 4 KiB\r\n\
        Date: Sun, 22 Nov 2026 08:30:00 +0000\r\nMessage-ID: <4k@remote.example>\r\n\r\n"
        .to_vec();
    while message.len() < 4096 - 76 {
        message.extend_from_slice(&[b'x'; 70]);
        message.extend_from_slice(b"\r\n");
    }
    message.extend_from_slice(b".a line with a dot\r\n");
    message
}

fn stuffed() -> Vec<u8> {
    let mut stuffed = message();
    let dot = stuffed.len() - b".a line with a dot\r\n".len();
    stuffed.insert(dot, b'.');
    stuffed.extend_from_slice(b".\r\n");
    stuffed
}

fn commands() -> Run {
    let lines: [&[u8]; 3] = [
        b"MAIL FROM:<a.sender@remote.example> SIZE=4096 BODY=8BITMIME",
        b"RCPT TO:<some.user@example.test> NOTIFY=SUCCESS,FAILURE",
        b"DATA",
    ];
    Box::new(move || {
        for line in lines {
            let command = Command::parse(black_box(line));
            assert!(black_box(command).is_ok());
        }
    })
}

fn end_of_data() -> Run {
    let (octets, wanted) = (stuffed(), message().len());
    let mut body = Vec::with_capacity(octets.len());
    Box::new(move || {
        body.clear();
        let mut receiver = BodyReceiver::new(Framing::Stuffed, BareLineEnds::Reject, 1 << 20);
        let (_, is_end) = receiver.feed(black_box(&octets), &mut body);
        assert!(is_end && body.len() == wanted);
    })
}

fn dialogue() -> Run {
    let settings = Arc::new(Settings::smtp("mx.example"));
    let peer = Peer {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        name: None,
        tls: None,
        channel: Channel::default(),
    };
    let mut session = Session::new(settings, peer, Kind::Smtp);
    let mut out = Output::default();
    session.greet(&mut out);
    let mut say = move |mut input: &[u8]| {
        let mut messages = 0;
        while !input.is_empty() {
            let taken = session.feed(0, input, &mut out);
            input = input.get(taken..).unwrap_or_default();
            while let Some(action) = out.action.take() {
                messages += usize::from(matches!(action, Action::Commit(_)));
                session.resume(0, yes(&action), &mut out);
            }
            out.reply.clear();
            out.body.clear();
            out.ended = None;
        }
        messages
    };
    say(b"EHLO remote.example\r\n");
    let envelope = b"MAIL FROM:<a@remote.example>\r\nRCPT TO:<user@example.test>\r\nDATA\r\n";
    let data = stuffed();
    Box::new(move || {
        say(black_box(envelope));
        assert_eq!(say(black_box(&data)), 1, "the message is taken");
    })
}

fn yes(action: &Action) -> Answer {
    match action {
        Action::Commit(_) => Answer::Committed {
            queue_id: "4K".to_owned(),
            verdicts: Verdicts::All(Ok(())),
        },
        _ => Answer::Verdict(Ok(())),
    }
}
