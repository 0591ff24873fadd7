//! A header for a client that reads ASCII only: what stands in it in UTF-8 is put in other words
//! or left out (RFC 6858 §2).
//!
//! ```text
//! From, To, Cc, …         names as encoded words; an address nobody but UTF-8 can write becomes
//!                         `invalid@internationalized-address.invalid`, and is told in the name
//! Subject, Comments, …    encoded words (RFC 2047)
//! Content-Type, …         parameters in the extended form (RFC 2231 §4)
//! all others              left out
//! ```
//!
//! A domain outside ASCII with a local part within it is written as A-labels: that is the same
//! mailbox, and can be answered. A field that is no UTF-8 is left alone; it is of other times, and
//! of other charsets.

use super::address::{self, Entry, Mailbox};
use super::content::{self, ContentType, Param, Params};
use super::header::{self, Field, unfold};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;
use std::fmt::Write;
use std::ops::Range;

/// The header in ASCII; `None`: there is nothing to put in other words.
#[must_use]
pub fn surrogate(header: &[u8]) -> Option<Vec<u8>> {
    if header.is_ascii() {
        return None;
    }
    let mut out = Vec::with_capacity(header.len() * 2);
    let mut copied = 0;
    for (range, made) in replacements(header) {
        out.extend_from_slice(header.get(copied..range.start)?);
        out.extend_from_slice(&made);
        copied = range.end;
    }
    if copied == 0 {
        return None;
    }
    out.extend_from_slice(header.get(copied..)?);
    Some(out)
}

/// The fields that cannot stay, in order, and what stands in place of each: a whole field, or
/// nothing.
pub fn replacements(header: &[u8]) -> impl Iterator<Item = (Range<usize>, Vec<u8>)> {
    header::fields(header).filter_map(|field| {
        let whole = header.get(field.whole.clone())?;
        if whole.is_ascii() {
            return None;
        }
        str::from_utf8(whole).ok()?;
        let made = replacement(&field).unwrap_or_default();
        Some((field.whole, made))
    })
}

/// `None` for what has no form in ASCII.
fn replacement(field: &Field<'_>) -> Option<Vec<u8>> {
    let mut name = field.name.to_ascii_lowercase();
    let line = Line::new(field.name);
    if let Some(behind) = name.strip_prefix(b"resent-") {
        name = behind.to_vec();
    }
    match name.as_slice() {
        b"from" | b"sender" | b"reply-to" | b"to" | b"cc" | b"bcc" | b"return-path" => {
            Some(addresses(field.value, line))
        }
        b"subject" | b"comments" | b"content-description" => Some(text(field.value, line)),
        b"content-type" => {
            let kind = ContentType::parse(field.value)?;
            let name = [kind.kind.as_slice(), b"/", &kind.subtype].concat();
            with_params(&name, &kind.params, line)
        }
        b"content-disposition" => {
            let disposition = content::disposition(field.value)?;
            with_params(&disposition.kind, &disposition.params, line)
        }
        _ => None,
    }
}

/// A field that is being written, folded between words (RFC 5322 §2.2.3).
struct Line {
    out: Vec<u8>,
    /// Where its last line begins.
    begin: usize,
}

impl Line {
    fn new(name: &[u8]) -> Line {
        let out = [name, b":"].concat();
        Line { out, begin: 0 }
    }

    fn word(&mut self, word: &[u8]) {
        let octets = self.out.len() - self.begin + 1 + word.len();
        if octets > LINE_BYTES {
            self.out.extend_from_slice(b"\r\n");
            self.begin = self.out.len();
        }
        self.out.push(b' ');
        self.out.extend_from_slice(word);
    }

    /// RFC 2047 §2: encoded words of at most 75 characters, with a space between them.
    fn encoded(&mut self, text: &str) {
        let mut rest = text;
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(rest.floor_char_boundary(WORD_OCTETS_MAX));
            self.word(format!("=?UTF-8?B?{}?=", STANDARD.encode(piece)).as_bytes());
            rest = behind;
        }
    }

    /// What belongs to the word before.
    fn touch(&mut self, octet: u8) {
        self.out.push(octet);
    }

    fn finish(mut self) -> Vec<u8> {
        self.out.extend_from_slice(b"\r\n");
        self.out
    }
}

/// Words outside ASCII together with the space between them, the others as they are.
fn text(value: &[u8], mut line: Line) -> Vec<u8> {
    let value = unfold(value);
    let value = String::from_utf8_lossy(&value);
    let mut run = String::new();
    for word in value.split([' ', '\t']).filter(|word| !word.is_empty()) {
        if word.is_ascii() {
            line.encoded(&std::mem::take(&mut run));
            line.word(word.as_bytes());
            continue;
        }
        if !run.is_empty() {
            run.push(' ');
        }
        run.push_str(word);
    }
    line.encoded(&run);
    line.finish()
}

fn addresses(value: &[u8], mut line: Line) -> Vec<u8> {
    let mut is_first = true;
    for entry in address::parse(value) {
        let ends_group = matches!(entry, Entry::GroupEnd);
        if !is_first && !ends_group {
            line.touch(b',');
        }
        is_first = false;
        match entry {
            Entry::Mailbox(mailbox) => self::mailbox(&mailbox, &mut line),
            Entry::GroupStart(name) => {
                phrase(&String::from_utf8_lossy(&name), &mut line);
                line.touch(b':');
                is_first = true;
            }
            Entry::GroupEnd => line.touch(b';'),
        }
    }
    line.finish()
}

fn mailbox(mailbox: &Mailbox, line: &mut Line) {
    let name = mailbox.name.as_deref().map(String::from_utf8_lossy);
    let domain = String::from_utf8_lossy(&mailbox.domain);
    let local = String::from_utf8_lossy(&mailbox.local);
    match in_ascii(&domain).filter(|_| local.is_ascii()) {
        Some(domain) => {
            let at = if domain.is_empty() { "" } else { "@" };
            let local = quoted_unless(&local, is_dot_atom(&local));
            name.iter().for_each(|name| phrase(name, line));
            line.word(format!("<{local}{at}{domain}>").as_bytes());
        }
        None => {
            let address = format!("{local}@{domain}");
            let name = name.map_or(address.clone(), |name| format!("{name} <{address}>"));
            phrase(&name, line);
            line.word(INVALID.as_bytes());
        }
    }
}

/// A domain as A-labels (RFC 5890 §2.3.2.1).
fn in_ascii(domain: &str) -> Option<Cow<'_, str>> {
    match domain.is_ascii() {
        true => Some(Cow::Borrowed(domain)),
        false => idna::domain_to_ascii(domain).ok().map(Cow::Owned),
    }
}

fn phrase(name: &str, line: &mut Line) {
    let is_plain = |c: char| c == ' ' || is_atext(c);
    match name.is_ascii() {
        true => line.word(quoted_unless(name, name.chars().all(is_plain)).as_bytes()),
        false => line.encoded(name),
    }
}

fn quoted_unless(text: &str, is_plain: bool) -> String {
    if is_plain && !text.is_empty() {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars().filter(|c| !c.is_ascii_control()) {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

fn is_dot_atom(local: &str) -> bool {
    local
        .split('.')
        .all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

/// RFC 5322 §3.2.3.
fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
}

fn with_params(kind: &[u8], params: &Params, mut line: Line) -> Option<Vec<u8>> {
    if !kind.is_ascii() {
        return None;
    }
    line.word(kind);
    for param in params.0.iter().filter_map(param) {
        line.touch(b';');
        line.word(param.as_bytes());
    }
    Some(line.finish())
}

/// `None` for one that has no form in ASCII.
fn param(param: &Param) -> Option<String> {
    let name = str::from_utf8(&param.name)
        .ok()
        .filter(|name| name.is_ascii())?;
    let value = str::from_utf8(&param.value).ok()?;
    let is_extended = name.ends_with('*');
    let is_token = value.chars().all(is_token_char);
    if value.is_ascii() && (is_token || !is_extended) {
        return Some(format!("{name}={}", quoted_unless(value, is_token)));
    }
    if is_extended || value.len() > PARAM_OCTETS_MAX {
        return None;
    }
    let mut text = format!("{name}*=UTF-8''");
    for octet in value.bytes() {
        match octet.is_ascii_alphanumeric() || b"-._".contains(&octet) {
            true => text.push(char::from(octet)),
            false => write!(text, "%{octet:02X}").expect("writing to a String cannot fail"),
        }
    }
    Some(text)
}

/// RFC 2045 §5.1.
fn is_token_char(c: char) -> bool {
    c.is_ascii_graphic() && !"()<>@,;:\\\"/[]?=".contains(c)
}

/// RFC 6858 §2.1: an address that can be nobody's (RFC 2606 §2).
const INVALID: &str = "<invalid@internationalized-address.invalid>";

/// RFC 2047 §2.
const LINE_BYTES: usize = 76;

/// Of text in one encoded word: 60 characters of base64.
const WORD_OCTETS_MAX: usize = 45;

/// Of a parameter's value, so that its line is one (RFC 5322 §2.1.1).
const PARAM_OCTETS_MAX: usize = 255;

const _: () = assert!(PARAM_OCTETS_MAX * 3 < 900);

#[cfg(test)]
#[path = "surrogate_test.rs"]
mod tests;
