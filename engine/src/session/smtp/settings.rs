//! What a listener lets its sessions do, and the upper bounds of a session.

use super::terms::FutureRelease;
use crate::wire::sasl::Mechanism;
use crate::wire::smtp::data::BareLineEnds;

/// Pending replies beyond which no more input is taken until they are sent.
pub const REPLY_BYTES_MAX: usize = 8 << 10;

/// Pending body octets beyond which no more input is taken until they are stored.
pub const BODY_BYTES_MAX: usize = 256 << 10;

/// Input that is looked at in one step.
pub(super) const PIECE_BYTES_MAX: usize = 64 << 10;

/// Octets beyond the size limit that are read and thrown away so that the client may hear a 552;
/// then the connection is closed.
pub const SWALLOW_BYTES_MAX: u64 = 1 << 30;

/// Addresses and parameters of one envelope, in octets.
pub const ENVELOPE_BYTES_MAX: usize = 2 << 20;

/// Settings of a listener, shared by its sessions and replaced whole.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the server calls itself in greetings and Received.
    pub hostname: Box<str>,
    /// Largest message, announced as SIZE, in octets.
    pub message_octets_max: u64,
    /// Recipients of one message, announced as RCPTMAX (RFC 5321 §4.5.3.1.8: at least 100).
    pub recipients_max: usize,
    /// Messages of one session, announced as MAILMAX.
    pub messages_max: u32,
    /// Broken or misplaced commands since the last message before the connection is closed.
    pub errors_max: u32,
    /// Refused recipients of one session before the connection is closed.
    pub refusals_max: u32,
    /// Failed logins of one session before the connection is closed.
    pub failed_logins_max: u32,
    /// Received fields beyond which a message goes round in a circle (RFC 5321 §6.3: at least 100).
    pub hops_max: u32,
    /// STARTTLS is to be had.
    pub starttls: bool,
    /// No MAIL and no AUTH before TLS.
    pub tls_required: bool,
    pub auth: AuthOffer,
    /// The client is trusted to speak for others.
    pub takes_xclient: bool,
    /// Those that can work here, in the order of the announcement; what the connection allows of
    /// them is offered.
    pub mechanisms: Vec<Mechanism>,
    /// No MAIL before AUTH (RFC 6409 §4.3).
    pub auth_required: bool,
    pub bare_line_ends: BareLineEnds,
    /// RFC 4865; `None`: messages are not held for their senders.
    pub future_release: Option<FutureRelease>,
    /// RFC 2852: the least time in which a message may be wanted delivered; `None`: not offered.
    pub deliver_by_secs_min: Option<u32>,
    /// RFC 8689, under TLS.
    pub require_tls: bool,
    /// The field of a submitted message that names its campaign, in lower case.
    pub campaign_field: Option<Box<str>>,
    /// Longest wait for a command (RFC 5321 §4.5.3.2.7: at least 5 minutes).
    pub command_secs_max: u32,
    /// Longest wait for more of a message.
    pub body_secs_max: u32,
}

/// When AUTH is offered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthOffer {
    Never,
    /// Only where nobody else reads the password.
    WithTls,
    Always,
}

impl Settings {
    /// Port 25: from everybody, no logins.
    #[must_use]
    pub fn smtp(hostname: &str) -> Settings {
        Settings {
            hostname: hostname.into(),
            message_octets_max: 50 << 20,
            recipients_max: 1000,
            messages_max: 100_000,
            errors_max: 20,
            refusals_max: 10_000,
            failed_logins_max: 5,
            hops_max: 100,
            starttls: true,
            tls_required: false,
            auth: AuthOffer::Never,
            takes_xclient: false,
            mechanisms: Mechanism::ALL.to_vec(),
            auth_required: false,
            bare_line_ends: BareLineEnds::Reject,
            future_release: None,
            deliver_by_secs_min: Some(0),
            require_tls: true,
            campaign_field: None,
            command_secs_max: 300,
            body_secs_max: 300,
        }
    }

    /// Ports 587 and 465: from our own users, after TLS and login (RFC 6409, RFC 8314).
    #[must_use]
    pub fn submission(hostname: &str) -> Settings {
        Settings {
            auth: AuthOffer::WithTls,
            auth_required: true,
            ..Settings::smtp(hostname)
        }
    }

    /// LMTP: from the host or network that hands over mail (RFC 2033).
    #[must_use]
    pub fn lmtp(hostname: &str) -> Settings {
        Settings {
            starttls: false,
            deliver_by_secs_min: None,
            require_tls: false,
            ..Settings::smtp(hostname)
        }
    }
}

const _: () = assert!(PIECE_BYTES_MAX <= BODY_BYTES_MAX);
