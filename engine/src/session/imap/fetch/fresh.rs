//! New messages of the selected mailbox with the attributes that NOTIFY asked for (RFC 5465 §5.2).

use super::super::Session;
use super::super::dialogue::Dialogue;
use super::super::io::{Ended, Io};
use super::super::item;
use super::super::mailstore::{Mailstore, Picture};
use crate::wire::imap::command::FetchItem;
use ::store::mail::id::Uid;
use ::store::mail::uidset::UidSet;

impl<S: Mailstore> Session<S> {
    /// Told behind EXISTS, for every message of the view from `first` on.
    pub(in super::super) async fn tell_new<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        first: Uid,
    ) -> Result<(), Ended> {
        let notify = self.notify.as_ref();
        let Some(items) = notify.and_then(|notify| notify.attributes()) else {
            return Ok(());
        };
        let Some(selected) = &self.selected else {
            return Ok(());
        };
        let known = selected.view.uids();
        let new = known.get(known.partition_point(|uid| *uid < first.0)..);
        let new = UidSet::from_ascending(new.unwrap_or_default().iter().copied().map(Uid));
        if new.is_empty() {
            return Ok(());
        }
        // Nothing sets \Seen here: nobody has read the message.
        let items = item::complete(items, false);
        Box::pin(self.fetch_new(dialogue, &new, &items)).await
    }

    /// On the heap, so that waiting for new messages costs nothing.
    async fn fetch_new<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        new: &UidSet,
        items: &[FetchItem],
    ) -> Result<(), Ended> {
        self.fetch_each(dialogue, new, items, false).await?;
        Ok(())
    }
}
