//! Whole dialogues: a driver with a small directory, and the same input cut at every place.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod bodies;
mod fuzzed;
mod limits;
mod logins;
mod terms;
mod verbs;
mod xclients;

use super::*;
use crate::wire::sasl::scram::{Decoy, Keys, Known};
use crate::wire::sasl::{self, Channel, Mechanism, Question, Refusal};
use crate::wire::smtp::reply::Verdict;
use crate::wire::xclient::Xclient;
use std::net::{IpAddr, Ipv4Addr};
use store::mail::address::Address;

pub(super) const TLS: Tls = Tls {
    version: "TLSv1.3",
    cipher: "TLS_AES_256_GCM_SHA384",
};

/// What a dialogue came to.
#[derive(PartialEq, Eq, Debug, Default)]
pub(super) struct Record {
    pub(super) replies: Vec<u8>,
    /// One per body writer that was made.
    pub(super) bodies: Vec<Vec<u8>>,
    pub(super) commits: Vec<Commit>,
    /// `code`, reverse-path and number of recipients of every transaction.
    pub(super) ended: Vec<(u16, Option<String>, usize)>,
    pub(super) closed: bool,
}

/// A session with a driver that knows `user@here`, and others by what their names say.
pub(super) struct Dialogue {
    pub(super) session: Session,
    pub(super) out: Output,
    pub(super) record: Record,
    pub(super) keys: Option<Keys>,
    pub(super) begin_body: Verdict,
}

pub(super) fn settings(kind: Kind) -> Settings {
    let settings = match kind {
        Kind::Smtp => Settings::smtp("mx.here"),
        Kind::Submission => Settings::submission("mx.here"),
        Kind::Lmtp => Settings::lmtp("mx.here"),
    };
    Settings {
        message_octets_max: 1000,
        recipients_max: 100,
        mechanisms: vec![Mechanism::ScramSha256, Mechanism::Plain, Mechanism::Login],
        ..settings
    }
}

pub(super) fn peer(tls: bool) -> Peer {
    Peer {
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        name: None,
        tls: tls.then_some(TLS),
        channel: channel(tls),
    }
}

fn channel(tls: bool) -> Channel {
    match tls {
        true => Channel::private(),
        false => Channel::default(),
    }
}

impl Dialogue {
    pub(super) fn new(settings: Settings, kind: Kind, tls: bool) -> Dialogue {
        Dialogue {
            session: Session::new(Arc::new(settings), peer(tls), kind),
            out: Output::default(),
            record: Record::default(),
            keys: None,
            begin_body: Ok(()),
        }
    }

    pub(super) fn of(kind: Kind) -> Dialogue {
        Dialogue::new(settings(kind), kind, kind == Kind::Submission)
    }

    /// One flight of the client, in pieces that end at `cuts` octets.
    pub(super) fn flight(&mut self, flight: &[u8], cuts: &[usize]) {
        let mut start = 0;
        for &cut in cuts.iter().chain([&flight.len()]) {
            let mut piece = &flight[start..cut];
            start = cut;
            while !piece.is_empty() && !self.record.closed {
                let taken = self.session.feed(7, piece, &mut self.out);
                piece = &piece[taken..];
                if self.carry() {
                    return;
                }
            }
        }
    }

    /// Says `text` and returns the replies to it.
    pub(super) fn say(&mut self, text: &str) -> String {
        self.record.replies.clear();
        self.flight(text.as_bytes(), &[]);
        String::from_utf8(self.record.replies.clone()).unwrap()
    }

    /// Says `text` and returns the codes of the replies to it.
    pub(super) fn codes(&mut self, text: &str) -> Vec<u16> {
        codes(&self.say(text))
    }

    /// Carries the output away; true when the rest of the flight is to be thrown away.
    pub(super) fn carry(&mut self) -> bool {
        let mut dropped = false;
        loop {
            if !self.out.body.is_empty() {
                let body = std::mem::take(&mut self.out.body);
                self.record.bodies.last_mut().unwrap().extend(body);
            }
            if let Some(ended) = self.out.ended.take() {
                let sender = ended.reverse_path.as_ref().map(Address::to_string);
                let line = (ended.end.code(), sender, ended.recipients);
                self.record.ended.push(line);
            }
            self.record.replies.append(&mut self.out.reply);
            let Some(action) = self.out.action.take() else {
                return dropped;
            };
            dropped |= action == Action::StartTls;
            let Some(answer) = self.answer(action) else {
                return true;
            };
            self.session.resume(7, answer, &mut self.out);
        }
    }

    fn answer(&mut self, action: Action) -> Option<Answer> {
        Some(match action {
            Action::Close => {
                self.record.closed = true;
                return None;
            }
            Action::StartTls => Answer::Tls(TLS, Box::new(channel(true))),
            Action::Xclient(xclient) => Answer::Client(client(*xclient)),
            Action::Ask(question) => Answer::Login(self.login(question)),
            Action::Sender => {
                let reverse_path = self.session.reverse_path_asked().cloned();
                Answer::Verdict(self.sender(reverse_path))
            }
            Action::Recipient { .. } => {
                let asked = self.session.recipient_asked();
                Answer::Verdict(recipient(asked.expect("it is asked about")))
            }
            Action::BeginBody { .. } => {
                self.record.bodies.push(Vec::new());
                Answer::Verdict(self.begin_body)
            }
            Action::Commit(commit) => {
                let each = commit.envelope.recipients.iter();
                let verdicts = each.map(|r| match &*r.address.local {
                    "late" => Err(reply::MAILBOX_FULL),
                    _ => Ok(()),
                });
                let verdicts = Verdicts::Each(verdicts.collect());
                self.record.commits.push(*commit);
                let queue_id = format!("q{}", self.record.commits.len());
                Answer::Committed { queue_id, verdicts }
            }
        })
    }

    fn login(&self, question: Question) -> sasl::Answer<Rc<str>> {
        sasl::Answer::Verdict(match question {
            Question::Password(credentials) => {
                let known = credentials.identity == "user@here";
                let fits = credentials.password.as_str() == "pencil";
                match (credentials.identity.as_str(), known && fits) {
                    ("everywhere@here", _) => Err(Refusal::Crowded),
                    (_, true) => Ok("user@here".into()),
                    (_, false) => Err(Refusal::Wrong),
                }
            }
            Question::Keys { hash, user } => {
                let keys = self.keys.clone().filter(|_| user == "user@here");
                return sasl::Answer::Keys(Box::new(Known {
                    is_real: keys.is_some(),
                    keys: keys.unwrap_or_else(|| Decoy::new([1; 32]).keys(hash, &user)),
                    nonce: "server".into(),
                }));
            }
            Question::Proof { user, proven: true } => Ok(user.into()),
            _ => Err(Refusal::Wrong),
        })
    }

    fn sender(&self, reverse_path: Option<Address>) -> Verdict {
        match (self.session.login(), reverse_path) {
            (Some(login), Some(path)) if path.to_string() != **login => {
                Err(reply::SENDER_NOT_OWNED)
            }
            _ => Ok(()),
        }
    }
}

fn client(xclient: Xclient) -> Result<Client, Reply> {
    let login = xclient.login.map(|login| login.map(Into::into));
    if login == Some(Some("stranger@here".into())) {
        return Err(reply::XCLIENT_NO_ACCOUNT);
    }
    let address = xclient.address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    if address.is_unspecified() {
        return Err(reply::TOO_MANY_CONNECTIONS);
    }
    Ok(Client {
        address,
        name: xclient.name.map(|name| name.map(Into::into)),
        hello: xclient.hello.map(|hello| hello.map(Into::into)),
        login,
    })
}

fn recipient(address: &Address) -> Verdict {
    match (&*address.local, &*address.domain) {
        (_, "") => Ok(()),
        (_, domain) if domain != "here" => Err(reply::RELAY_DENIED),
        ("nobody", _) => Err(reply::UNKNOWN_USER),
        ("full", _) => Err(reply::MAILBOX_FULL),
        _ => Ok(()),
    }
}

/// The code of every reply, continuation lines left out.
pub(super) fn codes(replies: &str) -> Vec<u16> {
    assert!(replies.is_empty() || replies.ends_with("\r\n"));
    let lines = replies.split_terminator("\r\n");
    let last = lines.filter(|line| line.as_bytes().get(3) != Some(&b'-'));
    last.map(|line| line[..3].parse().unwrap()).collect()
}

/// Runs `flights` whole, octet by octet and cut in two at every place: all must come to the same.
pub(super) fn every_cut(make: impl Fn() -> Dialogue, flights: &[&[u8]]) -> Record {
    let run = |cuts: &dyn Fn(usize) -> Vec<usize>| {
        let mut dialogue = make();
        for flight in flights {
            dialogue.flight(flight, &cuts(flight.len()));
        }
        dialogue.record
    };
    let whole = run(&|_| Vec::new());
    assert_eq!(
        run(&|octets| (1..octets).collect()),
        whole,
        "octet by octet"
    );
    let longest = flights.iter().map(|flight| flight.len()).max().unwrap_or(0);
    for cut in 1..longest {
        let halves = run(&|octets| vec![cut.min(octets)]);
        assert_eq!(halves, whole, "cut at {cut}");
    }
    whole
}
