//! Commands grown from a grammar of everything we understand, and what becomes of them in transit.
//!
//! For the fuzzers of sessions: most grown commands are right in form and reach what lies behind
//! the parser; [`damaged`] makes those that are wrong in a few places.

/// Where numbers below a limit come from.
pub type Chance<'a> = &'a mut dyn FnMut(usize) -> usize;

/// Who logs in with what.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    pub user: &'a str,
    pub password: &'a str,
}

/// A command without its tag and without its CRLF; literals in place, each behind the line that
/// announces it.
pub fn command(chance: Chance<'_>, login: Login<'_>) -> Vec<u8> {
    let mut grower = Grower {
        chance,
        login,
        out: Vec::new(),
    };
    grower.grow("command", 0);
    grower.out
}

/// What stands for SASL: a response that means something, nothing, or nonsense.
pub fn response(chance: Chance<'_>, login: Login<'_>) -> Vec<u8> {
    let mut grower = Grower {
        chance,
        login,
        out: Vec::new(),
    };
    grower.grow("response", 0);
    grower.out
}

/// The command with one to three changes: octets of it flipped, cut, doubled, or put in.
pub fn damaged(command: &[u8], chance: Chance<'_>) -> Vec<u8> {
    let mut out = command.to_vec();
    for _ in 0..1 + chance(3) {
        let at = chance(out.len() + 1);
        let length = chance(9).min(out.len() - at);
        match chance(5) {
            0 => drop(out.drain(at..at + length)),
            1 => {
                let piece = out.get(at..at + length).unwrap_or_default().repeat(2);
                out.splice(at..at, piece);
            }
            2 => {
                if let Some(octet) = out.get_mut(at) {
                    *octet ^= 1 << chance(8);
                }
            }
            3 => out.insert(at, u8::try_from(chance(256)).unwrap_or_default()),
            _ => {
                let chosen = chance(PIECES.split('|').count());
                let piece = PIECES.split('|').nth(chosen).unwrap_or_default();
                out.splice(at..at, piece.bytes());
            }
        }
    }
    out.truncate(OCTETS_MAX);
    out
}

/// A command is cut off here: the rules are recursive, and a fuzzer wants many more than long ones.
const OCTETS_MAX: usize = 8 << 10;

/// Rules inside each other; below, the first alternative of a rule ends it.
const DEPTH_MAX: u32 = 14;

struct Grower<'a> {
    chance: Chance<'a>,
    login: Login<'a>,
    out: Vec<u8>,
}

impl Grower<'_> {
    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Writes one alternative of a rule; `@name@` in it is another rule.
    fn grow(&mut self, rule: &str, depth: u32) {
        if self.out.len() >= OCTETS_MAX || self.terminal(rule) {
            return;
        }
        let alternatives = RULES.iter().find(|(name, _)| *name == rule);
        let (_, alternatives) = alternatives.expect("the test below knows every rule");
        let chosen = match depth < DEPTH_MAX {
            true => (self.chance)(alternatives.split('|').count()),
            false => 0,
        };
        let template = alternatives.split('|').nth(chosen).unwrap_or_default();
        for (at, piece) in template.split('@').enumerate() {
            match at % 2 {
                0 => self.text(piece),
                _ => self.grow(piece, depth + 1),
            }
        }
    }

    fn terminal(&mut self, rule: &str) -> bool {
        match rule {
            "user" => self.text(self.login.user),
            "password" => self.text(self.login.password),
            "plain" => {
                let Login { user, password } = self.login;
                let text = format!("\0{user}\0{password}");
                self.text(&base64(&text));
            }
            "literal" => self.literal(""),
            "literal8" => self.literal("~"),
            "message" => {
                let message = MESSAGES.get((self.chance)(MESSAGES.len()));
                self.announced("", message.copied().unwrap_or_default().as_bytes());
            }
            _ => return false,
        }
        true
    }

    fn literal(&mut self, kind: &str) {
        let count = (self.chance)(12);
        let octets: Vec<u8> = (0..count)
            .filter_map(|_| OCTETS.get((self.chance)(OCTETS.len())).copied())
            .collect();
        self.announced(kind, &octets);
    }

    fn announced(&mut self, kind: &str, octets: &[u8]) {
        let plus = if (self.chance)(3) == 0 { "" } else { "+" };
        self.text(&format!("{kind}{{{}{plus}}}\r\n", octets.len()));
        self.out.extend_from_slice(octets);
    }
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// What a literal is made of.
const OCTETS: [u8; 12] = *b"ab \r\n\"(){}\\\xc3";

const PIECES: &str = "\r\n|\n|\r|\0|\"|\\|(|)|((((|[|]|<|>|{|}|{0}|{3}|{3+}|{3+}\r\n\
    |{4294967295+}|{99999999999999999999}|~{1+}\r\n|*|%|,|:|$|&|&-|NIL|NOT |OR | |  |\t|\u{e9}\
    |4294967296|-1";

const MESSAGES: &[&str] = &[
    "",
    "Subject: x\r\n\r\ny\r\n",
    "From: a@b.test\r\nTo: c@d.test\r\nDate: Mon, 7 Feb 1994 21:52:25 -0800\r\n\
     Message-ID: <1@x>\r\nReferences: <0@x>\r\nSubject: Re: =?utf-8?Q?=C3=A4?=\r\n\r\nbody\r\n",
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: \
     message/rfc822\r\n\r\nSubject: inner\r\n\r\ntwo\r\n--b--\r\n",
    "Content-Type: text/plain; charset=koi8-r\r\nContent-Transfer-Encoding: base64\r\n\r\n\
     0NLJ18XU\r\n",
    "no header",
];

/// Each rule with its alternatives, which `|` parts; the first is short and has an end.
const RULES: &[(&str, &str)] = &[
    (
        "command",
        "NOOP|@selected@|@selected@|@selected@|@selected@|@names@|@names@|@append@|@connection@\
         |@opening@|@opening@|@shared@",
    ),
    (
        "connection",
        "NOOP|CAPABILITY|NAMESPACE|CHECK|ID NIL|ID (@pairs@)|ENABLE @enabled@|IDLE|IDLE|STARTTLS\
         |LOGIN @user@ @password@|LOGIN \"@user@\" \"@password@\"|LOGIN @astring@ @astring@\
         |AUTHENTICATE PLAIN @plain@|AUTHENTICATE PLAIN =|AUTHENTICATE PLAIN|AUTHENTICATE LOGIN\
         |AUTHENTICATE SCRAM-SHA-256|AUTHENTICATE SCRAM-SHA-256 biwsbj1hLHI9Yg==\
         |AUTHENTICATE OAUTHBEARER bixhPWEsAQE=|AUTHENTICATE @atom@ @atom@|COMPRESS DEFLATE\
         |COMPRESS @atom@|UNAUTHENTICATE|NOTIFY NONE|NOTIFY SET @groups@\
         |NOTIFY SET STATUS @groups@|LOGOUT",
    ),
    (
        "opening",
        "SELECT INBOX|SELECT INBOX|SELECT INBOX|SELECT @mailbox@|EXAMINE @mailbox@\
         |SELECT INBOX (CONDSTORE)|SELECT INBOX (QRESYNC (1 1))\
         |SELECT INBOX (QRESYNC (@number@ @number@ @uids@ (@uids@ @uids@)) CONDSTORE)\
         |LOGIN @user@ @password@|LOGIN @user@ @password@|LOGIN @user@ @password@\
         |AUTHENTICATE PLAIN @plain@",
    ),
    (
        "selected",
        "EXPUNGE|CLOSE|UNSELECT|@uid@FETCH @set@ @items@|@uid@FETCH @set@ @items@\
         |@uid@FETCH @set@ @items@|@uid@FETCH @set@ @items@ (@fetchmodifier@)\
         |@uid@STORE @set@ @sign@FLAGS@silent@ @flags@\
         |@uid@STORE @set@ (UNCHANGEDSINCE @number@) @sign@FLAGS@silent@ @flags@\
         |@uid@SEARCH @returns@@charset@@keys@|@uid@SEARCH @returns@@charset@@keys@\
         |@uid@SEARCH @keys@|@uid@SORT @returns@(@criteria@) UTF-8 @keys@\
         |@uid@THREAD @algorithm@ UTF-8 @keys@|@uid@COPY @set@ @mailbox@\
         |@uid@MOVE @set@ @mailbox@|UID EXPUNGE @uids@|UIDBATCHES @number@\
         |UIDBATCHES @number@ @number@:@number@|ESEARCH IN (@sources@) @returns@@keys@\
         |ESEARCH @keys@|CANCELUPDATE \"t1\"|@uid@REPLACE @number@ @mailbox@ @flags@ @message@",
    ),
    (
        "append",
        "APPEND INBOX @message@|APPEND @mailbox@ @flags@ @date@ @message@\
         |APPEND INBOX @message@ @flags@ @message@|APPEND INBOX @literal8@\
         |APPEND INBOX UTF8 (@literal8@)|APPEND INBOX CATENATE (@catenated@)\
         |APPEND @mailbox@ @flags@ CATENATE (@catenated@ @catenated@)|APPEND INBOX {99999999}\
         |APPEND INBOX {2000000+}|APPEND @astring@ @message@",
    ),
    (
        "catenated",
        "TEXT @literal@|URL \"/INBOX/;UID=1\"|URL @astring@|TEXT @message@\
         |URL \"/INBOX;UIDVALIDITY=1/;UID=1/;SECTION=HEADER\"|TEXT @literal8@",
    ),
    (
        "names",
        "CREATE @mailbox@|CREATE @mailbox@ (USE (@use@))|DELETE @mailbox@\
         |RENAME @mailbox@ @mailbox@|SUBSCRIBE @mailbox@|UNSUBSCRIBE @mailbox@\
         |LIST \"\" @pattern@|LIST @selectopts@ @astring@ (@pattern@ @pattern@)@returnopts@\
         |LIST @selectopts@ \"\" @pattern@@returnopts@|LSUB @astring@ @pattern@\
         |STATUS @mailbox@ (@statusitems@)|STATUS @mailbox@ (@statusitems@)",
    ),
    (
        "shared",
        "MYRIGHTS @mailbox@|GETACL @mailbox@|SETACL @mailbox@ @astring@ @rights@\
         |DELETEACL @mailbox@ @astring@|LISTRIGHTS @mailbox@ @astring@|GETQUOTA \"\"\
         |GETQUOTA @astring@|GETQUOTAROOT @mailbox@|SETQUOTA \"\" (STORAGE @number@)\
         |GETMETADATA @mailbox@ (@entries@)\
         |GETMETADATA (MAXSIZE @number@ DEPTH infinity) @mailbox@ @entry@\
         |SETMETADATA @mailbox@ (@entry@ @value@)|SETMETADATA \"\" (@entry@ NIL)",
    ),
    ("rights", "lrs|+lrswipkxtea|-a|\"\"|@atom@"),
    (
        "entry",
        "/private/comment|/shared/comment|/private/vendor/x/y|/shared/admin|@astring@",
    ),
    ("entries", "@entry@|@entry@ @entries@"),
    ("value", "NIL|@astring@|@literal8@|\"text\""),
    ("uid", "|UID "),
    ("sign", "|+|-"),
    ("silent", "|.SILENT"),
    (
        "set",
        "1|1:*|*|$|@number@|@number@:@number@|1:2,@set@|@uids@",
    ),
    ("uids", "1:5|@number@:*|@number@,@uids@"),
    (
        "number",
        "1|0|2|3|7|4294967295|18446744073709551615|9223372036854775807",
    ),
    (
        "items",
        "FLAGS|ALL|FULL|(@itemlist@)|(@itemlist@)|@item@|()",
    ),
    ("itemlist", "@item@|@item@ @itemlist@"),
    (
        "item",
        "UID|FLAGS|ENVELOPE|BODY|BODYSTRUCTURE|INTERNALDATE|RFC822.SIZE|RFC822|RFC822.HEADER\
         |RFC822.TEXT|MODSEQ|SAVEDATE|PREVIEW|PREVIEW (LAZY)|EMAILID|THREADID\
         |BODY@peek@[@section@]@partial@|BODY@peek@[@section@]@partial@\
         |BINARY@peek@[@part@]@partial@|BINARY.SIZE[@part@]",
    ),
    ("peek", "|.PEEK"),
    (
        "section",
        "|@part@|HEADER|TEXT|@part@.MIME|@part@.HEADER|@part@.TEXT|HEADER.FIELDS (@fields@)\
         |HEADER.FIELDS.NOT (@fields@)|@part@.HEADER.FIELDS (@fields@)",
    ),
    ("fields", "Subject|@astring@|Date @fields@"),
    ("part", "1|2|@number@|1.@part@"),
    ("partial", "|<0.5>|<@number@.@number@>"),
    (
        "fetchmodifier",
        "CHANGEDSINCE 1|CHANGEDSINCE @number@ VANISHED|PARTIAL 1:5|PARTIAL -1:-@number@",
    ),
    ("flags", "()|(\\Seen)|\\Deleted|(@flag@ @flag@)|(@flag@)"),
    (
        "flag",
        "\\Seen|\\Deleted|\\Flagged|\\Answered|\\Draft|kw|$Forwarded|@atom@|\\@atom@",
    ),
    (
        "date",
        "\"17-Feb-1994 21:52:25 -0800\"|\" 1-Jan-1970 00:00:00 +0000\"\
         |\"31-Dec-9999 23:59:60 +1400\"|@astring@",
    ),
    ("returns", "|RETURN () |RETURN (@returnlist@) "),
    ("returnlist", "ALL|@return@ @returnlist@"),
    (
        "return",
        "MIN|MAX|COUNT|ALL|SAVE|PARTIAL 1:2|PARTIAL -1:-9|UPDATE|CONTEXT|RELEVANCY",
    ),
    (
        "charset",
        "|CHARSET UTF-8 |CHARSET US-ASCII |CHARSET KOI8-R |CHARSET @astring@ ",
    ),
    ("keys", "ALL|@key@|@key@|@key@ @keys@"),
    (
        "key",
        "ALL|SEEN|UNSEEN|DELETED|NEW|OLD|RECENT|KEYWORD @atom@|UNKEYWORD kw|NOT @key@\
         |OR @key@ @key@|(@keys@)|SUBJECT @astring@|FROM @astring@|TEXT @astring@|BODY @astring@\
         |HEADER @astring@ @astring@|BEFORE @day@|ON @day@|SENTSINCE @day@|LARGER @number@\
         |SMALLER @number@|OLDER @number@|YOUNGER 5|UID @uids@|@set@|MODSEQ @number@\
         |MODSEQ \"/flags/\\\\Seen\" all @number@|FUZZY TEXT @astring@|EMAILID M1|THREADID T1\
         |SAVEDBEFORE @day@|SAVEDATESUPPORTED|$",
    ),
    ("day", "1-Feb-1994|\"31-Dec-2030\"|29-Feb-2023|@atom@"),
    ("criteria", "DATE|REVERSE @criteria@|@criterion@ @criteria@"),
    (
        "criterion",
        "ARRIVAL|CC|DATE|FROM|SIZE|SUBJECT|TO|DISPLAYFROM|DISPLAYTO|RELEVANCY",
    ),
    ("algorithm", "REFERENCES|REFS|ORDEREDSUBJECT|@atom@"),
    (
        "sources",
        "selected|inboxes|personal|subscribed|subtree @mailbox@|mailboxes (@mailbox@ a)",
    ),
    (
        "mailbox",
        "a|INBOX|INBOX|b|a/b|\"c d\"|&AOQ-|e\u{301}|@astring@|a/b/c/d|\"\"",
    ),
    ("pattern", "*|%|\"\"|a/%|%/%|*b*|INBOX|@astring@"),
    ("use", "\\Sent|\\Drafts \\Junk|\\Important|@atom@"),
    (
        "selectopts",
        "()|(SUBSCRIBED)|(RECURSIVEMATCH SUBSCRIBED)|(SPECIAL-USE)|(REMOTE)|(@atom@)",
    ),
    (
        "returnopts",
        "| RETURN (CHILDREN SUBSCRIBED)| RETURN (STATUS (@statusitems@))| RETURN (MYRIGHTS)\
         | RETURN (SPECIAL-USE METADATA (/private/comment))| RETURN (@atom@)",
    ),
    ("statusitems", "MESSAGES|@statusitem@ @statusitems@"),
    (
        "statusitem",
        "UIDNEXT|UIDVALIDITY|UNSEEN|DELETED|SIZE|RECENT|HIGHESTMODSEQ|MAILBOXID|APPENDLIMIT\
         |DELETED-STORAGE|@atom@",
    ),
    (
        "enabled",
        "CONDSTORE|IMAP4rev2|QRESYNC|UTF8=ACCEPT|UIDONLY|@atom@ @enabled@",
    ),
    (
        "pairs",
        "\"name\" \"x\"|\"name\" NIL|@string@ @string@ @pairs@",
    ),
    (
        "groups",
        "(selected (MessageNew (UID FLAGS) MessageExpunge))|(selected NONE) @groups@\
         |(personal (MessageNew MessageExpunge MailboxName))|(mailboxes (a INBOX) (FlagChange))\
         |(selected-delayed (MessageNew MessageExpunge FlagChange))\
         |(subtree @mailbox@ (SubscriptionChange))",
    ),
    ("astring", "x|@atom@|@string@|@string@"),
    (
        "string",
        "\"\"|\"x\"|\"a \\\"b\\\" \\\\\"|\"\u{e4}\u{4e1c}\"|@literal@",
    ),
    (
        "atom",
        "x|X|needle|a.b|a-b|]|NIL|10|\\|&|A1|yyyyyyyyyyyyyyyyyyyyyyyy",
    ),
    (
        "response",
        "*|=||@plain@|YQ==|AGFsaWNlAGE=|not base64|DONE|@atom@ NOOP",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: Login<'static> = Login {
        user: "alice",
        password: "secret",
    };

    fn counting() -> impl FnMut(usize) -> usize {
        let mut state = 1u64;
        move |limit| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as usize % limit
        }
    }

    #[test]
    fn every_rule_that_is_named_is_there_and_used() {
        let mut grower = Grower {
            chance: &mut |_| 0,
            login: LOGIN,
            out: Vec::new(),
        };
        let templates = RULES.iter().map(|(_, alternatives)| alternatives);
        let named: Vec<&str> = templates
            .flat_map(|template| template.split('@').skip(1).step_by(2))
            .collect();
        for name in &named {
            let is_rule = RULES.iter().any(|(rule, _)| rule == name);
            assert!(is_rule || grower.terminal(name), "{name}");
        }
        for (rule, _) in RULES {
            assert!(
                named.contains(rule) || ["command", "response"].contains(rule),
                "{rule}"
            );
        }
    }

    /// A fuzzer of commands that nobody understands would only try the parser.
    #[test]
    fn most_commands_are_understood() {
        let mut chance = counting();
        let understood = (0..2_000).filter(|_| {
            let grown = command(&mut chance, LOGIN);
            let line = [b"t ".as_slice(), &grown].concat();
            super::super::super::parse::command(&line, true).is_ok()
        });
        let understood = understood.count();
        assert!((1_000..1_900).contains(&understood), "{understood}");
    }

    #[test]
    fn damage_changes_and_is_bounded() {
        let mut chance = counting();
        let whole = vec![b'x'; OCTETS_MAX];
        assert!((0..100).all(|_| damaged(&whole, &mut chance).len() <= OCTETS_MAX));
        let changed = (0..100).filter(|_| damaged(b"NOOP", &mut chance) != b"NOOP");
        assert!(changed.count() > 50);
    }
}
