//! What is measured: latencies, seconds, answers, and what became of every message.

pub(crate) mod answer;
pub(crate) mod audit;
pub(crate) mod histogram;
pub(crate) mod ledger;
pub(crate) mod seconds;
pub(crate) mod tally;
