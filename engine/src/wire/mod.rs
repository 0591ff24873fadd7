//! Bytes ↔ types of every protocol, pure.

pub mod http;
pub mod imap;
pub mod mime;
pub mod pop3;
pub mod proxy;
pub mod sasl;
pub mod smtp;
pub mod xclient;
