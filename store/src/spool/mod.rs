//! Mail in our custody that other shards are still owed.
