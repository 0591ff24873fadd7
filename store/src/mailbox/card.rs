//! What stays in memory of every account, loaded or not, and its bytes (FORMAT.md, "Card").

use crate::codec::{Fields, Put, Short};
use crate::mail::id::AccountId;
use crate::record::Broken;

/// What other rooms ask of an account without a look at its mailboxes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Card {
    pub id: AccountId,
    pub address: String,
    /// `None`: the configuration file decides whether and how it logs in.
    pub secret: Option<String>,
    /// Octets, as the log has it; `None` is without a limit.
    pub quota: Option<u64>,
    /// Octets of all messages.
    pub octets: u64,
    /// The account is gone; older runs may still have parts of it.
    pub is_removed: bool,
}

impl Card {
    /// Appends everything but the id, which is the key in a run.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(u8::from(self.is_removed));
        out.put_text(&self.address);
        out.put_optional_text(self.secret.as_deref());
        out.put_u64(self.quota.unwrap_or(NO_QUOTA));
        out.put_u64(self.octets);
    }

    pub fn decode(id: AccountId, octets: &[u8]) -> Result<Card, Broken> {
        read(id, &mut Fields::new(octets)).map_err(|_| Broken("a card that cannot be read"))
    }
}

fn read(id: AccountId, fields: &mut Fields<'_>) -> Result<Card, Short> {
    let is_removed = match fields.u8()? {
        0 => false,
        1 => true,
        _ => return Err(Short),
    };
    let card = Card {
        id,
        is_removed,
        address: fields.text()?,
        secret: fields.optional_text()?,
        quota: Some(fields.u64()?).filter(|quota| *quota != NO_QUOTA),
        octets: fields.u64()?,
    };
    fields.end()?;
    Ok(card)
}

const NO_QUOTA: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cards_come_back_from_their_bytes(
            address in ".{0,20}",
            secret in prop::option::of(".{0,20}"),
            quota in prop::option::of(0..NO_QUOTA),
            octets: u64,
            is_removed: bool,
            cut: prop::sample::Index,
        ) {
            let card = Card { id: AccountId(7), address, secret, quota, octets, is_removed };
            let mut bytes = Vec::new();
            card.encode(&mut bytes);
            prop_assert_eq!(Card::decode(AccountId(7), &bytes), Ok(card));
            prop_assert!(Card::decode(AccountId(7), &bytes[..cut.index(bytes.len())]).is_err());
        }

        #[test]
        fn any_bytes_are_a_card_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Card::decode(AccountId(1), &bytes);
        }
    }
}
