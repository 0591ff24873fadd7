//! What is durable of a request with an Idempotency-Key: how far each of its lanes has come.
//!
//! The messages of a request go in [`LANES`] lanes: message n in lane n mod `LANES`, one behind the
//! other. The frame that takes one has a note of its lane with it, which says how many are done and
//! what became of each recipient of them. So after a crash exactly the rest is done, and the answer
//! is the same: the ids of messages follow from the first, which every note names.
//!
//! ```text
//! note = u8 version 1, 32 octets SHA-256 of the request, u64 id of message 0, u32 messages of this
//!        lane that are done, u32 count of recipients, u8 outcome of each
//! ```

use super::compose::{Plan, SHARED_MAX};
use crate::config::inject::REQUEST_RECIPIENTS_MAX;
use store::mail::id::QueueId;

/// Messages of one request that are made at the same time.
pub const LANES: usize = 16;

/// What became of one recipient; its number is kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Outcome {
    Taken = 1,
    /// It is no address, or stands there twice, or its data are none.
    Malformed = 2,
    /// Its message could not be made.
    Unfit = 3,
    NoSuchUser = 4,
    AliasLoop = 5,
    Disabled = 6,
    OverQuota = 7,
    /// Mail for its domain has no route.
    NoRoute = 8,
    /// The operator refuses mail for its domain.
    Rejected = 9,
    /// A time was said, its mailbox is here, and there is no queue to hold it.
    NotLater = 10,
    /// Not now: the queue or the disk is full, or the server ends.
    Later = 11,
}

impl Outcome {
    const ALL: [Outcome; 11] = [
        Outcome::Taken,
        Outcome::Malformed,
        Outcome::Unfit,
        Outcome::NoSuchUser,
        Outcome::AliasLoop,
        Outcome::Disabled,
        Outcome::OverQuota,
        Outcome::NoRoute,
        Outcome::Rejected,
        Outcome::NotLater,
        Outcome::Later,
    ];

    fn of(number: u8) -> Option<Outcome> {
        Outcome::ALL
            .into_iter()
            .find(|outcome| *outcome as u8 == number)
    }

    /// May the same be taken later?
    #[must_use]
    pub fn is_passing(self) -> bool {
        matches!(self, Outcome::OverQuota | Outcome::Later)
    }

    /// The code that SMTP would say, and words.
    pub(super) fn says(self) -> (&'static str, &'static str) {
        match self {
            Outcome::Taken => ("2.0.0", "accepted"),
            Outcome::Malformed => ("5.1.3", "this is no address that takes mail"),
            Outcome::Unfit => ("5.6.0", "its message cannot be made of the template"),
            Outcome::NoSuchUser => ("5.1.1", "there is no such user here"),
            Outcome::AliasLoop => ("5.4.6", "its alias leads to itself or to too many"),
            Outcome::Disabled => ("5.2.1", "this account takes no mail"),
            Outcome::OverQuota => ("4.2.2", "its mailbox is full"),
            Outcome::NoRoute => ("5.4.4", "mail for its domain has no route"),
            Outcome::Rejected => ("5.7.1", "mail for its domain is refused"),
            Outcome::NotLater => (
                "5.7.0",
                "nothing is held here for later: there is no [[route]]",
            ),
            Outcome::Later => ("4.3.0", "it cannot be taken now"),
        }
    }
}

/// One lane of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lane {
    pub hash: [u8; 32],
    pub base: QueueId,
    /// Messages of this lane that are done.
    pub done: usize,
    /// Of their recipients, in the order of the lane.
    pub outcomes: Vec<Outcome>,
}

impl Lane {
    #[must_use]
    pub fn new(hash: [u8; 32], base: QueueId) -> Lane {
        Lane {
            hash,
            base,
            done: 0,
            outcomes: Vec::new(),
        }
    }

    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(HEAD_BYTES + self.outcomes.len());
        value.push(VERSION);
        value.extend_from_slice(&self.hash);
        value.extend_from_slice(&self.base.0.to_le_bytes());
        value.extend_from_slice(&(self.done as u32).to_le_bytes());
        value.extend_from_slice(&(self.outcomes.len() as u32).to_le_bytes());
        value.extend(self.outcomes.iter().map(|outcome| *outcome as u8));
        value
    }

    /// `None`: not what we write.
    #[must_use]
    pub fn decode(value: &[u8]) -> Option<Lane> {
        let (version, rest) = value.split_first()?;
        let (hash, rest) = rest.split_first_chunk()?;
        let (base, rest) = rest.split_first_chunk()?;
        let (done, rest) = rest.split_first_chunk()?;
        let (count, rest) = rest.split_first_chunk()?;
        let outcomes: Option<Vec<Outcome>> = rest.iter().map(|n| Outcome::of(*n)).collect();
        let outcomes = outcomes?;
        let is_whole = *version == VERSION && outcomes.len() == u32::from_le_bytes(*count) as usize;
        is_whole.then(|| Lane {
            hash: *hash,
            base: QueueId(u64::from_le_bytes(*base)),
            done: u32::from_le_bytes(*done) as usize,
            outcomes,
        })
    }

    /// The messages of lane `lane`.
    pub fn messages(plan: Plan, lane: usize) -> impl Iterator<Item = usize> {
        (lane..plan.messages()).step_by(LANES)
    }

    /// Writes what is known of lane `lane` to the places of its recipients.
    pub fn spread(&self, plan: Plan, lane: usize, to: &mut [(Outcome, String)]) {
        let messages = Lane::messages(plan, lane).take(self.done);
        let places = messages.flat_map(|message| plan.recipients_of(message));
        for (place, outcome) in places.zip(&self.outcomes) {
            if let Some((known, _)) = to.get_mut(place) {
                *known = *outcome;
            }
        }
    }
}

const VERSION: u8 = 1;
const HEAD_BYTES: usize = 1 + 32 + 8 + 4 + 4;

/// A note has so many octets at most (`store::limit`).
const NOTE_BYTES_MAX: usize = 4_096;

// One recipient a message, or as many as share one.
const _: () = assert!(
    HEAD_BYTES + (REQUEST_RECIPIENTS_MAX as usize).div_ceil(LANES) + SHARED_MAX <= NOTE_BYTES_MAX
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_comes_back() {
        let lane = Lane {
            hash: [7; 32],
            base: QueueId(9 << 8 | 3),
            done: 2,
            outcomes: Outcome::ALL.to_vec(),
        };
        let value = lane.encode();
        assert_eq!(Lane::decode(&value), Some(lane));
        for cut in 0..value.len() {
            assert_eq!(Lane::decode(value.get(..cut).unwrap()), None, "{cut}");
        }
        let mut wrong = value.clone();
        *wrong.last_mut().unwrap() = 99;
        assert_eq!(Lane::decode(&wrong), None);
    }
}
