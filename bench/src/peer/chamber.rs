//! A private view of the file system in which an unpacked package looks installed.
//!
//! Exim and OpenSMTPD have their paths and users built in. In a mount namespace of their own (needs
//! root) the yard's `etc` and the package's `usr` are laid over the machine's, and the yard's spool
//! is bound to where they look for it. Nobody else sees any of it, and it vanishes with them.

use super::packages::{self, Package};
use super::yard::Yard;
use anyhow::Context;
use std::path::PathBuf;

pub(super) struct Chamber {
    script: String,
    etc: PathBuf,
}

/// A user that the package's installation would have made.
pub(super) struct User {
    pub(super) name: &'static str,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Chamber {
    pub(super) fn build(yard: &Yard, package: &Package, users: &[User]) -> anyhow::Result<Chamber> {
        packages::demand_root("a server in a mount namespace")?;
        packages::demand(&[("unshare", "util-linux"), ("mount", "mount")])?;
        let etc = yard.room("etc")?;
        let (passwd, group) = (with_users(users, "passwd")?, with_users(users, "group")?);
        yard.write("etc/passwd", &passwd)?;
        yard.write("etc/group", &group)?;
        let mut chamber = Chamber {
            script: String::new(),
            etc,
        };
        if let Some(root) = &package.root {
            let usr = root.join("usr");
            chamber.lay(&usr.display().to_string(), "/usr");
        }
        Ok(chamber)
    }

    /// An empty place in memory, for paths that must exist.
    pub(super) fn empty(&mut self, path: &str) {
        self.line(&format!("mount -t tmpfs -o mode=755 none {path}"));
    }

    /// Folders below an empty place.
    pub(super) fn folder(&mut self, path: &str) {
        self.line(&format!("mkdir -p {path}"));
    }

    /// Binds a folder of the yard to a path that exists by then.
    pub(super) fn bind(&mut self, source: &str, path: &str) {
        self.line(&format!("mount --bind {} {path}", quoted(source)));
    }

    /// The command that enters the chamber and becomes `argv`.
    pub(super) fn argv(mut self, argv: &[&str]) -> Vec<String> {
        let etc = self.etc.display().to_string();
        self.lay(&etc, "/etc");
        let words: Vec<String> = argv.iter().map(|word| quoted(word)).collect();
        self.line(&format!("exec {}", words.join(" ")));
        let enter = [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-euc",
        ];
        let enter = enter.iter().map(|&word| word.to_string());
        enter.chain([self.script]).collect()
    }

    fn lay(&mut self, upper: &str, path: &str) {
        let lower = quoted(&format!("lowerdir={upper}:{path}"));
        self.line(&format!("mount -t overlay -o ro,{lower} none {path}"));
    }

    fn line(&mut self, line: &str) {
        self.script.push_str(line);
        self.script.push('\n');
    }
}

/// `/etc/passwd` or `/etc/group` with the users, unless they are known.
fn with_users(users: &[User], file: &str) -> anyhow::Result<String> {
    let path = format!("/etc/{file}");
    let mut text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    for User { name, uid, gid } in users {
        let start = format!("{name}:");
        if !text.lines().any(|line| line.starts_with(&start)) {
            text.push_str(&match file {
                "passwd" => format!("{name}:x:{uid}:{gid}::/nonexistent:/usr/sbin/nologin\n"),
                _ => format!("{name}:x:{gid}:\n"),
            });
        }
    }
    Ok(text)
}

/// For a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_users_stay_and_new_ones_come() {
        let user = |name| User {
            name,
            uid: 64801,
            gid: 64801,
        };
        let text = with_users(&[user("root"), user("nobody-knows")], "passwd").unwrap();
        assert_eq!(text.matches("\nnobody-knows:x:64801:64801:").count(), 1);
        assert!(!text.contains("root:x:64801"));
        assert!(with_users(&[], "no-such-file").is_err());
    }

    #[test]
    fn words_reach_the_shell_as_they_are() {
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
