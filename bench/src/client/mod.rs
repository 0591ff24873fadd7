//! The clients of a load, and the server that takes its mail at the other end: protocols over the
//! reactor's sockets, each with a clock at its phases.

pub(crate) mod mailbox;
pub(crate) mod sink;
pub(crate) mod smtp;
pub(crate) mod tls;
