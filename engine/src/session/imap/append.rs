//! APPEND: the message streams into the log while it comes (RFC 9051 §6.3.12, RFC 7888, RFC 7889,
//! RFC 3516 §4.4, RFC 6855 §4).
//!
//! Whatever can be known to fail is refused before the client is asked for the octets. A client
//! that does not ask has them thrown away by the receiver, or is sent away when they are too many.

use super::Session;
use super::dialogue::{Dialogue, Piece};
use super::io::{Ended, Io};
use super::mailstore::Mailstore;
use super::reply::{Reply, say};
use crate::wire::imap::command::Append;
use crate::wire::imap::response::code::{self, Code};
use crate::wire::imap::response::text;
use store::error::ChangeError;
use store::mail::id::MailboxId;
use store::shard::FlagNames;

/// How the octets of a message ended.
enum Arrived<B> {
    Whole(B),
    /// They all came, and the message is not kept.
    Refused(Reply),
}

impl<S: Mailstore> Session<S> {
    pub(super) async fn append<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        append: Append,
    ) -> Result<Reply, Ended> {
        let target = match self.append_target(&append) {
            Ok(target) => target,
            Err(reply) => return Ok(reply),
        };
        dialogue.receiver().accept_message();
        if !append.non_synchronizing {
            code::go_ahead(dialogue.out());
        }
        let body = match self.arrive(dialogue, append.binary).await? {
            Arrived::Whole(body) => body,
            Arrived::Refused(reply) => return Ok(reply),
        };
        let names = FlagNames {
            flags: append.flags.flags,
            keywords: append.flags.keywords,
        };
        let date = append.date.unwrap_or_else(|| (self.terms.now)());
        match self
            .store
            .append(self.account, target, body, &names, date)
            .await
        {
            Ok(appended) => {
                let code = Code::AppendUid(appended.uid_validity, appended.uid);
                Ok(Reply::ok(text::APPEND_DONE).with(code))
            }
            Err(ChangeError::NoMailbox) => Ok(Reply::try_create()),
            Err(error) => Ok(Reply::failed(&error)),
        }
    }

    /// Where the message goes, or why it goes nowhere.
    fn append_target(&self, append: &Append) -> Result<MailboxId, Reply> {
        if append.octets > self.terms.append_bytes_max {
            return Err(Reply::no(text::MESSAGE_TOO_BIG).with(Code::TooBig));
        }
        if append.octets == 0 {
            return Err(Reply::no(say::EMPTY_MESSAGE));
        }
        let Some(target) = self.store.mailbox(self.account, &append.mailbox) else {
            return Err(Reply::try_create());
        };
        let (used, quota) = self.store.usage(self.account);
        if quota.is_some_and(|quota| used.saturating_add(append.octets) > quota) {
            return Err(Reply::failed(&ChangeError::OverQuota));
        }
        Ok(target.id)
    }

    /// Takes every octet of the message, even when the log has given up on it.
    async fn arrive<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        binary: bool,
    ) -> Result<Arrived<S::Body>, Ended> {
        let mut body = self.store.body();
        let mut refused = None;
        loop {
            match dialogue.piece().await? {
                Piece::Octets(_) if refused.is_some() => {}
                // RFC 9051 §9, CHAR8: NUL only in a literal8.
                Piece::Octets(octets) if !binary && memchr::memchr(0, octets).is_some() => {
                    refused = Some(Reply::no(text::MESSAGE_NUL));
                }
                Piece::Octets(octets) => {
                    if let Err(error) = self.store.body_write(&mut body, octets).await {
                        refused = Some(Reply::failed(&error));
                    }
                }
                Piece::End(Err(bad)) => return Ok(Arrived::Refused(Reply::malformed(bad.fault))),
                Piece::End(Ok(())) => {
                    return Ok(match refused {
                        Some(reply) => Arrived::Refused(reply),
                        None => Arrived::Whole(body),
                    });
                }
            }
        }
    }
}
