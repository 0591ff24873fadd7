//! What `ringpostctl` and the server say to each other: one JSON object a line, over the control
//! socket (`config::CONTROL_SOCKET`). A request is answered by exactly one reply.

pub use crate::post::{
    LastReply, Pick, QueueDeed, QueueField, QueueLine, QueueShown, SiteLine, SuspensionLine,
};
pub use crate::post::{SourceLine, TlsReport, WarmSite};
pub use crate::post::{SuppressReason, Suppressed};
use serde::{Deserialize, Serialize};

/// What an operator wants.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Makes an account that logs in with `password`.
    AccountAdd {
        address: String,
        password: String,
        quota_bytes: Option<u64>,
    },
    /// Gives an account another password.
    AccountPasswd {
        address: String,
        password: String,
    },
    /// Removes an account with all its mail.
    AccountRemove {
        address: String,
    },
    AccountList,
    DomainAdd {
        name: String,
        catch_all: Option<String>,
    },
    DomainRemove {
        name: String,
    },
    DomainList,
    /// Recipients at other hosts that wait.
    QueueList {
        pick: Pick,
        most: u32,
    },
    /// One of them, `SHARD.NUMBER`, with all that is known of it.
    QueueShow {
        item: String,
    },
    QueueCarry {
        pick: Pick,
        deed: QueueDeed,
        /// Nothing is done: how many would be meant?
        #[serde(default)]
        is_trial: bool,
    },
    /// Another way for what waits, from its next attempt on.
    QueueReroute {
        pick: Pick,
        /// `config::outbound::Detour`.
        via: String,
    },
    /// Where mail to an address goes now, step by step.
    Route {
        address: String,
        /// `None`: the null reverse-path.
        from: Option<String>,
        /// The account that submits it.
        login: Option<String>,
    },
    QueueSuspend {
        field: QueueField,
        /// `None`: until it is resumed.
        secs: Option<u32>,
    },
    QueueResume {
        field: QueueField,
    },
    /// What is suspended now.
    QueueSuspensions,
    /// Sites by how much there is to do for them.
    QueueTop,
    /// Egress sources.
    QueueSources,
    /// What came of TLS to other hosts on a day in UTC, counted from 1970; absent: today.
    TlsReport {
        day: Option<u32>,
        domain: Option<String>,
    },
    /// Writes to the suppression list; at most [`SUPPRESS_TOGETHER_MAX`] at once.
    SuppressPut {
        entries: Vec<SuppressEntry>,
    },
    /// Takes back what is there of these.
    SuppressRemove {
        entries: Vec<SuppressEntry>,
    },
    SuppressCheck {
        address: String,
        /// `None`: mail of everybody.
        tenant: Option<String>,
    },
    SuppressList {
        domain: Option<String>,
        /// Where the last answer ended.
        after: Option<String>,
        most: u32,
    },
    /// Which rule holds for a reply, and what it does.
    RuleTest {
        reply: String,
        about: RuleAbout,
    },
    RuleList,
    /// An IMAP command about rights, quotas or annotations, as the owner of an account says it.
    AsOwner {
        owner: String,
        command: String,
    },
}

/// One line for the suppression list.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SuppressEntry {
    pub address: String,
    /// `None`: mail of everybody.
    pub tenant: Option<String>,
    /// `None`: by hand.
    pub reason: Option<SuppressReason>,
    /// Seconds since 1970; `None`: now.
    pub since_secs: Option<i64>,
    /// The same; 0: never.
    pub expiry_secs: i64,
    pub text: String,
}

/// Whom a reply is about; what is empty is not known.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RuleAbout {
    pub site: String,
    pub host: String,
    pub domain: String,
    pub phase: String,
}

/// One rule in words.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RuleLine {
    pub name: String,
    /// Where it stands in the configuration; 0: it is a shipped one.
    pub line: u64,
    /// What it asks for.
    pub when: String,
    /// What it does to the message, each time.
    pub message: Vec<String>,
    /// What it does to the site.
    pub site: Vec<String>,
    /// As in `3/1h`; absent: each time.
    pub threshold: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    Done,
    Accounts(Vec<AccountLine>),
    Domains(Vec<DomainLine>),
    QueueLines(Vec<QueueLine>),
    QueueShown(Box<QueueShown>),
    /// So many were meant.
    Count(u64),
    Sites(Vec<SiteLine>),
    Suspensions(Vec<SuspensionLine>),
    Sources(Vec<SourceLine>),
    TlsReports(Vec<TlsReport>),
    Steps(Vec<RouteStep>),
    Suppressed {
        lines: Vec<Suppressed>,
        /// Go on from here; absent: that was all.
        next: Option<String>,
    },
    /// The rule that holds, with the class of the reply.
    RuleFound {
        rule: Option<RuleLine>,
        class: String,
    },
    Rules(Vec<RuleLine>),
    /// Lines as an IMAP client reads them.
    Text(String),
    /// A sentence for the operator.
    Refused(String),
}

/// One step of the way of an address.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RouteStep {
    /// How far inside of what came before it is.
    pub level: u8,
    pub what: String,
    pub words: String,
}

/// One account as `ringpostctl account list` shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AccountLine {
    pub address: String,
    /// Octets stored.
    pub used_bytes: u64,
    pub quota_bytes: Option<u64>,
    pub origin: Origin,
}

/// One domain as `ringpostctl domain list` shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DomainLine {
    pub name: String,
    pub catch_all: Option<String>,
    pub origin: Origin,
}

/// Who decides about an account or a domain.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The configuration file.
    Config,
    /// The store; changed by `ringpostctl`.
    Store,
}

/// Longest line in either direction, in octets: a list of accounts is long.
pub const REPLY_BYTES_MAX: usize = 256 << 20;

/// Entries of one request.
pub const SUPPRESS_TOGETHER_MAX: usize = 100;

/// Longest request, in octets.
pub const REQUEST_BYTES_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_readable_object() {
        let request = Request::DomainAdd {
            name: "example.org".into(),
            catch_all: None,
        };
        let text = serde_json::to_string(&request).unwrap();
        assert_eq!(
            text,
            r#"{"do":"domain-add","name":"example.org","catch_all":null}"#
        );
        assert_eq!(serde_json::from_str::<Request>(&text).unwrap(), request);
        let strange = r#"{"do":"domain-remove","name":"example.org","x":1}"#;
        assert!(serde_json::from_str::<Request>(strange).is_err());
    }
}
