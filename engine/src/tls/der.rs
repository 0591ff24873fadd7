//! What is read of a certificate's DER beside what rustls does: its elements, the addresses in it,
//! and the hash that its signature was made over (X.690, RFC 5280 §4.1). Nothing here is trust.

/// Names of one certificate that are looked at.
const NAMES_MAX: usize = 64;

const SEQUENCE: u8 = 0x30;
const OID: u8 = 0x06;
const OCTET_STRING: u8 = 0x04;
/// version `[0]` and extensions `[3]` of a TBSCertificate.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
/// GeneralName: `rfc822Name [1] IA5String`.
const RFC822_NAME: u8 = 0x81;

/// 2.5.29.17.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// The hash of a signature.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SignatureHash {
    Sha256,
    Sha384,
    Sha512,
}

/// The first DER element: tag, content, and what follows it.
pub(super) fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x83 => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x0f))?;
            let length = octets
                .iter()
                .fold(0, |sum, octet| sum << 8 | usize::from(*octet));
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// Elements one behind the other, until what is no element.
fn elements(mut der: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (tag, content, rest) = element(der)?;
        der = rest;
        Some((tag, content))
    })
}

/// The content of the TBSCertificate from its serial number on, and the signatureAlgorithm.
pub(super) fn certificate(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_, certificate, _) = element(der)?;
    let (_, body, rest) = element(certificate)?;
    let (_, algorithm, _) = element(rest)?;
    match body.first() {
        Some(&VERSION) => Some((element(body)?.2, algorithm)),
        _ => Some((body, algorithm)),
    }
}

/// Every rfc822Name of the subjectAltName (RFC 5280 §4.2.1.6).
pub(super) fn addresses(der: &[u8]) -> Vec<String> {
    let names = || {
        let (body, _) = certificate(der)?;
        let (_, extensions) = elements(body).find(|(tag, _)| *tag == EXTENSIONS)?;
        let (_, extensions, _) = element(extensions)?;
        elements(extensions).find_map(|(_, extension)| alt_names(extension))
    };
    let names = elements(names().unwrap_or_default());
    names
        .take(NAMES_MAX)
        .filter(|(tag, _)| *tag == RFC822_NAME)
        .filter_map(|(_, name)| str::from_utf8(name).ok().map(str::to_owned))
        .collect()
}

/// The names of an extension, if it is the one that holds them.
fn alt_names(extension: &[u8]) -> Option<&[u8]> {
    let (OID, oid, rest) = element(extension)? else {
        return None;
    };
    if oid != SUBJECT_ALT_NAME {
        return None;
    }
    // `critical` may stand between.
    let (_, value) = elements(rest).find(|(tag, _)| *tag == OCTET_STRING)?;
    let (SEQUENCE, names, _) = element(value)? else {
        return None;
    };
    Some(names)
}

/// RFC 5929 §4.1: the hash of the signature of a certificate, SHA-256 in place of what is weaker;
/// `None` where a signature has none of its own, or none that is known here.
pub(super) fn signature_hash(der: &[u8]) -> Option<SignatureHash> {
    let (_, algorithm) = certificate(der)?;
    let (_, oid, _) = element(algorithm)?;
    let of_rsa = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    let of_ecdsa = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];
    let last = oid.strip_prefix(&of_rsa);
    match last {
        // md5, sha1, sha256, sha384, sha512 WithRSAEncryption.
        Some([4 | 5 | 11]) => return Some(SignatureHash::Sha256),
        Some([12]) => return Some(SignatureHash::Sha384),
        Some([13]) => return Some(SignatureHash::Sha512),
        _ => {}
    }
    match oid.strip_prefix(&of_ecdsa) {
        Some([2]) => Some(SignatureHash::Sha256),
        Some([3]) => Some(SignatureHash::Sha384),
        Some([4]) => Some(SignatureHash::Sha512),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    fn made() -> Vec<u8> {
        let mut parameters =
            rcgen::CertificateParams::new(["host.example".to_owned()]).expect("a name");
        for address in ["alice@example.org", "a@example.net"] {
            let name = address.try_into().expect("ASCII");
            parameters
                .subject_alt_names
                .push(rcgen::SanType::Rfc822Name(name));
        }
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = parameters.self_signed(&key).expect("a certificate");
        certificate.der().to_vec()
    }

    #[test]
    fn the_addresses_of_a_certificate_are_read() {
        let der = made();
        assert_eq!(addresses(&der), ["alice@example.org", "a@example.net"]);
        // rcgen signs with ECDSA over P-256 and SHA-256.
        assert_eq!(signature_hash(&der), Some(SignatureHash::Sha256));
    }

    #[test]
    fn broken_der_is_no_panic() {
        let der = made();
        for end in 0..der.len() {
            let _ = (addresses(&der[..end]), signature_hash(&der[..end]));
        }
        for index in 0..der.len() {
            let mut bent = der.clone();
            bent[index] ^= 0xff;
            let _ = (addresses(&bent), signature_hash(&bent));
        }
    }
}
