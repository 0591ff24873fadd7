//! Where a recipient leads: mailbox, alias, catch-all, refusal.
