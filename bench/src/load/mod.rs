//! What is asked of a server, made from a seed: when, how much, for whom, from where.
//!
//! All of it is repeatable: message `n` of a run has the same size, text and recipients on every
//! machine, so that an audit needs to remember no more than what was acknowledged.

pub(crate) mod accounts;
pub(crate) mod arrivals;
pub(crate) mod corpus;
pub(crate) mod fanout;
pub(crate) mod pace;
pub(crate) mod sizes;
pub(crate) mod sources;
pub(crate) mod stamp;
pub(crate) mod steps;

/// A number that looks like chance and is always the same for the same `seed` and `number`.
pub(crate) fn chance(seed: u64, number: u64) -> u64 {
    // Neighbouring numbers must not give neighbouring draws.
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    fastrand::Rng::with_seed(seed ^ spread).u64(..)
}
