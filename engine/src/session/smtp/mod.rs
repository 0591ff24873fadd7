//! The SMTP, submission and LMTP dialogue as a pure machine (RFC 5321, 6409, 2033).
