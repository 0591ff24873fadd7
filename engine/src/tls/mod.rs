//! TLS over lent buffers: contexts, certificates by name, tickets, streams (RFC 8446, RFC 5246).

pub mod certificates;
pub mod client;
pub mod clients;
pub mod context;
pub mod demo;
pub mod stream;

mod der;
mod files;
mod holders;
mod session;
mod validity;
mod verifier;

#[cfg(test)]
mod tests;

pub use certificates::{CertificateError, CertificateFiles, Certificates};
pub use client::{
    Authorities, Doubt, Identity, Judge, Proof, Shown, Terms, TlsAsk, TlsClient, TlsFault,
};
pub use clients::{ClientProof, Clients};
pub use context::TlsContext;
pub use files::TlsFiles;
pub use holders::Holders;
pub use stream::{Stream, StreamParts, TlsInfo};
pub use verifier::anybody;
