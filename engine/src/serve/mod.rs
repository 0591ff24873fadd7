//! Puts one shard together: store, listeners, inboxes.
