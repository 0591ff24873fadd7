//! What the server tells: counters, histograms and log lines.

pub mod log;
pub mod metric;
