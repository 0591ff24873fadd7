//! Bytes ↔ fields, little-endian, bounded.
