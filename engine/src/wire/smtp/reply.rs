//! Every reply text of SMTP, submission and LMTP, with its enhanced status code (RFC 2034, RFC
//! 3463).
//!
//! A reply is `code SP x.y.z SP text CRLF`, the class of both codes the same. Without an enhanced
//! code are the greeting and the answers to EHLO, HELO and LHLO (RFC 2034 §4), which the session
//! composes, and the 3yz replies.

use std::fmt;

/// One complete reply, line end included.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Reply(&'static str);

/// What a verdict of policy, directory or store comes to: go on, or refuse in these words.
pub type Verdict = Result<(), Reply>;

impl Reply {
    /// The octets to send.
    #[must_use]
    pub fn as_bytes(self) -> &'static [u8] {
        self.0.as_bytes()
    }

    /// The three digits.
    #[must_use]
    pub fn code(self) -> u16 {
        let digits = self.0.split_at_checked(3).map(|(code, _)| code);
        let code = digits.and_then(|code| code.parse().ok());
        code.expect("a test reads the code of every reply")
    }

    /// The enhanced status code, `x.y.z`; empty where the reply has none.
    #[must_use]
    pub fn status(self) -> &'static str {
        let word = self.0.split([' ', '-']).nth(1).unwrap_or_default();
        if word.contains('.') { word } else { "" }
    }

    /// Whether the client may try again later.
    #[must_use]
    pub fn is_transient(self) -> bool {
        self.0.starts_with('4')
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

// Success and go-ahead.
replies! {
    READY_FOR_TLS = "220 2.0.0 Ready to start TLS";
    BYE = "221 2.0.0 Bye";
    LOGGED_IN = "235 2.7.0 Authentication succeeded";
    OK = "250 2.0.0 OK";
    SENDER_OK = "250 2.1.0 Sender OK";
    /// RFC 6710 §5: the number is the first word.
    PRIORITY_CHANGED = "250 2.3.6 0 is the new priority: log in to ask for another";
    RECIPIENT_OK = "250 2.1.5 Recipient OK";
    CHUNK_OK = "250 2.0.0 Chunk received";
    /// RFC 5321 §3.5.3: neither confirmed nor denied, so that nobody is enumerated.
    VRFY = "252 2.0.0 Cannot verify the user, but will take mail for delivery";
    HELP = "214-2.0.0 Commands: EHLO HELO LHLO MAIL RCPT DATA BDAT RSET NOOP QUIT\r\n\
            214-2.0.0 VRFY HELP STARTTLS AUTH\r\n\
            214 2.0.0 See RFC 5321, RFC 6409 and RFC 2033";
    GO_AHEAD = "354 End data with <CR><LF>.<CR><LF>";

    // The connection ends.
    CLOSING = "421 4.3.2 Service is shutting down, try again";
    TIMED_OUT = "421 4.4.2 Timeout, closing the connection";
    TOO_MANY_ERRORS = "421 4.7.0 Too many errors, closing the connection";
    TOO_MANY_REFUSALS = "421 4.7.0 Too many refused recipients, closing the connection";
    TOO_MANY_LOGINS = "421 4.7.0 Too many failed logins, closing the connection";
    TOO_MANY_MESSAGES = "421 4.7.0 Too many messages, open a new connection";
    TOO_MANY_CONNECTIONS = "421 4.7.0 Too many connections, try again later";
    NOT_SMTP = "421 4.7.0 This is not HTTP";
    ENDLESS_LINE = "421 4.7.0 Line without an end, closing the connection";
    ENDLESS_MESSAGE = "421 4.3.4 Message without an end, closing the connection";

    // The client broke the protocol.
    BARE_LINE_END = "500 5.5.2 Lines end with CRLF; bare CR or LF is not allowed";
    CONTROL_CHARACTER = "500 5.5.2 Control character in command";
    LINE_TOO_LONG = "500 5.5.2 Line too long";
    SASL_LINE_TOO_LONG = "500 5.5.6 Authentication exchange line is too long";
    NOT_UTF8 = "500 5.5.2 Command is not UTF-8";
    UNKNOWN_COMMAND = "500 5.5.1 Unknown command";
    WRONG_HELLO = "500 5.5.1 Not the greeting of this protocol";
    NO_ARGUMENT_ALLOWED = "501 5.5.4 No argument allowed";
    BAD_HELLO = "501 5.5.4 A host name or address literal is needed";
    BAD_MAIL = "501 5.5.4 Syntax: MAIL FROM:<address> [parameters]";
    BAD_RCPT = "501 5.5.4 Syntax: RCPT TO:<address> [parameters]";
    BAD_BDAT = "501 5.5.4 Syntax: BDAT size [LAST]";
    BAD_AUTH = "501 5.5.4 Syntax: AUTH mechanism [initial-response]";
    BAD_VRFY = "501 5.5.4 Syntax: VRFY user";
    BAD_SENDER_PATH = "501 5.1.7 Bad sender address syntax";
    BAD_RECIPIENT_PATH = "501 5.1.3 Bad recipient address syntax";
    BAD_PARAMETER = "501 5.5.4 Bad parameter";
    DUPLICATE_PARAMETER = "501 5.5.4 Parameter given twice";
    UNKNOWN_PARAMETER = "555 5.5.4 Unknown parameter";
    BAD_BASE64 = "501 5.5.2 Cannot decode the response";
    AUTH_CANCELLED = "501 5.7.0 Authentication cancelled";
    NOT_IMPLEMENTED = "502 5.5.1 Command not implemented";
    HELLO_FIRST = "503 5.5.1 Say EHLO or HELO first";
    LHLO_FIRST = "503 5.5.1 Say LHLO first";
    MAIL_FIRST = "503 5.5.1 MAIL first";
    MAIL_TWICE = "503 5.5.1 Sender already given";
    RECIPIENT_FIRST = "503 5.5.1 No valid recipients";
    CHUNKS_BEGUN = "503 5.5.1 Message already begun with BDAT";
    BINARY_NEEDS_BDAT = "503 5.5.1 BODY=BINARYMIME needs BDAT";
    TLS_ACTIVE = "503 5.5.1 TLS is already active";
    AUTH_TWICE = "503 5.5.1 Already authenticated";
    AUTH_IN_TRANSACTION = "503 5.5.1 No AUTH during a mail transaction";
    UNKNOWN_MECHANISM = "504 5.5.4 Unknown authentication mechanism";
    HELD_TOO_LONG = "501 5.5.4 Messages are not held for so long";
    TOO_LITTLE_TIME = "555 5.5.4 Less time than DELIVERBY announces";
    UTF8_UNDECLARED = "553 5.6.7 Address outside ASCII needs SMTPUTF8";

    // Who may do what.
    TLS_FIRST = "530 5.7.0 Issue a STARTTLS command first";
    REQUIRETLS_NEEDS_TLS = "530 5.7.10 REQUIRETLS needs TLS: issue STARTTLS first";
    AUTH_FIRST = "530 5.7.0 Authentication required";
    LOGIN_FAILED = "535 5.7.8 Authentication credentials invalid";
    AUTH_NEEDS_TLS = "538 5.7.11 Encryption required for authentication";
    LOGIN_UNAVAILABLE = "454 4.7.0 Temporary authentication failure";
    ACCOUNT_CROWDED = "421 4.7.0 Too many connections of this account, try again later";
    LOGIN_SLOWED = "454 4.7.0 Too many failed logins, try again later";
    XCLIENT_NOT_TRUSTED = "550 5.7.0 You are not trusted to speak for others";
    XCLIENT_IN_TRANSACTION = "503 5.5.1 No XCLIENT during a mail transaction";
    BAD_XCLIENT = "501 5.5.4 Syntax: XCLIENT attribute=value";
    XCLIENT_NO_ACCOUNT = "550 5.7.0 XCLIENT names no account";
    SENDER_NOT_OWNED = "553 5.7.1 Sender address is not yours";
    RELAY_DENIED = "550 5.7.1 Relaying denied: no outbound mail is sent from here";
    CERTIFICATE_UNKNOWN = "550 5.7.1 Relaying denied: your certificate is not known here, log in";
    RELAY_NEEDS_LOGIN = "550 5.7.1 Relaying denied: log in to send to other hosts";
    NO_ROUTE = "550 5.7.1 Relaying denied: no route to that domain";
    NOT_ALLOWED = "550 5.7.1 Not allowed by local policy";

    // Recipients.
    UNKNOWN_USER = "550 5.1.1 No such user here";
    UNKNOWN_DOMAIN = "550 5.1.2 No such domain here";
    ACCOUNT_DISABLED = "550 5.2.1 Mailbox disabled";
    MAILBOX_FULL = "552 5.2.2 Mailbox full";
    MAILBOX_FULL_FOR_NOW = "452 4.2.2 Mailbox full, try again later";
    ALIAS_LOOP = "550 5.4.6 Alias loop";
    TOO_MANY_RECIPIENTS = "452 4.5.3 Too many recipients, send the rest in another message";
    RECIPIENT_UNAVAILABLE = "451 4.3.0 Cannot look up the recipient, try again later";

    // The message and where it should be kept.
    TOO_LARGE = "552 5.3.4 Message exceeds the size limit";
    TOO_LARGE_FOR_MAILBOX = "552 5.2.3 Message exceeds the mailbox's limit";
    BARE_CR = "550 5.6.0 Message holds a bare CR; lines end with CRLF";
    BARE_LF = "550 5.6.0 Message holds a bare LF; lines end with CRLF";
    NUL_OCTET = "550 5.6.0 Message holds a NUL octet";
    MAIL_LOOP = "554 5.4.6 Mail loop: this was delivered here before (Delivered-To)";
    TOO_MANY_HOPS = "554 5.4.6 Mail loop: too many hosts passed this on (Received)";
    TRANSACTION_FAILED = "554 5.6.0 Message refused";
    STORAGE_FULL = "452 4.3.1 Insufficient storage, try again later";
    STORAGE_FAILED = "451 4.3.0 Cannot store the message, try again later";
    LOCAL_ERROR = "451 4.3.0 Local error, try again later";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reply_is_well_formed() {
        for reply in ALL {
            let text = std::str::from_utf8(reply.as_bytes()).expect("a str");
            let body = text.strip_suffix("\r\n").expect("a line end");
            let lines: Vec<&str> = body.split("\r\n").collect();
            let last = lines.len() - 1;
            for (i, line) in lines.iter().enumerate() {
                // RFC 5321 §4.5.3.1.5: 512 octets with the line end.
                assert!(line.len() <= 510 && line.bytes().all(|b| (32..127).contains(&b)));
                let separator = if i == last { ' ' } else { '-' };
                let head = format!("{}{separator}", reply.code());
                assert!(line.starts_with(&head), "{line}");
            }
            assert_class(*reply);
        }
    }

    fn assert_class(reply: Reply) {
        let class = reply.code() / 100;
        if class == 3 {
            return assert_eq!(reply.status(), "");
        }
        let parts: Vec<u16> = reply
            .status()
            .split('.')
            .map(|n| n.parse().expect("a number"))
            .collect();
        assert_eq!((parts.len(), parts.first()), (3, Some(&class)), "{reply:?}");
        assert_eq!(reply.is_transient(), class == 4);
    }
}
