//! Entry points for fuzzers: any octets in any state keep the bounds and never panic.
//!
//! The first octets choose kind, settings, pieces and answers; the rest is what a client sends.

use super::{
    Action, Answer, BODY_BYTES_MAX, Client, Kind, Output, Peer, REPLY_BYTES_MAX, Session, Settings,
    Tls, Verdicts,
};
use crate::wire::sasl::scram::{Decoy, Known};
use crate::wire::sasl::{self, Channel, Question, Refusal};
use crate::wire::smtp::data::BareLineEnds;
use crate::wire::smtp::{command, reply};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// A reply is at most one step beyond the mark: EHLO, or LMTP's for every recipient.
const REPLY_STEP_BYTES_MAX: usize = 64 << 10;

/// Drives a session with `data`.
///
/// # Panics
/// When a bound or the order of actions is broken.
pub fn fuzz_session(data: &[u8]) {
    let Some((header, input)) = data.split_first_chunk::<4>() else {
        return;
    };
    let [kind, flags, step, seed] = *header;
    let mut driver = Driver::new(kind, flags, seed);
    for piece in input.chunks(usize::from(step) + 1) {
        if !driver.send(piece) {
            break;
        }
    }
    driver.session.lost(1, &mut driver.out);
}

/// Parses `line` as a command.
pub fn fuzz_command(line: &[u8]) {
    _ = command::Command::parse(line);
}

struct Driver {
    session: Session,
    out: Output,
    answers: u64,
}

impl Driver {
    fn new(kind: u8, flags: u8, seed: u8) -> Driver {
        let (kind, mut settings) = match kind % 3 {
            0 => (Kind::Smtp, Settings::smtp("mx.example")),
            1 => (Kind::Submission, Settings::submission("mx.example")),
            _ => (Kind::Lmtp, Settings::lmtp("mx.example")),
        };
        settings.message_octets_max = 2000;
        settings.recipients_max = 100;
        if flags & 1 != 0 {
            settings.bare_line_ends = BareLineEnds::Normalise;
        }
        settings.takes_xclient = flags & 8 != 0;
        let tls = (flags & 2 != 0).then_some(TLS);
        let peer = Peer {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            name: None,
            tls,
            channel: Channel {
                exporter: tls.map(|_| [seed; 32]),
                is_private: tls.is_some(),
                is_certified: flags & 4 != 0,
                ..Channel::default()
            },
        };
        Driver {
            session: Session::new(Arc::new(settings), peer, kind),
            out: Output::default(),
            answers: u64::from(seed),
        }
    }

    /// Gives `piece` to the session; false when it closed.
    fn send(&mut self, mut piece: &[u8]) -> bool {
        loop {
            let taken = self.session.feed(0, piece, &mut self.out);
            piece = piece.split_at(taken).1;
            assert!(self.out.reply.len() <= REPLY_BYTES_MAX + REPLY_STEP_BYTES_MAX);
            assert!(self.out.body.len() <= 2 * BODY_BYTES_MAX);
            let nothing = self.empty();
            let stuck = taken == 0 && nothing;
            while let Some(action) = self.out.action.take() {
                let Some(answer) = self.answer(action) else {
                    return false;
                };
                self.session.resume(0, answer, &mut self.out);
            }
            if piece.is_empty() {
                return true;
            }
            assert!(
                !stuck,
                "input is taken unless something is to be carried away"
            );
        }
    }

    /// Carries the output away; true when there was none.
    fn empty(&mut self) -> bool {
        let nothing = self.out.reply.is_empty()
            && self.out.body.is_empty()
            && self.out.ended.is_none()
            && self.out.action.is_none();
        self.out.reply.clear();
        self.out.body.clear();
        self.out.ended = None;
        nothing
    }

    fn chance(&mut self) -> u64 {
        // Knuth's MMIX generator: the same answers for the same input.
        self.answers = self
            .answers
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.answers >> 33
    }

    fn answer(&mut self, action: Action) -> Option<Answer> {
        let chance = self.chance() % 8;
        let verdict = match chance {
            0 => Err(reply::NOT_ALLOWED),
            1 => Err(reply::STORAGE_FULL),
            _ => Ok(()),
        };
        Some(match action {
            Action::Close => return None,
            Action::Xclient(xclient) => Answer::Client(match chance {
                0 => Err(reply::TOO_MANY_CONNECTIONS),
                1 => Err(reply::XCLIENT_NO_ACCOUNT),
                _ => Ok(Client {
                    address: xclient.address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                    name: xclient.name.map(|name| name.map(Into::into)),
                    hello: xclient.hello.map(|hello| hello.map(Into::into)),
                    login: xclient.login.map(|login| login.map(Into::into)),
                }),
            }),
            Action::StartTls => Answer::Tls(TLS, Box::new(Channel::private())),
            Action::Ask(Question::Keys { hash, user }) => {
                Answer::Login(sasl::Answer::Keys(Box::new(Known {
                    keys: Decoy::new([2; 32]).keys(hash, &user),
                    is_real: chance > 3,
                    nonce: "nonce".into(),
                })))
            }
            Action::Ask(_) => Answer::Login(sasl::Answer::Verdict(match chance {
                0 => Err(Refusal::Wrong),
                1 => Err(Refusal::Crowded),
                _ => Ok("user@example".into()),
            })),
            Action::Sender | Action::Recipient { .. } | Action::BeginBody { .. } => {
                Answer::Verdict(verdict)
            }
            Action::Commit(commit) => Answer::Committed {
                queue_id: "fuzz".to_owned(),
                verdicts: match chance {
                    0..3 => Verdicts::All(verdict),
                    _ => Verdicts::Each(vec![verdict; commit.envelope.recipients.len()]),
                },
            },
        })
    }
}

const TLS: Tls = Tls {
    version: "TLSv1.3",
    cipher: "TLS_AES_128_GCM_SHA256",
};
