//! The commands of RFC 9208 and its resources.

/// One of the commands of RFC 9208 §4.1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    Get {
        root: String,
    },
    Root {
        mailbox: String,
    },
    Set {
        root: String,
        /// Names of resources in upper case, as sent, with their limits.
        limits: Vec<(String, u64)>,
    },
}

/// What a quota counts (RFC 9208 §5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resource {
    /// Octets of messages, told in units of 1,024.
    Storage,
    /// Messages.
    Message,
    /// Mailboxes.
    Mailbox,
}

impl Resource {
    #[must_use]
    pub fn from_name(name: &str) -> Option<Resource> {
        let all = [Resource::Storage, Resource::Message, Resource::Mailbox];
        all.into_iter().find(|resource| resource.name() == name)
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Resource::Storage => "STORAGE",
            Resource::Message => "MESSAGE",
            Resource::Mailbox => "MAILBOX",
        }
    }
}

/// Octets of one unit of STORAGE (RFC 9208 §5.1).
pub const STORAGE_UNIT_BYTES: u64 = 1024;

/// What is used of a resource, and how much there may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Usage {
    pub resource: Resource,
    pub used: u64,
    pub limit: u64,
}
