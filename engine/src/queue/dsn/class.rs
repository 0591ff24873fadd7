//! Why a host refused: replies sorted by what has to be done about them.
//!
//! Hosts misuse codes more than words: `550 5.1.1` also says that the sender is listed, `550 5.7.1`
//! that there is no such user. So words come first, those that can mean only one thing before those
//! that can mean many; then the enhanced code, then the three digits. A reply is read up to
//! [`READ_BYTES_MAX`] octets. The words are those of the large providers and of the servers that
//! most others run.

use super::status::{Status, leading, split};

/// Why mail was not taken. [`Class::name`] is the word for logs and metrics.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    /// There is no such mailbox.
    BadMailbox,
    /// It is there and takes nothing: disabled, suspended, inactive.
    InactiveMailbox,
    /// There is no such domain, or it takes no mail.
    BadDomain,
    /// The mailbox is full.
    Quota,
    /// Unknown to them: come again later.
    Greylisted,
    /// Too much in a time.
    RateLimited,
    /// The address or name of this host, or the sender's domain, is not liked or listed.
    Reputation,
    /// The message looks like spam.
    Spam,
    /// SPF, DKIM or DMARC do not prove the sender.
    Authentication,
    /// Refused by a rule: relaying, sender not allowed, closed list.
    Policy,
    /// A virus, a kind of attachment, a broken format.
    Content,
    /// Too large.
    Size,
    /// The dialogue broke.
    Protocol,
    /// No connection as private as it must be.
    Tls,
    /// The name service said nothing.
    Dns,
    /// No host answered.
    Network,
    /// It goes in circles.
    Loop,
    /// Their system is out of order.
    System,
    /// Tried until its time was over.
    Expired,
    Other,
}

/// Octets of a reply that are read.
pub const READ_BYTES_MAX: usize = 2_048;

/// What a reply means, whole, with its code and all its lines.
#[must_use]
pub fn classify(reply: &[u8]) -> Class {
    let head = reply.get(..READ_BYTES_MAX).unwrap_or(reply);
    let text = plain(head);
    if let Some((class, _)) = WORDS
        .iter()
        .find(|(_, words)| words.iter().any(|word| text.contains(word)))
    {
        return *class;
    }
    let Some((code, rest)) = split(head) else {
        return Class::Protocol;
    };
    leading(rest)
        .and_then(of_status)
        .or_else(|| of_code(code))
        .unwrap_or(Class::Other)
}

/// Lower case, one space between words, continued lines without their codes.
fn plain(reply: &[u8]) -> String {
    let text = String::from_utf8_lossy(reply).to_ascii_lowercase();
    let mut words: Vec<&str> = Vec::new();
    for line in text.lines() {
        words.extend(line.split_ascii_whitespace());
    }
    words.join(" ")
}

/// In this order. Each word is lower case with single spaces.
const WORDS: &[(Class, &[&str])] = &[
    (
        Class::Greylisted,
        &["greylist", "graylist", "grey list", "gray list", "postgrey"],
    ),
    (
        Class::Size,
        &[
            "message size exceeds",
            "message too large",
            "message too big",
            "message is too large",
            "exceeds the size limit",
            "size limit exceeded",
            "exceeded our message size limit",
            "larger than the current system limit",
            "message length exceeds",
            "maximum message size",
            "message file too big",
            "message file is too big",
        ],
    ),
    (
        Class::Quota,
        &[
            "over quota",
            "overquota",
            "over its quota",
            "quota exceeded",
            "exceeded quota",
            "exceeded storage",
            "exceeds quota",
            "out of storage space",
            "mailbox full",
            "mailbox is full",
            "mailbox.full",
            "mailbox for user is full",
            "inbox is full",
            "mailboxfull",
            "user is over the quota",
            "quotaexceeded",
            "quota exceed",
            "insufficient quota",
            "disk quota",
            "over the maximum allowed quota",
        ],
    ),
    (
        Class::Authentication,
        &[
            "dmarc",
            "unauthenticated email",
            "unauthenticated sender",
            "spf check failed",
            "spf fail",
            "fails spf",
            "failed spf",
            "spf validation",
            "dkim signature",
            "dkim check",
            "no spf",
            "not authorized by spf",
            "does not pass authentication",
            "has been blocked because the sender is unauthenticated",
            "spf: fail",
            "sender policy framework",
        ],
    ),
    (
        Class::Tls,
        &[
            "must issue a starttls",
            "starttls first",
            "requires tls",
            "tls required",
            "tls is required",
            "encryption required",
            "encryption needed",
            "requires encryption",
            "requiretls",
        ],
    ),
    (
        Class::RateLimited,
        &[
            "rate limit",
            "ratelimit",
            "rate-limit",
            "too many connections",
            "too many messages",
            "too many concurrent",
            "too many recipients",
            "too many emails",
            "too much mail",
            "unusual rate",
            "receiving mail at a rate",
            "throttl",
            "temporarily deferred",
            "sending limit",
            "hourly limit",
            "daily limit",
            "message rate",
            "too fast",
            "connection limit",
            "too many sessions",
            "exceeded the limit",
            "frequency limited",
            "slow down",
            "max number of messages",
        ],
    ),
    (
        Class::Reputation,
        &[
            "spamhaus",
            "barracudacentral",
            "spamcop",
            "sorbs",
            "blocklist",
            "block list",
            "blacklist",
            "black list",
            "denylist",
            "dnsbl",
            "rbl ",
            "rbl:",
            "listed at",
            "listed by",
            "listed in",
            "poor reputation",
            "low reputation",
            "bad reputation",
            "reputation of",
            "ip reputation",
            "reputation block",
            "banned sending ip",
            "your ip address",
            "your ip range",
            "weren't sent. please contact your internet service",
            "part of their network is on our block",
            "has been blocked by",
            "client host blocked",
            "reverse dns",
            "ptr record",
            "rdns",
            "cannot find your hostname",
            "no reverse",
            "senderbase",
            "talosintelligence",
            "sending ip",
            "refused from your ip",
            "ip block",
            "dul ",
            "blocked using",
        ],
    ),
    (
        Class::Content,
        &[
            "virus",
            "malware",
            "infected",
            "phishing",
            "attachment",
            "executable",
            "dangerous content",
            "illegal content",
            "content rejected because",
            "bare lf",
            "bare newline",
            "rfc 5322 compliant",
            "not rfc 5322",
            "rfc5322",
            "message contains bare",
            "invalid header",
            "header syntax",
            "missing from header",
            "multiple from",
            "duplicate header",
            "malformed",
        ],
    ),
    (
        Class::Spam,
        &[
            "spam",
            "unsolicited",
            "junk mail",
            "bulk mail",
            "considered as ube",
            "high probability of",
            "content filter",
            "message content rejected",
            "not accepted for policy reasons",
            "rejected due to content",
            "content restrictions",
            "suspicious",
            "cloudmark",
            "message was detected as",
            "url in this",
            "blocked by our content",
        ],
    ),
    (
        Class::InactiveMailbox,
        &[
            "account is disabled",
            "account disabled",
            "account has been disabled",
            "mailbox disabled",
            "mailbox is disabled",
            "user disabled",
            "disabled account",
            "account inactive",
            "account is inactive",
            "inactive user",
            "mailbox inactive",
            "mailbox is inactive",
            "user is inactive",
            "account is suspended",
            "user suspended",
            "account suspended",
            "mailbox unavailable due to inactivity",
            "account that you tried \
             to reach is disabled",
            "account that you tried to reach is inactive",
            "no longer active",
            "no longer in use",
            "account deactivated",
            "mailbox is frozen",
            "account locked",
            "account is locked",
            "not currently accepting",
            "mailbox temporarily disabled",
            "recipient suspended",
        ],
    ),
    (
        Class::BadMailbox,
        &[
            "user unknown",
            "unknown user",
            "no such user",
            "no such mailbox",
            "no such recipient",
            "no such person",
            "no such account",
            "no such address",
            "no such local user",
            "no mailbox here",
            "no mailbox by that name",
            "mailbox not found",
            "mailbox does not exist",
            "mailbox unknown",
            "unknown mailbox",
            "unknown recipient",
            "recipient unknown",
            "recipient not found",
            "recipientnotfound",
            "user not found",
            "address not found",
            "user doesn't exist",
            "user does not exist",
            "does not exist",
            "doesn't exist",
            "doesn't have a",
            "unknown local",
            "unknown address",
            "address unknown",
            "invalid recipient",
            "invalid mailbox",
            "invalid user",
            "not a known user",
            "invalid address",
            "recipient address rejected: undeliverable",
            "unrouteable address",
            "recipient is not exist",
            "is not a valid mailbox",
            "account not found",
            "unrecognized recipient",
            "address rejected: unverified",
            "addressee unknown",
            "not our customer",
            "user is unknown",
            "account does not exist",
            "not found in",
            "no existe",
            "existiert nicht",
            "non esiste",
            "n'existe pas",
            "bad destination mailbox",
            "verify address failed",
            "5.1.1 not our",
            "mailbox unavailable",
        ],
    ),
    (
        Class::BadDomain,
        &[
            "domain not found",
            "domain name not found",
            "host not found",
            "unknown domain",
            "no such domain",
            "no such host",
            "bad destination system",
            "null mx",
            "domain does not accept mail",
            "unknown host",
        ],
    ),
    (
        Class::Loop,
        &[
            "mail loop",
            "too many hops",
            "hop count exceeded",
            "routing loop",
            "loop detected",
            "loops back",
            "mail forwarding loop",
        ],
    ),
    (
        Class::Policy,
        &[
            "relay access denied",
            "relaying denied",
            "relay not permitted",
            "relay denied",
            "unable to relay",
            "not permitted to relay",
            "relay forbidden",
            "sender address rejected",
            "access denied",
            "not authorized",
            "not permitted",
            "not allowed",
            "administrative prohibition",
            "administratively prohibited",
            "local policy",
            "policy violation",
            "policy reasons",
            "recipient has restricted",
            "restricted to",
            "moderated",
            "rejected by recipient",
            "sender denied",
            "message refused by",
            "prohibited",
        ],
    ),
    (
        Class::System,
        &[
            "insufficient system",
            "system storage",
            "out of memory",
            "server busy",
            "try again later",
            "service unavailable",
            "service not available",
            "local error",
            "internal error",
            "lookup failure",
            "queue file write error",
            "configuration error",
            "server error",
            "resources temporarily",
            "temporary failure",
            "temporary server error",
            "system problem",
        ],
    ),
];

/// RFC 3463 §3 and the codes registered since.
fn of_status(status: Status) -> Option<Class> {
    Some(match (status.subject, status.detail) {
        (1, 1 | 3 | 4 | 6) => Class::BadMailbox,
        (1, 2 | 10) => Class::BadDomain,
        (1, 7 | 8 | 9) => Class::Policy,
        (2, 1) => Class::InactiveMailbox,
        (2, 2) => Class::Quota,
        (2, 3) | (3, 4) => Class::Size,
        (2, 4) => Class::System,
        (3, _) => Class::System,
        (4, 1 | 2) => Class::Network,
        (4, 3 | 4) => Class::Dns,
        (4, 5) => Class::RateLimited,
        (4, 6) => Class::Loop,
        (4, 7) => Class::Expired,
        (5, 3) => Class::RateLimited,
        (5, _) => Class::Protocol,
        (6, _) => Class::Content,
        (7, 10 | 11 | 30) => Class::Tls,
        (7, 20..=24 | 26..=29) => Class::Authentication,
        (7, 25) => Class::Reputation,
        (7, _) => Class::Policy,
        _ => return None,
    })
}

fn of_code(code: u16) -> Option<Class> {
    Some(match code {
        421 | 451 => Class::System,
        550 | 551 | 553 => Class::BadMailbox,
        552 => Class::Quota,
        452 => Class::System,
        500..=504 | 555 => Class::Protocol,
        523 | 530 | 534 | 535 | 538 => Class::Policy,
        556 => Class::BadDomain,
        _ => return None,
    })
}

impl Class {
    /// The word of logs, metrics and rules.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Class::BadMailbox => "bad-mailbox",
            Class::InactiveMailbox => "inactive-mailbox",
            Class::BadDomain => "bad-domain",
            Class::Quota => "quota",
            Class::Greylisted => "greylisted",
            Class::RateLimited => "rate-limited",
            Class::Reputation => "reputation",
            Class::Spam => "spam",
            Class::Authentication => "authentication",
            Class::Policy => "policy",
            Class::Content => "content",
            Class::Size => "size",
            Class::Protocol => "protocol",
            Class::Tls => "tls",
            Class::Dns => "dns",
            Class::Network => "network",
            Class::Loop => "loop",
            Class::System => "system",
            Class::Expired => "expired",
            Class::Other => "other",
        }
    }
}
