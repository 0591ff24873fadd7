//! Keys by `ringpostctl dkim`: private, never replaced, with a record that fits; and told by
//! `ringpost check` when they are not what the configuration says.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use tests::binary;
use tests::setup::Setup;

#[test]
fn a_key_is_made_shown_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    for algorithm in ["rsa", "ed25519"] {
        let names = ["example.test", algorithm];
        let made = ctl(
            folder.path(),
            &[
                &["dkim", "generate"][..],
                &names,
                &["--algorithm", algorithm],
            ]
            .concat(),
        );
        assert!(made.status.success(), "{made:?}");
        let key = folder.path().join(format!("{algorithm}.example.test.pem"));
        let mode = std::fs::metadata(&key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "others may read the key");

        let made = String::from_utf8(made.stdout).unwrap();
        let start =
            format!("{algorithm}._domainkey.example.test. IN TXT ( \"v=DKIM1; k={algorithm}; p=");
        let record = made
            .find(&start)
            .unwrap_or_else(|| panic!("no record in {made}"));
        let (record, _) = made[record..].split_once(" )\n").unwrap();
        assert!(
            record.split('"').all(|string| string.len() <= 255),
            "{record}"
        );
        assert!(
            made.contains("dig +short TXT") && made.contains("[[dkim]]"),
            "{made}"
        );

        let shown = ctl(folder.path(), &[&["dkim", "show"][..], &names].concat());
        let shown = String::from_utf8(shown.stdout).unwrap();
        assert!(
            shown.starts_with(record),
            "another record is shown:\n{shown}"
        );

        let before = std::fs::read(&key).unwrap();
        let again = ctl(folder.path(), &[&["dkim", "generate"][..], &names].concat());
        assert_eq!(again.status.code(), Some(1), "{again:?}");
        assert_eq!(std::fs::read(&key).unwrap(), before, "the key was replaced");
    }
}

#[test]
fn wrong_names_and_keys_are_told() {
    let folder = tempfile::tempdir().unwrap();
    for names in [["example.test", "a_b"], ["example..test", "a"]] {
        let output = ctl(folder.path(), &[&["dkim", "generate"][..], &names].concat());
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

    let made = ctl(
        folder.path(),
        &["dkim", "generate", "example.test", "a1", "--key", "k.pem"],
    );
    assert!(made.status.success(), "{made:?}");
    let key = folder.path().join("k.pem").display().to_string();
    let dkim = |algorithm: &str| {
        format!(
            "[[dkim]]\ndomain = \"example.test\"\nselector = \"a1\"\nkey = \"{key}\"\n\
             algorithm = \"{algorithm}\""
        )
    };
    let (code, said) = check(&Setup::usual().table(&dkim("rsa")));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("signs mail of example.test with rsa key a1._domainkey.example.test"));
    let (code, said) = check(&Setup::usual().table(&dkim("ed25519")));
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("this is an rsa key; the line says ed25519"),
        "{said}"
    );
    std::fs::write(folder.path().join("k.pem"), "nothing").unwrap();
    let (code, said) = check(&Setup::usual().table(&dkim("rsa")));
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("no PEM private key"), "{said}");
}

fn ctl(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary::ringpostctl());
    command
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap()
}

fn check(setup: &Setup) -> (Option<i32>, String) {
    setup.write();
    let mut command = Command::new(binary::ringpost());
    let command = command
        .arg("check")
        .arg("--config")
        .arg(setup.config_file());
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}
