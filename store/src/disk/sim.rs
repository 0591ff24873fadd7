//! A disk in memory that loses, tears and fails by a seed.
