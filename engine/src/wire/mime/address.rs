//! Address lists (RFC 5322 §3.4, obsolete forms §4.4) as ENVELOPE shows them.
//!
//! Any octets yield a list: what cannot be an address is its display name, a missing domain is
//! empty (`NIL` would mean a group, RFC 9051 §7.5.2). A comment is the display name where no other
//! stands. Encoded words stay as they are.

use super::cursor::{Cursor, is_space};
use super::limit::ADDRESSES_MAX;

/// One entry of a list; a group is its start, its members, its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entry {
    Mailbox(Mailbox),
    /// The name of the group.
    GroupStart(Vec<u8>),
    GroupEnd,
}

/// Raw octets, unquoted and unfolded.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Mailbox {
    pub name: Option<Vec<u8>>,
    /// The source route with its `@`s, without the colon (`@a,@b`).
    pub route: Option<Vec<u8>>,
    pub local: Vec<u8>,
    /// Empty where the address has none.
    pub domain: Vec<u8>,
}

/// Reads the value of an address field, up to [`ADDRESSES_MAX`] entries.
pub fn parse(value: &[u8]) -> Vec<Entry> {
    parse_up_to(value, ADDRESSES_MAX)
}

/// The same up to so many entries; the end of a group that is cut comes besides.
pub(super) fn parse_up_to(value: &[u8], entries_max: usize) -> Vec<Entry> {
    let mut list = List {
        cursor: Cursor::new(value),
        entries: Vec::new(),
        in_group: false,
    };
    while list.entries.len() < entries_max && list.one() {}
    list.entries.truncate(entries_max);
    list.end_group();
    list.entries
}

struct List<'a> {
    cursor: Cursor<'a>,
    entries: Vec<Entry>,
    in_group: bool,
}

/// What stood before `<`, `:`, `,` or the end.
#[derive(Default)]
struct Phrase {
    /// As a display name: words with one space between them.
    words: Vec<u8>,
    /// As an address without angles: white space round `@` and `.` falls away.
    address: Vec<u8>,
    /// Where the last `@` outside of quotes stands in `address`.
    at: Option<usize>,
    comment: Option<Vec<u8>>,
    /// Whether the last token was white space.
    spaced: bool,
}

impl List<'_> {
    /// Reads one entry; `false` at the end of the field.
    fn one(&mut self) -> bool {
        let mut phrase = Phrase::default();
        loop {
            phrase.read(&mut self.cursor);
            match self.cursor.next() {
                None => {
                    self.push(phrase.into_mailbox());
                    return false;
                }
                Some(b',') => return self.push(phrase.into_mailbox()),
                Some(b'<') => {
                    let mailbox = self.angle(phrase);
                    return self.push(mailbox);
                }
                Some(b':') if phrase.at.is_none() && !self.in_group => {
                    self.in_group = true;
                    self.entries.push(Entry::GroupStart(phrase.words));
                    return true;
                }
                Some(b';') => {
                    self.push(phrase.into_mailbox());
                    self.end_group();
                    return true;
                }
                // A stray special belongs to the word it stands in.
                Some(octet) => phrase.octet(octet),
            }
        }
    }

    fn push(&mut self, mailbox: Option<Mailbox>) -> bool {
        self.entries.extend(mailbox.map(Entry::Mailbox));
        true
    }

    fn end_group(&mut self) {
        if std::mem::take(&mut self.in_group) {
            self.entries.push(Entry::GroupEnd);
        }
    }

    /// `[display-name] "<" [route ":"] addr-spec ">"`, and what follows up to the comma.
    fn angle(&mut self, phrase: Phrase) -> Option<Mailbox> {
        self.cursor.skip_cfws();
        let route = match self.cursor.peek() {
            Some(b'@') => route(&mut self.cursor),
            _ => None,
        };
        let mut inner = Phrase::default();
        loop {
            inner.read(&mut self.cursor);
            match self.cursor.peek() {
                None | Some(b'>' | b',' | b';') => break,
                Some(octet) => inner.octet(octet),
            }
            self.cursor.next();
        }
        self.cursor.take(b'>');
        let mut after = Phrase::default();
        after.read_to_separator(&mut self.cursor);
        let name = Some(phrase.words).filter(|w| !w.is_empty());
        let name = name
            .or(phrase.comment)
            .or(inner.comment.take())
            .or(after.comment);
        let (local, domain) = inner.split();
        // `<>` alone is the null reverse-path, not an address.
        let empty = local.is_empty() && domain.is_empty() && name.is_none();
        (!empty).then_some(Mailbox {
            name,
            route,
            local,
            domain,
        })
    }
}

impl Phrase {
    /// Takes words, quoted strings, domain literals, white space and comments.
    fn read(&mut self, cursor: &mut Cursor<'_>) {
        while let Some(octet) = cursor.peek() {
            match octet {
                b'"' => {
                    cursor.next();
                    self.quoted(&cursor.quoted());
                }
                b'(' => {
                    cursor.next();
                    self.note(cursor.comment());
                }
                b'[' => self.word(literal(cursor)),
                b'@' => {
                    cursor.next();
                    self.at();
                }
                _ if is_space(octet) => {
                    cursor.run(is_space);
                    self.spaced = true;
                }
                _ if is_word(octet) => self.word(cursor.run(is_word)),
                _ => return,
            }
        }
    }

    /// Skips to the next `,` or `;`, keeping comments, and takes the comma.
    fn read_to_separator(&mut self, cursor: &mut Cursor<'_>) {
        loop {
            self.read(cursor);
            match cursor.peek() {
                None | Some(b';') => return,
                Some(b',') => {
                    cursor.next();
                    return;
                }
                Some(_) => drop(cursor.next()),
            }
        }
    }

    fn word(&mut self, word: &[u8]) {
        self.space_before(word.starts_with(b"."));
        self.words.extend_from_slice(word);
        self.address.extend_from_slice(word);
    }

    fn octet(&mut self, octet: u8) {
        self.word(&[octet]);
    }

    fn quoted(&mut self, text: &[u8]) {
        self.space_before(false);
        self.words.extend_from_slice(text);
        self.address.extend_from_slice(text);
    }

    fn at(&mut self) {
        self.spaced = false;
        self.at = Some(self.address.len());
        self.words.push(b'@');
        self.address.push(b'@');
    }

    fn note(&mut self, comment: Vec<u8>) {
        self.spaced = true;
        if !comment.is_empty() {
            self.comment = Some(comment);
        }
    }

    /// RFC 5322 §4.4 obs-local-part, obs-domain: white space may stand round the dots and the at
    /// of an address; in a display name it counts.
    fn space_before(&mut self, dot: bool) {
        if !std::mem::take(&mut self.spaced) {
            return;
        }
        let joins = |text: &[u8]| matches!(text.last(), None | Some(b'@'));
        if !joins(&self.words) {
            self.words.push(b' ');
        }
        if !joins(&self.address) && !dot && !self.address.ends_with(b".") {
            self.address.push(b' ');
        }
    }

    /// Local part and domain; without an at, all is local part.
    fn split(self) -> (Vec<u8>, Vec<u8>) {
        let at = self.at.unwrap_or(self.address.len());
        let (local, domain) = self.address.split_at_checked(at).unwrap_or_default();
        let domain = domain.strip_prefix(b"@").unwrap_or(domain);
        (local.to_vec(), domain.to_vec())
    }

    /// An entry without angles: `local@domain (name)`, or words alone.
    fn into_mailbox(mut self) -> Option<Mailbox> {
        // RFC 5322 §3.2.2: a comment names the address that it stands at, and is none itself.
        if self.address.is_empty() {
            return None;
        }
        let name = self.comment.take();
        // Words without an at are a name that lost its address, one word a local part.
        if self.at.is_none() && self.words.contains(&b' ') {
            let name = Some(self.words);
            return Some(Mailbox {
                name,
                ..Mailbox::default()
            });
        }
        let (local, domain) = self.split();
        Some(Mailbox {
            name,
            route: None,
            local,
            domain,
        })
    }
}

/// `"@" domain *("," "@" domain) ":"` (RFC 5322 §4.4 obs-route). Without its colon it is none, and
/// nothing was taken.
fn route(cursor: &mut Cursor<'_>) -> Option<Vec<u8>> {
    let mut ahead = cursor.clone();
    let text = ahead.run(|o| !matches!(o, b':' | b'>' | b'<' | b'"' | b'('));
    if !ahead.take(b':') {
        return None;
    }
    *cursor = ahead;
    Some(text.iter().copied().filter(|o| !is_space(*o)).collect())
}

/// `"[" … "]"` with its brackets.
fn literal<'a>(cursor: &mut Cursor<'a>) -> &'a [u8] {
    let rest = cursor.rest();
    let closed = rest
        .iter()
        .position(|o| matches!(o, b']' | b',' | b'>' | b'\n'));
    let octets = closed.map_or(rest.len(), |at| {
        at + usize::from(rest.get(at) == Some(&b']'))
    });
    cursor.advance(octets.max(1))
}

/// Octets of words: all but specials and white space; a dot may stand in a display name
/// (RFC 5322 §4.1 obs-phrase).
fn is_word(octet: u8) -> bool {
    !is_space(octet) && !b"()<>@,;:\"[".contains(&octet)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `name|route|local|domain` for a mailbox, `name:` and `;` for a group.
    fn show(text: &str) -> Vec<String> {
        let lossy = |v: &[u8]| String::from_utf8_lossy(v).into_owned();
        let option = |v: &Option<Vec<u8>>| v.as_deref().map_or("-".into(), lossy);
        let show = |entry: &Entry| match entry {
            Entry::GroupStart(name) => lossy(name) + ":",
            Entry::GroupEnd => ";".into(),
            Entry::Mailbox(m) => {
                let ends = [
                    option(&m.name),
                    option(&m.route),
                    lossy(&m.local),
                    lossy(&m.domain),
                ];
                ends.join("|")
            }
        };
        parse(text.as_bytes()).iter().map(show).collect()
    }

    #[test]
    fn the_examples_of_rfc_5322_appendix_a() {
        for (text, expected) in [
            (
                "John Doe <jdoe@machine.example>",
                &["John Doe|-|jdoe|machine.example"][..],
            ),
            (
                "\"Joe Q. Public\" <john.q.public@example.com>",
                &["Joe Q. Public|-|john.q.public|example.com"],
            ),
            (
                "Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
                &[
                    "Mary Smith|-|mary|x.test",
                    "-|-|jdoe|example.org",
                    "Who?|-|one|y.test",
                ],
            ),
            (
                "<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>",
                &[
                    "-|-|boss|nil.test",
                    "Giant; \"Big\" Box|-|sysservices|example.net",
                ],
            ),
            (
                "A Group:Ed Jones <joe@where.test>,joe@where.test,John <jdoe@one.test>;",
                &[
                    "A Group:",
                    "Ed Jones|-|joe|where.test",
                    "-|-|joe|where.test",
                    "John|-|jdoe|one.test",
                    ";",
                ],
            ),
            (
                "Undisclosed recipients:;",
                &["Undisclosed recipients:", ";"],
            ),
            (
                "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
                &["Pete|-|pete|silly.test"],
            ),
            (
                "A Group(Some people)\r\n :Chris Jones <c@(Chris's host.)public.example>,\r\n \
                 joe@example.org,\r\n John <jdoe@one.test> (my dear friend); (the end)",
                &[
                    "A Group:",
                    "Chris Jones|-|c|public.example",
                    "-|-|joe|example.org",
                    "John|-|jdoe|one.test",
                    ";",
                ],
            ),
            (
                "Joe Q. Public <john.q.public@example.com>",
                &["Joe Q. Public|-|john.q.public|example.com"],
            ),
            (
                "Mary Smith <@machine.tld:mary@example.net>, , jdoe@test   . example",
                &[
                    "Mary Smith|@machine.tld|mary|example.net",
                    "-|-|jdoe|test.example",
                ],
            ),
        ] {
            assert_eq!(show(text), expected, "{text}");
        }
    }

    #[test]
    fn what_mailers_really_send() {
        for (text, expected) in [
            (
                "bbb@ddd.com (John X. Doe)",
                &["John X. Doe|-|bbb|ddd.com"][..],
            ),
            ("XX", &["-|-|XX|"]),
            ("undisclosed recipients", &["undisclosed recipients|-||"]),
            ("(mailbox in US-ASCII)", &[]),
            ("MAILER DAEMON <>", &["MAILER DAEMON|-||"]),
            ("<>", &[]),
            ("\"john doe\"@x.org", &["-|-|john doe|x.org"]),
            ("\"a. b\"@x.org", &["-|-|a. b|x.org"]),
            ("a@[192.0.2.1]", &["-|-|a|[192.0.2.1]"]),
            ("a@b <c@d>", &["a@b|-|c|d"]),
            ("a <b@c", &["a|-|b|c"]),
            ("\"never closed <a@b>", &["never closed <a@b>|-||"]),
            ("=?utf-8?q?J=C3=B8?= <j@x>", &["=?utf-8?q?J=C3=B8?=|-|j|x"]),
            ("<@a,@b:c@d>, <@x>", &["-|@a,@b|c|d", "-|-||x"]),
            ("a@b; c@d", &["-|-|a|b", "-|-|c|d"]),
            ("", &[]),
        ] {
            assert_eq!(show(text), expected, "{text}");
        }
    }

    #[test]
    fn lists_are_cut_at_their_maximum() {
        let text = "a@b,".repeat(ADDRESSES_MAX * 2);
        assert_eq!(parse(text.as_bytes()).len(), ADDRESSES_MAX);
    }
}
