//! Custody: the one place where a message becomes ours.
