//! HTTP/1.1 as a server reads and writes it, without a socket (RFC 9112): heads, bodies, answers.
//!
//! What decides where a message ends is read strictly, so that no proxy before us can disagree
//! with us about it: one Content-Length or one `chunked`, never both; no folded lines, no bare LF
//! or CR, no blanks before a colon. Everything has a bound.

mod body;
mod head;
mod response;

pub mod fuzz;

pub use body::{BodyFault, BodyReceiver};
pub use head::{Framing, HEAD_BYTES_MAX, Head, HeadFault, Method, parse};
pub use response::Response;
