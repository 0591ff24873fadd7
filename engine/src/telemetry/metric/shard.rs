//! What one shard counts. The comment of each field is its HELP text.

use super::cell::{Counter, Gauge, Histogram, Labelled, label};
use super::pop3::{Pop3End, Pop3Verb};
use super::render::{Family, Samples};

label! {
    /// What a connection speaks.
    "protocol" Protocol {
        Smtp = "smtp",
        Submission = "submission",
        Lmtp = "lmtp",
        Imap = "imap",
        Pop3 = "pop3",
        Http = "http",
    }
}

label! {
    /// Why mail was not taken; the policy said so, or we could not.
    "reason" Refusal {
        Relay = "relay",
        NoSuchUser = "no-such-user",
        Disabled = "disabled",
        OverQuota = "over-quota",
        AliasLoop = "alias-loop",
        TooManyTargets = "too-many-targets",
        NoPostmaster = "no-postmaster",
        TooLarge = "too-large",
        TooManyRecipients = "too-many-recipients",
        TooManyHops = "too-many-hops",
        NotLoggedIn = "not-logged-in",
        NotTheirSender = "not-their-sender",
        Suppressed = "suppressed",
        Malformed = "malformed",
        Unavailable = "unavailable",
    }
}

label! {
    /// What an IMAP client asks; the UID form counts as its command.
    "verb" Verb {
        Capability = "capability",
        Noop = "noop",
        Logout = "logout",
        Id = "id",
        StartTls = "starttls",
        Authenticate = "authenticate",
        Login = "login",
        Enable = "enable",
        Select = "select",
        Examine = "examine",
        Create = "create",
        Delete = "delete",
        Rename = "rename",
        Subscribe = "subscribe",
        Unsubscribe = "unsubscribe",
        List = "list",
        Lsub = "lsub",
        Namespace = "namespace",
        Status = "status",
        Append = "append",
        Idle = "idle",
        Notify = "notify",
        Check = "check",
        Close = "close",
        Unselect = "unselect",
        Compress = "compress",
        Unauthenticate = "unauthenticate",
        Expunge = "expunge",
        Search = "search",
        Sort = "sort",
        Thread = "thread",
        Esearch = "esearch",
        CancelUpdate = "cancelupdate",
        UidBatches = "uidbatches",
        Fetch = "fetch",
        Store = "store",
        Copy = "copy",
        Move = "move",
        Rights = "rights",
        Quota = "quota",
        Metadata = "metadata",
        /// Nothing that is a command.
        NotUnderstood = "not-understood",
    }
}

label! {
    /// How a login ended.
    "result" Login {
        Ok = "ok",
        Failed = "failed",
        Throttled = "throttled",
        Busy = "busy",
        Crowded = "crowded",
    }
}

label! {
    /// Why a copy of a message in our custody reaches nobody.
    "reason" Lost {
        Damaged = "damaged",
        NoAccount = "no-account",
    }
}

label! {
    /// What a next hop said, by its first digit; `none`: nothing.
    "reply" Attempt {
        Taken = "2yz",
        Later = "4yz",
        Never = "5yz",
        Nothing = "none",
    }
}

label! {
    /// Why a recipient was not taken (`queue::dsn::Class`).
    "class" ReplyClass {
        BadMailbox = "bad-mailbox",
        InactiveMailbox = "inactive-mailbox",
        BadDomain = "bad-domain",
        Quota = "quota",
        Greylisted = "greylisted",
        RateLimited = "rate-limited",
        Reputation = "reputation",
        Spam = "spam",
        Authentication = "authentication",
        Policy = "policy",
        Content = "content",
        Size = "size",
        Protocol = "protocol",
        Tls = "tls",
        Dns = "dns",
        Network = "network",
        Loop = "loop",
        System = "system",
        Expired = "expired",
        Suppressed = "suppressed",
        Other = "other",
    }
}

label! {
    /// How a recipient at another host ended.
    "end" End {
        Delivered = "delivered",
        Failed = "failed",
        Expired = "expired",
        Dropped = "dropped",
    }
}

label! {
    /// Who must act on an error (design §9).
    "kind" Blame {
        Peer = "peer",
        Refused = "refused",
        Local = "local",
    }
}

/// The fields, and the families that show them.
macro_rules! shard_metrics {
    ($(#[doc = $help:literal] $kind:ident $name:ident: $cell:ty,)*) => {
        /// The cells of one shard, written by its thread alone; on cache lines of its own.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub struct ShardMetrics {
            $(#[doc = $help] pub $name: $cell,)*
        }

        /// Every family in the order of the fields.
        pub(super) const FAMILIES: &[Family<ShardMetrics>] = &[
            $(Family {
                name: concat!("ringpost_", stringify!($name)),
                help: $help,
                kind: shard_metrics!(@kind $kind),
                samples: |shard| &shard.$name as &dyn Samples,
            },)*
        ];
    };
    (@kind counter) => { prometheus_client::metrics::MetricType::Counter };
    (@kind gauge) => { prometheus_client::metrics::MetricType::Gauge };
    (@kind histogram) => { prometheus_client::metrics::MetricType::Histogram };
}

shard_metrics! {
    /// Connections that are open.
    gauge connections_open: Labelled<Protocol, Gauge>,
    /// Connections accepted since the start.
    counter connections: Labelled<Protocol, Counter>,
    /// Connections closed at once because a limit of connections was reached.
    counter connections_refused: Labelled<Protocol, Counter>,
    /// Connections closed because they did not come from a proxy or began with no PROXY header.
    counter proxy_headers_refused: Counter,
    /// Octets read from peers, TLS included.
    counter received_bytes: Labelled<Protocol, Counter>,
    /// Octets written to peers, TLS included.
    counter sent_bytes: Labelled<Protocol, Counter>,
    /// TLS handshakes that did not come to an end.
    counter tls_failures: Counter,

    /// Messages taken into custody.
    counter messages_received: Labelled<Protocol, Counter>,
    /// Octets of messages taken into custody.
    counter message_bytes: Counter,
    /// Recipients of messages taken into custody.
    counter recipients: Counter,
    /// Messages put into mailboxes of this shard, one for each mailbox.
    counter messages_delivered: Counter,
    /// Transactions that ended in a refusal.
    counter transactions_refused: Counter,
    /// Transactions that the client gave up.
    counter transactions_abandoned: Counter,
    /// Recipients and messages that were not taken.
    counter refusals: Labelled<Refusal, Counter>,

    /// IMAP commands received.
    counter imap_commands: Labelled<Verb, Counter>,

    /// POP3 commands received.
    counter pop3_commands: Labelled<Pop3Verb, Counter>,
    /// Ends of POP3 sessions that had the maildrop, and refusals of it.
    counter pop3_sessions: Labelled<Pop3End, Counter>,
    /// Messages sent whole by RETR.
    counter pop3_retrieved: Counter,
    /// Messages removed by POP3, at QUIT or because their time was over.
    counter pop3_deleted: Counter,

    /// Attempts to log in.
    counter logins: Labelled<Login, Counter>,
    /// Messages in our custody that other shards are still owed.
    gauge spool_offers: Gauge,
    /// Of these, handed over and not yet answered for.
    gauge spool_offers_in_flight: Gauge,
    /// Offers of other shards that a start skipped: files of different moments lack them.
    counter spool_offers_skipped: Counter,
    /// Copies of messages in our custody that reach nobody; the log names each.
    counter messages_lost: Labelled<Lost, Counter>,

    /// Recipients at other hosts that wait in the queue of this shard.
    gauge queue_items: Gauge,
    /// How long the oldest of them has waited.
    gauge queue_oldest_secs: Gauge,
    /// Of these, those that wait for a connection only.
    gauge queue_ready: Gauge,
    /// What these occupy in memory beside the store's share.
    gauge queue_node_bytes: Gauge,
    /// Connections to other hosts.
    gauge queue_connections: Gauge,
    /// Octets of messages in memory to be sent.
    gauge queue_body_bytes: Gauge,
    /// What came of recipients that were tried.
    counter queue_attempts: Labelled<Attempt, Counter>,
    /// Attempts that did not deliver, by what the reply means.
    counter queue_refusals: Labelled<ReplyClass, Counter>,
    /// How recipients ended.
    counter queue_ends: Labelled<End, Counter>,
    /// Recipients that the watchdog found in a state that should have been over.
    counter queue_overdue: Counter,

    /// Complaints of recipients that came as mail.
    counter complaints: Counter,
    /// Refusals of recipients that came as mail.
    counter bounces_by_mail: Counter,
    /// Mail to an address that takes reports, and that is none.
    counter reports_unread: Counter,
    /// Reports that were not believed: of nobody's network, and without the token.
    counter reports_doubted: Counter,

    /// Letters of other threads that wait, in bytes: 512 for each beside what it carries.
    gauge inbox_bytes: Gauge,

    /// Frames made durable.
    counter commits: Counter,
    /// Time from the write of a frame to its durability.
    histogram commit_seconds: Histogram<1_000_000>,
    /// Records in one frame.
    histogram commit_records: Histogram<1>,
    /// Octets of one frame.
    histogram commit_bytes: Histogram<1>,
    /// Number of the segment that is written.
    gauge log_segment: Gauge,
    /// Sequence number of the last durable frame.
    gauge log_frame: Gauge,
    /// Position of the last durable record.
    gauge log_lsn: Gauge,
    /// Octets of segments written with zeros ahead of use.
    counter log_zeroed_bytes: Counter,
    /// 1 where the log takes no more changes.
    gauge log_read_only: Gauge,

    /// Checkpoints begun: the index is written down, so that a start has less to replay.
    counter checkpoints: Counter,
    /// Checkpoints that failed, and are tried again.
    counter checkpoints_failed: Counter,
    /// What the rows of open mailboxes occupy in memory, as of the last checkpoint.
    gauge mailbox_rows_bytes: Gauge,
    /// Segments of the log that are not emptied.
    gauge log_segments: Gauge,
    /// Octets of index runs.
    gauge index_bytes: Gauge,
    /// Octets of packs: mail that was moved out of the log.
    gauge pack_bytes: Gauge,
    /// Octets of archives: what else the emptied segments said.
    gauge archive_bytes: Gauge,
    /// Octets of log and packs that compaction read to give their space back.
    counter compacted_bytes: Counter,

    /// Errors by who must act.
    counter errors: Labelled<Blame, Counter>,
    /// Panics that ended one connection.
    counter panics: Counter,
}
