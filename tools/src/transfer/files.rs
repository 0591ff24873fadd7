//! Messages that are files of their own: Maildir and `.eml`.

use super::flags::Marks;
use super::lines::Crlf;
use super::parcel::{HungUp, Sink};
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use store::limit::{CHUNK_BYTES, MESSAGE_BYTES_MAX};
use store::mail::date::InternalDate;

/// One file and what is known of it beside its octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MessageFile {
    pub(crate) path: PathBuf,
    pub(crate) uid: Option<u32>,
    pub(crate) marks: Marks,
    pub(crate) date: InternalDate,
    /// The size that somebody wrote down.
    pub(crate) octets: Option<u64>,
    /// Our own export: the octets are as they were.
    pub(crate) is_raw: bool,
}

/// Reads one file; whatever is wrong with it is told.
pub(crate) fn read(message: &MessageFile, sink: &mut Sink) -> Result<(), HungUp> {
    sink.turn_to(message.path.as_path().into());
    sink.begin(0, message.date);
    let octets = match copy(message, sink)? {
        Ok(octets) => octets,
        Err(error) => return sink.abandon(error.to_string()),
    };
    sink.read(octets)?;
    match message.octets {
        Some(written) if written > octets => {
            sink.remark(format!(
                "{octets} octets of {written}: cut off; taken as it is"
            ))?;
        }
        _ => {}
    }
    sink.end(message.uid, message.marks.clone())
}

fn copy(message: &MessageFile, sink: &mut Sink) -> Result<io::Result<u64>, HungUp> {
    let file = match open(message) {
        Ok(file) => file,
        Err(error) => return Ok(Err(error)),
    };
    let mut file = file.take(MESSAGE_BYTES_MAX);
    let mut crlf = Crlf::default();
    let mut chunk = Vec::new();
    let mut octets = 0;
    loop {
        chunk.clear();
        let count = match (&mut file).take(CHUNK_BYTES as u64).read_to_end(&mut chunk) {
            Ok(0) => return Ok(Ok(octets)),
            Ok(count) => count,
            Err(error) => return Ok(Err(io::Error::other(format!("at {octets}: {error}")))),
        };
        octets += count as u64;
        match message.is_raw {
            true => sink.buffer().append(&mut chunk),
            false => crlf.push(&chunk, sink.buffer()),
        }
        sink.settle()?;
    }
}

fn open(message: &MessageFile) -> io::Result<File> {
    let file = File::open(&message.path)?;
    let known = file.metadata()?;
    if !known.is_file() {
        return Err(io::Error::other("not a file"));
    }
    if known.len() > MESSAGE_BYTES_MAX {
        let why = format!(
            "{} octets: larger than {} MiB",
            known.len(),
            MESSAGE_BYTES_MAX >> 20
        );
        return Err(io::Error::other(why));
    }
    Ok(file)
}
