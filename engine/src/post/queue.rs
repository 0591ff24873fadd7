//! What is asked and ordered of a shard's queue, and what it says. Times are seconds since 1970.

use super::TlsReport;
use serde::{Deserialize, Serialize};

/// One question or order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum QueueAsk {
    List {
        pick: Pick,
        most: usize,
    },
    Show(u64),
    /// All recipients that wait of the message with this queue id.
    OfMessage(String),
    Carry {
        pick: Pick,
        deed: QueueDeed,
        /// Nothing is done: how many would be meant?
        is_trial: bool,
    },
    /// Another way for what waits: a `config::outbound::Detour`.
    Reroute {
        pick: Pick,
        via: String,
    },
    /// What the next hop of a destination is now.
    Hop {
        domain: String,
        sender: String,
        tenant: String,
        via: Option<String>,
    },
    Suspend {
        field: QueueField,
        until: Option<u32>,
    },
    Resume(QueueField),
    Suspensions,
    Top,
    Sources,
    /// What came of TLS on a day in UTC, counted from 1970; `None`: today.
    TlsReports {
        day: Option<u32>,
        domain: Option<String>,
    },
}

/// What a shard says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum QueueAnswer {
    Lines(Vec<QueueLine>),
    Shown(Option<Box<QueueShown>>),
    All(Vec<QueueShown>),
    /// So many recipients were meant.
    Count(u64),
    Sites(Vec<SiteLine>),
    Suspensions(Vec<SuspensionLine>),
    /// The next hop, in words.
    Hop(Vec<String>),
    /// It was not done; a sentence for the operator.
    Refused(String),
    Sources(Vec<SourceLine>),
    TlsReports(Vec<TlsReport>),
    /// No mail leaves this host.
    Off,
}

/// Which recipients are meant: those for whom all that is said here is so.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Pick {
    /// `SHARD.NUMBER`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// An address, or `@` and a domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// As `sender`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// As a header field of the message names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub campaign: Option<String>,
    /// Waits for so many seconds at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older_secs: Option<u32>,
    /// Words of the last reply, in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
}

/// What is done with them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueueDeed {
    /// Try at once.
    Retry,
    /// Take away; nobody is told.
    Drop,
    /// Do not try until they are released.
    Hold,
    Release,
}

/// Whose mail is suspended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueueField {
    Domain(String),
    Site(String),
    Tenant(String),
    Campaign(String),
    /// An address, or `@` and a domain.
    Sender(String),
    /// As `Sender`.
    Recipient(String),
}

/// One suspension that holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SuspensionLine {
    pub field: QueueField,
    /// Absent: until it is resumed.
    pub until_secs: Option<u32>,
}

/// One recipient in one line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct QueueLine {
    /// `SHARD.NUMBER`.
    pub item: String,
    pub domain: String,
    pub tenant: String,
    /// Empty where there is none.
    #[serde(default)]
    pub campaign: String,
    pub octets: u64,
    /// RFC 6710: from −9 to 9.
    pub priority: i8,
    pub attempts: u32,
    pub enqueued_secs: u32,
    pub expiry_secs: u32,
    pub state: String,
    /// What it is waiting for, in words.
    pub why: String,
    /// Until when; absent: until the operator says so.
    pub until_secs: Option<u32>,
}

/// One recipient with all that is known of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct QueueShown {
    pub line: QueueLine,
    pub queue_id: String,
    /// Empty: the null reverse-path.
    pub sender: String,
    pub recipient: String,
    pub received_secs: i64,
    pub last: Option<LastReply>,
}

/// What came of the last attempt.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LastReply {
    pub at_secs: i64,
    pub host: String,
    /// 0: there was no reply.
    pub code: u16,
    pub text: String,
    /// Why the recipient was not taken, in one word.
    pub class: String,
}

/// What one shard has for one site, and how the site fares with all of them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SiteLine {
    /// Empty: domains whose hosts are not known.
    pub site: String,
    pub ready: u64,
    /// Wait for a time.
    pub waiting: u64,
    pub held: u64,
    /// Being sent, or their hosts asked for.
    pub under_way: u64,
    /// When custody of the oldest began; absent: nothing waits, or it is not known yet.
    pub oldest_secs: Option<u32>,
    pub connections: u32,
    /// Connections that it bears, within what the configuration allows.
    pub allowed: u32,
    /// Messages a minute; absent: no limit.
    pub per_minute_max: Option<u32>,
    /// Recipients taken in the last minute, about.
    pub per_minute: u64,
    /// Seconds until it is tried again; 0: it is not paused.
    pub paused_secs: u64,
    pub is_suspended: bool,
    /// It took the last connection.
    pub is_proven: bool,
    /// Of recipients, since the start.
    pub sent: u64,
    pub deferred: u64,
    pub failed: u64,
    /// Connections that did not come to be.
    pub unreached: u64,
    /// The last thing it said that was no yes.
    pub last: Option<LastReply>,
    /// What rules have ordered of it, a sentence each.
    pub rules: Vec<String>,
}

/// One egress source. What is ready is that of one shard, or of all where it says so.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SourceLine {
    pub source: String,
    pub hello: String,
    /// Empty: somebody else chooses.
    pub addresses: Vec<String>,
    pub ready: u64,
    pub connections: u32,
    pub connections_max: Option<u32>,
    /// Messages since the start.
    pub sent: u64,
    /// Why nobody leaves from it now.
    pub suspended: Option<String>,
    pub suspended_secs: u32,
    /// What it has sent today where it warms up, the busiest sites first.
    pub warming: Vec<WarmSite>,
}

/// A day of a warm-up at one site.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WarmSite {
    pub site: String,
    pub sent: u32,
    pub most: u32,
}
