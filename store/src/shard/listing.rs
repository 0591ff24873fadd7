//! Lists of messages without their bodies: the header fields that packs keep beside their records.

use super::Shard;
use crate::disk::Disk;
use crate::mail::id::ObjectId;
use crate::pack::listing::Listed;

impl<D: Disk> Shard<D> {
    /// The fields of a message's header, prefix and body, whose names are among
    /// [`KEPT`](crate::pack::listing::KEPT): all of them, in their order and as they stand, each
    /// with its line end. `None`: nothing is kept of this message, or it cannot be read; the
    /// message itself tells.
    ///
    /// Neighbours in a mailbox lie in one block, which is read and unpacked once.
    pub async fn listing(&self, delivery: ObjectId) -> Option<Vec<u8>> {
        let delivered = self.listed(delivery).await?;
        let message = self.listed(delivered.message?).await?;
        if message.message.is_some() {
            return None;
        }
        let mut fields = delivered.fields;
        fields.extend_from_slice(&message.fields);
        Some(fields)
    }

    async fn listed(&self, object: ObjectId) -> Option<Listed> {
        // Held, so that the pack is not removed meanwhile.
        let snapshot = self.snapshot();
        let place = self.place_of(object, &snapshot).await.ok()?;
        self.listings.find(place, object).await.ok()?
    }
}
