//! What a mailbox is sorted and threaded by, made of the header of a message (RFC 5256, RFC 5957).
//!
//! Texts are decoded and folded (i;unicode-casemap), so that comparing octets is collating. Facts
//! have a form in octets, for whoever keeps them: [`Facts::encode`], of version [`VERSION`].

use super::address::{self, Entry};
use super::date::Date;
use super::header::{self, Field};
use super::msgid::{self, REFERENCES_MAX};
use super::subject::Base;
use super::texts::folded;
use super::word;

/// Raised whenever other facts come of the same header, or their form changes.
pub const VERSION: u16 = 1;

/// Octets of one text. A longer one is cut, and a number of all of it put behind: it sorts by its
/// beginning, and equals only itself.
const TEXT_BYTES_MAX: usize = 512;

/// The texts that messages are sorted by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SortText {
    /// The base subject (RFC 5256 §2.1).
    Subject,
    /// The addr-mailbox of the first address.
    From,
    To,
    Cc,
    /// The display name of the first address, or the address (RFC 5957 §3).
    DisplayFrom,
    DisplayTo,
}

/// How many [`SortText`]s there are.
pub const TEXTS: usize = 6;

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    /// Seconds since 1970, of a Date field that can be read (RFC 5256 §2.2).
    pub sent: Option<i64>,
    /// The number of the Message ID; 0 where there is no valid one.
    pub id: u64,
    /// The numbers of the references, the parent last.
    pub parents: Vec<u64>,
    /// The subject says that this is a reply or a forward.
    pub is_reply: bool,
    /// By [`SortText`].
    pub texts: [String; TEXTS],
}

impl Facts {
    /// Of a whole header, or of those fields that the store lists a message by.
    #[must_use]
    pub fn of(header: &[u8]) -> Facts {
        let fields = Fields::of(header);
        let base = fields.subject.map(Base::of).unwrap_or_default();
        let parents = parents(&fields);
        let [from, to, cc] = [fields.from, fields.to, fields.cc].map(Address::first);
        let id = fields
            .message_id
            .and_then(|value| msgid::parse(value).next());
        Facts {
            sent: fields.date.and_then(Date::sent),
            id: id.map_or(0, |id| msgid::number(&id)),
            parents,
            is_reply: base.is_reply,
            texts: [
                sortable(&base.text),
                sortable(&from.mailbox),
                sortable(&to.mailbox),
                sortable(&cc.mailbox),
                sortable(&from.display),
                sortable(&to.display),
            ],
        }
    }

    #[must_use]
    pub fn text(&self, which: SortText) -> &str {
        self.texts.get(which as usize).map_or("", String::as_str)
    }

    /// Appends the facts: a head of flags, date and Message ID; the parents; the texts.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_reply) | u8::from(self.sent.is_some()) << 1);
        out.extend_from_slice(&self.sent.unwrap_or(0).to_le_bytes());
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&count(self.parents.len()));
        for parent in &self.parents {
            out.extend_from_slice(&parent.to_le_bytes());
        }
        for text in &self.texts {
            out.extend_from_slice(&count(text.len()));
            out.extend_from_slice(text.as_bytes());
        }
    }

    /// Reads what [`encode`](Self::encode) has written; `None` for anything else.
    #[must_use]
    pub fn decode(octets: &[u8]) -> Option<Facts> {
        let kept = Kept::decode(octets)?;
        Some(Facts {
            sent: kept.sent,
            id: kept.id,
            parents: kept.parents().collect(),
            is_reply: kept.is_reply,
            texts: kept.texts.map(str::to_owned),
        })
    }
}

/// Facts as their octets have them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kept<'a> {
    pub sent: Option<i64>,
    pub id: u64,
    parents: &'a [[u8; 8]],
    pub is_reply: bool,
    /// By [`SortText`].
    pub texts: [&'a str; TEXTS],
}

impl<'a> Kept<'a> {
    /// As [`Facts::decode`].
    #[must_use]
    pub fn decode(mut octets: &'a [u8]) -> Option<Kept<'a>> {
        let octets = &mut octets;
        let [flags] = take(octets)?;
        let sent = i64::from_le_bytes(take(octets)?);
        let id = u64::from_le_bytes(take(octets)?);
        let count = usize::from(u16::from_le_bytes(take(octets)?));
        let (parents, rest) = octets.split_at_checked(count * size_of::<u64>())?;
        *octets = rest;
        let mut texts = [""; TEXTS];
        for text in &mut texts {
            let length = u16::from_le_bytes(take(octets)?);
            let (now, rest) = octets.split_at_checked(usize::from(length))?;
            *text = str::from_utf8(now).ok()?;
            *octets = rest;
        }
        octets.is_empty().then_some(Kept {
            sent: (flags & 2 != 0).then_some(sent),
            id,
            parents: parents.as_chunks().0,
            is_reply: flags & 1 != 0,
            texts,
        })
    }

    /// The numbers of the references, the parent last.
    pub fn parents(&self) -> impl Iterator<Item = u64> + 'a {
        self.parents
            .iter()
            .map(|parent| u64::from_le_bytes(*parent))
    }
}

/// Both counts are bounded below 65,536.
fn count(count: usize) -> [u8; 2] {
    u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes()
}

fn take<const N: usize>(octets: &mut &[u8]) -> Option<[u8; N]> {
    let (now, rest) = octets.split_first_chunk::<N>()?;
    *octets = rest;
    Some(*now)
}

/// The raw values that count: the last of a field, To and Cc the first with an address in it.
#[derive(Default)]
struct Fields<'a> {
    date: Option<&'a [u8]>,
    subject: Option<&'a [u8]>,
    from: Option<Entry>,
    to: Option<Entry>,
    cc: Option<Entry>,
    message_id: Option<&'a [u8]>,
    in_reply_to: Option<&'a [u8]>,
    references: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    fn of(header: &'a [u8]) -> Fields<'a> {
        let mut fields = Fields::default();
        header::fields(header).for_each(|field| fields.take(&field));
        fields
    }

    fn take(&mut self, field: &Field<'a>) {
        let value = field.value;
        match field.name.len() {
            2 if field.is("to") => self.to = self.to.take().or_else(|| first(value)),
            2 if field.is("cc") => self.cc = self.cc.take().or_else(|| first(value)),
            4 if field.is("date") => self.date = Some(value),
            4 if field.is("from") => self.from = first(value),
            7 if field.is("subject") => self.subject = Some(value),
            10 if field.is("message-id") => self.message_id = Some(value),
            10 if field.is("references") => self.references = Some(value),
            11 if field.is("in-reply-to") => self.in_reply_to = Some(value),
            _ => {}
        }
    }
}

fn first(value: &[u8]) -> Option<Entry> {
    address::parse_up_to(value, 1).into_iter().next()
}

/// RFC 5256 §3: the references, or where there are none the first ID of In-Reply-To.
fn parents(fields: &Fields<'_>) -> Vec<u64> {
    let numbers = |value| msgid::parse(value).map(|id| msgid::number(&id));
    let mut parents: Vec<u64> = fields.references.into_iter().flat_map(numbers).collect();
    if parents.is_empty() {
        parents.extend(fields.in_reply_to.and_then(|value| numbers(value).next()));
    }
    let surplus = parents.len().saturating_sub(REFERENCES_MAX);
    parents.drain(..surplus);
    parents
}

#[derive(Default)]
struct Address {
    mailbox: String,
    display: String,
}

impl Address {
    /// As ENVELOPE shows it; of a group its name is the mailbox.
    fn first(entry: Option<Entry>) -> Address {
        match entry {
            Some(Entry::Mailbox(found)) => {
                let mailbox = word::decode(&found.local);
                let name = found.name.map(|name| word::decode(&name));
                let display = name.filter(|name| !name.is_empty());
                let display = display.unwrap_or_else(|| {
                    format!("{mailbox}@{}", String::from_utf8_lossy(&found.domain))
                });
                Address { mailbox, display }
            }
            Some(Entry::GroupStart(name)) => {
                let mailbox = word::decode(&name);
                Address {
                    display: mailbox.clone(),
                    mailbox,
                }
            }
            Some(Entry::GroupEnd) | None => Address::default(),
        }
    }
}

fn sortable(text: &str) -> String {
    let mut folded = folded(text);
    if folded.len() > TEXT_BYTES_MAX {
        let whole = msgid::number(folded.as_bytes());
        folded.truncate(folded.floor_char_boundary(TEXT_BYTES_MAX));
        folded.push_str(&format!("{whole:016x}"));
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = b"To: \r\nDate: 31 Dec 2000 16:01:33 -0800\r\n\
        Subject: Re: =?utf-8?q?=C3=A4?=\r\nTO: <x@y>\r\nFrom: Bob =?utf-8?q?=C3=9F?= <Bob@b>\r\n\
        Cc: team: a@b, c@d;\r\nMessage-ID: <1@x>\r\nReferences: <2@x> <3@x>\r\n\
        In-Reply-To: <4@x>\r\n\r\n";

    #[test]
    fn every_fact_is_found() {
        let facts = Facts::of(HEADER);
        assert_eq!(facts.sent, Some(978_307_293));
        assert_eq!(facts.id, msgid::number(b"1@x"));
        assert_eq!(facts.parents, [b"2@x", b"3@x"].map(|id| msgid::number(id)));
        assert!(facts.is_reply);
        assert_eq!(
            facts.texts,
            ["A\u{308}", "BOB", "X", "TEAM", "BOB ß", "X@Y"].map(str::to_owned)
        );
    }

    #[test]
    fn without_references_the_first_of_in_reply_to_counts() {
        let facts = Facts::of(b"References: none\r\nIn-Reply-To: <a@b> <c@d>\r\n\r\n");
        assert_eq!(facts.parents, [msgid::number(b"a@b")]);
        assert_eq!(Facts::of(b"\r\n"), Facts::default());
    }

    #[test]
    fn facts_come_back_from_their_octets() {
        for header in [HEADER, b"", b"Subject: x\r\n\r\n"] {
            let facts = Facts::of(header);
            let mut octets = Vec::new();
            facts.encode(&mut octets);
            assert_eq!(Facts::decode(&octets), Some(facts));
            for end in 0..octets.len() {
                assert_eq!(Facts::decode(&octets[..end]), None, "cut at {end}");
            }
            octets.push(0);
            assert_eq!(Facts::decode(&octets), None);
        }
    }

    #[test]
    fn a_long_text_sorts_by_its_beginning_and_equals_itself() {
        let of = |end: &str| {
            let header = format!("Subject: {}{end}\r\n\r\n", "ä".repeat(400));
            Facts::of(header.as_bytes()).texts[0].clone()
        };
        assert_eq!(of("a"), of("A"));
        assert_ne!(of("a"), of("b"));
        assert!(of("a").len() < TEXT_BYTES_MAX + 20);
    }
}
