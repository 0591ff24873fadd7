//! What a listener lets its sessions do, and the upper bounds of a session.

use crate::config::Expire;
use crate::wire::sasl::Mechanism;

/// Pending replies beyond which no more input is taken until they are sent. Pipelined commands are
/// answered together up to here.
pub const REPLY_BYTES_MAX: usize = 32 << 10;

/// Settings of a listener, shared by its sessions and replaced whole.
#[derive(Clone, Debug)]
pub struct Settings {
    /// STLS is to be had.
    pub starttls: bool,
    /// Passwords are taken without TLS.
    pub login_in_clear: bool,
    /// What the house offers, in the order of the announcement.
    pub mechanisms: Vec<Mechanism>,
    /// Wrong commands since the last right one before the connection is closed.
    pub errors_max: u32,
    /// Failed logins of one session before the connection is closed.
    pub failed_logins_max: u32,
    /// What becomes of messages that were retrieved.
    pub expire: Expire,
    /// From one login of an account to the next; 0: no wait.
    pub login_delay_secs: u32,
}
