//! What a checkpoint keeps of the shard itself: numbers given out, domains, the spool.

use crate::codec::{Fields, Put, Short};
use crate::mail::id::{AccountId, ItemId, ObjectId};
use crate::record::Fact;

/// The part of account 0 in a run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Own {
    pub(crate) last_account: AccountId,
    pub(crate) last_object: ObjectId,
    /// Messages with a piece of their body in an earlier segment: object, that segment.
    pub(crate) straddling: Vec<(ObjectId, u32)>,
    /// Domains, offers that wait, what was settled and seen.
    pub(crate) facts: Vec<Fact>,
    /// The highest number that an item of the queue was given.
    pub(crate) last_item: ItemId,
}

impl Own {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u32(self.last_account.0);
        out.put_u64(self.last_object.0);
        out.put_varint(self.straddling.len() as u64);
        for (object, segment) in &self.straddling {
            out.put_u64(object.0);
            out.put_u32(*segment);
        }
        out.put_varint(self.facts.len() as u64);
        let mut payload = Vec::new();
        for fact in &self.facts {
            payload.clear();
            out.put_u8(fact.encode(&mut payload));
            out.put_counted(&payload);
        }
        out.put_varint(self.last_item.0);
    }

    pub(crate) fn decode(octets: &[u8]) -> Result<Own, Short> {
        let mut fields = Fields::new(octets);
        let last_account = AccountId(fields.u32()?);
        let last_object = ObjectId(fields.u64()?);
        let mut straddling = Vec::new();
        for _ in 0..fields.varint()? {
            straddling.push((ObjectId(fields.u64()?), fields.u32()?));
        }
        let mut facts = Vec::new();
        for _ in 0..fields.varint()? {
            let kind = fields.u8()?;
            facts.push(Fact::decode(kind, fields.counted()?).map_err(|_| Short)?);
        }
        // The first builds ended here.
        let last_item = match fields.is_empty() {
            true => ItemId(0),
            false => ItemId(fields.varint()?),
        };
        Ok(Own {
            last_account,
            last_object,
            straddling,
            facts,
            last_item,
        })
    }
}
