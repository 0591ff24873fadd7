//! What tools say to the server, and what it shows: control socket, metrics, health.

pub mod control;
pub mod http;
mod mailbox;
pub mod office;
mod queue;
mod route;
pub mod rules;
mod suppress;
pub mod wire;
