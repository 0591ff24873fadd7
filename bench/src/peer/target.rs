//! A server to be loaded: its doors, its users, its processes, and how its deliveries are counted.

use crate::measure::usage::Subject;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// What `peers up` writes down and scenarios are given.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Target {
    /// As it was wished for: `ringpost`, `postfix-dovecot`, `host:port`.
    pub(crate) name: String,
    /// With version and what it delivers into.
    pub(crate) server: String,
    /// What is on disk when it says 250.
    pub(crate) durability: String,
    pub(crate) doors: Doors,
    pub(crate) users: Vec<String>,
    pub(crate) password: String,
    /// Where it writes.
    pub(crate) folder: Option<PathBuf>,
    /// The root of its processes.
    pub(crate) pid: Option<u32>,
    pub(crate) cgroup: Option<PathBuf>,
    pub(crate) counting: Counting,
    /// The next hop of all its mail: it keeps none.
    #[serde(default)]
    pub(crate) next_hop: Option<SocketAddr>,
}

/// `host:port` of each protocol.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Doors {
    pub(crate) smtp: Option<String>,
    /// Behind implicit TLS, with AUTH PLAIN.
    #[serde(default)]
    pub(crate) submissions: Option<String>,
    pub(crate) lmtp: Option<String>,
    pub(crate) imap: Option<String>,
    /// Behind implicit TLS.
    #[serde(default)]
    pub(crate) imaps: Option<String>,
    pub(crate) pop3: Option<String>,
    pub(crate) http: Option<String>,
}

/// How one learns that a message has arrived.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) enum Counting {
    /// Messages in the INBOX of each user, by STATUS.
    Imap,
    /// Files in `new` and `cur` of the Maildirs in the folder.
    Maildirs(PathBuf),
    /// What has left the queue below the folder was dealt with.
    Queue(PathBuf),
    /// Nobody can tell: what was acknowledged counts.
    #[default]
    Acknowledged,
}

impl Target {
    pub(crate) fn subject(&self) -> Option<Subject> {
        let is_known = self.pid.is_some() || self.cgroup.is_some();
        is_known.then(|| Subject {
            pid: self.pid,
            cgroup: self.cgroup.clone(),
        })
    }
}

impl Doors {
    /// Each that is there, with its protocol.
    pub(crate) fn told(&self) -> String {
        let doors = [
            ("smtp", &self.smtp),
            ("submissions", &self.submissions),
            ("lmtp", &self.lmtp),
            ("imap", &self.imap),
            ("imaps", &self.imaps),
            ("pop3", &self.pop3),
            ("http", &self.http),
        ];
        let told = doors
            .iter()
            .filter_map(|(protocol, door)| Some(format!("{protocol} {}", door.as_ref()?)));
        told.collect::<Vec<_>>().join(", ")
    }
}
