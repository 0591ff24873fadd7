//! One sender who counts, and asks afterwards for each message that was acknowledged.

use super::ALICE;
use std::collections::BTreeMap;
use tests::corpus::plain;
use tests::imap::Imap;
use tests::seed::Seed;
use tests::server::Server;
use tests::smtp::{Reply, Smtp};

/// Numbers of the messages that alice must have.
#[derive(Default)]
pub(crate) struct Kept {
    sent: u64,
    acknowledged: Vec<u64>,
}

impl Kept {
    /// Sends the next message; what is not 250 may be there or not.
    pub(crate) fn send(&mut self, server: &Server) -> Reply {
        let message = self.next_message();
        let mut smtp = Smtp::hello(server.addresses().smtp).expect("SMTP greets");
        let mut sent = || {
            smtp.envelope("sender@remote.test", &[ALICE])?;
            smtp.data(&message)
        };
        let reply = sent().unwrap_or_else(|error| refusal_of(&error));
        if reply.code == 250 {
            self.acknowledged.push(self.sent);
        }
        reply
    }

    /// The message that comes next, and never again.
    pub(crate) fn next_message(&mut self) -> Vec<u8> {
        self.sent += 1;
        message(self.sent)
    }

    /// The oldest one was expunged.
    pub(crate) fn forget_first(&mut self) {
        self.acknowledged.remove(0);
    }

    /// Every acknowledged message is there once, octet by octet.
    pub(crate) fn are_all_in(&self, imap: &mut Imap) {
        let mut found: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
        let status = imap.status("INBOX", "MESSAGES").unwrap();
        for number in 1..=status["MESSAGES"] {
            let fetched = imap.fetch(&format!("FETCH {number} BODY.PEEK[]")).unwrap();
            let octets = fetched[0].octets("BODY[]").expect("BODY[] has octets");
            let subject = octets.windows(9).position(|at| at == b"Subject: ");
            let own = &octets[subject.expect("every message has a subject")..];
            *found.entry(own.to_vec()).or_default() += 1;
        }
        for number in &self.acknowledged {
            let whole = message(*number);
            let subject = whole.windows(9).position(|at| at == b"Subject: ").unwrap();
            let times = found.get(&whole[subject..]).copied().unwrap_or(0);
            assert_eq!(times, 1, "message {number} of {} sent", self.sent);
        }
    }
}

/// The message of this number.
pub(crate) fn message(number: u64) -> Vec<u8> {
    plain(&format!("number {number}"), OCTETS, &mut Seed::new(number))
}

/// A refusal of MAIL or RCPT comes as an error that quotes it.
fn refusal_of(error: &std::io::Error) -> Reply {
    let text = error.to_string();
    let said = text.rsplit_once("said: ").map_or("", |(_, said)| said);
    let (code, line) = said.split_once(' ').unwrap_or(("", ""));
    let code = code.parse().unwrap_or_else(|_| panic!("no reply: {text}"));
    Reply {
        code,
        lines: vec![line.to_string()],
    }
}

pub(crate) const OCTETS: usize = 60_000;
