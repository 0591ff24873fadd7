//! Runtimes, rings, timers and inboxes: the only rooms that name monoio or tokio-uring.
