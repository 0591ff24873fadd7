//! Any search against one that is told what the messages say before they were encoded.

use super::*;
use encoding_rs::{Encoding, ISO_2022_JP, KOI8_R, UTF_8, WINDOWS_1252};
use proptest::prelude::*;

const WORDS: [&str; 12] = [
    "alpha",
    "Beta",
    "GAMMA",
    "straße",
    "Größe",
    "привет",
    "Мир",
    "東京",
    "a b",
    "x",
    "éa",
    "ß",
];

/// A field or a body as it means, and the charset it is sent in.
#[derive(Clone, Debug)]
struct Text {
    words: Vec<&'static str>,
    base64: bool,
}

impl Text {
    fn plain(&self) -> String {
        self.words.join(" ")
    }

    fn charset(&self) -> &'static Encoding {
        let plain = self.plain();
        let charsets = [WINDOWS_1252, KOI8_R, ISO_2022_JP];
        let fits = |charset: &&&'static Encoding| !charset.encode(&plain).2;
        charsets.iter().find(fits).copied().unwrap_or(UTF_8)
    }

    fn encoded(&self) -> Vec<u8> {
        self.charset().encode(&self.plain()).0.into_owned()
    }

    fn in_header(&self) -> String {
        if self.plain().is_ascii() {
            return self.plain();
        }
        let (charset, octets) = (self.charset().name(), self.encoded());
        match self.base64 {
            true => format!("=?{charset}?B?{}?=", base64(&octets)),
            false => format!("=?{charset}?Q?{}?=", quoted(&octets)),
        }
    }

    fn part(&self) -> Vec<u8> {
        let charset = self.charset().name();
        let (name, body) = match self.base64 {
            true => ("base64", base64(&self.encoded())),
            false => (
                "quoted-printable",
                quoted(&self.encoded()).replace('_', " "),
            ),
        };
        format!(
            "Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: {name}\r\n\
             \r\n{body}\r\n"
        )
        .into_bytes()
    }
}

fn base64(octets: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(octets)
}

fn quoted(octets: &[u8]) -> String {
    let code = |octet: &u8| match octet {
        b' ' => "_".to_owned(),
        b'a'..=b'z' | b'A'..=b'Z' => char::from(*octet).to_string(),
        _ => format!("={octet:02X}"),
    };
    octets.iter().map(code).collect()
}

#[derive(Clone, Debug)]
struct Mail {
    subject: Text,
    parts: Vec<Text>,
    seen: bool,
}

impl Mail {
    fn octets(&self) -> Vec<u8> {
        let mut octets = format!(
            "Subject: {}\r\nContent-Type: multipart/mixed; boundary=qqq\r\n\r\n",
            self.subject.in_header()
        )
        .into_bytes();
        for part in &self.parts {
            octets.extend_from_slice(b"--qqq\r\n");
            octets.extend(part.part());
        }
        octets.extend_from_slice(b"--qqq--\r\n");
        octets
    }
}

#[derive(Clone, Debug)]
enum Key {
    Subject(&'static str),
    Body(&'static str),
    Text(&'static str),
    Seen,
    Not(Box<Key>),
    Or(Box<Key>, Box<Key>),
    And(Box<Key>, Box<Key>),
}

impl Key {
    fn write(&self) -> String {
        let text = |name: &str, text: &str| format!("{name} {{{}+}}\r\n{text}", text.len());
        match self {
            Key::Subject(word) => text("SUBJECT", word),
            Key::Body(word) => text("BODY", word),
            Key::Text(word) => text("TEXT", word),
            Key::Seen => "SEEN".to_owned(),
            Key::Not(key) => format!("NOT {}", key.write()),
            Key::Or(one, other) => format!("OR {} {}", one.write(), other.write()),
            Key::And(one, other) => format!("({} {})", one.write(), other.write()),
        }
    }

    fn holds(&self, mail: &Mail) -> bool {
        let has = |text: &Text, word: &str| upper(&text.plain()).contains(&upper(word));
        match self {
            Key::Subject(word) => has(&mail.subject, word),
            Key::Body(word) => mail.parts.iter().any(|part| has(part, word)),
            Key::Text(word) => {
                has(&mail.subject, word) || mail.parts.iter().any(|part| has(part, word))
            }
            Key::Seen => mail.seen,
            Key::Not(key) => !key.holds(mail),
            Key::Or(one, other) => one.holds(mail) || other.holds(mail),
            Key::And(one, other) => one.holds(mail) && other.holds(mail),
        }
    }
}

/// RFC 5051 keeps ß; decomposing makes no difference between words of this test.
fn upper(text: &str) -> String {
    let upper = |c: char| {
        if c == 'ß' {
            c
        } else {
            c.to_uppercase().next().unwrap()
        }
    };
    text.chars().map(upper).collect()
}

fn text() -> impl Strategy<Value = Text> {
    let words = prop::collection::vec(prop::sample::select(&WORDS[..]), 1..5);
    (words, any::<bool>()).prop_map(|(words, base64)| Text { words, base64 })
}

fn mail() -> impl Strategy<Value = Mail> {
    let parts = prop::collection::vec(text(), 1..3);
    (text(), parts, any::<bool>()).prop_map(|(subject, parts, seen)| Mail {
        subject,
        parts,
        seen,
    })
}

fn key() -> impl Strategy<Value = Key> {
    // Not what stands in the frame of every message.
    let word = || {
        prop::sample::select(vec![
            "ALPHA", "eta", "mm", "STRASSE", "straß", "ÖSSE", "größE", "ПРИВ", "мир", "東", "京東",
            "a b", "É", "ßé", "b x", "lpha b",
        ])
    };
    let leaf = prop_oneof![
        word().prop_map(Key::Subject),
        word().prop_map(Key::Body),
        word().prop_map(Key::Text),
        Just(Key::Seen),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        prop_oneof![
            boxed().prop_map(Key::Not),
            (boxed(), boxed()).prop_map(|(one, other)| Key::Or(one, other)),
            (boxed(), boxed()).prop_map(|(one, other)| Key::And(one, other)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_found_is_what_the_messages_say(
        mails in prop::collection::vec(mail(), 1..12),
        keys in prop::collection::vec(key(), 1..6),
        (lists, signs) in any::<(bool, bool)>(),
    ) {
        let store = Fake::new();
        for mail in &mails {
            store.deliver(ALICE, "INBOX", &mail.octets());
        }
        if lists {
            store.list();
        }
        if signs {
            store.sign();
        }
        let mut client = Client::selected(&store, ALICE);
        for (at, mail) in mails.iter().enumerate() {
            if mail.seen {
                client.say(&format!("s STORE {} +FLAGS.SILENT (\\Seen)", at + 1));
            }
        }
        for key in keys {
            let reply = client.say(&format!("a SEARCH {}", key.write()));
            let found = mails.iter().enumerate().filter(|(_, mail)| key.holds(mail));
            let found: String = found.map(|(at, _)| format!(" {}", at + 1)).collect();
            prop_assert!(
                reply.starts_with(&format!("* SEARCH{found}\r\n")),
                "{:?}: {reply} instead of {found} in {:?}", key, mails
            );
        }
    }
}
