//! What is logged and where to: the table `[log]`.

use super::Base;
use super::raw::{At, Notes, Section};
use std::path::PathBuf;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Log {
    pub level: LogLevel,
    pub format: LogFormat,
    pub target: LogTarget,
}

/// How much is said; each level says also what the ones before it say.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum LogLevel {
    /// The operator must act.
    Error,
    /// The operator should know.
    Warn,
    /// One line per transaction and per login.
    Info,
    /// Each step of a dialogue.
    Debug,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LogTarget {
    Stderr,
    /// Opened again on SIGHUP, so that logrotate may move it.
    File(PathBuf),
}

impl Default for Log {
    fn default() -> Log {
        Log {
            level: LogLevel::Info,
            format: LogFormat::Text,
            target: LogTarget::Stderr,
        }
    }
}

impl LogLevel {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
        }
    }
}

impl Log {
    pub(super) fn read(section: &mut Section<'_, '_>, base: &Base, notes: &mut Notes) -> Log {
        let level = section.text(notes, "level");
        let format = section.text(notes, "format");
        let target = section.text(notes, "target");
        let default = Log::default();
        Log {
            level: level
                .and_then(|text| read_level(text, notes))
                .unwrap_or(default.level),
            format: format
                .and_then(|text| read_format(text, notes))
                .unwrap_or(default.format),
            target: match target.map(|text| text.value) {
                None | Some("stderr") => LogTarget::Stderr,
                Some(file) => LogTarget::File(base.path(file)),
            },
        }
    }
}

fn read_level(text: At<&str>, notes: &mut Notes) -> Option<LogLevel> {
    let levels = [
        LogLevel::Error,
        LogLevel::Warn,
        LogLevel::Info,
        LogLevel::Debug,
    ];
    let found = levels.into_iter().find(|level| level.name() == text.value);
    if found.is_none() {
        let what = format!(
            "level: expected error, warn, info or debug, not \"{}\"",
            text.value
        );
        notes.problem(text.line, what);
    }
    found
}

fn read_format(text: At<&str>, notes: &mut Notes) -> Option<LogFormat> {
    match text.value {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        other => {
            let what = format!("format: expected text or json, not \"{other}\"");
            notes.problem(text.line, what);
            None
        }
    }
}
