//! A message on its way out: read in pieces, its first before `+OK` is said.
//!
//! Small messages gather behind each other and behind other replies; of a large one there is one
//! piece in memory, and what was made of it. A client that does not read makes even the piece be
//! read again later.

use super::Conversation;
use super::maildrop::Open;
use crate::config::Protocol;
use crate::event;
use crate::reactor::yield_now;
use crate::session::pop3::{REPLY_BYTES_MAX, Retrieval};
use crate::wire::mime::surrogate::surrogate;
use crate::wire::pop3::dots::Dots;
use crate::wire::pop3::reply::{self, Reply};
use std::io;
use std::time::Duration;
use store::error::ReadError;
use store::limit::CHUNK_BYTES;
use store::shard::Message;

impl Conversation {
    /// Adds a message to the reply, and sends what is too much to be kept.
    ///
    /// # Errors
    /// The connection is over; also where a message turns out damaged behind its beginning: there
    /// is no honest way to go on.
    pub(super) async fn send_message(
        &mut self,
        retrieval: Retrieval,
    ) -> io::Result<Result<(), Reply>> {
        let (message, first) = match self.begin_message(retrieval).await {
            Ok(begun) => begun,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let line = match retrieval.lines {
            None => format!("+OK {} octets\r\n", retrieval.octets),
            Some(_) => "+OK\r\n".to_owned(),
        };
        self.out.reply.extend_from_slice(line.as_bytes());
        let dots = retrieval.lines.map_or_else(Dots::whole, Dots::top);
        let at = first.len() as u64;
        let first = match retrieval.utf8 {
            true => first,
            false => without_utf8(first),
        };
        self.send_pieces(&message, (first, at), dots).await?;
        if let (None, Some(open)) = (retrieval.lines, &mut self.open) {
            open.retrieved += 1;
            open.octets += message.octets;
            self.hall.metrics.pop3_retrieved.one();
        }
        Ok(Ok(()))
    }

    async fn begin_message(&self, retrieval: Retrieval) -> Result<(Message, Vec<u8>), Reply> {
        let open = self.open.as_ref().ok_or(reply::GONE)?;
        let row = self.hall.store.row(&open.view, retrieval.uid);
        let row = row.ok_or(reply::GONE)?;
        let begun = async {
            let message = self.hall.store.message(row.delivery).await?;
            let to = first_bytes(&message);
            let first = self.hall.store.read(&message, 0, to).await?;
            Ok((message, first))
        };
        let begun: Result<_, ReadError> = begun.await;
        begun.map_err(|error| self.unreadable(open, retrieval, &error))
    }

    fn unreadable(&self, open: &Open, retrieval: Retrieval, error: &ReadError) -> Reply {
        event!(
            Error,
            "message cannot be read",
            account = open.account,
            mailbox = open.mailbox(),
            uid = retrieval.uid,
            error = error.to_string(),
        );
        match error {
            ReadError::Io { .. } => reply::UNREADABLE_NOW,
            _ => reply::UNREADABLE,
        }
    }

    async fn send_pieces(
        &mut self,
        message: &Message,
        (mut piece, mut at): (Vec<u8>, u64),
        mut dots: Dots,
    ) -> io::Result<()> {
        loop {
            dots.feed(&piece, &mut self.out.reply);
            drop(piece);
            if at >= message.octets || dots.is_over() {
                dots.finish(&mut self.out.reply);
                return Ok(());
            }
            if self.out.reply.len() >= REPLY_BYTES_MAX {
                self.flush_beside(Some(message)).await?;
                yield_now().await;
            }
            let to = at.saturating_add(CHUNK_BYTES as u64);
            let read = self.hall.store.read(message, at, to).await;
            piece = read.map_err(|_| io::ErrorKind::InvalidData)?;
            if piece.is_empty() {
                return Err(io::ErrorKind::InvalidData.into());
            }
            at += piece.len() as u64;
        }
    }

    /// Sends the replies that have gathered (RFC 2449 §6.6).
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        self.flush_beside(None).await
    }

    /// Of a message that is being sent nothing is kept while the client does not read.
    async fn flush_beside(&mut self, message: Option<&Message>) -> io::Result<()> {
        let mut octets = std::mem::take(&mut self.out.reply);
        let Some(stream) = self.stream.as_mut().filter(|_| !octets.is_empty()) else {
            return Ok(());
        };
        let counter = self.hall.metrics.sent_bytes.of(Protocol::Pop3.into());
        counter.add(octets.len() as u64);
        let mut sent = stream.send_some(&octets, SLOW).await?;
        while sent < octets.len() {
            message.inspect(|message| message.let_go());
            octets.drain(..sent);
            octets.shrink_to_fit();
            stream.writable().await?;
            sent = stream.send_some(&octets, SLOW).await?;
        }
        octets.clear();
        self.out.reply = octets;
        Ok(())
    }
}

/// Up to where the first piece lies in one record: each is read once.
fn first_bytes(message: &Message) -> u64 {
    (message.prefix.len() + CHUNK_BYTES) as u64
}

/// The first piece of a message with its header in ASCII. A header that is longer than the piece
/// is no header of mail that anybody reads.
fn without_utf8(first: Vec<u8>) -> Vec<u8> {
    let end = memchr::memmem::find(&first, b"\r\n\r\n").map_or(first.len(), |at| at + 4);
    let (header, body) = first.split_at_checked(end).unwrap_or((&first, b""));
    match surrogate(header) {
        Some(header) => [&header[..], body].concat(),
        None => first,
    }
}

/// A client that takes nothing for so long is not worth the memory of what it will take next.
const SLOW: Duration = Duration::from_millis(200);
