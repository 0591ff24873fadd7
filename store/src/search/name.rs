//! Names of the files of signatures. No other file is ever touched.

/// Directory below that of the shard.
pub(crate) const SEARCH: &str = "search";

/// `shard-00`, 7 → `shard-00/search/00000007.sign`.
pub(crate) fn path(directory: &str, number: u32) -> String {
    format!("{directory}/{SEARCH}/{number:08x}.sign")
}

/// The number of a file by its name, if that is one that we give.
pub(crate) fn number_of(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".sign")?;
    let number = u32::from_str_radix(digits, 16).ok()?;
    (format!("{number:08x}") == digits).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_names_are_known_and_others_are_not() {
        let made = path("shard-00", 0xabc);
        assert_eq!(number_of(made.rsplit('/').next().unwrap()), Some(0xabc));
        for name in [
            "7.sign",
            "0000000A.sign",
            "00000001.sign.old",
            "+0000001.sign",
            "notes",
        ] {
            assert_eq!(number_of(name), None, "{name}");
        }
    }
}
