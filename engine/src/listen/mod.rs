//! Sockets in: accept, drive a session, hand over, drain.
