//! Applies facts that were read from a log of which anything may be missing.
//!
//! The shard applies facts of a log that is whole, and takes what contradicts that for a mistake of
//! its own. Here such a fact is refused.

use crate::log::Place;
use crate::mail::id::{AccountId, MailboxId, Uid};
use crate::mailbox::state::State;
use crate::record::Fact;

/// Applies a fact, or says why it cannot be.
pub(super) fn apply(
    state: &mut State,
    account: AccountId,
    place: Place,
    fact: Fact,
) -> Result<(), &'static str> {
    let arrival = match &fact {
        Fact::Deliver(deliver) => Some((deliver.mailbox, deliver.uid, 1)),
        Fact::Copy(copy) => Some((copy.target, copy.first_uid, copy.rows.len() as u64)),
        Fact::Offer(offer) if offer.sequence == 0 => return Err("an offer without a number"),
        _ => None,
    };
    if let Some((mailbox, first, count)) = arrival {
        if u64::from(first.0) + count > u64::from(u32::MAX) || first.0 == 0 {
            return Err("a UID that cannot be");
        }
        if uid_next(state, account, mailbox).is_some_and(|next| first < next) {
            return Err("it brings a UID that is taken already");
        }
    }
    state.apply(account, place, fact);
    Ok(())
}

fn uid_next(state: &State, account: AccountId, mailbox: MailboxId) -> Option<Uid> {
    let contents = state.account(account)?.contents(mailbox)?;
    Some(contents.uid_next())
}
