//! Programs of Debian's packages: installed, or unpacked into a yard without installing them.
//!
//! Exim and OpenSMTPD cannot be installed beside Postfix; fetched with apt-get and unpacked with
//! dpkg they can stand beside it. That needs no root, and leaves nothing on the machine.

use super::yard::Yard;
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where a package's files are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Package {
    /// `None`: installed, the machine's own root.
    pub(super) root: Option<PathBuf>,
    /// As its authors count, without Debian's revision.
    pub(super) version: String,
}

/// The file of a program, in `PATH` or where Debian keeps those of the administrator.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Programs with their packages, all there or an error with the line that installs them.
pub(super) fn demand(wanted: &[(&str, &str)]) -> anyhow::Result<()> {
    let missing = wanted.iter().filter(|(name, _)| program(name).is_none());
    let packages: Vec<&str> = missing.map(|(_, package)| *package).collect();
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    bail!("not installed: {list}; try: sudo apt-get install --no-install-recommends {list}")
}

/// Files of servers that only root can start as their authors mean it.
pub(super) fn demand_root(who: &str) -> anyhow::Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    bail!("{who} starts as root only (it changes users): run this with sudo")
}

/// An installed package.
pub(super) fn installed(package: &str) -> Package {
    let query = ["-W", "-f=${Version}", package];
    Package {
        root: None,
        version: upstream(&output("dpkg-query", &query, None).unwrap_or_default()),
    }
}

/// The package that holds `name`: as it is installed, or fetched and unpacked into the yard.
pub(super) fn installed_or_unpacked(
    yard: &Yard,
    name: &str,
    package: &str,
) -> anyhow::Result<Package> {
    if program(name).is_some() {
        return Ok(installed(package));
    }
    demand(&[("apt-get", "apt"), ("dpkg", "dpkg")])?;
    let how = || format!("{package} could not be fetched (try: sudo apt-get update)");
    unpacked(yard, package).with_context(how)
}

fn unpacked(yard: &Yard, package: &str) -> anyhow::Result<Package> {
    let (store, root) = (yard.room("packages")?, yard.room("root")?);
    let simulation = ["-s", "install", "--no-install-recommends", package];
    let told = output("apt-get", &simulation, Some(&store))?;
    let names = to_install(&told);
    if !names.iter().any(|name| name == package) {
        bail!("apt-get does not know it");
    }
    eprintln!("fetching {} (unpacked, not installed)", names.join(" "));
    let mut arguments = vec!["download"];
    arguments.extend(names.iter().map(String::as_str));
    output("apt-get", &arguments, Some(&store))?;
    let mut version = String::new();
    for entry in std::fs::read_dir(&store)? {
        let file = entry?.path();
        let (Some(path), Some(target)) = (file.to_str(), root.to_str()) else {
            bail!("{} is no UTF-8", file.display());
        };
        output("dpkg", &["-x", path, target], None)?;
        if path.contains(&format!("/{package}_")) {
            version = upstream(&output("dpkg-deb", &["-f", path, "Version"], None)?);
        }
    }
    Ok(Package {
        root: Some(root),
        version,
    })
}

/// `Inst exim4-base (4.96-15 Debian:12 [amd64])`.
fn to_install(simulation: &str) -> Vec<String> {
    let lines = simulation
        .lines()
        .filter_map(|line| line.strip_prefix("Inst "));
    lines
        .filter_map(|rest| Some(rest.split_whitespace().next()?.to_string()))
        .collect()
}

/// `1:2.3.19.1+dfsg1-2.1` is 2.3.19.1 of its authors.
fn upstream(version: &str) -> String {
    let version = version.trim();
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    let version = version.rsplit_once('-').map_or(version, |(own, _)| own);
    version.split('+').next().unwrap_or(version).to_string()
}

/// Runs a program to its end; an error says what it said.
pub(super) fn output(
    name: &str,
    arguments: &[&str],
    folder: Option<&Path>,
) -> anyhow::Result<String> {
    let mut command = Command::new(program(name).with_context(|| format!("{name} is missing"))?);
    command
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    if let Some(folder) = folder {
        command.current_dir(folder);
    }
    let output = command.output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{name} {}: {}: {}",
            arguments.join(" "),
            output.status,
            said.trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_the_authors() {
        for (debian, own) in [
            ("1:2.3.19.1+dfsg1-2.1+deb12u7", "2.3.19.1"),
            ("3.7.11-0+deb12u1", "3.7.11"),
            ("6.8.0p2-4+b4\n", "6.8.0p2"),
            ("", ""),
        ] {
            assert_eq!(upstream(debian), own);
        }
    }

    #[test]
    fn what_would_be_installed_is_read_and_what_would_be_removed_is_not() {
        let told =
            "Reading…\nRemv postfix [3.7]\nInst exim4-base (4.96)\nInst exim4 (4.96)\nConf x\n";
        assert_eq!(to_install(told), ["exim4-base", "exim4"]);
    }

    #[test]
    fn what_is_missing_is_said_with_the_line_that_mends_it() {
        assert!(demand(&[("sh", "dash")]).is_ok());
        let why = demand(&[("sh", "dash"), ("no-such-program", "its-package")]).unwrap_err();
        assert!(
            why.to_string()
                .ends_with("--no-install-recommends its-package")
        );
        let why = output("sh", &["-c", "echo broken >&2; exit 3"], None).unwrap_err();
        assert!(why.to_string().contains("broken"));
    }
}
