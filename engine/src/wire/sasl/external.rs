//! EXTERNAL (RFC 4422 appendix A): who the client is, TLS has shown already.

use super::{Malformed, string};

/// The identity that the client wants to act as; none: the one of its certificate.
pub(super) fn respond(response: &[u8]) -> Result<Option<String>, Malformed> {
    match response {
        b"" => Ok(None),
        identity => string(identity).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_named_or_left_to_the_certificate() {
        assert_eq!(respond(b""), Ok(None));
        assert_eq!(respond(b"tim@here"), Ok(Some("tim@here".into())));
        assert_eq!(respond(b"tim\0root"), Err(Malformed));
        assert_eq!(respond(b"\xff"), Err(Malformed));
    }
}
