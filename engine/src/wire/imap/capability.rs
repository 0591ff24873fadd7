//! What we say we can, by state of the session (RFC 9051 §7.2.2, Appendix F; RFC 3501 §7.2.1).
//!
//! LITERAL+ includes what LITERAL- of IMAP4rev2 promises (RFC 7888 §5), so that only it is named.
//! A word is here only when what it stands for is complete.

use std::fmt::Write;

/// What decides the words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// In the clear with a password still to come.
    BeforeLogin {
        /// STARTTLS can be said now.
        starttls: bool,
        /// LOGIN and AUTH=PLAIN may be used now: under TLS, or where the operator allows it.
        login: bool,
    },
    AfterLogin,
}

/// In every state.
const ALWAYS: &[&str] = &[
    "IMAP4rev1",
    "IMAP4rev2",
    "LITERAL+",
    "SASL-IR",
    "ID",
    "ENABLE",
];

/// Where a password may cross the wire.
const PLAINTEXT: &[&str] = &["AUTH=PLAIN", "AUTH=LOGIN"];

/// Where it never does.
const CHALLENGE: &[&str] = &["AUTH=SCRAM-SHA-256"];

/// For mailboxes: only after login.
const MAILBOXES: &[&str] = &[
    "IDLE",
    "NAMESPACE",
    "UIDPLUS",
    "MOVE",
    "UNSELECT",
    "CHILDREN",
    "LIST-EXTENDED",
    "LIST-STATUS",
    "SPECIAL-USE",
    "CREATE-SPECIAL-USE",
    "STATUS=SIZE",
    "ESEARCH",
    "SEARCHRES",
    "BINARY",
];

/// The words behind `CAPABILITY `, separated by spaces; `append_limit` in octets (RFC 7889 §3).
#[must_use]
pub fn words(stage: Stage, append_limit: u64) -> String {
    let mut words = ALWAYS.to_vec();
    match stage {
        Stage::BeforeLogin { starttls, login } => {
            words.extend(starttls.then_some("STARTTLS"));
            words.extend_from_slice(CHALLENGE);
            if login {
                words.extend_from_slice(PLAINTEXT);
            } else {
                words.push("LOGINDISABLED");
            }
        }
        Stage::AfterLogin => words.extend_from_slice(MAILBOXES),
    }
    let mut text = words.join(" ");
    if stage == Stage::AfterLogin {
        write!(text, " APPENDLIMIT={append_limit}").expect("writing to a String cannot fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_asked_for_only_where_it_is_safe() {
        let clear = Stage::BeforeLogin {
            starttls: true,
            login: false,
        };
        assert_eq!(
            words(clear, 1),
            "IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE STARTTLS AUTH=SCRAM-SHA-256 \
             LOGINDISABLED"
        );
        let secure = Stage::BeforeLogin {
            starttls: false,
            login: true,
        };
        assert_eq!(
            words(secure, 1),
            "IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE AUTH=SCRAM-SHA-256 AUTH=PLAIN \
             AUTH=LOGIN"
        );
    }

    #[test]
    fn after_login_no_way_to_log_in_is_named() {
        let words = words(Stage::AfterLogin, 26_214_400);
        assert!(words.ends_with("BINARY APPENDLIMIT=26214400"), "{words}");
        assert!(
            !words.contains("AUTH=") && !words.contains("LOGIN"),
            "{words}"
        );
    }
}
