//! The complete list of facts that the log can hold.
