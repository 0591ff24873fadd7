//! What `ringpostctl` and the server say to each other: one JSON object a line, over the control
//! socket (`config::CONTROL_SOCKET`). A request is answered by exactly one reply.

pub use crate::post::{
    LastReply, Pick, QueueDeed, QueueField, QueueLine, QueueShown, SiteLine, SuspensionLine,
};
pub use crate::post::{SourceLine, TlsReport, WarmSite};
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
    /// A sentence for the operator.
    Refused(String),
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
