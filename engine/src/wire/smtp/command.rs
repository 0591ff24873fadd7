//! Command lines, parsed strictly (RFC 5321 §4.1, RFC 3030 §2, RFC 3207, RFC 4954 §4, RFC 2033 §4).
//!
//! Verbs and keywords in any case; spaces at the end are forgiven (RFC 5321 §4.1.1), and so is a
//! space behind `FROM:` and `TO:`, which too many senders put there. Control characters are not.

use super::line::COMMAND_BYTES_MAX;
use super::param::{MailParams, RcptParams};
use super::path;
use super::reply::{self, Reply};
use store::mail::address::Address;

/// The name that a client gives itself, in octets (RFC 5321 §4.5.3.1.2).
pub const HELLO_BYTES_MAX: usize = 255;

/// One command with its arguments.
#[derive(PartialEq, Eq, Debug)]
pub enum Command<'a> {
    Hello(Hello, &'a str),
    Mail(Mail),
    Rcpt(Rcpt),
    Data,
    /// `octets` saturates: a number beyond 64 bits is as unreceivable as the largest.
    Bdat {
        octets: u64,
        last: bool,
    },
    Rset,
    Noop,
    Quit,
    Help,
    Vrfy,
    StartTls,
    Auth {
        mechanism: &'a str,
        initial: Option<&'a str>,
    },
    /// What stands behind the verb (`wire::xclient`).
    Xclient(&'a str),
    /// EXPN and the verbs that nobody implements any more (RFC 5321 appendix F).
    Unimplemented,
    /// A request line of HTTP: a browser or proxy was made to speak to us.
    Http,
}

/// Which greeting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hello {
    Helo,
    Ehlo,
    Lhlo,
}

/// MAIL FROM.
#[derive(PartialEq, Eq, Debug)]
pub struct Mail {
    /// `None` is the null reverse-path.
    pub reverse_path: Option<Address>,
    pub params: MailParams,
}

/// RCPT TO.
#[derive(PartialEq, Eq, Debug)]
pub struct Rcpt {
    pub address: Address,
    /// Whether the path as given needs SMTPUTF8.
    pub is_ascii: bool,
    pub params: RcptParams,
}

impl<'a> Command<'a> {
    /// Parses a line without its CRLF; the error is the answer.
    pub fn parse(line: &'a [u8]) -> Result<Command<'a>, Reply> {
        let text = text(line)?;
        let (verb, argument) = match text.split_once(' ') {
            Some((verb, argument)) => (verb, argument),
            None => (text, ""),
        };
        if verb.len() > 8 {
            return Err(reply::UNKNOWN_COMMAND);
        }
        let is_auth = verb.eq_ignore_ascii_case("AUTH");
        if line.len() + 2 > COMMAND_BYTES_MAX && !is_auth {
            return Err(reply::LINE_TOO_LONG);
        }
        let alone = |command| match argument {
            "" => Ok(command),
            _ => Err(reply::NO_ARGUMENT_ALLOWED),
        };
        let mut upper = [0; 8];
        match upper_case(verb, &mut upper) {
            b"EHLO" => hello(Hello::Ehlo, argument),
            b"HELO" => hello(Hello::Helo, argument),
            b"LHLO" => hello(Hello::Lhlo, argument),
            b"MAIL" => mail(argument).map(Command::Mail),
            b"RCPT" => rcpt(argument).map(Command::Rcpt),
            b"DATA" => alone(Command::Data),
            b"BDAT" => bdat(argument),
            b"RSET" => alone(Command::Rset),
            b"NOOP" => Ok(Command::Noop),
            b"QUIT" => alone(Command::Quit),
            b"HELP" => Ok(Command::Help),
            b"VRFY" if argument.is_empty() => Err(reply::BAD_VRFY),
            b"VRFY" => Ok(Command::Vrfy),
            b"STARTTLS" => alone(Command::StartTls),
            b"AUTH" => auth(argument),
            b"XCLIENT" => Ok(Command::Xclient(argument)),
            b"EXPN" | b"SEND" | b"SOML" | b"SAML" | b"TURN" | b"ETRN" => Ok(Command::Unimplemented),
            b"GET" | b"POST" | b"PUT" | b"HEAD" | b"CONNECT" | b"OPTIONS" => Ok(Command::Http),
            _ => Err(reply::UNKNOWN_COMMAND),
        }
    }
}

fn text(line: &[u8]) -> Result<&str, Reply> {
    // Without an early end, sixteen octets are looked at in one step.
    let has_control = line.iter().fold(false, |has, b| has | b.is_ascii_control());
    if has_control {
        return Err(reply::CONTROL_CHARACTER);
    }
    let text = str::from_utf8(line).map_err(|_| reply::NOT_UTF8)?;
    Ok(text.trim_end_matches(' '))
}

fn upper_case<'a>(verb: &str, buffer: &'a mut [u8; 8]) -> &'a [u8] {
    for (upper, octet) in buffer.iter_mut().zip(verb.bytes()) {
        *upper = octet.to_ascii_uppercase();
    }
    buffer.get(..verb.len()).unwrap_or_default()
}

/// RFC 5321 §4.1.1.1 wants a domain or a literal; many honest clients know no such name of theirs,
/// so any word without spaces is taken. It is cleaned before it stands in a header (`trace.rs`).
fn hello(which: Hello, argument: &str) -> Result<Command<'_>, Reply> {
    let is_word = !argument.is_empty()
        && argument.len() <= HELLO_BYTES_MAX
        && !argument.contains(|c: char| c.is_whitespace() || c.is_control());
    if is_word {
        Ok(Command::Hello(which, argument))
    } else {
        Err(reply::BAD_HELLO)
    }
}

fn mail(argument: &str) -> Result<Mail, Reply> {
    let path = after_keyword(argument, "FROM:").ok_or(reply::BAD_MAIL)?;
    let path = path::reverse(path).map_err(|_| reply::BAD_SENDER_PATH)?;
    let params = MailParams::parse(path.rest)?;
    if !params.smtputf8 && !path.is_ascii {
        return Err(reply::UTF8_UNDECLARED);
    }
    Ok(Mail {
        reverse_path: path.address,
        params,
    })
}

fn rcpt(argument: &str) -> Result<Rcpt, Reply> {
    let path = after_keyword(argument, "TO:").ok_or(reply::BAD_RCPT)?;
    let path = path::forward(path).map_err(|_| reply::BAD_RECIPIENT_PATH)?;
    Ok(Rcpt {
        params: RcptParams::parse(path.rest)?,
        address: path.address.ok_or(reply::BAD_RECIPIENT_PATH)?,
        is_ascii: path.is_ascii,
    })
}

fn after_keyword<'a>(argument: &'a str, keyword: &str) -> Option<&'a str> {
    let (word, path) = argument.split_at_checked(keyword.len())?;
    word.eq_ignore_ascii_case(keyword)
        .then(|| path.trim_start_matches(' '))
}

fn bdat(argument: &str) -> Result<Command<'_>, Reply> {
    let (digits, last) = match argument.split_once(' ') {
        Some((digits, word)) if word.eq_ignore_ascii_case("LAST") => (digits, true),
        Some(_) => return Err(reply::BAD_BDAT),
        None => (argument, false),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(reply::BAD_BDAT);
    }
    let octets = digits.parse().unwrap_or(u64::MAX);
    Ok(Command::Bdat { octets, last })
}

fn auth(argument: &str) -> Result<Command<'_>, Reply> {
    let (mechanism, initial) = match argument.split_once(' ') {
        Some((mechanism, initial)) => (mechanism, Some(initial)),
        None => (argument, None),
    };
    if mechanism.is_empty() || initial.is_some_and(|initial| initial.contains(' ')) {
        return Err(reply::BAD_AUTH);
    }
    Ok(Command::Auth { mechanism, initial })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_verbs_in_any_case() {
        for (line, command) in [
            ("ehlo a.example", Command::Hello(Hello::Ehlo, "a.example")),
            (
                "HELO [127.0.0.1]",
                Command::Hello(Hello::Helo, "[127.0.0.1]"),
            ),
            ("lHLO x ", Command::Hello(Hello::Lhlo, "x")),
            ("data", Command::Data),
            ("DATA   ", Command::Data),
            (
                "BDAT 0 last",
                Command::Bdat {
                    octets: 0,
                    last: true,
                },
            ),
            (
                "BDAT 99",
                Command::Bdat {
                    octets: 99,
                    last: false,
                },
            ),
            (
                "BDAT 99999999999999999999",
                Command::Bdat {
                    octets: u64::MAX,
                    last: false,
                },
            ),
            ("rset", Command::Rset),
            ("NOOP ((((", Command::Noop),
            ("quit", Command::Quit),
            ("HELP me", Command::Help),
            ("VRFY someone", Command::Vrfy),
            ("EXPN list", Command::Unimplemented),
            ("starttls", Command::StartTls),
            (
                "AUTH PLAIN",
                Command::Auth {
                    mechanism: "PLAIN",
                    initial: None,
                },
            ),
            (
                "auth x =",
                Command::Auth {
                    mechanism: "x",
                    initial: Some("="),
                },
            ),
            ("GET / HTTP/1.1", Command::Http),
        ] {
            assert_eq!(Command::parse(line.as_bytes()), Ok(command), "{line}");
        }
    }

    #[test]
    fn answers_wrong_lines_with_the_right_code() {
        for (line, code) in [
            ("", 500),
            (" ", 500),
            (" NOOP", 500),
            ("NOOPE", 500),
            ("FOO", 500),
            ("STARTTLSS", 500),
            ("NO\0OP", 500),
            ("NOOP\t", 500),
            ("NOOP \x7f", 500),
            ("EHLO", 501),
            ("EHLO a b", 501),
            ("MAIL", 501),
            ("MAIL FROM", 501),
            ("MAIL TO:<a@b>", 501),
            ("MAIL FROM:a@b", 501),
            ("MAIL FROM :<a@b>", 501),
            ("MAIL FROM:<a@b> FOO", 555),
            ("MAIL FROM:<a@b>SIZE=1", 501),
            ("MAIL FROM:<ä@b>", 553),
            ("RCPT TO:<>", 501),
            ("RCPT TO:<a@b> SIZE=1", 555),
            ("DATA x", 501),
            ("RSET x", 501),
            ("QUIT x", 501),
            ("STARTTLS x", 501),
            ("BDAT", 501),
            ("BDAT -1", 501),
            ("BDAT 1 LAST 1", 501),
            ("BDAT 1  LAST", 501),
            ("BDAT 1 FIRST", 501),
            ("BDAT +1", 501),
            ("AUTH", 501),
            ("AUTH PLAIN a b", 501),
            ("VRFY", 501),
        ] {
            let reply = Command::parse(line.as_bytes()).expect_err(line);
            assert_eq!(reply.code(), code, "{line:?}");
        }
        assert_eq!(Command::parse(b"NOOP \xff"), Err(reply::NOT_UTF8));
    }

    #[test]
    fn forgives_a_space_behind_the_colon() {
        let Ok(Command::Mail(mail)) = Command::parse(b"mail from:  <a@b>  SIZE=5 ") else {
            panic!("taken by every server in use");
        };
        assert_eq!(mail.params.size, Some(5));
    }

    #[test]
    fn keeps_the_line_limit() {
        let noop = |octets: usize| format!("NOOP {}", "x".repeat(octets - 7));
        assert!(Command::parse(noop(COMMAND_BYTES_MAX).as_bytes()).is_ok());
        let long = noop(COMMAND_BYTES_MAX + 1);
        assert_eq!(Command::parse(long.as_bytes()), Err(reply::LINE_TOO_LONG));
    }
}
