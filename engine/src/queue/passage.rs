//! The connection that a message went by, in the words that the log keeps for whoever asks later.

use crate::egress::{Target, TlsUse};
use store::shard::Way;

/// From where to where, and how well it was kept from others.
pub(super) fn way_of(target: &Target, tls: &TlsUse) -> Way {
    Way {
        address: target.address.to_string(),
        source: target
            .source
            .map(|source| source.ip().to_string())
            .unwrap_or_default(),
        tls: match tls {
            TlsUse::Encrypted { info, is_verified } => {
                let proof = if *is_verified {
                    "verified"
                } else {
                    "unverified"
                };
                format!("{} {}, {proof}", info.version, info.cipher)
            }
            TlsUse::Unwanted | TlsUse::NotOffered | TlsUse::Failed(_) => String::new(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::TlsInfo;

    #[test]
    fn a_way_fits_what_the_log_keeps_of_it() {
        let address = "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535";
        let mut target = Target::new(address.parse().unwrap(), "mx.test", "us.test");
        target.source = Some(address.parse().unwrap());
        let info = TlsInfo {
            version: "TLSv1.2",
            cipher: "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            group: "X25519MLKEM768",
            server_name: None,
            resumed: false,
        };
        let way = way_of(
            &target,
            &TlsUse::Encrypted {
                info,
                is_verified: false,
            },
        );
        assert!(way.tls.ends_with("unverified"), "{}", way.tls);
        assert_eq!(way.source, "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff");
        for text in [&way.address, &way.source, &way.tls] {
            assert!(text.len() <= store::limit::WAY_BYTES_MAX, "{text}");
        }
        assert_eq!(way_of(&target, &TlsUse::NotOffered).tls, "");
    }
}
