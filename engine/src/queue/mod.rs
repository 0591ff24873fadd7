//! Mail on its way to other hosts: what is tried when, and what is told to its sender.

pub mod dsn;
