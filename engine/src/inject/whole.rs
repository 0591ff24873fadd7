//! An injection that stands for itself: it outlives the request that it was read from, so that
//! other threads can make its messages.

use super::check::{Content, Injection, Piece, Recipient, Written};
use super::request::Text;
use serde_json::value::RawValue;
use std::borrow::Cow;

impl Injection<'_> {
    /// The same without the request that it was read from.
    #[must_use]
    pub fn into_owned(self) -> Injection<'static> {
        let recipients = self.recipients.into_iter();
        Injection {
            recipients: recipients.map(Recipient::into_owned).collect(),
            metadata: self.metadata.map(owned),
            reverse_path: self.reverse_path,
            content: self.content,
            tenant: self.tenant,
            campaign: self.campaign,
            priority: self.priority,
            not_before_secs: self.not_before_secs,
            expiry_secs: self.expiry_secs,
            notify: self.notify,
            ret: self.ret,
            envid: self.envid,
        }
    }

    /// Octets that each message is made from, without what templates put in.
    #[must_use]
    pub fn octets(&self) -> usize {
        match &self.content {
            Content::Raw(octets) => octets.len(),
            Content::Written(written) => written.octets(),
        }
    }
}

impl Recipient<'_> {
    fn into_owned(self) -> Recipient<'static> {
        Recipient {
            role: self.role,
            email: self.email.into_owned(),
            address: self.address,
            name: self.name.map(Text::into_owned),
            data: self.data.map(owned),
            metadata: self.metadata.map(owned),
        }
    }
}

fn owned(raw: Cow<'_, RawValue>) -> Cow<'static, RawValue> {
    Cow::Owned(raw.into_owned())
}

impl Written {
    fn octets(&self) -> usize {
        let texts = [self.text.as_ref(), self.html.as_ref()];
        let plain = texts.into_iter().flatten().map(|piece| match piece {
            Piece::Plain(text) => text.len(),
            Piece::Template(_) => 0,
        });
        let parts = self.attachments.iter().map(|part| part.lines.len());
        plain.chain(parts).sum()
    }
}
