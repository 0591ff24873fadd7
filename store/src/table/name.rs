//! Names of the files that a manifest can name. No other file is ever touched.

/// Directories below that of the shard.
pub const INDEX: &str = "index";
pub const PACKS: &str = "packs";
pub const ARCHIVE: &str = "archive";

/// No manifest names what is in this one.
pub const STORIES: &str = "stories";

/// `shard-00`, 7 → `shard-00/index/00000007.run`.
#[must_use]
pub fn run(directory: &str, number: u32) -> String {
    format!("{directory}/{INDEX}/{number:08x}.run")
}

/// The given generation of a location chunk.
#[must_use]
pub fn chunk(directory: &str, chunk: u32, generation: u32) -> String {
    format!("{directory}/{INDEX}/{chunk:08x}.{generation:08x}.loc")
}

#[must_use]
pub fn pack(directory: &str, number: u32) -> String {
    format!("{directory}/{PACKS}/{number:08x}.pack")
}

#[must_use]
pub fn archive(directory: &str, number: u32) -> String {
    format!("{directory}/{ARCHIVE}/{number:08x}.pack")
}

#[must_use]
pub fn story(directory: &str, number: u32) -> String {
    format!("{directory}/{STORIES}/{number:08x}.pack")
}

/// Whether a name in the index directory is one that we give.
pub(super) fn is_in_index(name: &str) -> bool {
    let chunk = |name: &str| {
        let (chunk, generation) = name.split_once('.')?;
        Some(is_number(chunk) && is_number(generation))
    };
    name.strip_suffix(".run").is_some_and(is_number)
        || name.strip_suffix(".loc").and_then(chunk) == Some(true)
}

/// The number of the file at a path that we give; of a location chunk, its generation.
pub(crate) fn number(path: &str) -> Option<u32> {
    let name = path.rsplit('/').next()?;
    let digits = name.split('.').rev().nth(1)?;
    u32::from_str_radix(digits, 16).ok()
}

/// Whether a name in the directory of packs, archives or stories is one that we give.
pub(crate) fn is_pack(name: &str) -> bool {
    name.strip_suffix(".pack").is_some_and(is_number)
}

fn is_number(digits: &str) -> bool {
    u32::from_str_radix(digits, 16).is_ok_and(|number| format!("{number:08x}") == digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_names_are_known_and_others_are_not() {
        let file = |path: String| path.rsplit_once('/').unwrap().1.to_owned();
        assert!(is_in_index(&file(run("shard-00", u32::MAX))));
        assert!(is_in_index(&file(chunk("shard-00", 0, 0xabc))));
        assert!(is_pack(&file(pack("shard-00", 1))));
        assert!(is_pack(&file(archive("shard-00", 1))));
        assert_eq!(number(&chunk("shard-00", 7, 0xabc)), Some(0xabc));
        assert_eq!(number(&pack("shard-00", 9)), Some(9));
        for name in [
            "7.run",
            "0000000A.run",
            "+0000007.run",
            "00000007.run~",
            "00000007.pack",
        ] {
            assert!(!is_in_index(name), "{name}");
        }
        for name in [
            "00000001.loc",
            "00000001.00000001.00000001.loc",
            "00000001..loc",
            "notes",
        ] {
            assert!(!is_in_index(name), "{name}");
        }
        assert!(!is_pack("00000001.pack.old") && !is_pack("000000001.pack"));
    }
}
