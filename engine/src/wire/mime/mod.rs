//! The structure of a message, found without decoding it (RFC 5322, RFC 2045–2049, RFC 2231).
