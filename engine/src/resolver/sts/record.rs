//! The TXT record of `_mta-sts.DOMAIN`: whether there is a policy, and which (RFC 8461 §3.1).
//!
//! ```text
//! record = "v=STSv1" *( ";" name "=" value ) [ ";" ]      one of them is id = 1*32 alphanumeric
//! ```

/// What the record says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Changes with every new policy.
    pub id: Box<str>,
}

/// The text begins as a record and is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadRecord;

impl Record {
    /// The record among the texts of a name; `None` where no text is one, or more than one
    /// (RFC 8461 §3.1: then the domain has no policy).
    pub fn find<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> Option<Record> {
        let mut records = texts.into_iter().filter(|text| is_record(text));
        match (records.next(), records.next()) {
            (Some(text), None) => Record::parse(text).ok(),
            _ => None,
        }
    }

    /// Reads one text, its character strings joined.
    pub fn parse(text: &[u8]) -> Result<Record, BadRecord> {
        let text = std::str::from_utf8(text).map_err(|_| BadRecord)?;
        let mut fields = text.split(';').map(|field| field.trim_matches([' ', '\t']));
        if fields.next() != Some(VERSION) {
            return Err(BadRecord);
        }
        let mut id = None;
        for field in fields.filter(|field| !field.is_empty()) {
            let (name, value) = field.split_once('=').ok_or(BadRecord)?;
            if name == "id" && id.is_none() {
                id = Some(value);
            }
        }
        let id = id.filter(|id| is_id(id)).ok_or(BadRecord)?;
        Ok(Record { id: id.into() })
    }
}

/// Other texts of the name are not ours to judge.
fn is_record(text: &[u8]) -> bool {
    text.strip_prefix(VERSION.as_bytes())
        .is_some_and(|rest| matches!(rest.first(), None | Some(b';' | b' ' | b'\t')))
}

fn is_id(text: &str) -> bool {
    (1..=ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

const VERSION: &str = "v=STSv1";

const ID_BYTES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(text: &str) -> Option<String> {
        let record = Record::parse(text.as_bytes()).ok()?;
        Some(record.id.into())
    }

    #[test]
    fn reads_what_domains_publish() {
        assert_eq!(
            id("v=STSv1; id=20160831085700Z;").as_deref(),
            Some("20160831085700Z")
        );
        assert_eq!(id("v=STSv1;id=1").as_deref(), Some("1"));
        assert_eq!(id("v=STSv1 ; a=b; id=1 ; id=2;").as_deref(), Some("1"));
    }

    #[test]
    fn refuses_what_is_no_record() {
        let long = format!("v=STSv1; id={};", "a".repeat(33));
        for text in [
            "",
            "v=STSv1",
            "v=STSv1;",
            "v=STSv1; id=;",
            "v=STSv1; id=a-b;",
            "v=STSv2; id=1;",
            "v=stsv1; id=1;",
            "id=1; v=STSv1;",
            "v=STSv1; id",
            &long,
        ] {
            assert_eq!(id(text), None, "{text:?}");
        }
    }

    #[test]
    fn exactly_one_record_counts() {
        let one: &[u8] = b"v=STSv1; id=1;";
        let other: &[u8] = b"google-site-verification=1";
        assert!(Record::find([other, one]).is_some());
        assert!(Record::find([one, one]).is_none());
        assert!(Record::find([other]).is_none());
        assert!(Record::find([b"v=STSv1x; id=1".as_slice(), one]).is_some());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Record::parse(&text);
            let _ = Record::find([text.as_slice()]);
        }

        #[test]
        fn what_is_written_reads_back(
            id in "[a-zA-Z0-9]{1,32}",
            rest in "(; ?[a-z]{1,5}=[a-z]{1,5}){0,3}",
        ) {
            let text = format!("v=STSv1; id={id}{rest};");
            let read = Record::parse(text.as_bytes()).map(|record| String::from(record.id));
            prop_assert_eq!(read, Ok(id));
        }
    }
}
