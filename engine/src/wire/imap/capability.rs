//! What we say we can, by state of the session (RFC 9051 §7.2.2, Appendix F; RFC 3501 §7.2.1).
//!
//! LITERAL+ includes what LITERAL- of IMAP4rev2 promises (RFC 7888 §5), so that only it is named.
//! A word is here only when what it stands for is complete.

use crate::wire::sasl::Offer;
use std::fmt::Write;
use store::limit::APPENDED_TOGETHER_MAX;

/// What decides the words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage<'a> {
    BeforeLogin {
        /// STARTTLS can be said now.
        starttls: bool,
        /// What may be logged in with now; LOGIN where it takes passwords.
        offer: &'a Offer,
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

/// For mailboxes: only after login.
const MAILBOXES: &[&str] = &[
    "IDLE",
    "CONDSTORE",
    "QRESYNC",
    "UIDONLY",
    "UIDBATCHES",
    "PARTIAL",
    "NOTIFY",
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
    "WITHIN",
    "CONTEXT=SEARCH",
    "CONTEXT=SORT",
    "MULTISEARCH",
    "SEARCH=FUZZY",
    "SORT",
    "SORT=DISPLAY",
    "ESORT",
    "THREAD=ORDEREDSUBJECT",
    "THREAD=REFERENCES",
    "THREAD=REFS",
    "I18NLEVEL=1",
    "BINARY",
    "MULTIAPPEND",
    "CATENATE",
    "URL-PARTIAL",
    "UTF8=ACCEPT",
    "REPLACE",
    "SAVEDATE",
    "OBJECTID",
    "PREVIEW",
    "COMPRESS=DEFLATE",
    "UNAUTHENTICATE",
    "INPROGRESS",
    "ACL",
    "RIGHTS=texk",
    "LIST-MYRIGHTS",
    "METADATA",
    "METADATA-SERVER",
    "LIST-METADATA",
    "QUOTA",
    "QUOTA=RES-STORAGE",
    "QUOTA=RES-MESSAGE",
    "QUOTA=RES-MAILBOX",
    "QUOTASET",
];

/// The words behind `CAPABILITY `, separated by spaces; `append_limit` in octets (RFC 7889 §3).
#[must_use]
pub fn words(stage: Stage<'_>, append_limit: u64) -> String {
    let mut words = ALWAYS.to_vec();
    match stage {
        Stage::BeforeLogin { starttls, offer } => {
            words.extend(starttls.then_some("STARTTLS"));
            words.extend((!offer.takes_passwords()).then_some("LOGINDISABLED"));
        }
        Stage::AfterLogin => words.extend_from_slice(MAILBOXES),
    }
    let mut text = words.join(" ");
    if let Stage::BeforeLogin { offer, .. } = stage {
        for mechanism in offer.mechanisms() {
            text.push_str(" AUTH=");
            text.push_str(mechanism.name());
        }
    }
    if stage == Stage::AfterLogin {
        write!(
            text,
            " SAVELIMIT={APPENDED_TOGETHER_MAX} APPENDLIMIT={append_limit}"
        )
        .expect("writing to a String cannot fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sasl::{Channel, Mechanism};

    fn before_login(starttls: bool, channel: Channel) -> String {
        let house = [Mechanism::ScramSha256, Mechanism::Plain, Mechanism::Login];
        let offer = Offer::new(&house, channel, false);
        let offer = &offer;
        words(Stage::BeforeLogin { starttls, offer }, 1)
    }

    #[test]
    fn a_password_is_asked_for_only_where_it_is_safe() {
        assert_eq!(
            before_login(true, Channel::default()),
            "IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE STARTTLS LOGINDISABLED \
             AUTH=SCRAM-SHA-256"
        );
        assert_eq!(
            before_login(false, Channel::private()),
            "IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE AUTH=SCRAM-SHA-256 AUTH=PLAIN \
             AUTH=LOGIN"
        );
    }

    #[test]
    fn after_login_no_way_to_log_in_is_named() {
        let words = words(Stage::AfterLogin, 26_214_400);
        assert!(words.ends_with(" APPENDLIMIT=26214400"), "{words}");
        assert!(
            !words.contains("AUTH=") && !words.contains("LOGIN"),
            "{words}"
        );
    }
}
