//! The envelope: what SMTP says about a message beside the message (RFC 5321 §2.3.1, RFC 3461).

use super::address::Address;

/// Reverse-path, recipients and the ESMTP parameters that travel with them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Envelope {
    /// `None` is the null reverse-path `<>`.
    pub reverse_path: Option<Address>,
    pub recipients: Vec<Recipient>,
    pub body: BodyKind,
    /// RFC 6531: addresses or headers outside ASCII.
    pub smtputf8: bool,
    /// RFC 3461 §4.3 RET.
    pub ret: Option<Ret>,
    /// RFC 3461 §4.4 ENVID, decoded from xtext.
    pub envid: Option<String>,
    /// RFC 4954 §5 AUTH=: the submitter; `Some("<>")` where unknown.
    pub auth: Option<String>,
}

/// One RCPT TO.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recipient {
    pub address: Address,
    /// RFC 3461 §4.1.
    pub notify: Notify,
    /// RFC 3461 §4.2 ORCPT as `addr-type;address`, decoded from xtext.
    pub orcpt: Option<String>,
}

impl Recipient {
    #[must_use]
    pub fn new(address: Address) -> Recipient {
        Recipient {
            address,
            notify: Notify::default(),
            orcpt: None,
        }
    }
}

/// BODY= of RFC 6152 and RFC 3030.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BodyKind {
    #[default]
    SevenBit,
    EightBitMime,
    BinaryMime,
}

/// RFC 3461 §4.3: how much of the message a DSN returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ret {
    Full,
    Headers,
}

/// RFC 3461 §4.1 NOTIFY as a set of bits; `UNSET` where the client said nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Notify(pub u8);

impl Notify {
    pub const UNSET: Notify = Notify(0);
    pub const NEVER: Notify = Notify(1);
    pub const SUCCESS: Notify = Notify(1 << 1);
    pub const FAILURE: Notify = Notify(1 << 2);
    pub const DELAY: Notify = Notify(1 << 3);
}
