//! What the server tells: counters, histograms, log lines, and the names of messages in them.

pub mod log;
pub mod metric;
pub mod queue_id;
