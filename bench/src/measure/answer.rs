//! What a server said, or what happened instead of an answer: the key by which answers are counted.

use std::fmt;
use std::io;

/// An answer, in few words.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Answer {
    /// A reply code of SMTP or LMTP and its enhanced status code, or zeros.
    Reply(u16, [u16; 3]),
    /// No answer, and why.
    Lost(Loss),
}

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
    Other,
}

impl Answer {
    pub(crate) fn code(self) -> u16 {
        match self {
            Answer::Reply(code, _) => code,
            Answer::Lost(_) => 0,
        }
    }

    pub(crate) fn is_positive(self) -> bool {
        (200..400).contains(&self.code())
    }

    pub(crate) fn is_deferral(self) -> bool {
        (400..500).contains(&self.code())
    }

    /// The enhanced status tells more of a refusal than of a success.
    pub(crate) fn without_status(self) -> Answer {
        match self {
            Answer::Reply(code, _) => Answer::Reply(code, [0; 3]),
            lost => lost,
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
            Loss::Nonsense => "is this port SMTP? With implicit TLS say --tls implicit",
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
        let reset = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(Answer::from(&reset).to_string(), "connection reset");
    }
}
