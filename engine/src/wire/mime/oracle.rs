//! mail-parser and this room read the odd messages of `../shared/data/messages` alike.
//!
//! Each message is read as it lies there and with CRLF line ends. Compared are, for the message
//! and every message inside it: the tree of types, where headers and bodies lie, the decoded
//! bodies, subjects, dates and addresses. [`DIFFERENCES`] names every deviation with its reason;
//! one that is gone fails the test as one that is new does.

use std::collections::BTreeSet;
use std::path::PathBuf;

use mail_parser::{Address, MessageParser, MimeHeaders, PartType};

use super::address::{self, Entry};
use super::charset;
use super::date::Date;
use super::header;
use super::part::{Inner, Part, Structure};
use super::scan::Scanner;
use super::transfer::Decoder;
use super::word;

/// File, what differs, why.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    (MSG_15, "bodies", ALPHABET),
    (MSG_25, "tree", NO_BOUNDARY),
    (MSG_37, "bodies", EMPTY_PART),
    (MSG_37, "ranges", EMPTY_PART),
    (MSG_37, "tree", EMPTY_PART),
    (MSG_38, "bodies", OUTER_DELIMITER),
    (MSG_38, "ranges", OUTER_DELIMITER),
    (MSG_38, "tree", OUTER_DELIMITER),
    (MSG_39, "bodies", PADDING),
    (MSG_41, "tree", NO_BOUNDARY),
    (MSG_42, "bodies", ONLY_CLOSED),
    (MSG_42, "ranges", ONLY_CLOSED),
    (MSG_42, "tree", ONLY_CLOSED),
    (FRAG, "bodies", PADDING),
    (FRAG, "ranges", PADDING),
    (DOUBLE_ENCODING, "bodies", LOOSE_ESCAPE),
    (RE_FWD, "addresses", SWALLOWED),
    (MULTI_FRAG, "addresses", ONLY_COMMENT),
    (MULTI_FRAG, "bodies", INSIDE_LINE),
    (MULTI_FRAG, "ranges", INSIDE_LINE),
    (MULTI_NESTED, "addresses", ONLY_COMMENT),
    (MULTI_NESTED_3, "addresses", ONLY_COMMENT),
    (SIMPLE, "dates", SECONDS),
];

const MSG_15: &str = "cpython__0cd0ed78__msg_15.txt";
const MSG_25: &str = "cpython__2d14ccba__msg_25.txt";
const MSG_37: &str = "cpython__f1f54acc__msg_37.txt";
const MSG_38: &str = "cpython__4f8260c1__msg_38.txt";
const MSG_39: &str = "cpython__e52fa94c__msg_39.txt";
const MSG_41: &str = "cpython__77c1aee5__msg_41.txt";
const MSG_42: &str = "cpython__3a7b332d__msg_42.txt";
const FRAG: &str = "mime-tools__04a96213__frag.msg";
const DOUBLE_ENCODING: &str = "mime-tools__1d6feb41__double-content-transfer-encoding.msg";
const RE_FWD: &str = "mime-tools__3831585e__re-fwd.msg";
const MULTI_FRAG: &str = "mime-tools__73f5aec6__multi-frag.msg";
const MULTI_NESTED: &str = "mime-tools__60db6ad7__multi-nested.msg";
const MULTI_NESTED_3: &str = "mime-tools__8ca35d22__multi-nested3.msg";
const SIMPLE: &str = "mime-tools__f76cc095__simple.msg";

const ALPHABET: &str = "RFC 2045 §6.8: octets outside the base64 alphabet are ignored; \
    mail-parser gives the whole body up and returns it encoded";
const NO_BOUNDARY: &str = "RFC 2045 §5.2: a multipart without a boundary breaks the syntax and is \
    text/plain; mail-parser keeps the broken type on a leaf";
const EMPTY_PART: &str = "RFC 2046 §5.1.1: each delimiter line begins a part, also an empty one; \
    mail-parser reads the second of two delimiter lines as a broken field";
const OUTER_DELIMITER: &str = "RFC 2046 §5.1.2: a delimiter of an outer multipart ends the inner \
    ones; mail-parser looks for the innermost only";
const PADDING: &str = "base64 without its padding is decoded as far as it goes; mail-parser gives \
    the body up, and with it the end of the part";
const ONLY_CLOSED: &str = "a multipart that only closes has no part and is its text; mail-parser \
    reads the delimiter of the outer multipart as a part of the inner one";
const LOOSE_ESCAPE: &str = "RFC 2045 §6.7 note (1): a stray equals sign is kept; mail-parser gives \
    the whole body up and returns it encoded";
const SWALLOWED: &str = "with bare LF, mail-parser's date parser swallows the field that follows \
    a zone of two letters";
const ONLY_COMMENT: &str = "RFC 5322 §3.2.2: a comment alone is no address; mail-parser takes its \
    words for one";
const INSIDE_LINE: &str = "RFC 2046 §5.1.1: a delimiter stands at the start of a line; mail-parser \
    takes one inside a line";
const SECONDS: &str = "RFC 5322 §3.3: seconds are optional; mail-parser wants them";

#[test]
fn mail_parser_agrees_but_for_the_listed_differences() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/messages");
    let Ok(files) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: there are no messages in {}", folder.display());
        return;
    };
    let mut found = BTreeSet::new();
    for file in files {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let octets = std::fs::read(&path).unwrap();
        for message in [octets.clone(), with_crlf(&octets)] {
            for step in [1, 2, 3, 61, 4096] {
                let mut scanner = Scanner::new();
                message.chunks(step).for_each(|piece| scanner.feed(piece));
                assert_eq!(
                    scanner.finish(),
                    Structure::of(&message),
                    "{name}, pieces of {step}"
                );
            }
            for what in compare(&name, &message) {
                found.insert((name.clone(), what.to_owned()));
            }
        }
    }
    let listed = DIFFERENCES
        .iter()
        .map(|(file, what, _)| ((*file).into(), (*what).into()));
    assert_eq!(found, listed.collect::<BTreeSet<(String, String)>>());
}

fn with_crlf(octets: &[u8]) -> Vec<u8> {
    let lines = octets
        .split_inclusive(|o| *o == b'\n')
        .map(|line| match line {
            [.., b'\r', b'\n'] => line.to_vec(),
            [text @ .., b'\n'] => [text, b"\r\n"].concat(),
            _ => line.to_vec(),
        });
    lines.collect::<Vec<_>>().concat()
}

/// One message as lists of strings, made by either side.
#[derive(Default)]
struct View {
    tree: String,
    ranges: Vec<String>,
    bodies: Vec<String>,
    subjects: Vec<String>,
    dates: Vec<String>,
    addresses: Vec<String>,
}

fn compare(name: &str, octets: &[u8]) -> Vec<&'static str> {
    let structure = Structure::of(octets);
    let mut ours = View::default();
    ours.message(octets, &structure.root);
    let mut theirs = View::default();
    if let Some(message) = MessageParser::default().parse(octets) {
        theirs.parsed(octets, &message);
    }
    let mut differing = Vec::new();
    let mut check = |what, left: &[String], right: &[String]| {
        if left != right {
            eprintln!("{name}: {what}\n  ours   {left:?}\n  theirs {right:?}");
            differing.push(what);
        }
    };
    check("tree", &[ours.tree], &[theirs.tree]);
    check("ranges", &ours.ranges, &theirs.ranges);
    check("bodies", &ours.bodies, &theirs.bodies);
    check("subjects", &ours.subjects, &theirs.subjects);
    check("dates", &ours.dates, &theirs.dates);
    check("addresses", &ours.addresses, &theirs.addresses);
    differing
}

const ADDRESS_FIELDS: [&str; 6] = ["from", "sender", "reply-to", "to", "cc", "bcc"];

impl View {
    fn message(&mut self, octets: &[u8], root: &Part) {
        let header = slice(octets, root.header.start, root.header.end);
        let subject = header::last(header, "subject").map(word::decode);
        self.subjects.push(subject.unwrap_or_default());
        let date = header::last(header, "date").and_then(Date::parse);
        self.dates.push(format!("{:?}", date.map(|d| d.unix)));
        for field in ADDRESS_FIELDS {
            let value = header::last(header, field).unwrap_or_default();
            let list = address::parse(value);
            self.addresses
                .push(format!("{field} {}", show_entries(&list)));
        }
        self.part(octets, root);
    }

    fn part(&mut self, octets: &[u8], part: &Part) {
        let kind = &part.content.content_type;
        let lower = |t: &[u8]| String::from_utf8_lossy(t).to_lowercase();
        self.tree += &format!("{}/{}", lower(&kind.kind), lower(&kind.subtype));
        let header = (part.header.start, part.body.start);
        match &part.inner {
            Inner::Multipart(parts) => {
                self.ranges.push(format!("{header:?}"));
                self.tree.push('(');
                parts.iter().for_each(|p| self.part(octets, p));
                self.tree.push(')');
            }
            Inner::Message(nested) => {
                self.ranges.push(format!("{header:?} {}", part.body.end));
                self.tree.push('<');
                self.message(octets, &nested.root);
                self.tree.push('>');
            }
            Inner::Leaf => {
                self.ranges.push(format!("{header:?} {}", part.body.end));
                self.tree.push(' ');
                self.bodies.push(decoded(octets, part));
            }
        }
    }

    fn parsed(&mut self, octets: &[u8], message: &mail_parser::Message<'_>) {
        self.subjects
            .push(message.subject().unwrap_or_default().to_owned());
        self.dates
            .push(format!("{:?}", message.date().map(|d| d.to_timestamp())));
        let lists = [
            message.from(),
            message.sender(),
            message.reply_to(),
            message.to(),
            message.cc(),
            message.bcc(),
        ];
        for (field, list) in ADDRESS_FIELDS.iter().zip(lists) {
            self.addresses
                .push(format!("{field} {}", show_address(list)));
        }
        self.parsed_part(octets, message, 0);
    }

    fn parsed_part(&mut self, octets: &[u8], message: &mail_parser::Message<'_>, id: u32) {
        let part = message.part(id).unwrap();
        let header = (u64::from(part.offset_header), u64::from(part.offset_body));
        let range = format!("{header:?} {}", part.offset_end);
        let kind = part.content_type().map_or_else(
            || match part.body {
                PartType::Message(_) => "message/rfc822".to_owned(),
                _ => "text/plain".to_owned(),
            },
            |t| format!("{}/{}", t.ctype(), t.subtype().unwrap_or_default()),
        );
        // Read as text for want of parts; a Content-Type without subtype means text/plain.
        let is_text = matches!(part.body, PartType::Text(_));
        let kind = match is_text && (kind.starts_with("multipart/") || kind.ends_with('/')) {
            true => "text/plain".to_owned(),
            false => kind,
        };
        self.tree += &kind;
        match &part.body {
            PartType::Multipart(parts) => {
                self.ranges.push(format!("{header:?}"));
                self.tree.push('(');
                parts
                    .iter()
                    .for_each(|id| self.parsed_part(octets, message, *id));
                self.tree.push(')');
            }
            PartType::Message(nested) => {
                self.ranges.push(range);
                self.tree.push('<');
                self.parsed(octets, nested);
                self.tree.push('>');
            }
            PartType::Text(text) | PartType::Html(text) => {
                self.ranges.push(range);
                self.tree.push(' ');
                self.bodies.push(text.to_string());
            }
            PartType::Binary(body) | PartType::InlineBinary(body) => {
                self.ranges.push(range);
                self.tree.push(' ');
                self.bodies.push(String::from_utf8_lossy(body).into_owned());
            }
        }
    }
}

fn slice(octets: &[u8], start: u64, end: u64) -> &[u8] {
    octets.get(start as usize..end as usize).unwrap()
}

fn decoded(octets: &[u8], part: &Part) -> String {
    let content = &part.content;
    let mut body = Vec::new();
    let mut decoder = Decoder::new(&content.encoding).unwrap_or_else(|_| Decoder::identity());
    decoder.feed(slice(octets, part.body.start, part.body.end), &mut body);
    decoder.finish(&mut body);
    if !content.content_type.kind_is("text") {
        return String::from_utf8_lossy(&body).into_owned();
    }
    let charset = content.content_type.params.value("charset");
    charset::decode(charset::named_or_utf8(charset.as_deref()), &body)
}

/// mail-parser knows no difference between a word alone as a name and as a local part.
fn show_entries(list: &[Entry]) -> String {
    let mut out = String::new();
    for entry in list {
        match entry {
            Entry::GroupStart(name) => out += &format!("{}: ", word::decode(name)),
            Entry::GroupEnd => out += "; ",
            Entry::Mailbox(m) => {
                let address = match m.domain.is_empty() {
                    true => m.local.clone(),
                    false => [&m.local[..], b"@", &m.domain].concat(),
                };
                let name = m.name.as_deref().map(word::decode).unwrap_or_default();
                out += &show_mailbox(&name, &String::from_utf8_lossy(&address));
            }
        }
    }
    out
}

fn show_mailbox(name: &str, address: &str) -> String {
    match (name, address) {
        ("", alone) | (alone, "") => format!("<{alone}> "),
        _ => format!("{name} <{address}> "),
    }
}

fn show_address(list: Option<&Address<'_>>) -> String {
    let show = |a: &mail_parser::Addr<'_>| {
        show_mailbox(
            a.name().unwrap_or_default(),
            a.address().unwrap_or_default(),
        )
    };
    match list {
        None => String::new(),
        Some(Address::List(list)) => list.iter().map(show).collect(),
        Some(Address::Group(groups)) => {
            let group = |g: &mail_parser::Group<'_>| {
                let members: String = g.addresses.iter().map(show).collect();
                match &g.name {
                    Some(name) => format!("{name}: {members}; "),
                    None => members,
                }
            };
            groups.iter().map(group).collect()
        }
    }
}
