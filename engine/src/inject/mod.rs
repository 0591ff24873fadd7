//! Mail by HTTP: a request in JSON becomes messages with envelopes. Pure: no socket, no disk.
//!
//! ```text
//! octets ─ request ─▶ Request ─ check ─▶ Injection ─ plan ─▶ Letter … ─ compose ─▶ octets
//!                        │ problem: RFC 9457, the field by JSON pointer
//! ```
//!
//! A request is checked whole before any of it is taken. What is wrong with one recipient only is
//! said of that one; a template that fails for one recipient is no fault of the others.

mod answer;
mod check;
mod compose;
mod field;
mod problem;
mod progress;
mod request;
mod sender;
mod template;
mod time;
mod token;
mod whole;

pub mod fuzz;

pub use answer::{Answer, RecipientState, answer, id_of, replayed};
pub use check::{Bounds, Content, Injection, Recipient, Role, Written, check};
pub use compose::{Effort, Letter, Plan, Unfit};
pub use problem::{Fault, Problem};
pub use progress::{LANES, Lane, Outcome};
pub use request::Request;
pub use sender::{May, Principal};
pub use token::{show_hash, token, token_hash};
