//! Who somebody is: stored secrets, throttling of failures, and the gate over them.

pub mod gate;
pub mod prep;
mod rates;
pub mod remember;
pub mod scram;
mod seats;
pub mod secret;
mod table;
pub mod throttle;
pub mod token;

pub use gate::{Attempt, Gate, Verdict};
pub use seats::{Seat, Seats};
pub use secret::{Secrets, Unusable};
pub use throttle::{Admission, ThrottleLimits};
