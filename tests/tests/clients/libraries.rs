//! Libraries that programs are made of, each through a user's day by a script of ours.

use super::script_with;
use super::terminal::python_with;
use tests::binary::workspace;
use tests::peer::peer;

#[test]
fn python_imap_tools_does_a_users_day() {
    if let Some(python) = python_with("imap_tools") {
        script_with(python, "imap_tools_day.py", |_| {});
    }
}

/// Commands in flight together and IDLE, over COMPRESS=DEFLATE.
#[test]
fn python_imaplib2_does_a_users_day() {
    if let Some(python) = python_with("imaplib2") {
        script_with(python, "imaplib2_day.py", |_| {});
    }
}

/// Debian has no package of it: `tests/run` takes it from PyPI, and without a network it is
/// skipped even where peers are required.
#[test]
fn python_imapclient_does_a_users_day() {
    let target = std::env::var("CARGO_TARGET_DIR").map(Into::into);
    let modules = target
        .unwrap_or_else(|_| workspace().join("target"))
        .join("python");
    if !modules.join("imapclient").is_dir() {
        eprintln!("SKIPPED: IMAPClient is not in {}", modules.display());
        return;
    }
    if let Some(python) = peer("python3") {
        script_with(
            python.env("PYTHONPATH", modules),
            "imapclient_day.py",
            |_| {},
        );
    }
}

/// Mail::IMAPClient, Mail::IMAPTalk, Net::IMAP::Client and Net::IMAP::Simple.
#[test]
fn perl_does_a_users_day() {
    if let Some(perl) = peer("perl") {
        script_with(perl, "imap_day.pl", |_| {});
    }
}

#[test]
fn ruby_does_a_users_day() {
    if let Some(ruby) = peer("ruby") {
        script_with(ruby, "imap_day.rb", |_| {});
    }
}
