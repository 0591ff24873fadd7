//! What is measured: latencies, seconds, answers, what became of every message, what it cost.

pub(crate) mod answer;
pub(crate) mod audit;
pub(crate) mod histogram;
pub(crate) mod ledger;
pub(crate) mod machine;
pub(crate) mod seconds;
pub(crate) mod tally;
pub(crate) mod usage;
