//! One delivery as it is served, piece by piece: the prefix, the pieces of its body, the rest of
//! its MESSAGE. What is read once may be read again; no more of it lies in memory than one piece.

use super::source::Source;
use super::{CompactError, Site};
use crate::disk::Disk;
use crate::error::ReadError;
use crate::log::{Place, Record};
use crate::mail::id::{AccountId, ObjectId};
use crate::record::{Deliver, Fact, MessageHead, kind};
use crate::table::locations::Locations;

pub(super) struct Letter {
    pub(super) account: AccountId,
    deliver: Box<Deliver>,
    message: Record,
    head: MessageHead,
}

/// Octets of prefix and body of the delivery at a place; `None` where none can be read there.
pub(super) async fn octets_at<D: Disk>(
    site: &Site<'_, D>,
    source: &mut Source<D>,
    place: Place,
) -> Result<Option<u64>, CompactError> {
    let found = deliver_at(site, source, place).await?;
    Ok(found.map(|(_, deliver)| u64::from(deliver.octets)))
}

async fn deliver_at<D: Disk>(
    site: &Site<'_, D>,
    source: &mut Source<D>,
    place: Place,
) -> Result<Option<(AccountId, Box<Deliver>)>, CompactError> {
    let Ok(record) = source.read(site, place).await? else {
        return Ok(None);
    };
    Ok(match Fact::decode(record.kind(), record.payload()) {
        Ok(Fact::Deliver(deliver)) => Some((AccountId(record.account()), deliver)),
        _ => None,
    })
}

impl Letter {
    /// The delivery that lies at a place, if one does that can be read.
    pub(super) async fn at<D: Disk, L: Disk>(
        site: &Site<'_, D>,
        source: &mut Source<D>,
        locations: &Locations<L>,
        place: Place,
    ) -> Result<Option<Letter>, CompactError> {
        let Some((account, deliver)) = deliver_at(site, source, place).await? else {
            return Ok(None);
        };
        let at = match locations.find(deliver.message).await {
            Ok(Some(location)) => location.place,
            Ok(None) | Err(ReadError::Damaged { .. }) => return Ok(None),
            Err(error) => return Err(CompactError::Read(error)),
        };
        let Ok(message) = source.read(site, at).await? else {
            return Ok(None);
        };
        if message.kind() != kind::MESSAGE {
            return Ok(None);
        }
        let head = MessageHead::decode(message.payload()).ok();
        Ok(head.map(|head| Letter {
            account,
            deliver,
            message,
            head,
        }))
    }

    pub(super) fn object(&self) -> ObjectId {
        self.deliver.object
    }

    /// How many pieces it has; the first is the prefix.
    pub(super) fn pieces(&self) -> usize {
        self.head.pieces.len() + 2
    }

    /// Shows the piece with this number, and says how long it is; `None` where it cannot be read.
    pub(super) async fn show<D: Disk>(
        &self,
        site: &Site<'_, D>,
        source: &mut Source<D>,
        piece: usize,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<Option<usize>, CompactError> {
        let Some(number) = piece.checked_sub(1) else {
            return Ok(Some(told(&self.deliver.prefix, each)));
        };
        let Some(lying) = self.head.pieces.get(number) else {
            let rest = MessageHead::split(self.message.payload());
            return Ok(rest.ok().map(|(_, rest)| told(rest, each)));
        };
        let Ok(body) = source.read(site, lying.place).await? else {
            return Ok(None);
        };
        let is_whole = body.kind() == kind::BODY && body.payload().len() == lying.octets as usize;
        Ok(is_whole.then(|| told(body.payload(), each)))
    }
}

fn told(octets: &[u8], each: &mut dyn FnMut(&[u8])) -> usize {
    each(octets);
    octets.len()
}
