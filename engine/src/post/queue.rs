//! What is asked and ordered of a shard's queue, and what it says. Times are seconds since 1970.

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
    },
    Suspend {
        field: QueueField,
        until: Option<u32>,
    },
    Resume(QueueField),
    Top,
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
    /// No mail leaves this host.
    Off,
}

/// Which recipients are meant.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pick {
    All,
    Domain(String),
    Tenant(String),
    Campaign(String),
    /// `SHARD.NUMBER`.
    Item(String),
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
}

/// What one shard has for one site, and how the site fares with all of them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SiteLine {
    pub site: String,
    pub ready: u64,
    pub connections: u32,
    pub allowed: u32,
    /// Seconds until it is tried again; 0: it is not paused.
    pub paused_secs: u64,
    pub sent: u64,
    pub deferred: u64,
    pub failed: u64,
    pub unreached: u64,
}
