//! Text of attachments, made by programs of the operator (`[[converter]]`), so that SEARCH finds
//! what is in them.
//!
//! ```text
//! signing, on the compactor's thread:  Readers::read ─────────────────────▶ text
//! SEARCH, on a shard:                  room ─▶ read_aside ─▶ a thread ─▶ text
//! ```
//!
//! What a program is given came from strangers: it has an environment of its own, bounded time,
//! memory and output, and no text where it fails ([`program`]). Attachments that wait for a thread
//! are bounded by [`HELD_BYTES_MAX`] for the whole server.

use crate::config::Converter;
use crate::event;
use crate::reactor::{Pool, program, sleep};
use crate::wire::mime::attachment::Readers;
use crate::wire::mime::content::Content;
use crate::wire::mime::limit::ATTACHMENTS_BYTES_MAX;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The programs, in the order in which they are asked.
pub struct Converters {
    list: Vec<Converter>,
    threads: Pool,
    fingerprint: u32,
    /// Rooms that are left.
    rooms: AtomicUsize,
}

/// The right to hold the attachments of one message.
pub struct Room(Arc<Converters>);

impl Converters {
    /// Starts the threads that wait for programs; `None` where the configuration names none.
    pub fn start(list: &[Converter]) -> io::Result<Option<Arc<Converters>>> {
        if list.is_empty() {
            return Ok(None);
        }
        let threads = Pool::start("convert", THREADS, JOBS_MAX)?;
        for converter in list {
            let program = converter.command.first().map_or("", String::as_str);
            if let Some(why) = program::why_not(program) {
                let remedy = "attachments have no text: install it, or correct [[converter]]";
                event!(
                    Warn,
                    "converter cannot run",
                    program = program,
                    why = why,
                    remedy = remedy
                );
            }
        }
        Ok(Some(Arc::new(Converters {
            fingerprint: fingerprint(list),
            list: list.to_vec(),
            threads,
            rooms: AtomicUsize::new(HELD_BYTES_MAX / ATTACHMENTS_BYTES_MAX),
        })))
    }

    /// Never 0; another one where another text may come of the same attachment.
    #[must_use]
    pub fn fingerprint(&self) -> u32 {
        self.fingerprint
    }

    /// Waits until the attachments of one more message may be held, on a shard.
    pub async fn room(self: &Arc<Converters>) -> Room {
        let less = |rooms: usize| rooms.checked_sub(1);
        let (set, fetch) = (Ordering::AcqRel, Ordering::Acquire);
        while self.rooms.fetch_update(set, fetch, less).is_err() {
            sleep(POLL).await;
        }
        Room(Arc::clone(self))
    }

    fn run(&self, reader: usize, octets: &[u8]) -> io::Result<String> {
        let Some(converter) = self.list.get(reader) else {
            return Ok(String::new());
        };
        let timeout = Duration::from_secs(converter.timeout_secs.into());
        program::run(&converter.command, octets, timeout)
    }
}

impl Room {
    /// The text of an attachment, made on another thread; none where there is no reading it.
    pub async fn read_aside(&self, reader: usize, octets: Vec<u8>) -> String {
        let converters = Arc::clone(&self.0);
        let work = move || converters.run(reader, &octets);
        match self.0.threads.offload_patiently(work).await {
            Ok(text) => text,
            Err(why) => {
                event!(Debug, "attachment has no text", why = why.to_string());
                String::new()
            }
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.0.rooms.fetch_add(1, Ordering::AcqRel);
    }
}

impl Readers for Converters {
    fn reader_of(&self, content: &Content) -> Option<usize> {
        self.list
            .iter()
            .position(|converter| is_for(converter, content))
    }

    fn read(&self, reader: usize, octets: &[u8]) -> String {
        self.run(reader, octets).unwrap_or_default()
    }
}

fn is_for(converter: &Converter, content: &Content) -> bool {
    let content_type = &content.content_type;
    let fits = |name: &String| match name.split_once('/') {
        Some((kind, "*")) => content_type.kind_is(kind),
        Some((kind, subtype)) => content_type.is(kind, subtype),
        None => false,
    };
    if converter.types.iter().any(fits) {
        return true;
    }
    if converter.extensions.is_empty() || !content_type.is("application", "octet-stream") {
        return false;
    }
    let name = content.file_name().unwrap_or_default();
    let extension = name
        .rsplit(|octet| *octet == b'.')
        .next()
        .unwrap_or_default();
    let mut extensions = converter.extensions.iter();
    extensions.any(|known| extension.eq_ignore_ascii_case(known.as_bytes()))
}

/// Of everything that decides which text comes of an attachment.
fn fingerprint(list: &[Converter]) -> u32 {
    let mut all = 0;
    for converter in list {
        for words in [&converter.types, &converter.extensions, &converter.command] {
            for word in words {
                all = crc32c::crc32c_append(all, word.as_bytes());
                all = crc32c::crc32c_append(all, b"\0");
            }
            all = crc32c::crc32c_append(all, b"\n");
        }
    }
    all.max(1)
}

/// Programs that run at one time for searches.
const THREADS: usize = 2;

/// Attachments that wait for one.
const JOBS_MAX: usize = 16;

/// Attachments in memory for searches, in bytes.
const HELD_BYTES_MAX: usize = 256 << 20;

/// Between two looks whether there is room.
const POLL: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    fn converter(types: &[&str], extensions: &[&str], command: &[&str]) -> Converter {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Converter {
            types: owned(types),
            extensions: owned(extensions),
            command: owned(command),
            timeout_secs: 10,
        }
    }

    #[test]
    fn the_first_that_fits_reads() {
        let list = [
            converter(&["application/pdf"], &["pdf"], &["/bin/cat"]),
            converter(&["image/*"], &[], &["/bin/true"]),
        ];
        let converters = Converters::start(&list).unwrap().unwrap();
        for (header, expected) in [
            ("Content-Type: Application/PDF", Some(0)),
            ("Content-Type: image/png", Some(1)),
            ("Content-Type: application/pdfx", None),
            (
                "Content-Type: application/octet-stream; name=a.b.PDF",
                Some(0),
            ),
            ("Content-Type: application/octet-stream; name=pdf.doc", None),
            (
                "Content-Type: application/octet-stream\r\n\
                 Content-Disposition: attachment; filename*=utf-8''%C3%A4.pdf",
                Some(0),
            ),
            ("Content-Type: application/zip; name=a.pdf", None),
        ] {
            let message = format!("{header}\r\n\r\nbody");
            let structure = crate::wire::mime::part::Structure::of(message.as_bytes());
            let found = converters.reader_of(&structure.root.content);
            assert_eq!(found, expected, "{header}");
        }
        assert_eq!(converters.read(0, b"body"), "body");
        assert_eq!(converters.read(1, b"body"), "");
    }

    #[test]
    fn whatever_can_change_a_text_changes_the_fingerprint() {
        let of = |list: &[Converter]| Converters::start(list).unwrap().unwrap().fingerprint();
        let one = converter(&["a/b"], &["c"], &["/bin/cat"]);
        let others = [
            converter(&["a/b", "c"], &[], &["/bin/cat"]),
            converter(&["a/b"], &["c"], &["/bin/cat", "-"]),
            converter(&["a/b"], &["c"], &["/bin/cat-"]),
        ];
        for other in &others {
            assert_ne!(
                of(std::slice::from_ref(&one)),
                of(std::slice::from_ref(other))
            );
        }
        assert_ne!(
            of(&[others[0].clone(), one.clone()]),
            of(&[one, others[0].clone()])
        );
        assert!(Converters::start(&[]).unwrap().is_none());
    }
}
