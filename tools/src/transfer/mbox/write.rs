//! Writes an mbox message by message.

use super::block::Block;
use crate::transfer::date::asctime;
use crate::transfer::flags::{Marks, X_STATUS, letters};
use crate::transfer::lines::Quoting;
use std::io::{self, Write};
use store::mail::date::InternalDate;
use store::mail::flags::Flags;

pub(crate) struct MboxWriter<W: Write> {
    out: W,
    uid_validity: u32,
    last_uid: u32,
    keywords: Vec<String>,
    is_first: bool,
    body: Body,
}

/// The message that is being written.
struct Body {
    quoting: Quoting,
    is_raw: bool,
    scratch: Vec<u8>,
    ends_line: bool,
}

/// What stands above a message.
pub(crate) struct Letterhead<'a> {
    /// Without spaces; empty for the null reverse-path.
    pub(crate) sender: &'a str,
    pub(crate) uid: u32,
    pub(crate) date: InternalDate,
    pub(crate) marks: &'a Marks,
    pub(crate) is_recent: bool,
    pub(crate) octets: u64,
    /// Every line ends with CRLF, and neither octet stands anywhere else.
    pub(crate) is_clean: bool,
}

impl<W: Write> MboxWriter<W> {
    pub(crate) fn new(
        out: W,
        uid_validity: u32,
        last_uid: u32,
        keywords: Vec<String>,
    ) -> MboxWriter<W> {
        MboxWriter {
            out,
            uid_validity,
            last_uid,
            keywords,
            is_first: true,
            body: Body {
                quoting: Quoting::adding(),
                is_raw: false,
                scratch: Vec::new(),
                ends_line: true,
            },
        }
    }

    pub(crate) fn begin(&mut self, head: &Letterhead<'_>) -> io::Result<()> {
        let sender = match head.sender {
            "" => "MAILER-DAEMON",
            sender => sender,
        };
        let date = asctime(head.date.unix_secs);
        let own = self.own_headers(head);
        let block = Block {
            octets: head.octets,
            is_raw: !head.is_clean,
            zone_minutes: head.date.zone_minutes,
            lines: own.len() as u8,
        };
        write!(self.out, "From {sender} {date}\n{block}\n")?;
        for line in own {
            writeln!(self.out, "{line}")?;
        }
        self.body.quoting = Quoting::adding();
        self.body.is_raw = !head.is_clean;
        self.body.ends_line = true;
        Ok(())
    }

    fn own_headers(&mut self, head: &Letterhead<'_>) -> Vec<String> {
        let mut own = Vec::new();
        if std::mem::take(&mut self.is_first) {
            let mut base = format!("X-IMAPbase: {} {:010}", self.uid_validity, self.last_uid);
            for keyword in &self.keywords {
                base.push(' ');
                base.push_str(keyword);
            }
            own.push(base);
        }
        own.push(format!("X-UID: {}", head.uid));
        if let Some(uidl) = &head.marks.uidl {
            own.push(format!("X-UIDL: {uidl}"));
        }
        let flags = head.marks.flags;
        let seen = if flags.contains(Flags::SEEN) { "R" } else { "" };
        let old = if head.is_recent { "" } else { "O" };
        own.push(format!("Status: {seen}{old}"));
        let letters = letters(&X_STATUS, flags);
        if !letters.is_empty() {
            own.push(format!("X-Status: {letters}"));
        }
        if !head.marks.keywords.is_empty() {
            own.push(format!("X-Keywords: {}", head.marks.keywords.join(" ")));
        }
        own
    }

    pub(crate) fn push(&mut self, octets: &[u8]) -> io::Result<()> {
        let body = &mut self.body;
        body.scratch.clear();
        if body.is_raw {
            body.quoting.push(octets, &mut body.scratch);
        } else {
            // Every CR stands before a LF.
            for part in octets.split(|octet| *octet == b'\r') {
                body.quoting.push(part, &mut body.scratch);
            }
        }
        if let Some(last) = octets.last() {
            body.ends_line = *last == b'\n';
        }
        self.out.write_all(&body.scratch)
    }

    pub(crate) fn end(&mut self) -> io::Result<()> {
        self.body.scratch.clear();
        self.body.quoting.finish(&mut self.body.scratch);
        self.out.write_all(&self.body.scratch)?;
        if !self.body.ends_line {
            self.out.write_all(b"\n")?;
        }
        self.out.write_all(b"\n")
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}
