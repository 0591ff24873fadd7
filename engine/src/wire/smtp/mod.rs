//! SMTP commands, replies, paths and end-of-data, strictly (RFC 5321).
