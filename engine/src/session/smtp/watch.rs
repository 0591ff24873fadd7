//! Reads a header while it streams past: hops and Delivered-To for mail loops, what is missing, and
//! whether TLS is (RFC 8689 §3).
//!
//! RFC 5321 §6.3 counts Received fields; a Delivered-To that names the recipient tells it one round
//! earlier. The header is read as it comes, at most [`HEADER_BYTES_MAX`] of it, one line in memory.

use crate::config::inject::is_owner_name;
use memchr::memchr;
use store::mail::address::Address;

/// Octets of a header that are looked at: many times what hops and lists write.
pub const HEADER_BYTES_MAX: usize = 256 << 10;

/// Octets of a line that are kept: `Delivered-To: ` and the longest address, quoted.
const LINE_BYTES_MAX: usize = 512;

/// Delivered-To fields that are remembered; more of them are a loop by themselves.
pub const DELIVERIES_MAX: usize = 100;

/// Watches one message.
#[derive(Debug, Default)]
pub struct HeaderWatch {
    hops: u32,
    delivered_to: Vec<Box<str>>,
    has_date: bool,
    has_message_id: bool,
    is_tls_optional: bool,
    /// The field that names a campaign, in lower case with its colon, and what it says.
    campaign_field: Option<Box<str>>,
    campaign: Option<String>,
    line: Vec<u8>,
    seen: usize,
    over: bool,
}

/// What a submitted message does not say of itself (RFC 6409 §8.2, §8.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Missing {
    pub date: bool,
    pub message_id: bool,
}

impl HeaderWatch {
    #[must_use]
    pub fn new() -> HeaderWatch {
        HeaderWatch::default()
    }

    /// Looks for the name of a campaign too, in the field of this name.
    #[must_use]
    pub fn for_campaign(field: Option<&str>) -> HeaderWatch {
        HeaderWatch {
            campaign_field: field.map(|field| format!("{field}:").into()),
            ..HeaderWatch::default()
        }
    }

    /// The campaign that the header names.
    #[must_use]
    pub fn campaign(&self) -> Option<&str> {
        self.campaign.as_deref()
    }

    /// Takes the next octets of the message.
    pub fn feed(&mut self, mut octets: &[u8]) {
        while !self.over && !octets.is_empty() {
            let line_end = memchr(b'\n', octets);
            let (piece, rest) = octets.split_at(line_end.map_or(octets.len(), |at| at + 1));
            octets = rest;
            self.seen += piece.len();
            match line_end {
                Some(_) if self.line.is_empty() => self.judge(piece),
                Some(_) => {
                    let mut line = std::mem::take(&mut self.line);
                    keep(&mut line, piece);
                    self.judge(&line);
                    line.clear();
                    self.line = line;
                }
                None => keep(&mut self.line, piece),
            }
            self.over |= self.seen > HEADER_BYTES_MAX;
        }
    }

    /// Received fields so far.
    #[must_use]
    pub fn hops(&self) -> u32 {
        self.hops
    }

    /// Whether the message was delivered to `address` before.
    #[must_use]
    pub fn was_delivered_to(&self, address: &Address) -> bool {
        if self.delivered_to.is_empty() {
            return false;
        }
        let address = address.to_string();
        self.delivered_to.len() > DELIVERIES_MAX
            || self
                .delivered_to
                .iter()
                .any(|field| field.eq_ignore_ascii_case(&address))
    }

    /// Fields that were not seen; nothing of a header that is too long to be known whole.
    #[must_use]
    pub fn missing(&self) -> Missing {
        let is_known = self.seen <= HEADER_BYTES_MAX;
        Missing {
            date: is_known && !self.has_date,
            message_id: is_known && !self.has_message_id,
        }
    }

    /// Whether the sender wants it delivered also where TLS fails: `TLS-Required: No`.
    #[must_use]
    pub fn is_tls_optional(&self) -> bool {
        self.is_tls_optional
    }

    fn judge(&mut self, line: &[u8]) {
        if matches!(line, b"\r\n" | b"\n") {
            self.over = true;
        } else if is_field(line, b"date") {
            self.has_date = true;
        } else if is_field(line, b"message-id") {
            self.has_message_id = true;
        } else if strip_name(line, b"received:").is_some() {
            self.hops += 1;
        } else if let Some(value) = strip_name(line, b"delivered-to:") {
            self.remember(value);
        } else if let Some(value) = strip_name(line, b"tls-required:") {
            self.is_tls_optional = value.trim_ascii().eq_ignore_ascii_case(b"no");
        } else if let Some(field) = &self.campaign_field
            && self.campaign.is_none()
            && let Some(value) = strip_name(line, field.as_bytes())
        {
            let value = str::from_utf8(value).ok().map(str::trim);
            self.campaign = value.filter(|name| is_owner_name(name)).map(str::to_owned);
        }
    }

    fn remember(&mut self, value: &[u8]) {
        if let (Ok(value), true) = (
            str::from_utf8(value),
            self.delivered_to.len() <= DELIVERIES_MAX,
        ) {
            let value = value.trim().trim_start_matches('<').trim_end_matches('>');
            self.delivered_to.push(value.into());
        }
    }
}

fn keep(line: &mut Vec<u8>, piece: &[u8]) {
    let room = LINE_BYTES_MAX.saturating_sub(line.len());
    line.extend_from_slice(piece.get(..room).unwrap_or(piece));
}

fn strip_name<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (head, value) = line.split_at_checked(name.len())?;
    let value = value.get(..LINE_BYTES_MAX).unwrap_or(value);
    head.eq_ignore_ascii_case(name).then_some(value)
}

/// RFC 5322 §4.5 lets old messages put blanks before the colon.
fn is_field(line: &[u8], name: &[u8]) -> bool {
    strip_name(line, name).is_some_and(|rest| rest.trim_ascii_start().first() == Some(&b':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(octets: &[u8], step: usize) -> HeaderWatch {
        let mut watch = HeaderWatch::new();
        octets.chunks(step).for_each(|piece| watch.feed(piece));
        watch
    }

    #[test]
    fn counts_hops_and_stops_at_the_body() {
        let message =
            b"Received: a\r\n\tb\r\nRECEIVED: c\r\nX-Received: d\r\nDelivered-To: <A@b.c>\r\n\
            Subject: x\r\n\r\nReceived: body\r\nDelivered-To: x@y\r\n";
        for step in 1..=message.len() {
            let watch = watch(message, step);
            assert_eq!(watch.hops(), 2, "by {step}");
            assert!(watch.was_delivered_to(&Address::new("a", "b.c")));
            assert!(!watch.was_delivered_to(&Address::new("x", "y")));
        }
    }

    #[test]
    fn knows_what_is_missing() {
        let missing = |text: &str| {
            let watch = watch(text.as_bytes(), 3);
            (watch.missing().date, watch.missing().message_id)
        };
        assert_eq!(missing("Subject: x\r\n\r\nDate: x\r\n"), (true, true));
        assert_eq!(
            missing("DATE : x\r\nResent-Message-ID: y\r\n"),
            (false, true)
        );
        assert_eq!(
            missing("X: y\r\n Date: z\r\nmessage-id:\r\n\r\n"),
            (true, false)
        );
        assert_eq!(missing("Dated: x\r\n\r\n"), (true, true));
        assert_eq!(missing(""), (true, true));
        let long = "X: y\r\n".repeat(HEADER_BYTES_MAX / 6 + 1);
        assert_eq!(missing(&long), (false, false));
    }

    #[test]
    fn knows_whose_sender_wants_no_tls() {
        for (text, is_optional) in [
            ("TLS-Required: No\r\n", true),
            ("tls-required:no \r\n", true),
            ("TLS-Required: Yes\r\n", false),
            ("X: TLS-Required: No\r\n", false),
            ("\r\nTLS-Required: No\r\n", false),
        ] {
            assert_eq!(watch(text.as_bytes(), 4).is_tls_optional(), is_optional);
        }
    }

    #[test]
    fn a_campaign_is_named_once_and_plainly() {
        let campaign = |text: &str| {
            let mut watch = HeaderWatch::for_campaign(Some("x-campaign"));
            text.as_bytes()
                .chunks(5)
                .for_each(|piece| watch.feed(piece));
            watch.campaign().map(str::to_owned)
        };
        let two = "X-CAMPAIGN: spring \r\nX-Campaign: b\r\n\r\n";
        assert_eq!(campaign(two).as_deref(), Some("spring"));
        assert_eq!(campaign("Subject: x\r\n\r\nX-Campaign: b\r\n"), None);
        assert_eq!(campaign("X-Campaign: a\u{1f}b\r\n\r\n"), None);
    }

    #[test]
    fn is_bounded() {
        let mut watch = HeaderWatch::new();
        for _ in 0..10_000 {
            watch.feed(b"Delivered-To: somebody@example.org\r\n");
            watch.feed(&[b'x'; 20]);
            watch.feed(&[b'x'; 1000]);
            watch.feed(b"\r\n");
        }
        assert!(watch.delivered_to.len() <= DELIVERIES_MAX + 1);
        assert!(watch.line.len() <= LINE_BYTES_MAX);
    }

    #[test]
    fn looks_no_further_than_the_bound() {
        let mut watch = watch("X: y\r\n".repeat(HEADER_BYTES_MAX / 6 + 1).as_bytes(), 1000);
        watch.feed(b"Received: a\r\n");
        assert_eq!(watch.hops(), 0);
    }

    #[test]
    fn too_many_deliveries_are_a_loop() {
        let message = "Delivered-To: a@b\r\n".repeat(DELIVERIES_MAX + 1);
        let watch = watch(message.as_bytes(), message.len());
        assert!(watch.was_delivered_to(&Address::new("c", "d")));
    }
}
