//! Why a command was not understood, and the words in which the client is told.

/// A command that is answered BAD: `tag BAD …`, or `* BAD …` where no tag could be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bad {
    pub tag: Option<String>,
    pub fault: Fault,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The line does not begin with a tag and a space.
    NoTag,
    UnknownCommand,
    /// Not what the formal syntax asks for (RFC 9051 §9); says what was expected.
    Syntax(&'static str),
    /// The mailbox name is neither modified UTF-7 nor, where that was enabled, UTF-8.
    Name,
    /// A literal is announced where its command does not go on behind it.
    Unfinished,
    /// More of something than `limit.rs` allows; says of what.
    TooMany(&'static str),
    /// Parentheses, NOT or OR stand too deep inside each other.
    TooDeep,
    LineTooLong,
    /// RFC 7888 §4: answered with `[TOOBIG]`.
    LiteralTooLarge,
    /// A literal before login in a command that is not for that state.
    LogInFirst,
}

impl Fault {
    /// The human text behind BAD.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Fault::NoTag => "A command begins with a tag and a space",
            Fault::UnknownCommand => "Unknown command",
            Fault::Syntax(expected) | Fault::TooMany(expected) => expected,
            Fault::Name => "The mailbox name is not valid in this encoding",
            Fault::Unfinished => "A literal must end its line",
            Fault::TooDeep => "Nested too deep",
            Fault::LineTooLong => "Command line too long",
            Fault::LiteralTooLarge => "Literal too large",
            Fault::LogInFirst => "Log in first",
        }
    }

    /// Whether the answer carries `[TOOBIG]` (RFC 4469 §4.2, RFC 7888 §4).
    #[must_use]
    pub fn is_too_big(self) -> bool {
        matches!(self, Fault::LiteralTooLarge | Fault::LineTooLong)
    }
}

/// What every parsing function returns.
pub(super) type Parse<T> = Result<T, Fault>;
