//! TLS over lent buffers: contexts, certificates by name, tickets, streams (RFC 8446, RFC 5246).

pub mod certificates;
pub mod client;
pub mod clients;
pub mod context;
pub mod demo;
pub mod stream;

mod session;
mod validity;

#[cfg(test)]
mod tests;

pub use certificates::{CertificateError, CertificateFiles, Certificates};
pub use client::{Authorities, Judge, Proof, Shown, TlsClient, TlsFault};
pub use clients::{ClientProof, Clients};
pub use context::TlsContext;
pub use stream::{Stream, StreamParts, TlsInfo};
