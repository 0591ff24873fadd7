//! Every reply text of POP3, with its response code (RFC 2449 §8, RFC 3206).
//!
//! ```text
//! [AUTH]         the credentials are wrong           [SYS/TEMP]  try again later
//! [IN-USE]       another session has the maildrop    [SYS/PERM]  somebody here must act
//! [LOGIN-DELAY]  too early after the last login      [UTF8]      only after UTF8 (RFC 6856 §4)
//! ```

use std::fmt;

/// One complete line, its end included.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Reply(&'static str);

impl Reply {
    /// The octets to send.
    #[must_use]
    pub fn as_bytes(self) -> &'static [u8] {
        self.0.as_bytes()
    }

    /// Whether it is `+OK`.
    #[must_use]
    pub fn is_positive(self) -> bool {
        self.0.starts_with('+')
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.trim_end())
    }
}

macro_rules! replies {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: Reply = Reply(concat!($text, "\r\n"));)*
        #[cfg(test)]
        const ALL: &[Reply] = &[$($name),*];
    };
}

replies! {
    GREETING = "+OK Ringpost POP3 ready";
    READY_FOR_TLS = "+OK Begin TLS negotiation";
    SEND_PASS = "+OK Send PASS";
    OK = "+OK";
    RESET = "+OK No message is marked as deleted any more";
    DELETED = "+OK Marked as deleted";
    BYE = "+OK Bye";
    CAPABILITIES = "+OK Capability list follows";
    MECHANISMS = "+OK Supported mechanisms follow";
    UTF8_ON = "+OK UTF8 enabled";
    LANGUAGES = "+OK Language listing follows";
    LANGUAGE_SET = "+OK en Language is English";

    LOGIN_FAILED = "-ERR [AUTH] Authentication failed";
    LOGIN_SLOWED = "-ERR [SYS/TEMP] Too many failed logins, try again later";
    LOGIN_UNAVAILABLE = "-ERR [SYS/TEMP] Logins cannot be checked now, try again later";
    TOO_MANY_LOGINS = "-ERR [AUTH] Too many failed logins, closing the connection";
    IN_USE = "-ERR [IN-USE] Another POP3 session has this maildrop";
    LOGIN_DELAY = "-ERR [LOGIN-DELAY] Too early after the last login, see CAPA";
    MAILDROP_UNAVAILABLE = "-ERR [SYS/TEMP] The maildrop cannot be opened now, try again later";
    MAILDROP_DAMAGED = "-ERR [SYS/PERM] The maildrop is damaged, tell the operator";
    /// RFC 1939 §6: some deleted messages not removed.
    NOT_DELETED = "-ERR [SYS/TEMP] Deleted messages were not removed, try again later";
    UNREADABLE = "-ERR [SYS/PERM] The message cannot be read, tell the operator";
    UNREADABLE_NOW = "-ERR [SYS/TEMP] The message cannot be read now, try again later";
    GONE = "-ERR Another client has removed the message";
    ACCOUNT_CROWDED = "-ERR [SYS/TEMP] The account has as many connections as it may";
    TOO_MANY_CONNECTIONS = "-ERR [SYS/TEMP] Too many connections, try again later";
    CLOSING = "-ERR [SYS/TEMP] Shutting down, try again later";
    TIMED_OUT = "-ERR Too long silent, closing the connection";

    UNKNOWN_COMMAND = "-ERR Unknown command, see CAPA";
    NOT_UTF8 = "-ERR An argument is not UTF-8";
    CONTROL_CHARACTER = "-ERR An argument has a control character";
    ARGUMENT_MISSING = "-ERR An argument is missing";
    ARGUMENTS_TOO_MANY = "-ERR Too many arguments";
    NO_NUMBER = "-ERR Expected a number";
    NO_MESSAGE = "-ERR No such message";
    IS_DELETED = "-ERR The message is marked as deleted";
    LINE_TOO_LONG = "-ERR Line too long";
    ENDLESS_LINE = "-ERR Endless line, closing the connection";
    BARE_LINE_END = "-ERR Lines end with CRLF";
    TOO_MANY_ERRORS = "-ERR Too many wrong commands, closing the connection";
    LOG_IN_FIRST = "-ERR Log in first";
    IS_LOGGED_IN = "-ERR Not after login";
    USER_FIRST = "-ERR Send USER first";
    TLS_FIRST = "-ERR Not in clear: send STLS first";
    TLS_ACTIVE = "-ERR TLS is active already";
    NO_TLS = "-ERR STLS is not to be had here";
    NO_APOP = "-ERR APOP is not served: it needs passwords stored in clear; use AUTH";
    UNKNOWN_MECHANISM = "-ERR Unknown mechanism, see CAPA";
    CANCELLED = "-ERR Authentication cancelled";
    BAD_RESPONSE = "-ERR The response is malformed";
    UNKNOWN_LANGUAGE = "-ERR Unknown language, see LANG";
    UTF8_BEFORE_LOGIN = "-ERR UTF8 comes before login and after STLS";
}

/// What ends a reply of several lines.
pub const END: &[u8] = b".\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 2449 §4: at most 512 octets; an answer is positive or negative.
    #[test]
    fn each_is_one_short_line() {
        for reply in ALL {
            let text = str::from_utf8(reply.as_bytes()).unwrap();
            assert!(
                text.starts_with("+OK") || text.starts_with("-ERR "),
                "{text}"
            );
            assert!(text.is_ascii() && text.len() <= 512, "{text}");
            assert_eq!(text.matches('\n').count(), 1, "{text}");
        }
    }

    /// RFC 2449 §8: a code in brackets is one that is registered.
    #[test]
    fn codes_are_registered() {
        let known = ["AUTH", "IN-USE", "LOGIN-DELAY", "SYS/TEMP", "SYS/PERM"];
        for reply in ALL {
            let text = str::from_utf8(reply.as_bytes()).unwrap();
            if let Some((_, code)) = text.split_once('[') {
                let code = code.split_once(']').unwrap().0;
                assert!(known.contains(&code), "{text}");
            }
        }
    }
}
