//! DANE for SMTP (RFC 6698, RFC 7671, RFC 7672): which TLSA records count, and what they prove.
//!
//! Only usages 2 (DANE-TA) and 3 (DANE-EE) count: the PKIX usages bring nothing where nobody agrees
//! on the roots (RFC 7672 §3.1.3). Whether the records came securely is decided before they come
//! here.

mod record;
#[cfg(test)]
mod tests;
mod verify;

pub use record::{Matching, RECORDS_MAX, Selector, Tlsa, Usage, choose};
pub use verify::{DaneError, Proof, verify};
