//! The IMAP dialogue: one file per family of commands (RFC 9051, RFC 3501).
