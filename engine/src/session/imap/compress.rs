//! COMPRESS and UNAUTHENTICATE: what becomes of a connection as such (RFC 4978, RFC 8437).

use super::Session;
use super::dialogue::Dialogue;
use super::io::{Ended, Io};
use super::mailstore::Mailstore;
use super::reply::{Reply, say};
use crate::wire::imap::response::code::Code;

impl<S: Mailstore> Session<S> {
    /// The answer is the last that is sent as it is; what came behind the command is compressed.
    pub(super) async fn compress<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        tag: &str,
        mechanism: &str,
    ) -> Result<Reply, Ended> {
        if mechanism != "DEFLATE" {
            return Ok(Reply::no(say::UNKNOWN_COMPRESSION));
        }
        if dialogue.is_compressed() {
            return Ok(Reply::no(say::COMPRESSED).with(Code::CompressionActive));
        }
        Reply::ok(say::COMPRESS_GO).write(dialogue.out(), tag);
        dialogue.flush().await?;
        dialogue.compress();
        dialogue.forgive();
        Ok(Reply::silent())
    }

    /// RFC 8437 §3: everything that was of this user is forgotten; TLS and COMPRESS stay.
    pub(super) async fn unauthenticate<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        tag: &str,
    ) -> Result<Reply, Ended> {
        self.selected = None;
        Reply::done().write(dialogue.out(), tag);
        dialogue.flush().await?;
        Err(Ended::Unauthenticated)
    }
}
