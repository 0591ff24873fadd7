//! What the server tells: counters, histograms, log lines.
