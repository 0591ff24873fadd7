//! One FETCH response, item by item (RFC 9051 §7.5.2).
//!
//! Items of any size are announced first and their octets sent behind, so that a message is never
//! in the output whole.

use store::mail::date::InternalDate;
use store::mail::flags::{Flags, Keywords};
use store::mail::id::{ModSeq, Uid};

use super::super::command::{Section, SectionText};
use super::super::date::DateTimes;
use super::{CRLF, List, astring, flag_list, literal_header, literal8_header, number};

/// `* n FETCH (…)` while it is written.
pub struct Fetch {
    items: List,
}

impl Fetch {
    pub fn open(out: &mut Vec<u8>, sequence: u32) -> Fetch {
        out.extend_from_slice(b"* ");
        number(out, sequence.into());
        out.extend_from_slice(b" FETCH ");
        Fetch {
            items: List::open(out),
        }
    }

    /// `* uid UIDFETCH (…)`, for clients that know no sequence numbers (RFC 9586 §3.3).
    pub fn open_uid(out: &mut Vec<u8>, uid: Uid) -> Fetch {
        out.extend_from_slice(b"* ");
        number(out, uid.0.into());
        out.extend_from_slice(b" UIDFETCH ");
        Fetch {
            items: List::open(out),
        }
    }

    pub fn close(self, out: &mut Vec<u8>) {
        self.items.close(out);
        out.extend_from_slice(CRLF);
    }

    pub fn uid(&mut self, out: &mut Vec<u8>, uid: Uid) {
        number(self.item(out, "UID"), uid.0.into());
    }

    pub fn flags(
        &mut self,
        out: &mut Vec<u8>,
        flags: Flags,
        keywords: Keywords,
        table: &[String],
        recent: bool,
    ) {
        flag_list(self.item(out, "FLAGS"), flags, keywords, table, recent);
    }

    /// `dates` are best kept from one message to the next.
    pub fn internal_date(&mut self, out: &mut Vec<u8>, dates: &mut DateTimes, date: InternalDate) {
        dates.write(self.item(out, "INTERNALDATE"), date);
    }

    /// `SAVEDATE "…"` (RFC 8514 §4.2), shown in UTC.
    pub fn save_date(&mut self, out: &mut Vec<u8>, dates: &mut DateTimes, secs: i64) {
        dates.write(self.item(out, "SAVEDATE"), InternalDate::utc(secs));
    }

    /// `EMAILID (…)` and `THREADID (…)` (RFC 8474 §5).
    pub fn object_id(&mut self, out: &mut Vec<u8>, name: &'static str, id: &str) {
        let out = self.item(out, name);
        out.push(b'(');
        out.extend_from_slice(id.as_bytes());
        out.push(b')');
    }

    pub fn size(&mut self, out: &mut Vec<u8>, octets: u64) {
        number(self.item(out, "RFC822.SIZE"), octets);
    }

    /// `MODSEQ (n)` (RFC 7162 §7).
    pub fn modseq(&mut self, out: &mut Vec<u8>, modseq: ModSeq) {
        let out = self.item(out, "MODSEQ");
        out.push(b'(');
        number(out, modseq.0);
        out.push(b')');
    }

    /// `NAME ` of ENVELOPE, BODY, BODYSTRUCTURE: the caller writes the value behind it.
    pub fn item<'a>(&mut self, out: &'a mut Vec<u8>, name: &'static str) -> &'a mut Vec<u8> {
        let out = self.items.next(out);
        out.extend_from_slice(name.as_bytes());
        out.push(b' ');
        out
    }

    /// `RFC822`, `RFC822.HEADER` or `RFC822.TEXT` and a literal's announcement.
    pub fn text(&mut self, out: &mut Vec<u8>, name: &'static str, octets: u64) {
        literal_header(self.item(out, name), octets);
    }

    /// `BODY[section]<origin> ` and a literal's announcement, or `NIL` where there is no such part.
    pub fn section(
        &mut self,
        out: &mut Vec<u8>,
        section: &Section,
        origin: Option<u32>,
        octets: Option<u64>,
    ) {
        let out = self.items.next(out);
        out.extend_from_slice(b"BODY");
        write_section(out, section);
        write_origin(out, origin);
        announce(out, octets, false);
    }

    /// `BINARY[part]<origin> `; with `nul` in the data it takes a literal8 (RFC 3516 §4.3).
    pub fn binary(
        &mut self,
        out: &mut Vec<u8>,
        part: &[u32],
        origin: Option<u32>,
        octets: Option<u64>,
        nul: bool,
    ) {
        let out = self.items.next(out);
        out.extend_from_slice(b"BINARY[");
        write_part(out, part);
        out.push(b']');
        write_origin(out, origin);
        announce(out, octets, nul);
    }

    /// `BINARY.SIZE[part] n`.
    pub fn binary_size(&mut self, out: &mut Vec<u8>, part: &[u32], octets: u64) {
        let out = self.items.next(out);
        out.extend_from_slice(b"BINARY.SIZE[");
        write_part(out, part);
        out.extend_from_slice(b"] ");
        number(out, octets);
    }
}

fn announce(out: &mut Vec<u8>, octets: Option<u64>, nul: bool) {
    out.push(b' ');
    match octets {
        Some(octets) if nul => literal8_header(out, octets),
        Some(octets) => literal_header(out, octets),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// `[1.2.HEADER.FIELDS (From To)]`: the section as it was asked for.
fn write_section(out: &mut Vec<u8>, section: &Section) {
    out.push(b'[');
    write_part(out, &section.part);
    if !section.part.is_empty() && section.text != SectionText::All {
        out.push(b'.');
    }
    match &section.text {
        SectionText::All => {}
        SectionText::Header => out.extend_from_slice(b"HEADER"),
        SectionText::Text => out.extend_from_slice(b"TEXT"),
        SectionText::Mime => out.extend_from_slice(b"MIME"),
        SectionText::HeaderFields(names) => write_fields(out, "HEADER.FIELDS ", names),
        SectionText::HeaderFieldsNot(names) => write_fields(out, "HEADER.FIELDS.NOT ", names),
    }
    out.push(b']');
}

fn write_fields(out: &mut Vec<u8>, word: &str, names: &[Vec<u8>]) {
    out.extend_from_slice(word.as_bytes());
    let mut list = List::open(out);
    for name in names {
        astring(list.next(out), name, false);
    }
    list.close(out);
}

fn write_part(out: &mut Vec<u8>, part: &[u32]) {
    for (at, part) in part.iter().enumerate() {
        if at != 0 {
            out.push(b'.');
        }
        number(out, (*part).into());
    }
}

fn write_origin(out: &mut Vec<u8>, origin: Option<u32>) {
    if let Some(origin) = origin {
        out.push(b'<');
        number(out, origin.into());
        out.push(b'>');
    }
}
