//! ESEARCH, SORT and THREAD responses (RFC 4731, RFC 5256 §4, RFC 5267, RFC 6203, RFC 7377,
//! RFC 9394).
//!
//! What may name every message of a mailbox is written in pieces by who sends it: [`Order`] goes
//! on where it stopped.

use store::mail::id::UidValidity;
use store::mail::uidset::UidSet;

use super::super::find::Partial;
use super::super::set::write_set;
use super::{CRLF, List, mailbox, number, string};

/// What an ESEARCH response is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Correlator<'a> {
    pub tag: &'a str,
    /// RFC 7377 §2.1: the mailbox of a search over several, and whether its name may be UTF-8.
    pub mailbox: Option<(&'a str, UidValidity, bool)>,
    /// Numbers are UIDs.
    pub uid: bool,
}

/// `* ESEARCH (TAG "a1") UID`; what was found follows, and [`close`].
pub fn open(out: &mut Vec<u8>, of: &Correlator<'_>) {
    out.extend_from_slice(b"* ESEARCH (TAG ");
    string(out, of.tag.as_bytes(), false);
    if let Some((name, validity, utf8)) = of.mailbox {
        out.extend_from_slice(b" MAILBOX ");
        mailbox(out, name, utf8);
        out.extend_from_slice(b" UIDVALIDITY ");
        number(out, validity.0.into());
    }
    out.push(b')');
    if of.uid {
        out.extend_from_slice(b" UID");
    }
}

pub fn close(out: &mut Vec<u8>) {
    out.extend_from_slice(CRLF);
}

/// ` MIN 2`, ` MAX 9`, ` COUNT 4`, ` MODSEQ 917162500`.
pub fn labelled(out: &mut Vec<u8>, label: &str, value: u64) {
    out.push(b' ');
    out.extend_from_slice(label.as_bytes());
    out.push(b' ');
    number(out, value);
}

/// ` PARTIAL (1:500 `, behind which the results and a parenthesis stand.
pub fn open_partial(out: &mut Vec<u8>, partial: Partial) {
    out.extend_from_slice(b" PARTIAL (");
    let sign: &[u8] = if partial.from_last { b"-" } else { b"" };
    out.extend_from_slice(sign);
    number(out, partial.first.into());
    out.push(b':');
    out.extend_from_slice(sign);
    number(out, partial.last.into());
    out.push(b' ');
}

/// ` RELEVANCY (4 99 42)` (RFC 6203 §4).
pub fn relevancy(out: &mut Vec<u8>, scores: impl IntoIterator<Item = u8>) {
    out.extend_from_slice(b" RELEVANCY ");
    let mut list = List::open(out);
    for score in scores {
        number(list.next(out), score.into());
    }
    list.close(out);
}

/// Numbers in their order as a sequence-set: neighbours that rise are a range, others stand alone
/// (RFC 5267 §3.2).
#[derive(Default)]
pub struct Order {
    run: Option<(u32, u32)>,
    /// Whether a range was written.
    begun: bool,
}

impl Order {
    pub fn push(&mut self, out: &mut Vec<u8>, next: u32) {
        match &mut self.run {
            Some((_, last)) if last.checked_add(1) == Some(next) => *last = next,
            _ => {
                self.flush(out);
                self.run = Some((next, next));
            }
        }
    }

    /// Writes what is left; whether anything was written.
    pub fn finish(mut self, out: &mut Vec<u8>) -> bool {
        self.flush(out);
        self.begun
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        let Some((first, last)) = self.run.take() else {
            return;
        };
        if std::mem::replace(&mut self.begun, true) {
            out.push(b',');
        }
        number(out, first.into());
        if last != first {
            out.push(b':');
            number(out, last.into());
        }
    }
}

/// What became of a result that is kept up to date (RFC 5267 §4.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Update {
    AddTo,
    RemoveFrom,
}

/// `* ESEARCH (TAG "B01") UID ADDTO (0 32768:32769)`: sets at places, which count from 1; 0 where
/// the order is that of the mailbox.
pub fn update(out: &mut Vec<u8>, of: &Correlator<'_>, what: Update, pairs: &[(u32, UidSet)]) {
    open(out, of);
    out.extend_from_slice(match what {
        Update::AddTo => b" ADDTO ",
        Update::RemoveFrom => b" REMOVEFROM ",
    });
    let mut list = List::open(out);
    for (place, numbers) in pairs {
        number(list.next(out), u64::from(*place));
        write_set(list.next(out), numbers);
    }
    list.close(out);
    close(out);
}

/// `[NOUPDATE "B02"]`, untagged (RFC 5267 §4.3.1).
pub fn no_update(out: &mut Vec<u8>, tag: &str, text: &'static str) {
    out.extend_from_slice(b"* NO [NOUPDATE ");
    string(out, tag.as_bytes(), false);
    out.extend_from_slice(b"] ");
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(CRLF);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    fn order(numbers: &[u32]) -> String {
        written(|out| {
            let mut order = Order::default();
            numbers.iter().for_each(|n| order.push(out, *n));
            assert_eq!(order.finish(out), !numbers.is_empty());
        })
    }

    #[test]
    fn ranges_rise_and_the_order_stays() {
        assert_eq!(
            order(&[23765, 23764, 23763, 23761]),
            "23765,23764,23763,23761"
        );
        assert_eq!(order(&[10, 11, 12, 3, 4, 1]), "10:12,3:4,1");
        assert_eq!(order(&[u32::MAX]), "4294967295");
        assert_eq!(order(&[]), "");
    }

    #[test]
    fn updates_as_rfc_5267_has_them() {
        let of = Correlator {
            tag: "B01",
            mailbox: None,
            uid: true,
        };
        let set = UidSet::from_ranges([(32768, 32769)]);
        assert_eq!(
            written(|out| update(out, &of, Update::AddTo, &[(0, set.clone())])),
            "* ESEARCH (TAG \"B01\") UID ADDTO (0 32768:32769)\r\n"
        );
        assert_eq!(
            written(|out| no_update(out, "B02", "Too many contexts")),
            "* NO [NOUPDATE \"B02\"] Too many contexts\r\n"
        );
    }

    #[test]
    fn mailboxes_as_rfc_7377_has_them() {
        let of = Correlator {
            tag: "tag1",
            mailbox: Some(("folder1", UidValidity(1), false)),
            uid: true,
        };
        assert_eq!(
            written(|out| open(out, &of)),
            "* ESEARCH (TAG \"tag1\" MAILBOX folder1 UIDVALIDITY 1) UID"
        );
        let partial = Partial {
            from_last: true,
            first: 1,
            last: 100,
        };
        assert_eq!(
            written(|out| open_partial(out, partial)),
            " PARTIAL (-1:-100 "
        );
        assert_eq!(written(|out| relevancy(out, [4, 99])), " RELEVANCY (4 99)");
    }
}
