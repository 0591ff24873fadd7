//! A message made so that the next host can have it, where it cannot as it is.
//!
//! | the host lacks | the message | becomes |
//! |---|---|---|
//! | 8BITMIME | 8-bit | 7-bit, its parts re-encoded (RFC 6152 §3) |
//! | BINARYMIME or CHUNKING | binary | the same (RFC 3030 §4.2) |
//! | SMTPUTF8 | addresses and headers are ASCII | one that does not ask for it (RFC 6531 §3.6) |
//!
//! What cannot be made so stays as it is, and egress says why it is not sent. Signatures are made
//! afterwards, of what is sent.

use super::content::Content;
use super::courier::Courier;
use super::dispatch::Dispatcher;
use super::letter::{Body, Parcel};
use crate::event;
use crate::wire::mime::downgrade::{downgrade, has_ascii_headers};
use crate::wire::smtp::client::command::is_ascii;
use crate::wire::smtp::client::offer::Offer;
use store::mail::envelope::BodyKind;

/// What a host lacks for a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Lack {
    eight_bits: bool,
    utf8: bool,
}

impl Courier {
    /// `true`: the body is another one now, and the letter about it is to be written anew.
    pub(super) async fn fit(&self, body: &mut Body, parcels: &[Parcel], offer: &Offer) -> bool {
        let Some(lack) = lack(body, offer) else {
            return false;
        };
        self.desk.change(body, parcels, lack).await
    }
}

impl Dispatcher {
    async fn change(&self, body: &mut Body, parcels: &[Parcel], lack: Lack) -> bool {
        // One at a time: a message that is changed is in memory some times over.
        let _turn = self.changes.take(1).await;
        body.make_room(&self.bodies, body.octets()).await;
        // Egress finds that it cannot be read, too.
        let Ok(octets) = body.content.whole().await else {
            return false;
        };
        let ascii_path = |body: &Body| body.source.reverse_path.as_ref().is_none_or(is_ascii);
        let mut addresses = parcels.iter().map(|parcel| &parcel.recipient.address);
        if lack.utf8 && !(ascii_path(body) && addresses.all(is_ascii)) {
            return false;
        }
        let is_binary = body.source.body == BodyKind::BinaryMime;
        let changed = move || {
            if lack.utf8 && !has_ascii_headers(&octets) {
                return None;
            }
            match lack.eight_bits {
                // A binary one may have bare line ends all the same.
                true if !is_binary && octets.is_ascii() => Some(None),
                true => downgrade(&octets).ok().map(Some),
                false => Some(None),
            }
        };
        let changed = match &self.tools.pool {
            Some(pool) => pool.offload(changed).await.ok().flatten(),
            None => changed(),
        };
        let Some(changed) = changed else {
            return false;
        };
        if let Some(octets) = changed {
            event!(
                Debug,
                "downgraded",
                queue_id = body.queue_id.as_str(),
                octets = octets.len() as u64
            );
            body.content = Content::Here([octets.into()].into());
            body.source.body = BodyKind::SevenBit;
        }
        body.source.smtputf8 &= !lack.utf8;
        true
    }
}

/// Whether a host with this offer takes the message as it is.
pub(super) fn fits(body: &Body, offer: &Offer) -> bool {
    lack(body, offer).is_none()
}

fn lack(body: &Body, offer: &Offer) -> Option<Lack> {
    let eight_bits = match body.source.body {
        BodyKind::SevenBit => false,
        // What is 7-bit after all goes as it is: egress looks.
        BodyKind::EightBitMime => !offer.eight_bit_mime && !is_seven_bit(body),
        BodyKind::BinaryMime => !(offer.binary_mime && offer.chunking),
    };
    let utf8 = body.source.smtputf8 && !offer.smtputf8;
    (eight_bits || utf8).then_some(Lack { eight_bits, utf8 })
}

/// As far as is known without reading it.
fn is_seven_bit(body: &Body) -> bool {
    match &body.content {
        Content::Here(pieces) => pieces.iter().all(|piece| piece.is_ascii()),
        Content::Stored(_) => false,
    }
}
