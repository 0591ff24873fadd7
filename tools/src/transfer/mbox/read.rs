//! Reads an mbox line by line.
//!
//! ```text
//! Outside ─From_─→ First ─X-Ringpost─→ Own(n) ─…─→ Exact(left)  octets as counted
//!                    └──other──→ Header ─empty line─→ Body       ──From_ or end──→ next
//! ```

use super::block::Block;
use super::state::State;
use crate::transfer::date::read_from_line;
use crate::transfer::lines::{Crlf, Lines, Piece, Quoting};
use crate::transfer::parcel::{HungUp, Sink};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use store::mail::date::InternalDate;

/// Reads a file to its end. Dates that its From_ lines do not have are `default_secs`.
pub(crate) fn read(path: &Path, default_secs: i64, sink: &mut Sink) -> Result<(), HungUp> {
    match File::open(path) {
        Ok(file) => read_from(
            BufReader::with_capacity(BUFFER_BYTES, file),
            default_secs,
            sink,
        ),
        Err(error) => sink.left_out(0, error.to_string()),
    }
}

fn read_from(reader: impl BufRead, default_secs: i64, sink: &mut Sink) -> Result<(), HungUp> {
    let mut lines = Lines::new(reader);
    let mut mbox = Mbox {
        sink,
        at: At::Outside,
        message: Message::default(),
        default_secs,
        junk: None,
    };
    let mut told = 0;
    loop {
        let offset = lines.offset();
        match lines.next() {
            Ok(Some(piece)) => mbox.piece(&piece)?,
            Ok(None) => break,
            Err(error) => {
                mbox.finish()?;
                mbox.sink
                    .left_out(offset, format!("from here on: {error}"))?;
                return Ok(());
            }
        }
        if offset - told >= TOLD_BYTES {
            mbox.sink.read(offset - told)?;
            told = offset;
        }
    }
    mbox.finish()?;
    mbox.sink.read(lines.offset() - told)
}

/// UIDVALIDITY and last UID, of the first message.
pub(crate) fn peek(path: &Path) -> Option<(u32, u32)> {
    let mut lines = Lines::new(BufReader::new(File::open(path).ok()?));
    let mut state = State::default();
    for _ in 0..PEEKED_LINES_MAX {
        let line = lines.next().ok()??.octets;
        if line.iter().all(u8::is_ascii_whitespace) {
            break;
        }
        state.take(line);
    }
    state.base
}

struct Mbox<'a> {
    sink: &'a mut Sink,
    at: At,
    message: Message,
    default_secs: i64,
    /// Where octets before the first From_ line begin.
    junk: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Outside,
    First,
    /// In our own headers; so many are left.
    Own(u8),
    Header,
    Body,
    /// In a message whose size is known; so many octets are left.
    Exact(u64),
}

/// The message that is being read.
struct Message {
    state: State,
    own: Option<Block>,
    quoting: Quoting,
    crlf: Crlf,
    /// The header that began is not of the message.
    drops: bool,
    scratch: Vec<u8>,
    /// Line ends that may be no more than what separates messages.
    held: Vec<u8>,
    ends_line: bool,
}

impl Default for Message {
    fn default() -> Message {
        Message {
            state: State::default(),
            own: None,
            quoting: Quoting::removing(),
            crlf: Crlf::default(),
            drops: false,
            scratch: Vec::new(),
            held: Vec::new(),
            ends_line: true,
        }
    }
}

impl Mbox<'_> {
    fn piece(&mut self, piece: &Piece<'_>) -> Result<(), HungUp> {
        if piece.begins && piece.octets.starts_with(b"From ") {
            let date = read_from_line(piece.octets);
            if date.is_some() || piece.offset == 0 {
                self.finish()?;
                return self.start(piece.offset, date.unwrap_or(self.default_secs));
            }
        }
        self.message.ends_line = piece.octets.ends_with(b"\n");
        match self.at {
            At::Outside => {
                let is_blank = piece.octets.iter().all(u8::is_ascii_whitespace);
                if self.junk.is_none() && !is_blank {
                    self.junk = Some(piece.offset);
                }
                Ok(())
            }
            At::First => self.first(piece),
            At::Own(left) => self.own(piece, left),
            At::Header => self.header(piece),
            At::Body | At::Exact(_) => self.content(piece.octets),
        }
    }

    fn start(&mut self, offset: u64, unix_secs: i64) -> Result<(), HungUp> {
        self.sink.begin(offset, InternalDate::utc(unix_secs));
        self.message = Message::default();
        self.at = At::First;
        Ok(())
    }

    fn first(&mut self, piece: &Piece<'_>) -> Result<(), HungUp> {
        match Block::read(piece.octets) {
            Some(block) => {
                self.message.own = Some(block);
                self.sink.set_zone(block.zone_minutes);
                self.at = match block.lines {
                    0 => At::Exact(block.octets),
                    lines => At::Own(lines),
                };
                Ok(())
            }
            None => {
                self.at = At::Header;
                self.header(piece)
            }
        }
    }

    fn own(&mut self, piece: &Piece<'_>, left: u8) -> Result<(), HungUp> {
        if !self.message.state.take(piece.octets) {
            // Somebody edited the file: the message is read like those of others.
            self.message.own = None;
            self.at = At::Header;
            return self.header(piece);
        }
        let octets = self.message.own.map_or(0, |block| block.octets);
        self.at = match left - 1 {
            0 => At::Exact(octets),
            left => At::Own(left),
        };
        Ok(())
    }

    fn header(&mut self, piece: &Piece<'_>) -> Result<(), HungUp> {
        if piece.begins && matches!(piece.octets, b"\n" | b"\r\n") {
            self.at = At::Body;
            return self.content(piece.octets);
        }
        let continues = !piece.begins || piece.octets.starts_with(b" ");
        if !continues && !piece.octets.starts_with(b"\t") {
            self.message.drops = self.message.state.take(piece.octets);
        }
        match self.message.drops {
            true => Ok(()),
            false => self.content(piece.octets),
        }
    }

    fn content(&mut self, octets: &[u8]) -> Result<(), HungUp> {
        let message = &mut self.message;
        message.scratch.clear();
        message.quoting.push(octets, &mut message.scratch);
        self.unquoted()
    }

    /// Takes what is in `scratch`.
    fn unquoted(&mut self) -> Result<(), HungUp> {
        let message = &mut self.message;
        let is_raw = message.own.is_some_and(|block| block.is_raw);
        match (&mut self.at, is_raw) {
            (At::Exact(left), _) => {
                let mut ready = std::mem::take(&mut message.scratch);
                if !is_raw {
                    let mut lines = Vec::with_capacity(ready.len() + 2);
                    message.crlf.push(&ready, &mut lines);
                    ready = lines;
                }
                let counted = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(ready.len());
                let (wanted, surplus) = ready.split_at(counted);
                *left -= counted as u64;
                message.held.extend_from_slice(surplus);
                self.sink.buffer().extend_from_slice(wanted);
                let is_foreign = |octet: &u8| !matches!(octet, b'\r' | b'\n');
                if message.held.iter().any(is_foreign) {
                    // Longer than it says, by more than line ends: nothing is thrown away.
                    self.sink.buffer().append(&mut message.held);
                    *left = u64::MAX;
                }
                message.scratch = ready;
            }
            _ => {
                let out = self.sink.buffer();
                out.append(&mut message.held);
                message.crlf.push(&message.scratch, out);
                hold_back(out, &mut message.held);
            }
        }
        self.sink.settle()
    }

    /// The end of a message, or of the file.
    fn finish(&mut self) -> Result<(), HungUp> {
        if self.at == At::Outside {
            return match self.junk.take() {
                Some(offset) => {
                    let why = "no From_ line before this: not an mbox, or its start is cut off";
                    self.sink.left_out(offset, why.to_owned())
                }
                None => Ok(()),
            };
        }
        self.message.scratch.clear();
        self.message.quoting.finish(&mut self.message.scratch);
        self.unquoted()?;
        let at = std::mem::replace(&mut self.at, At::Outside);
        let message = std::mem::take(&mut self.message);
        if message.state.is_about_the_folder {
            return self.sink.drop_message();
        }
        match at {
            At::Exact(0) => {}
            At::Exact(_) => self.sink.remark(EDITED.to_owned())?,
            _ if !message.ends_line => {
                self.sink.buffer().extend_from_slice(&message.held);
                self.sink.remark(CUT.to_owned())?;
            }
            _ => {
                let held = message.held.as_slice();
                let end = held.strip_suffix(b"\r\n").filter(|rest| !rest.is_empty());
                self.sink.buffer().extend_from_slice(end.unwrap_or(held));
            }
        }
        self.sink.end(message.state.uid, message.state.marks)
    }
}

/// Takes the last two line ends away for now.
fn hold_back(out: &mut Vec<u8>, held: &mut Vec<u8>) {
    let end = [&b"\r\n\r\n"[..], b"\r\n"];
    if let Some(end) = end.iter().find(|end| out.ends_with(end)) {
        out.truncate(out.len() - end.len());
        held.extend_from_slice(end);
    }
}

const EDITED: &str = "its size is not the one that our export wrote down; taken as it is";
const CUT: &str = "the file ends within a line: perhaps it was cut off; taken as it is";

/// What is read of a file at once, in bytes.
const BUFFER_BYTES: usize = 256 << 10;

/// How often progress is told, in bytes.
const TOLD_BYTES: u64 = 1 << 20;

/// Headers of the first message in which UIDVALIDITY is looked for.
const PEEKED_LINES_MAX: usize = 1_000;
