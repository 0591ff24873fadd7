//! When a certificate ends, read from its DER (RFC 5280 §4.1.2.5) for a warning, not for trust.

use super::der::{self, element};
use rustls::pki_types::CertificateDer;
use store::mail::calendar::days_since_1970;

/// Seconds since 1970 at which the certificate stops being valid; `None` if it cannot be read.
pub(super) fn not_after(certificate: &CertificateDer<'_>) -> Option<u64> {
    let (mut body, _) = der::certificate(certificate)?;
    // serialNumber, signature, issuer, validity.
    for _ in 0..3 {
        body = element(body)?.2;
    }
    let (_, validity, _) = element(body)?;
    let (_, _, after_not_before) = element(validity)?;
    let (kind, text, _) = element(after_not_before)?;
    time(kind, text)
}

const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`.
fn time(kind: u8, text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let (year, rest) = match kind {
        UTC_TIME => {
            let year: i64 = text.get(..2)?.parse().ok()?;
            // RFC 5280 §4.1.2.5.1: 50 to 99 are 19YY.
            (
                if year < 50 { 2000 + year } else { 1900 + year },
                text.get(2..)?,
            )
        }
        GENERALIZED_TIME => (text.get(..4)?.parse().ok()?, text.get(4..)?),
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2)?.parse::<i64>().ok();
    let days = days_since_1970(year, part(0)?, part(2)?);
    let seconds = ((days * 24 + part(4)?) * 60 + part(6)?) * 60 + part(8)?;
    Some(u64::try_from(seconds).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn both_forms_of_time_are_read() {
        assert_eq!(time(UTC_TIME, b"700101000000Z"), Some(0));
        assert_eq!(time(UTC_TIME, b"490101000000Z"), Some(2_493_072_000));
        assert_eq!(
            time(GENERALIZED_TIME, b"20240229123456Z"),
            Some(1_709_210_096)
        );
        assert_eq!(time(GENERALIZED_TIME, b"19691231235959Z"), Some(0));
        for broken in [
            "",
            "2",
            "99",
            "20240229",
            "2024022912345",
            "é0240229123456Z",
        ] {
            assert_eq!(time(GENERALIZED_TIME, broken.as_bytes()), None, "{broken}");
        }
    }

    #[test]
    fn broken_der_is_no_panic() {
        let mut parameters = rcgen::CertificateParams::new([]).expect("no names");
        parameters.not_after = rcgen::date_time_ymd(2051, 2, 3);
        let key = rcgen::KeyPair::generate().expect("a key");
        let whole = parameters.self_signed(&key).expect("a certificate");
        let der = whole.der();
        assert_eq!(not_after(der), Some(2_558_995_200));
        for end in 0..der.len() {
            let cut = der.get(..end).unwrap_or_default();
            assert_eq!(not_after(&CertificateDer::from(cut)), None);
        }
        for index in 0..der.len() {
            let mut bent = der.to_vec();
            bent[index] ^= 0xff;
            let _ = not_after(&CertificateDer::from(bent));
        }
    }
}
