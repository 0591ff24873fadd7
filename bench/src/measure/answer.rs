//! What a server said, or what happened instead of an answer: the key by which answers are counted.

use std::fmt;
use std::io;

/// An answer, in few words.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Answer {
    /// A reply code of SMTP or LMTP and its enhanced status code, or zeros.
    Reply(u16, [u16; 3]),
    /// A status of IMAP or POP3 and its response code.
    Word(Word, Code),
    /// No answer, and why.
    Lost(Loss),
}

/// RFC 3501 §7.1, RFC 1939 §3.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Word {
    Ok,
    No,
    Bad,
    Bye,
    /// `-ERR` of POP3.
    Error,
}

/// The response code in brackets, as far as it tells why: its first atom, cut off where it is long.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Code([u8; CODE_BYTES]);

/// `AUTHENTICATIONFAILED` fits.
const CODE_BYTES: usize = 24;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Loss {
    Refused,
    Reset,
    Ended,
    TimedOut,
    Unreachable,
    NoPorts,
    NoDescriptors,
    Tls,
    /// Something that is no reply.
    Nonsense,
    /// There is no message to do it with.
    Nothing,
    Other,
}

impl Answer {
    pub(crate) fn code(self) -> u16 {
        match self {
            Answer::Reply(code, _) => code,
            Answer::Word(..) | Answer::Lost(_) => 0,
        }
    }

    pub(crate) fn is_positive(self) -> bool {
        (200..400).contains(&self.code()) || matches!(self, Answer::Word(Word::Ok, _))
    }

    pub(crate) fn is_deferral(self) -> bool {
        (400..500).contains(&self.code()) || matches!(self, Answer::Word(Word::No, _))
    }

    /// Without what servers put behind it.
    pub(crate) fn without_status(self) -> Answer {
        match self {
            Answer::Reply(code, _) => Answer::Reply(code, [0; 3]),
            Answer::Word(word, _) => Answer::Word(word, Code::default()),
            lost => lost,
        }
    }
}

impl Code {
    /// Of a text such as `[OVERQUOTA] Too much`.
    pub(crate) fn of(text: &[u8]) -> Code {
        let mut code = Code::default();
        let atoms = text.strip_prefix(b"[").unwrap_or_default();
        let is_part = |octet: &&u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'/');
        let atom = atoms.iter().take_while(is_part);
        for (slot, octet) in code.0.iter_mut().zip(atom) {
            *slot = octet.to_ascii_uppercase();
        }
        code
    }

    fn text(&self) -> &str {
        let end = self.0.iter().position(|octet| *octet == 0);
        let atom = self.0.get(..end.unwrap_or(CODE_BYTES)).unwrap_or_default();
        std::str::from_utf8(atom).unwrap_or_default()
    }
}

impl Word {
    fn text(self) -> &'static str {
        match self {
            Word::Ok => "OK",
            Word::No => "NO",
            Word::Bad => "BAD",
            Word::Bye => "BYE",
            Word::Error => "-ERR",
        }
    }
}

impl From<&io::Error> for Loss {
    fn from(error: &io::Error) -> Loss {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::ConnectionRefused => Loss::Refused,
            Kind::ConnectionReset | Kind::BrokenPipe | Kind::ConnectionAborted => Loss::Reset,
            Kind::UnexpectedEof => Loss::Ended,
            Kind::TimedOut | Kind::WouldBlock => Loss::TimedOut,
            Kind::HostUnreachable | Kind::NetworkUnreachable => Loss::Unreachable,
            Kind::AddrNotAvailable | Kind::AddrInUse => Loss::NoPorts,
            Kind::InvalidData => Loss::Nonsense,
            _ if error.raw_os_error() == Some(EMFILE) => Loss::NoDescriptors,
            _ => Loss::Other,
        }
    }
}

impl From<&io::Error> for Answer {
    fn from(error: &io::Error) -> Answer {
        Answer::Lost(Loss::from(error))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Reply(code, [0, _, _]) => write!(f, "{code}"),
            Answer::Reply(code, [class, subject, detail]) => {
                write!(f, "{code} {class}.{subject}.{detail}")
            }
            Answer::Word(word, code) => match code.text() {
                "" => f.write_str(word.text()),
                code => write!(f, "{} [{code}]", word.text()),
            },
            Answer::Lost(loss) => f.write_str(loss.words()),
        }
    }
}

impl Loss {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Loss::Refused => "connection refused",
            Loss::Reset => "connection reset",
            Loss::Ended => "connection ended",
            Loss::TimedOut => "timeout",
            Loss::Unreachable => "unreachable",
            Loss::NoPorts => "no free source port",
            Loss::NoDescriptors => "no free descriptor",
            Loss::Tls => "TLS failed",
            Loss::Nonsense => "not a reply",
            Loss::Nothing => "no message there",
            Loss::Other => "connection failed",
        }
    }

    /// What somebody can do about it.
    pub(crate) fn advice(self) -> &'static str {
        match self {
            Loss::Refused => "is the server running, and is this its port?",
            Loss::Reset | Loss::Ended => "look into the server's log; a limit on connections?",
            Loss::TimedOut => "the server does not answer; --timeout gives it longer",
            Loss::Unreachable => "no way leads there: check the address",
            Loss::NoPorts => "use more source addresses: --sources 8",
            Loss::NoDescriptors => "raise the limit: ulimit -n 1048576",
            Loss::Tls => "does this port speak TLS? --tls says how",
            Loss::Nonsense => {
                "is it the port of this protocol? With implicit TLS say --tls implicit"
            }
            Loss::Nothing => "--fill N puts messages there first",
            Loss::Other => "look into the server's log",
        }
    }
}

/// `errno(3)` on Linux; the standard library has no kind for it.
const EMFILE: i32 = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_read_as_people_write_them() {
        assert_eq!(Answer::Reply(250, [0; 3]).to_string(), "250");
        assert_eq!(Answer::Reply(452, [4, 3, 1]).to_string(), "452 4.3.1");
        let full = Answer::Word(Word::No, Code::of(b"[OverQuota] no room"));
        assert_eq!(full.to_string(), "NO [OVERQUOTA]");
        assert!(full.is_deferral() && !full.is_positive());
        let fine = Answer::Word(Word::Ok, Code::of(b"[APPENDUID 1 2] done")).without_status();
        assert_eq!(fine.to_string(), "OK");
        assert_eq!(
            Answer::Word(Word::Bad, Code::of(b"no [X]")).to_string(),
            "BAD"
        );
        let reset = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(Answer::from(&reset).to_string(), "connection reset");
    }
}
