//! Texts that go into a header: what a client may not put there.

/// A field that a client brings along.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct OwnField {
    pub(super) name: String,
    pub(super) value: String,
    /// It has a grammar, so it is folded and never encoded.
    pub(super) is_structured: bool,
}

/// Octets of one value.
const VALUE_BYTES_MAX: usize = 4_000;

/// Octets of a name; with the colon it fits one line.
const NAME_BYTES_MAX: usize = 76;

/// Checks one field. `Err` says what is wrong with it.
pub(super) fn own(name: &str, value: &str) -> Result<OwnField, String> {
    // RFC 5322 §2.2.
    let is_name = |name: &str| name.bytes().all(|o| matches!(o, b'!'..=b'~' if o != b':'));
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !is_name(name) {
        return Err("this is no name of a header field".to_owned());
    }
    let lower = name.to_ascii_lowercase();
    if OURS.contains(&lower.as_str()) || OUR_KINDS.iter().any(|kind| lower.starts_with(kind)) {
        return Err(format!(
            "{name} is made from other members of the request, or by the server"
        ));
    }
    if !is_one_line(value) {
        return Err("a value is one line without control characters".to_owned());
    }
    if value.len() > VALUE_BYTES_MAX {
        return Err(format!("a value has at most {VALUE_BYTES_MAX} octets"));
    }
    let is_structured = STRUCTURED.contains(&lower.as_str()) || lower.starts_with("list-");
    if is_structured && (!value.is_ascii() || value.split(' ').any(|word| word.len() > 900)) {
        return Err(format!(
            "{name} has a grammar: expected ASCII in words below 900 octets"
        ));
    }
    Ok(OwnField {
        name: name.to_owned(),
        value: value.trim().to_owned(),
        is_structured,
    })
}

/// Nothing in it begins another line, for us or for whoever reads it.
pub(super) fn is_one_line(text: &str) -> bool {
    !text
        .chars()
        .any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
}

/// Once, from elsewhere in the request, or by nobody but the server.
const OURS: [&str; 22] = [
    "from",
    "to",
    "cc",
    "bcc",
    "subject",
    "date",
    "message-id",
    "reply-to",
    "mime-version",
    "return-path",
    "received",
    "delivered-to",
    "dkim-signature",
    "authentication-results",
    "received-spf",
    "x-original-to",
    "apparently-to",
    "domainkey-signature",
    "sender",
    "errors-to",
    "auto-submitted-by",
    "envelope-to",
];

const OUR_KINDS: [&str; 4] = ["content-", "resent-", "arc-", "x-ringpost-"];

const STRUCTURED: [&str; 9] = [
    "references",
    "in-reply-to",
    "precedence",
    "auto-submitted",
    "feedback-id",
    "importance",
    "priority",
    "x-priority",
    "disposition-notification-to",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_forge_or_inject_is_refused() {
        for (name, value) in [
            ("X-A", "b\r\nBcc: c@d"),
            ("X-A", "b\nc"),
            ("X-A", "b\0"),
            ("X-A", "b\u{85}c"),
            ("X-A", "b\u{2028}c"),
            ("X A", "b"),
            ("X:A", "b"),
            ("", "b"),
            ("X-\u{e9}", "b"),
            ("BCC", "b@c"),
            ("Received", "x"),
            ("Content-Type", "text/html"),
            ("resent-from", "b@c"),
            ("ARC-Seal", "x"),
            ("List-Unsubscribe", "<https://\u{e9}>"),
        ] {
            assert!(own(name, value).is_err(), "{name}: {value:?}");
        }
        assert!(own("X-A", &"b".repeat(VALUE_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn what_senders_need_is_let_in() {
        for (name, value, is_structured) in [
            ("List-Unsubscribe", "<https://a.example/u>", true),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click", true),
            ("In-Reply-To", "<a@b>", true),
            ("X-Campaign-Name", "Frühling", false),
        ] {
            assert_eq!(
                own(name, value).unwrap().is_structured,
                is_structured,
                "{name}"
            );
        }
    }
}
