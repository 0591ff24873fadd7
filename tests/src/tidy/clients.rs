//! The programs that tests start as peers, and those that `tests/run` installs: a fresh machine has
//! no others.

use super::Offence;
use super::source::Source;

/// Tests that start what `run`, the text of `tests/run`, does not install.
pub fn clients(run: &str, sources: &[Source]) -> Vec<Offence> {
    let installed = installed(run);
    let mut offences = Vec::new();
    for source in sources
        .iter()
        .filter(|source| source.path.starts_with("tests/tests"))
    {
        for (number, line) in source.numbered() {
            let started = line.text.split(STARTS).skip(1);
            let names = started.filter_map(|rest| Some(rest.split_once('"')?.0));
            let missing =
                names.filter(|name| !installed.contains(name) && !ESSENTIAL.contains(name));
            offences.extend(missing.map(|name| {
                let why = format!("tests/run does not install {name}");
                Offence::new(&source.path, number, why)
            }));
        }
    }
    offences
}

fn installed(run: &str) -> Vec<&str> {
    let line = run.lines().find_map(|line| line.strip_prefix("programs=("));
    let names = line.unwrap_or_default().trim_end_matches(')');
    names.split_whitespace().collect()
}

/// How a test names a client.
const STARTS: &str = "peer(\"";

/// Every Debian has these, or they come with a client that is named.
const ESSENTIAL: [&str; 9] = [
    "cat", "chown", "doveadm", "dovecot", "id", "perl", "runuser", "script", "timeout",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_nobody_installs_is_found() {
        let run = "#!/bin/sh\nprograms=(curl mutt smtp-sink)\npackages=(curl mutt postfix)\n";
        let text = format!("fn a() {{ {STARTS}mutt\"); {STARTS}id\"); {STARTS}pine\"); }}");
        let source = |path: &str| Source::new(path, &text);
        let found = clients(
            run,
            &[
                source("tests/tests/clients/a.rs"),
                source("engine/src/a.rs"),
            ],
        );
        let expected = Offence::new(
            "tests/tests/clients/a.rs",
            1,
            "tests/run does not install pine",
        );
        assert_eq!(found, [expected]);
    }
}
