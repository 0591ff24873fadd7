//! Lines of comma-separated values (RFC 4180); a field has no line end here.

/// The fields of a line, without their quotes; `None`: a quote has no end.
pub(crate) fn fields(line: &str) -> Option<Vec<String>> {
    let mut fields = vec![String::new()];
    let mut is_quoted = false;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        let Some(field) = fields.last_mut() else {
            break;
        };
        match letter {
            '"' if is_quoted && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' if is_quoted => is_quoted = false,
            '"' if field.is_empty() => is_quoted = true,
            ',' if !is_quoted => fields.push(String::new()),
            other => field.push(other),
        }
    }
    let trimmed = fields.into_iter().map(|field| field.trim().to_owned());
    (!is_quoted).then(|| trimmed.collect())
}

/// A line without its end.
pub(crate) fn line<const N: usize>(fields: [&str; N]) -> String {
    fields.map(quoted).join(",")
}

fn quoted(field: &str) -> String {
    let clean = field.replace(['\r', '\n'], " ");
    match clean.contains([',', '"']) || clean.starts_with(['#', ' ']) {
        true => format!("\"{}\"", clean.replace('"', "\"\"")),
        false => clean,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotes_are_taken_away() {
        assert_eq!(
            fields("a, b ,\"c,\"\"d\"\"\",").unwrap(),
            ["a", "b", "c,\"d\"", ""]
        );
        assert_eq!(fields("\"a"), None);
        assert_eq!(fields("").unwrap(), [""]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(one in "\\PC{0,20}", other in "[a-z\", #]{0,20}") {
            let text = line([&one, &other]);
            let again = fields(&text).unwrap();
            prop_assert_eq!(again, [one.trim(), other.trim()]);
        }
    }
}
