//! Who somebody is: stored secrets, SCRAM keys, throttling of failures.

pub mod prep;
pub mod scram;
pub mod secret;
