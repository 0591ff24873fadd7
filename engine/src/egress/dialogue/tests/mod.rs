//! Dialogues by script: what the peer says, what it hears, and what comes of it.

mod ahead;
mod fuzz;
mod letters;
mod opening;
mod trouble;

use super::*;
use crate::egress::{Disposition, Fate, Login};
use crate::wire::sasl::Password;
use std::rc::Rc;
use store::mail::address::Address;
use store::mail::envelope::{Envelope, Recipient};

/// A dialogue and what it has said and wished since somebody looked.
struct Play {
    dialogue: Dialogue,
    out: Output,
    now_ms: u64,
}

fn target() -> Target {
    Target::new("127.0.0.1:25".parse().unwrap(), "mx.test", "us.test")
}

fn lmtp() -> Target {
    Target {
        dialect: Dialect::Lmtp,
        ..target()
    }
}

fn login() -> Option<Rc<Login>> {
    Some(Rc::new(Login {
        user: "tim".into(),
        password: Password::new("pw".into()),
        in_clear: false,
    }))
}

/// To `a@b.test`, `b@b.test` and so on.
fn letter(recipients: usize) -> Letter {
    let recipient = |at: usize| {
        let local = char::from(b'a' + (at % 26) as u8).to_string();
        Recipient::new(Address::new(local, "b.test"))
    };
    let envelope = Envelope {
        reverse_path: Some(Address::new("s", "us.test")),
        recipients: (0..recipients).map(recipient).collect(),
        ..Envelope::default()
    };
    Letter::new(Rc::new(envelope), Rc::from(&b"P: x\r\n"[..]))
}

fn with(letter: Letter, change: impl FnOnce(&mut Envelope)) -> Letter {
    let mut envelope = (*letter.envelope).clone();
    change(&mut envelope);
    Letter {
        envelope: Rc::new(envelope),
        ..letter
    }
}

impl Play {
    fn new(target: &Target, start_tls: StartTls) -> Play {
        let nonce = "nonce".to_owned();
        Play {
            dialogue: Dialogue::new(target, start_tls, Security::Clear, nonce, 0),
            out: Output::default(),
            now_ms: 0,
        }
    }

    /// A dialogue behind its opening, with a server that offers these keywords.
    fn opened(target: &Target, keywords: &[&str]) -> Play {
        let mut play = Play::new(target, StartTls::Never);
        play.says("220 mx.test\r\n");
        play.heard();
        let mut hello = String::from("250-mx.test");
        for keyword in keywords {
            hello.push_str("\r\n250-");
            hello.push_str(keyword);
        }
        play.says(&format!("{hello}\r\n250 HELP\r\n"));
        assert!(
            matches!(play.out.wish.take(), Some(Wish::Open)),
            "{:?}",
            play.dialogue
        );
        assert_eq!(play.heard(), "");
        play
    }

    fn input(&mut self, input: Input<'_>) {
        self.dialogue.handle(self.now_ms, input, &mut self.out);
    }

    fn says(&mut self, text: &str) {
        self.input(Input::Octets(text.as_bytes()));
    }

    /// What the peer hears, without line ends but for the separator.
    fn heard(&mut self) -> String {
        let octets = std::mem::take(&mut self.out.octets);
        let text = String::from_utf8(octets).unwrap();
        text.trim_end().replace("\r\n", "|")
    }

    /// The peer says one, the client answers the other.
    fn turn(&mut self, says: &str, hears: &str) {
        self.says(says);
        assert_eq!(self.heard(), hears, "after {says}");
    }

    fn begin(&mut self, letter: &Letter) {
        self.begin_sized(letter, 100, false);
    }

    fn begin_sized(&mut self, letter: &Letter, octets: u64, is_seven_bit: bool) {
        self.input(Input::Begin {
            letter,
            octets,
            is_seven_bit,
        });
    }

    fn body(&mut self) -> Framing {
        match self.out.wish.take() {
            Some(Wish::SendBody(framing)) => framing,
            other => panic!("no body is wished for but {other:?}"),
        }
    }

    fn outcome(&mut self) -> Outcome {
        match self.out.wish.take() {
            Some(Wish::Settled(outcome)) => outcome,
            other => panic!("nothing is settled but {other:?}"),
        }
    }

    /// Fate, stage and reply of each recipient.
    fn fates(&mut self) -> Vec<String> {
        let outcome = self.outcome();
        outcome.recipients.iter().map(shown).collect()
    }

    fn failure(&mut self) -> Failure {
        match self.out.wish.take() {
            Some(Wish::Failed(failure)) => failure,
            other => panic!("nothing failed but {other:?}"),
        }
    }

    /// The time goes on to where the dialogue is late.
    fn waits(&mut self) -> u64 {
        let due = self.dialogue.due_ms().expect("something is awaited");
        let waited = due - self.now_ms;
        self.now_ms = due;
        self.input(Input::TimedOut);
        waited
    }
}

fn shown(disposition: &Disposition) -> String {
    let Disposition {
        fate,
        stage,
        origin,
        reply,
    } = disposition;
    format!("{fate:?} {stage:?} {origin:?} {reply}")
}

const PIPELINING: &[&str] = &["PIPELINING", "SIZE", "8BITMIME"];
