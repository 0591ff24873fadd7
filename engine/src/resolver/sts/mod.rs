//! MTA-STS (RFC 8461): the domain says over HTTPS which hosts take its mail, and that they do TLS.
//!
//! ```text
//! TXT _mta-sts.DOMAIN  →  id changed?  →  GET https://mta-sts.DOMAIN/.well-known/mta-sts.txt
//!        record                                fetch  →  policy  →  keeper, until max_age
//! ```

mod fetch;
mod keeper;
mod policy;
mod record;

pub(super) use fetch::Fetcher;
pub use fetch::StsFault;
pub(super) use keeper::{Keeper, Millis, Standing};
pub use policy::{BadPolicy, Mode, POLICY_BYTES_MAX, Pattern, Policy};
pub use record::{BadRecord, Record};
