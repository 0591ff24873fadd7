//! A disk on plain system calls, for tools.
