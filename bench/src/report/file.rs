//! Outcomes in files: one of them, or a list, as JSON.

use crate::outcome::Outcome;
use anyhow::Context;
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Several(Vec<Outcome>),
    One(Box<Outcome>),
}

/// Those of all files, in order.
pub(super) fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for path in paths {
        let how = || format!("{}: no outcome of ringpost-bench", path.display());
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        match serde_json::from_str(&text).with_context(how)? {
            Content::Several(several) => outcomes.extend(several),
            Content::One(one) => outcomes.push(*one),
        }
    }
    Ok(outcomes)
}

/// Writes outcomes as JSON; what was there before is replaced whole or not at all.
pub(crate) fn write(path: &Path, outcomes: &[Outcome]) -> anyhow::Result<()> {
    replace(path, &serde_json::to_string_pretty(outcomes)?)
}

pub(super) fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut draft = path.as_os_str().to_os_string();
    draft.push(".new");
    let how = || format!("{} cannot be written", path.display());
    fs::write(&draft, text).with_context(how)?;
    fs::rename(&draft, path).with_context(how)
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn one_outcome_and_a_list_are_read_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let (one, several) = (
            folder.path().join("one.json"),
            folder.path().join("all.json"),
        );
        let outcomes = sample::comparison(&[(10.0, 1.0)]);
        fs::write(&one, serde_json::to_string(&outcomes[0]).unwrap()).unwrap();
        write(&several, &outcomes).unwrap();
        let read = read(&[one, several]).unwrap();
        assert_eq!(read, [&outcomes[..1], &outcomes[..]].concat());
    }

    #[test]
    fn an_outcome_of_an_older_tool_is_read() {
        let mut json = serde_json::to_value(sample::outcome("A", 1.0, 0)).unwrap();
        for field in ["delivered", "round"] {
            json.as_object_mut().unwrap().remove(field);
        }
        json["usage"].as_object_mut().unwrap().remove("device");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.json");
        fs::write(&path, json.to_string()).unwrap();
        assert_eq!(read(&[path]).unwrap()[0].round, None);
    }

    #[test]
    fn a_file_that_is_none_of_ours_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other.json");
        fs::write(&path, "{}").unwrap();
        let why = format!("{:#}", read(&[path]).unwrap_err());
        assert!(why.contains("other.json"), "{why}");
        let why = format!("{:#}", read(&[folder.path().join("none")]).unwrap_err());
        assert!(why.contains("none"), "{why}");
        let why = write(&folder.path().join("no/such/folder"), &[]).unwrap_err();
        assert!(why.to_string().contains("cannot be written"));
    }
}
