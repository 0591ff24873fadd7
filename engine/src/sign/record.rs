//! The DNS record of a key as an operator enters it (RFC 6376 §3.6.2.2, RFC 1035 §3.3.14, §5.1).

use crate::config::record_name;

/// One string of a TXT record holds no more (RFC 1035 §3.3).
pub const RECORD_STRING_BYTES_MAX: usize = 255;

/// A text as the strings of a TXT record; receivers put them together again.
pub fn record_strings(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = rest.len().min(RECORD_STRING_BYTES_MAX);
        // A record is ASCII; nothing else is cut in two either.
        let (first, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
        rest = tail;
        (!first.is_empty()).then_some(first)
    })
}

/// The record as it stands in a zone file.
#[must_use]
pub fn zone_entry(selector: &str, domain: &str, text: &str) -> String {
    let strings: Vec<String> = record_strings(text).map(|s| format!("\"{s}\"")).collect();
    let name = record_name(selector, domain);
    format!("{name}. IN TXT ( {} )", strings.join("\n    "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_records_are_cut_into_strings() {
        let text = "v=DKIM1; k=rsa; p=".to_owned() + &"A".repeat(392);
        let lengths: Vec<usize> = record_strings(&text).map(str::len).collect();
        assert_eq!(lengths, [255, 155]);
        assert_eq!(record_strings(&text).collect::<String>(), text);
        assert_eq!(record_strings("").count(), 0);
        assert_eq!(
            zone_entry("s", "a.b", "v=DKIM1"),
            "s._domainkey.a.b. IN TXT ( \"v=DKIM1\" )"
        );
    }
}
