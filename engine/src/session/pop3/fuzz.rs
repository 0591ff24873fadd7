//! Entry points for fuzzers: any octets in any state keep the bounds and never panic.
//!
//! The first octets choose settings, pieces and answers; the rest is what a client sends.

use super::maildrop::{Entry, Maildrop};
use super::{Action, Answer, Output, REPLY_BYTES_MAX, Session, Settings};
use crate::config::Expire;
use crate::wire::pop3::command::Command;
use crate::wire::pop3::{dots::Dots, reply};
use crate::wire::sasl::scram::{Decoy, Known};
use crate::wire::sasl::{self, Channel, Mechanism, Question, Refusal};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::mail::id::{Uid, UidValidity};

/// A reply is at most one step beyond the mark: CAPA, or a message of this driver.
const REPLY_STEP_BYTES_MAX: usize = 4 << 10;

/// Messages of the maildrop: a listing has several parts.
const MESSAGES: u32 = 5_000;

/// Drives a session with `data`.
///
/// # Panics
/// When a bound or the order of actions is broken.
pub fn fuzz_session(data: &[u8]) {
    let Some((header, input)) = data.split_first_chunk::<3>() else {
        return;
    };
    let [flags, step, seed] = *header;
    let mut driver = Driver::new(flags, seed);
    for piece in input.chunks(usize::from(step) + 1) {
        if !driver.send(piece) {
            return;
        }
    }
    driver.session.timed_out(&mut driver.out);
}

/// Parses `line` as a command.
pub fn fuzz_command(line: &[u8]) {
    _ = Command::parse(line);
}

/// Sends `data` as a message, in pieces, whole and in part.
///
/// # Panics
/// When a client would see the end too early, or pieces matter.
pub fn fuzz_message(data: &[u8]) {
    let Some(([step, lines], message)) = data.split_first_chunk::<2>() else {
        return;
    };
    for dots in [Dots::whole(), Dots::top(u32::from(*lines))] {
        let sent = |step: usize| {
            let (mut dots, mut out) = (dots.clone(), Vec::new());
            message
                .chunks(step)
                .for_each(|piece| dots.feed(piece, &mut out));
            dots.finish(&mut out);
            out
        };
        let whole = sent(message.len().max(1));
        assert_eq!(sent(usize::from(*step) + 1), whole);
        let mut ends = whole.split_inclusive(|octet| *octet == b'\n');
        let end = ends.position(|line| line == reply::END);
        assert_eq!(
            end,
            Some(whole.iter().filter(|octet| **octet == b'\n').count() - 1)
        );
    }
}

struct Driver {
    session: Session,
    out: Output,
    answers: u64,
    /// Moved to where the account lives.
    has_moved: bool,
}

impl Driver {
    fn new(flags: u8, seed: u8) -> Driver {
        let settings = Settings {
            starttls: flags & 1 != 0,
            login_in_clear: flags & 2 != 0,
            mechanisms: Mechanism::ALL.to_vec(),
            errors_max: 20,
            failed_logins_max: 3,
            expire: match flags & 4 {
                0 => Expire::Never,
                _ => Expire::Retrieved,
            },
            login_delay_secs: u32::from(flags >> 4),
        };
        let (settings, mut out) = (Arc::new(settings), Output::default());
        let session = match flags & 8 {
            0 => Session::new(settings, Channel::default()),
            _ => Session::resume(settings, false, &mut out),
        };
        Driver {
            session,
            out,
            answers: u64::from(seed),
            has_moved: flags & 8 != 0,
        }
    }

    /// Gives `piece` to the session; false when it closed.
    fn send(&mut self, mut piece: &[u8]) -> bool {
        loop {
            if !self.settle() {
                return false;
            }
            let taken = self.session.handle(piece, &mut self.out);
            piece = piece.split_at(taken).1;
            assert!(self.out.reply.len() <= REPLY_BYTES_MAX + REPLY_STEP_BYTES_MAX);
            let is_stuck = taken == 0 && self.out.reply.is_empty() && self.out.action.is_none();
            if !self.settle() {
                return false;
            }
            self.out.reply.clear();
            self.out.heard.clear();
            if piece.is_empty() && self.session.is_idle() {
                return true;
            }
            assert!(
                !is_stuck,
                "input is taken unless something is to be carried away"
            );
        }
    }

    fn settle(&mut self) -> bool {
        while let Some(action) = self.out.action.take() {
            let Some(answer) = self.answer(action) else {
                return false;
            };
            self.session.answer(answer, &mut self.out);
        }
        true
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
        Some(match action {
            Action::Close => return None,
            Action::Move { .. } => {
                assert!(!self.has_moved, "a session moves once");
                return None;
            }
            Action::StartTls => Answer::Tls(Channel::private()),
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
            Action::Open => Answer::Opened(match chance {
                0 => Err(reply::IN_USE),
                _ => Ok(Box::new(maildrop())),
            }),
            Action::Send(_) => Answer::Sent(match chance {
                0 => Err(reply::GONE),
                _ => {
                    self.out
                        .reply
                        .extend_from_slice(b"+OK\r\nA: b\r\n\r\n.\r\n");
                    Ok(())
                }
            }),
            Action::Update(update) => {
                let both = update.deleted.without(&update.retrieved);
                assert_eq!(both, update.deleted, "deleted, and not kept as retrieved");
                Answer::Updated(chance > 0)
            }
        })
    }
}

fn maildrop() -> Maildrop {
    let entry = |n| Entry {
        uid: Uid(n * 3),
        octets: n,
    };
    let brought = BTreeMap::from([(Uid(6), "id".into())]);
    Maildrop::new((1..=MESSAGES).map(entry).collect(), UidValidity(9), brought)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sessions_keep_their_bounds(
            header in any::<[u8; 3]>(),
            lines in prop::collection::vec(
                "(RETR|DELE|LIST|UIDL|TOP|STAT|CAPA|RSET|NOOP|QUIT|AUTH PLAIN|USER|PASS|\\*|\
                  STLS|AUTH SCRAM-SHA-256|AUTH LOGIN|UTF8|LANG|AHQAcA==)( [0-9a-z]{1,3}){0,2}\
                  (\r\n|\n|\r\n\r\n)", 0..40),
        ) {
            let data = [&header[..], lines.concat().as_bytes()].concat();
            fuzz_session(&data);
        }

        #[test]
        fn messages_end_once(data in prop::collection::vec(
            prop::sample::select(&b".\r\n.\r\nab"[..]), 0..60)
        ) {
            fuzz_message(&data);
        }
    }
}
