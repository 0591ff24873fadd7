//! TLS over lent buffers: contexts, certificates by name, tickets, streams (RFC 8446, RFC 5246).
