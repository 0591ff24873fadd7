//! What is measured, and with what: usage of the server, the machine below it.

pub(crate) mod machine;
pub(crate) mod usage;
