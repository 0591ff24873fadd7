//! CATENATE: a message made of parts of others, which a client names instead of sending them
//! (RFC 4469, URL-PARTIAL of RFC 5550 §4).
//!
//! Whatever is wrong with a URL fails the whole command with `BADURL` and that URL, so that the
//! client can send the octets itself.

use super::Session;
use super::append::{Gathered, Stop};
use super::dialogue::Dialogue;
use super::io::Io;
use super::item::{self, Data, Headers};
use super::mailstore::{Mailstore, Picture};
use super::reply::{Reply, say};
use super::section::Unpoured;
use crate::wire::imap::command::FetchItem;
use crate::wire::imap::url::{MessageUrl, Part};
use ::store::mail::id::{MailboxId, Uid};
use ::store::mailbox::Row;

impl<S: Mailstore> Session<S> {
    /// Puts what `url` names behind the message that is being put together.
    pub(super) async fn catenate<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        gathered: &mut Gathered<S>,
        url: Vec<u8>,
    ) -> Result<(), Stop> {
        let bad = || Stop::Refused(Reply::no(say::BAD_URL).with_bad_url(&url));
        // The names of a URL are those of the user's own mailboxes, which are not here.
        if self.is_guest() {
            return Err(bad());
        }
        let named = MessageUrl::parse(&url).ok_or_else(bad)?;
        let row = self.row_of(gathered, &named).await.ok_or_else(bad)?;
        let items = [item_of(named.part)];
        let of = (&row, Headers::AsTheyAre);
        let read = item::read(dialogue, &self.store, &mut self.structures, of, &items).await;
        let (opened, mut data) = read.map_err(|_| bad())?;
        match data.pop() {
            Some(Data::Listed(fields)) => {
                gathered.grow(fields.len() as u64)?;
                let body = gathered.body();
                let written = self.store.body_write(body, &fields).await;
                written.map_err(|error| Reply::failed(&error).into())
            }
            Some(Data::Octets(measured)) => {
                gathered.grow(measured.octets)?;
                let message = opened.message().ok_or_else(bad)?;
                let body = gathered.body();
                let poured = measured.pour(dialogue, &self.store, message, body).await;
                match poured {
                    Err(Unpoured::Unwritten(error)) => Err(Reply::failed(&error).into()),
                    poured => poured.map_err(|_| bad()),
                }
            }
            _ => Err(bad()),
        }
    }

    async fn row_of(&self, gathered: &mut Gathered<S>, url: &MessageUrl) -> Option<Row> {
        let uid = Uid(url.uid);
        let selected = self.selected.as_ref().map(|selected| &selected.view);
        let Some(name) = &url.mailbox else {
            return self
                .store
                .row(selected?, uid)
                .filter(|_| fits(selected, url));
        };
        let id = self.store.mailbox(self.account, name)?.id;
        if selected.is_some_and(|view| view.mailbox() == id) {
            return self
                .store
                .row(selected?, uid)
                .filter(|_| fits(selected, url));
        }
        if gathered.seen.as_ref().is_none_or(|(seen, _)| *seen != id) {
            gathered.seen = Some((id, self.view_of(id).await?));
        }
        let view = gathered.seen.as_ref().map(|(_, view)| view);
        self.store.row(view?, uid).filter(|_| fits(view, url))
    }

    async fn view_of(&self, mailbox: MailboxId) -> Option<S::View> {
        self.store.view(self.account, mailbox, false).await
    }
}

/// Whether the mailbox is still the one that the URL means.
fn fits<V: Picture>(view: Option<&V>, url: &MessageUrl) -> bool {
    let is_same = |view: &V| match url.uid_validity {
        Some(wanted) => view.uid_validity().0 == wanted,
        None => true,
    };
    view.is_some_and(is_same)
}

fn item_of(part: Part) -> FetchItem {
    FetchItem::Section {
        peek: true,
        section: part.section,
        partial: part.partial,
    }
}
