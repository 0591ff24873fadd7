//! Messages for both servers: those of other projects, and grown ones from a seed.
//!
//! All lines end with CRLF and hold no NUL and no bare CR: what Dovecot would change as it stores
//! a message is no difference of IMAP.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tests::corpus::{Sample, samples};
use tests::seed::Seed;

/// What both servers store, in this order.
pub(super) fn messages(count: u64) -> Vec<Sample> {
    let mut all = odd();
    all.extend((0..count).map(|number| Sample {
        name: format!("grown {number}"),
        octets: grown(number),
    }));
    all
}

/// Those that were not grown.
pub(super) fn odd() -> Vec<Sample> {
    let mut odd = samples();
    odd.retain(|sample| !sample.is_binary() && !sample.octets.is_empty());
    odd
}

/// The flags and the date of APPEND for message `number`.
pub(super) fn envelope(number: u64) -> String {
    let mut seed = Seed::new(number ^ 0xf1a6);
    let flags = [
        "",
        "\\Seen",
        "\\Flagged $Work",
        "\\Draft \\Answered",
        "\\Seen kw",
    ];
    let day = 1 + number % 28;
    let month = MONTHS[(number / 28 % 12) as usize];
    let (hour, minute) = (seed.below(24), seed.below(60));
    format!(
        "({}) \"{day:2}-{month}-2021 {hour:02}:{minute:02}:07 +0000\"",
        seed.pick(&flags)
    )
}

/// A message of parts, charsets and addresses of all kinds.
pub(super) fn grown(number: u64) -> Vec<u8> {
    let mut grower = Grower {
        seed: Seed::new(number ^ 0x3a11),
        out: Vec::new(),
        boundaries: 0,
    };
    grower.header(number);
    grower.entity(0);
    grower.out
}

struct Grower {
    seed: Seed,
    out: Vec<u8>,
    boundaries: u32,
}

impl Grower {
    fn chance(&mut self, of: u64) -> bool {
        self.seed.below(of) == 0
    }

    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn field(&mut self, name: &str, values: &[&str]) {
        let value = *self.seed.pick(values);
        self.text(&format!("{name}: {value}\r\n"));
    }

    fn header(&mut self, number: u64) {
        self.field("Date", DATES);
        for name in ["From", "To"] {
            if !self.chance(12) {
                self.field(name, ADDRESSES);
            }
        }
        for name in ["Cc", "Bcc", "Sender", "Reply-To"] {
            if self.chance(4) {
                self.field(name, ADDRESSES);
            }
        }
        if !self.chance(10) {
            self.field("Subject", SUBJECTS);
        }
        self.threading(number);
        if self.chance(3) {
            self.field("X-Odd", UNSTRUCTURED);
        }
        if self.chance(25) {
            let many: String = (0..900)
                .map(|n| format!("X-Many-{n}: value {n}\r\n"))
                .collect();
            self.text(&many);
        }
        if self.chance(25) {
            let long = format!("X-Long: {}\r\n", "long words ".repeat(1_500));
            self.text(&long);
        }
        if !self.chance(6) {
            self.field(
                "MIME-Version",
                &["1.0", "1.0", "1.0 (a comment)", "(x) 1.0"],
            );
        }
    }

    fn threading(&mut self, number: u64) {
        if !self.chance(10) {
            self.text(&format!("Message-ID: <m{number}@ids.test>\r\n"));
        }
        let earlier = |seed: &mut Seed| format!("<m{}@ids.test>", seed.below(number.max(1)));
        if self.chance(3) {
            let ids: Vec<String> = (0..1 + self.seed.below(4))
                .map(|_| earlier(&mut self.seed))
                .collect();
            let glue = *self.seed.pick(&[" ", "\r\n\t", " (comment) ", ""]);
            self.text(&format!("References: {}\r\n", ids.join(glue)));
        }
        if self.chance(4) {
            let id = earlier(&mut self.seed);
            let value = match self.seed.below(4) {
                0 => format!("Your message of Monday {id}"),
                1 => format!("{id} (somebody)"),
                _ => id,
            };
            self.text(&format!("In-Reply-To: {value}\r\n"));
        }
    }

    /// The rest of a header, the empty line, and a body.
    fn entity(&mut self, depth: u32) {
        let kinds = match depth {
            0 => 10,
            1..4 => 9,
            _ => 5,
        };
        match self.seed.below(kinds) {
            0 => self.bare(),
            1..5 => self.leaf(),
            5..9 => self.multipart(depth),
            _ => self.nested(depth),
        }
    }

    fn bare(&mut self) {
        self.text("\r\n");
        let body = *self
            .seed
            .pick(&["just text\r\n", "", "\r\n", "two\r\n\r\nlines\r\n"]);
        self.text(body);
    }

    fn leaf(&mut self) {
        let (charset, octets) = *self.seed.pick(TEXTS);
        let mut octets = octets.repeat(1 + self.seed.below(5) as usize);
        octets.extend_from_slice(b"\r\n");
        match self.seed.below(5) {
            0 => self.field("Content-Type", TYPES),
            1 => self.text("Content-Type: text/plain\r\n"),
            _ => self.text(&format!("Content-Type: text/plain; charset={charset}\r\n")),
        }
        self.disposition();
        match self.seed.below(5) {
            0 => {
                self.field("Content-Transfer-Encoding", &["base64", "BASE64"]);
                octets = wrapped(&STANDARD.encode(&octets)).into_bytes();
            }
            1 | 2 => {
                self.field("Content-Transfer-Encoding", &["quoted-printable"]);
                octets = quoted_printable(&octets).into_bytes();
            }
            3 => self.field("Content-Transfer-Encoding", &["8bit", "7bit", "binary"]),
            _ => {}
        }
        self.text("\r\n");
        self.out.extend_from_slice(&octets);
    }

    fn disposition(&mut self) {
        if self.chance(3) {
            self.field("Content-Disposition", DISPOSITIONS);
        }
        if self.chance(5) {
            self.field("Content-ID", &["<part@ids.test>", "<a b>", "(c) <x@y>"]);
        }
        if self.chance(5) {
            self.field("Content-Description", SUBJECTS);
        }
        if self.chance(6) {
            self.field(
                "Content-Language",
                &["en", "en, de", "de (German) ,  fr", "\"en\""],
            );
        }
        if self.chance(8) {
            self.field("Content-Location", &["http://a.test/b", "http://a.test/c"]);
        }
        if self.chance(8) {
            self.field("Content-MD5", &["Q2hlY2sgSW50ZWdyaXR5IQ=="]);
        }
    }

    fn multipart(&mut self, depth: u32) {
        self.boundaries += 1;
        let boundary = format!("b{}", self.boundaries);
        let subtype = *self
            .seed
            .pick(&["mixed", "alternative", "related", "X-Own"]);
        let quote = *self.seed.pick(&["", "\""]);
        let extra = *self
            .seed
            .pick(&["", "", "; type=\"text/html\"", "; charset=utf-8"]);
        self.text(&format!(
            "Content-Type: multipart/{subtype}; boundary={quote}{boundary}{quote}{extra}\r\n"
        ));
        self.disposition();
        self.text("\r\n");
        if self.chance(3) {
            self.text("a preamble\r\n");
        }
        for _ in 0..1 + self.seed.below(3) {
            self.text(&format!("--{boundary}\r\n"));
            self.entity(depth + 1);
            if !self.out.ends_with(b"\r\n") || self.chance(2) {
                self.text("\r\n");
            }
        }
        let end = *self
            .seed
            .pick(&["\r\n", "\r\n", "", "  \r\n", "\r\nan epilogue\r\n"]);
        self.text(&format!("--{boundary}--{end}"));
    }

    fn nested(&mut self, depth: u32) {
        self.text("Content-Type: message/rfc822\r\n");
        self.disposition();
        self.text("\r\n");
        let number = self.seed.below(1_000);
        self.header(number);
        self.entity(depth + 1);
    }
}

fn wrapped(text: &str) -> String {
    let lines = text
        .as_bytes()
        .chunks(60)
        .map(|line| String::from_utf8_lossy(line));
    lines.map(|line| format!("{line}\r\n")).collect()
}

fn quoted_printable(octets: &[u8]) -> String {
    let one = |octet: &u8| match octet {
        b'=' | 0x7f.. => format!("={octet:02X}"),
        _ => char::from(*octet).to_string(),
    };
    octets
        .iter()
        .map(one)
        .collect::<String>()
        .replace("needle", "nee=\r\ndle")
}

const MONTHS: &[&str] = &[
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

const DATES: &[&str] = &[
    "Mon, 7 Feb 1994 21:52:25 -0800",
    "Tue, 01 Jun 2021 00:30:00 +0200",
    "1 Jun 2021 23:59:59 -1100",
    "Wed, 2 Jun 2021 12:00:00 +0000",
    "Thu, 3 Jun 2021 08:00:00 GMT",
    "4 Jun 2021 08:00:00 -0500",
    "Sat,  5 Jun 2021 08:00:00 +0000",
    "Sun, 31 Dec 2023 23:30:00 -0500",
    "Fri, 29 Feb 2008 10:11:12 +0530",
];

const ADDRESSES: &[&str] = &[
    "Terry Gray <gray@cac.test>",
    "minutes@cnri.test, \"John Klensin\" <klensin@mit.test>",
    "\"A. \\\"quoted\\\" name\" <a.quoted@remote.test>",
    "=?utf-8?Q?J=C3=BCrgen_M=C3=BCller?= <jm@remote.test>",
    "=?ISO-8859-1?Q?Andr=E9?= Pirard <pirard@ulg.test>",
    "A Group: ed@one.test, joe@two.test, John <jdoe@three.test>;",
    "undisclosed-recipients:;",
    "plain@remote.test (Plain Person)",
    "Mary Smith <mary@x.test>, jdoe@example.test, Who? <one@y.test>",
    "<bare@remote.test>",
    "\"with@at\"@remote.test",
    "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
    "folded\r\n name <folded@remote.test>,\r\n\tother@remote.test",
    "zed@example.test",
    "Alice Example <alice@EXAMPLE.test>",
];

const SUBJECTS: &[&str] = &[
    "needle in a haystack",
    "Re: needle in a haystack",
    "RE[2]: Fwd: needle in a haystack (fwd)",
    "[list] Re: [list] needle in a haystack",
    "=?utf-8?Q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?=",
    "Re: =?utf-8?B?R3LDvMOfZSBhdXMgS8O2bG4=?=",
    "=?KOI8-R?B?8NLJ18XU?= mixed =?ISO-8859-1?Q?Andr=E9?=",
    "=?utf-8?Q?split_?=\r\n =?utf-8?Q?words?=",
    "a \"quoted\" and a back\\slash",
    "folded\r\n over\r\n\tthree lines",
    "",
    "spaces inside",
    "Zebra",
    "apple",
    "Apple",
    "1 number first",
];

const UNSTRUCTURED: &[&str] = &[
    "plain value",
    "",
    "needle",
    "=?utf-8?Q?enc=C3=B6ded?=",
    "very\r\n folded\r\n value",
];

/// A charset and what words are in it.
const TEXTS: &[(&str, &[u8])] = &[
    ("us-ascii", b"plain needle text, nothing else\r\n"),
    ("utf-8", "Grüße aus Köln, привет, 東京\r\n".as_bytes()),
    ("\"UTF-8\"", "a long needle of ß and İ\r\n".as_bytes()),
    ("iso-8859-1", b"Gr\xfc\xdfe aus K\xf6ln\r\n"),
    ("windows-1252", b"\x93quoted\x94 needle \x80 5\r\n"),
    ("koi8-r", b"\xd0\xd2\xc9\xd7\xc5\xd4 needle\r\n"),
    ("iso-2022-jp", b"\x1b$BEl5~\x1b(B needle\r\n"),
    ("shift_jis", b"\x93\x8c\x8b\x9e needle\r\n"),
    ("x-unknown", b"needle in an unknown charset\r\n"),
];

const TYPES: &[&str] = &[
    "text/html; charset=utf-8",
    "TEXT/PLAIN; CHARSET=us-ascii; format=flowed",
    "application/octet-stream; name=\"file.bin\"",
    "application/pdf; name*=utf-8''Gr%C3%BC%C3%9Fe.pdf",
    "application/x-long; name*0=\"one \"; name*1=\"two\"",
    "image/png; name=\"=?utf-8?Q?K=C3=B6ln.png?=\"",
    "text/plain; charset=us-ascii (a comment)",
    "text/plain;",
    "text/x-odd; a=b; c=\"d;e\"",
];

const DISPOSITIONS: &[&str] = &[
    "attachment",
    "inline; filename=\"a b.txt\"",
    "attachment; filename=plain.txt; size=20",
    "attachment; filename*=utf-8''%e2%82%ac%20rates",
    "ATTACHMENT; FILENAME=\"UPPER.TXT\"",
    "attachment; filename*0=\"long\"; filename*1=\"name.txt\"",
];
