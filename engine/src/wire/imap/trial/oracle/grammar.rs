//! Commands of RFC 3501 and of the extensions that the other codec knows, made at random from the
//! formal syntax (RFC 3501 §9).

use super::Random;

pub(super) struct Grammar(pub Random);

impl Grammar {
    /// One command with its CRLF.
    pub(super) fn command(&mut self) -> Vec<u8> {
        let tag = self.0.pick(&["a", "A001", "x.1", "]", "9-"]);
        let body = match self.0.below(14) {
            0 => self.bare(),
            1 => self.login(),
            2 => self.mailbox_command(),
            3 => self.list(),
            4 => self.status(),
            5 => self.append(),
            6 | 7 => self.search(),
            8 | 9 => self.fetch(),
            10 => self.store(),
            11 => self.copy(),
            12 => format!("UID EXPUNGE {}", self.set()),
            _ => self.session(),
        };
        format!("{tag} {body}\r\n").into_bytes()
    }

    /// One octet changed, put in or taken out; never a line end.
    pub(super) fn spoil(&mut self, stream: &mut Vec<u8>) {
        let at = self.0.below(stream.len() - 2);
        let octet = self.0.pick(b" ()[]{}<>\"\\*%$+-.,:;~0129aZ\0\x7f\x80\t");
        if matches!(stream[at], b'\r' | b'\n') {
            return;
        }
        match self.0.below(3) {
            0 => stream[at] = octet,
            1 => stream.insert(at, octet),
            _ => drop(stream.remove(at)),
        }
    }

    fn bare(&mut self) -> String {
        let word = self.0.pick(&[
            "CAPABILITY",
            "NOOP",
            "LOGOUT",
            "CHECK",
            "CLOSE",
            "EXPUNGE",
            "UNSELECT",
            "IDLE",
        ]);
        self.any_case(word)
    }

    fn login(&mut self) -> String {
        format!("LOGIN {} {}", self.astring(), self.astring())
    }

    fn session(&mut self) -> String {
        let word = self.0.pick(&[
            "ENABLE X-FOO BAR",
            "ENABLE IMAP4rev2",
            "AUTHENTICATE PLAIN",
            "AUTHENTICATE PLAIN dGVzdAB0ZXN0AHRlc3Q=",
            "AUTHENTICATE LOGIN =",
            "AUTHENTICATE SCRAM-SHA-256 YQ==",
        ]);
        word.to_owned()
    }

    fn mailbox_command(&mut self) -> String {
        let word = self.0.pick(&[
            "SELECT",
            "EXAMINE",
            "CREATE",
            "DELETE",
            "SUBSCRIBE",
            "UNSUBSCRIBE",
        ]);
        if self.0.below(5) == 0 {
            return format!("RENAME {} {}", self.mailbox(), self.mailbox());
        }
        format!("{} {}", self.any_case(word), self.mailbox())
    }

    fn list(&mut self) -> String {
        let word = self.0.pick(&["LIST", "LSUB"]);
        let pattern = self.0.pick(&[
            "*",
            "%",
            "INBOX",
            "a/%",
            "\"*\"",
            "\"\"",
            "{2}\r\n*x",
            "a%b]",
        ]);
        format!("{word} {} {pattern}", self.mailbox())
    }

    fn status(&mut self) -> String {
        let items = self.several(" ", |g| {
            g.0.pick(&["MESSAGES", "RECENT", "UIDNEXT", "uidvalidity", "UNSEEN"])
                .to_owned()
        });
        format!("STATUS {} ({items})", self.mailbox())
    }

    fn append(&mut self) -> String {
        let mut text = format!("APPEND {}", self.mailbox());
        if self.0.below(2) == 0 {
            text += &format!(" ({})", self.several(" ", Grammar::flag));
        }
        if self.0.below(2) == 0 {
            text += &format!(" {}", self.date_time());
        }
        let marker = self.0.pick(&["{4}", "{4+}", "~{4}"]);
        text + &format!(" {marker}\r\na\r\nb")
    }

    fn search(&mut self) -> String {
        let uid = self.0.pick(&["", "UID "]);
        let charset = self.0.pick(&["", "", "CHARSET UTF-8 ", "CHARSET \"x\" "]);
        format!(
            "{uid}SEARCH {charset}{}",
            self.several(" ", |g| g.search_key(3))
        )
    }

    fn search_key(&mut self, depth: usize) -> String {
        let simple = [
            "ALL",
            "ANSWERED",
            "DELETED",
            "FLAGGED",
            "NEW",
            "OLD",
            "RECENT",
            "SEEN",
            "UNANSWERED",
            "UNDELETED",
            "UNFLAGGED",
            "UNSEEN",
            "DRAFT",
            "UNDRAFT",
            "unseen",
        ];
        let with_text = ["BCC", "BODY", "CC", "FROM", "SUBJECT", "TEXT", "TO"];
        let with_date = ["BEFORE", "ON", "SINCE", "SENTBEFORE", "SENTON", "SENTSINCE"];
        match self.0.below(if depth == 0 { 7 } else { 10 }) {
            0 | 1 => self.0.pick(&simple).to_owned(),
            2 => format!("{} {}", self.0.pick(&with_text), self.astring()),
            3 => format!("{} {}", self.0.pick(&with_date), self.date()),
            4 => format!("HEADER {} {}", self.astring(), self.astring()),
            5 => self.set(),
            6 => {
                let argument = self.0.pick(&[
                    "LARGER 0",
                    "SMALLER 4294967295",
                    "KEYWORD x",
                    "UNKEYWORD $a",
                ]);
                argument.to_owned()
            }
            7 => format!("NOT {}", self.search_key(depth - 1)),
            8 => format!("OR {} UID {}", self.search_key(depth - 1), self.set()),
            _ => format!("({})", self.several(" ", |g| g.search_key(depth - 1))),
        }
    }

    fn fetch(&mut self) -> String {
        let uid = self.0.pick(&["", "UID "]);
        let items = match self.0.below(4) {
            0 => self.0.pick(&["ALL", "FAST", "full"]).to_owned(),
            1 => self.fetch_item(),
            _ => format!("({})", self.several(" ", Grammar::fetch_item)),
        };
        format!("{uid}FETCH {} {items}", self.set())
    }

    fn fetch_item(&mut self) -> String {
        let simple = [
            "ENVELOPE",
            "FLAGS",
            "INTERNALDATE",
            "RFC822",
            "RFC822.HEADER",
            "RFC822.SIZE",
            "RFC822.TEXT",
            "BODY",
            "BODYSTRUCTURE",
            "UID",
            "BINARY[1.2]",
            "BINARY.PEEK[]<1.5>",
            "BINARY.SIZE[3]",
        ];
        if self.0.below(2) == 0 {
            return self.0.pick(&simple).to_owned();
        }
        let word = self.0.pick(&["BODY", "BODY.PEEK", "body"]);
        let partial = self.0.pick(&["", "", "<0.1>", "<4294967295.4294967295>"]);
        format!("{word}[{}]{partial}", self.section())
    }

    fn section(&mut self) -> String {
        let part = self.0.pick(&["", "1", "1.2.3", "4294967295"]);
        let text = match self.0.below(6) {
            0 => String::new(),
            1 => "HEADER".to_owned(),
            2 => "TEXT".to_owned(),
            3 => format!("HEADER.FIELDS ({})", self.several(" ", Grammar::astring)),
            4 => format!(
                "HEADER.FIELDS.NOT ({})",
                self.several(" ", Grammar::astring)
            ),
            _ if part.is_empty() => String::new(),
            _ => "MIME".to_owned(),
        };
        let dot = if part.is_empty() || text.is_empty() {
            ""
        } else {
            "."
        };
        format!("{part}{dot}{text}")
    }

    fn store(&mut self) -> String {
        let uid = self.0.pick(&["", "UID "]);
        let item = self
            .0
            .pick(&["FLAGS", "+FLAGS", "-FLAGS.SILENT", "flags.silent"]);
        let flags = self.several(" ", Grammar::flag);
        let flags = self
            .0
            .pick(&[flags.as_str(), &format!("({flags})")])
            .to_owned();
        format!("{uid}STORE {} {item} {flags}", self.set())
    }

    fn copy(&mut self) -> String {
        let word = self.0.pick(&["COPY", "MOVE", "UID COPY", "UID MOVE"]);
        format!("{word} {} {}", self.set(), self.mailbox())
    }

    fn flag(&mut self) -> String {
        let flags = [
            "\\Answered",
            "\\Flagged",
            "\\deleted",
            "\\Seen",
            "\\Draft",
            "$Forwarded",
            "work",
            "x[",
        ];
        self.0.pick(&flags).to_owned()
    }

    fn set(&mut self) -> String {
        self.several(",", |g| {
            let first = g.0.pick(&["1", "7", "4294967295", "*", "300"]);
            match g.0.below(2) {
                0 => first.to_owned(),
                _ => format!("{first}:{}", g.0.pick(&["1", "9", "*", "4294967294"])),
            }
        })
    }

    fn mailbox(&mut self) -> String {
        let names = [
            "INBOX",
            "inbox",
            "\"Inbox\"",
            "a/b",
            "\"a b\"",
            "{3}\r\na\"b",
            "{5+}\r\nInboX",
            "R&-D",
            "&U,BTFw-",
            "]",
            "#x",
            "\"\"",
            "~/Mail",
            "\"..\\\\\"",
        ];
        self.0.pick(&names).to_owned()
    }

    fn astring(&mut self) -> String {
        let strings = [
            "x",
            "a]b",
            "NIL",
            "\"\"",
            "\"a b\"",
            "\"\\\"\\\\\"",
            "{0}\r\n",
            "{4}\r\na\r\nb",
            "{3+}\r\n{2}",
            "{2}\r\n\u{e9}",
            "\"{3}\"",
            "\"(\"",
        ];
        self.0.pick(&strings).to_owned()
    }

    fn date(&mut self) -> String {
        let dates = [
            "1-Jan-1970",
            "01-feb-1994",
            "29-Feb-2000",
            "\"31-Dec-9999\"",
            "\"1-Mar-0000\"",
        ];
        self.0.pick(&dates).to_owned()
    }

    fn date_time(&mut self) -> String {
        let dates = [
            "\"17-Jul-1996 02:44:25 -0700\"",
            "\" 1-jan-1970 00:00:00 +0000\"",
            "\"29-Feb-2000 23:59:59 +1345\"",
        ];
        self.0.pick(&dates).to_owned()
    }

    /// One to three, joined.
    fn several(&mut self, by: &str, mut one: impl FnMut(&mut Grammar) -> String) -> String {
        let count = 1 + self.0.below(3);
        let items: Vec<String> = (0..count).map(|_| one(self)).collect();
        items.join(by)
    }

    fn any_case(&mut self, word: &str) -> String {
        match self.0.below(2) {
            0 => word.to_owned(),
            _ => word.to_ascii_lowercase(),
        }
    }
}
