//! What a line of a POP3 client asks for (RFC 1939 §3, RFC 2449 §4), arguments checked.
//!
//! Keywords come in any case. A message number is decimal, from 1; more than a mailbox can hold is
//! a number all the same, of a message that is not there.

use super::reply::{self, Reply};

/// One command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command<'a> {
    /// RFC 2449 §5.
    Capa,
    /// RFC 2595 §4.
    Stls,
    /// RFC 5034 §4: the mechanism, and the initial response as it came.
    Auth {
        mechanism: &'a str,
        initial: Option<&'a str>,
    },
    /// RFC 5034 §6 leaves it to servers: AUTH alone lists the mechanisms.
    AuthList,
    User(&'a str),
    /// All that stands behind the keyword, spaces included (RFC 1939 §7).
    Pass(&'a str),
    /// A digest of a password in clear (RFC 1939 §7): known so that it is refused in its own
    /// words.
    Apop,
    /// RFC 6856 §2.
    Utf8,
    /// RFC 6856 §3; `None`: which there are.
    Lang(Option<&'a str>),
    Stat,
    List(Option<u32>),
    Uidl(Option<u32>),
    Retr(u32),
    /// A message, and how many lines of its body.
    Top(u32, u32),
    Dele(u32),
    Noop,
    Rset,
    Quit,
}

/// What is counted: every keyword once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keyword {
    Capa,
    Stls,
    Auth,
    User,
    Pass,
    Apop,
    Utf8,
    Lang,
    Stat,
    List,
    Uidl,
    Retr,
    Top,
    Dele,
    Noop,
    Rset,
    Quit,
}

impl<'a> Command<'a> {
    /// Reads a line without its CRLF.
    ///
    /// # Errors
    /// What the client is told.
    pub fn parse(line: &'a [u8]) -> Result<Command<'a>, Reply> {
        let end = memchr::memchr(b' ', line).unwrap_or(line.len());
        let (word, rest) = line.split_at_checked(end).unwrap_or((line, b""));
        let keyword = Keyword::of(word).ok_or(reply::UNKNOWN_COMMAND)?;
        let rest = str::from_utf8(rest).map_err(|_| reply::NOT_UTF8)?;
        // NUL ends strings elsewhere, and no command has a use for the others.
        if rest.bytes().any(|octet| octet.is_ascii_control()) {
            return Err(reply::CONTROL_CHARACTER);
        }
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        match keyword {
            Keyword::Pass => password(rest),
            keyword => with_words(keyword, rest.trim_end()),
        }
    }

    /// What it is counted as.
    #[must_use]
    pub fn keyword(&self) -> Keyword {
        match self {
            Command::Capa => Keyword::Capa,
            Command::Stls => Keyword::Stls,
            Command::Auth { .. } | Command::AuthList => Keyword::Auth,
            Command::User(_) => Keyword::User,
            Command::Pass(_) => Keyword::Pass,
            Command::Apop => Keyword::Apop,
            Command::Utf8 => Keyword::Utf8,
            Command::Lang(_) => Keyword::Lang,
            Command::Stat => Keyword::Stat,
            Command::List(_) => Keyword::List,
            Command::Uidl(_) => Keyword::Uidl,
            Command::Retr(_) => Keyword::Retr,
            Command::Top(..) => Keyword::Top,
            Command::Dele(_) => Keyword::Dele,
            Command::Noop => Keyword::Noop,
            Command::Rset => Keyword::Rset,
            Command::Quit => Keyword::Quit,
        }
    }
}

impl Keyword {
    const ALL: [(&'static str, Keyword); 17] = [
        ("RETR", Keyword::Retr),
        ("DELE", Keyword::Dele),
        ("UIDL", Keyword::Uidl),
        ("LIST", Keyword::List),
        ("STAT", Keyword::Stat),
        ("TOP", Keyword::Top),
        ("USER", Keyword::User),
        ("PASS", Keyword::Pass),
        ("QUIT", Keyword::Quit),
        ("CAPA", Keyword::Capa),
        ("AUTH", Keyword::Auth),
        ("STLS", Keyword::Stls),
        ("NOOP", Keyword::Noop),
        ("RSET", Keyword::Rset),
        ("APOP", Keyword::Apop),
        ("UTF8", Keyword::Utf8),
        ("LANG", Keyword::Lang),
    ];

    fn of(word: &[u8]) -> Option<Keyword> {
        let mut all = Keyword::ALL.into_iter();
        let known = all.find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(word));
        known.map(|(_, keyword)| keyword)
    }
}

fn password(rest: &str) -> Result<Command<'_>, Reply> {
    match rest {
        "" => Err(reply::ARGUMENT_MISSING),
        rest => Ok(Command::Pass(rest)),
    }
}

fn with_words(keyword: Keyword, rest: &str) -> Result<Command<'_>, Reply> {
    let mut words = rest.split(' ').filter(|word| !word.is_empty());
    let command = match keyword {
        Keyword::Capa => Command::Capa,
        Keyword::Stls => Command::Stls,
        Keyword::Utf8 => Command::Utf8,
        Keyword::Stat => Command::Stat,
        Keyword::Noop => Command::Noop,
        Keyword::Rset => Command::Rset,
        Keyword::Quit => Command::Quit,
        Keyword::Auth => match words.next() {
            None => Command::AuthList,
            Some(mechanism) => Command::Auth {
                mechanism,
                initial: words.next(),
            },
        },
        Keyword::Lang => Command::Lang(words.next()),
        Keyword::List => Command::List(words.next().map(number).transpose()?),
        Keyword::Uidl => Command::Uidl(words.next().map(number).transpose()?),
        Keyword::Retr => Command::Retr(required(words.next())?),
        Keyword::Dele => Command::Dele(required(words.next())?),
        Keyword::Top => Command::Top(required(words.next())?, lines(words.next())?),
        // A name may hold spaces where a directory allows it.
        Keyword::User if !rest.is_empty() => return Ok(Command::User(rest)),
        Keyword::Apop => return Ok(Command::Apop),
        Keyword::User | Keyword::Pass => return Err(reply::ARGUMENT_MISSING),
    };
    match words.next() {
        None => Ok(command),
        Some(_) => Err(reply::ARGUMENTS_TOO_MANY),
    }
}

fn required(word: Option<&str>) -> Result<u32, Reply> {
    number(word.ok_or(reply::ARGUMENT_MISSING)?)
}

fn number(word: &str) -> Result<u32, Reply> {
    match digits(word) {
        Some(0) | None => Err(reply::NO_NUMBER),
        Some(number) => Ok(number),
    }
}

fn lines(word: Option<&str>) -> Result<u32, Reply> {
    digits(word.ok_or(reply::ARGUMENT_MISSING)?).ok_or(reply::NO_NUMBER)
}

/// `u32::MAX` stands for all that is larger.
fn digits(word: &str) -> Option<u32> {
    let is_number = (1..=DIGITS_MAX).contains(&word.len()) && word.bytes().all(is_digit);
    is_number.then(|| word.parse().unwrap_or(u32::MAX))
}

fn is_digit(octet: u8) -> bool {
    octet.is_ascii_digit()
}

/// Of one number; RFC 1939 §3 has arguments of at most 40 characters.
const DIGITS_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_in_any_case() {
        for (line, command) in [
            ("stat", Command::Stat),
            ("LIST", Command::List(None)),
            ("List 12", Command::List(Some(12))),
            ("TOP 1 0", Command::Top(1, 0)),
            ("RETR  7 ", Command::Retr(7)),
            ("RETR 99999999999999", Command::Retr(u32::MAX)),
            (
                "USER alice@example.test",
                Command::User("alice@example.test"),
            ),
            ("PASS  two  spaces ", Command::Pass(" two  spaces ")),
            ("AUTH", Command::AuthList),
            ("LANG *", Command::Lang(Some("*"))),
            ("APOP mrose c4c9334bac560ecc979e58001b3e22fb", Command::Apop),
        ] {
            assert_eq!(Command::parse(line.as_bytes()), Ok(command), "{line}");
        }
        let auth = Command::parse(b"auth plain =");
        let expected = Command::Auth {
            mechanism: "plain",
            initial: Some("="),
        };
        assert_eq!(auth, Ok(expected));
    }

    #[test]
    fn what_is_no_command_is_refused_in_its_own_words() {
        for (line, refusal) in [
            (&b""[..], reply::UNKNOWN_COMMAND),
            (b"XTND", reply::UNKNOWN_COMMAND),
            (b"RETR", reply::ARGUMENT_MISSING),
            (b"RETR 0", reply::NO_NUMBER),
            (b"RETR -1", reply::NO_NUMBER),
            (b"RETR +1", reply::NO_NUMBER),
            (b"RETR 1 2", reply::ARGUMENTS_TOO_MANY),
            (b"TOP 1", reply::ARGUMENT_MISSING),
            (b"TOP 1 x", reply::NO_NUMBER),
            (b"STAT 1", reply::ARGUMENTS_TOO_MANY),
            (b"USER", reply::ARGUMENT_MISSING),
            (b"USER a\0b", reply::CONTROL_CHARACTER),
            (b"PASS", reply::ARGUMENT_MISSING),
            (b"USER \xff", reply::NOT_UTF8),
        ] {
            assert_eq!(Command::parse(line), Err(refusal), "{line:?}");
        }
    }
}
