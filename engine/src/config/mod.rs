//! The configuration: text → raw → meaning, with the line that is wrong.
