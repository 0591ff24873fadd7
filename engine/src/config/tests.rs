//! A wrong line is named, with what was expected; a right file means what it says.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use proptest::prelude::*;

const WHOLE: &str = r#"
hostname = "MX1.example.org"
data     = "/var/lib/ringpost"
shards   = 4
postmaster = "alice@example.org"

[[listener]]
protocol = "smtp"
address  = "0.0.0.0:25"
tls      = "starttls"

[[listener]]
protocol = "imap"
address  = "[::1]:143"

[[certificate]]
names = ["mx1.example.org", "*.example.org"]
cert  = "tls/mx1.pem"
key   = "/etc/ringpost/mx1.key"

[[domain]]
name = "example.org"
catch_all = "bob@example.org"

[[domain]]
name = "bücher.example"
recipient_delimiter = "-"

[[account]]
address  = "Alice@example.org"
password = "$argon2id$x"
quota    = "10 GiB"

[[account]]
address  = "bob@example.org"
password = "$argon2id$x"

[[alias]]
from = "team@example.org"
to = ["alice@example.org", "bob+team@example.org"]

[[alias]]
from = ["info@bücher.example", "sales@bücher.example"]
to = ["team@example.org"]

[limits]
message_bytes_max = "1 MiB"
recipients_max = 2000

[log]
level = "warn"
format = "json"
target = "ringpost.log"
"#;

fn parse(text: &str) -> Result<Config, Problems> {
    let outside = Outside {
        readable: &|path| match path.to_string_lossy().contains("missing") {
            true => Err(io::ErrorKind::NotFound.into()),
            false => Ok(()),
        },
        secret: &|text| match text.starts_with('$') {
            true => Ok(()),
            false => Err("expected a hash".to_owned()),
        },
    };
    Config::parse(Path::new("/etc/ringpost/ringpost.toml"), text, outside)
}

/// The faults of `text` after a head that has none, counted from the first line of `text`.
fn faults(text: &str) -> Vec<String> {
    let head = "hostname = \"a.b\"\ndata = \"/d\"\n";
    let problems = parse(&format!("{head}{text}")).unwrap_err();
    let told = problems.list.iter();
    told.map(|problem| format!("{}: {}", problem.line - 2, problem.what))
        .collect()
}

#[test]
fn a_whole_file_means_what_it_says() {
    let config = parse(WHOLE).unwrap();
    assert_eq!(config.hostname, "mx1.example.org");
    assert_eq!(config.shards, Some(4));
    assert_eq!(config.control, Path::new("/var/lib/ringpost/control.sock"));
    assert_eq!(config.listeners[0].tls, TlsMode::StartTls);
    assert!(!config.listeners[0].login_without_tls);
    assert!(config.listeners[1].login_without_tls, "loopback");
    let CertificateSource::Files { chain, .. } = &config.certificates[0].source else {
        panic!("files were given");
    };
    assert_eq!(chain, Path::new("/etc/ringpost/tls/mx1.pem"));
    assert_eq!(config.domains[1].name, "xn--bcher-kva.example");
    assert_eq!(config.domains[1].delimiter, Some('-'));
    assert_eq!(
        config.accounts[0].address,
        Address::new("alice", "example.org")
    );
    assert_eq!(config.accounts[0].quota, Some(10 << 30));
    assert_eq!(config.aliases[1].from.len(), 2);
    assert_eq!(config.limits.message_bytes_max, 1 << 20);
    assert_eq!(config.limits.hops_max, 100);
    assert_eq!(config.log.level, LogLevel::Warn);
    assert_eq!(
        config.log.target,
        LogTarget::File("/etc/ringpost/ringpost.log".into())
    );
    assert_eq!(config.warnings, []);
}

#[test]
fn shards_zero_is_one_per_core() {
    let config = parse("hostname = \"a.b\"\ndata = \"/d\"\nshards = 0\n").unwrap();
    assert_eq!(config.shards, None);
}

#[test]
fn a_fault_is_shown_with_file_and_line() {
    let shown = parse("hostname = 7\ndata = \"/d\"\n")
        .unwrap_err()
        .to_string();
    assert_eq!(
        shown,
        "/etc/ringpost/ringpost.toml:1: hostname: expected text in quotes"
    );
}

#[test]
fn what_is_missing_is_named() {
    let shown = parse("").unwrap_err().to_string();
    assert!(
        shown.contains("the file needs hostname = \"mail.example.org\""),
        "{shown}"
    );
    assert!(
        shown.contains("the file needs data = \"/var/lib/ringpost\""),
        "{shown}"
    );
}

#[test]
fn all_faults_are_told_at_once() {
    let text = "[[listener]]\nprotocl = \"smtp\"\naddress = \"25\"\n[limits]\nrecipients_max = 1\n";
    assert_eq!(
        faults(text),
        [
            "1: [[listener]] needs protocol = \"smtp\" or another protocol",
            "2: unknown key protocl in [[listener]]; did you mean protocol?",
            "3: address: expected \"IP:PORT\", e.g. \"0.0.0.0:25\" or \"[::]:25\", not \"25\"",
            "5: recipients_max: expected a whole number from 100 to 5000",
        ]
    );
}

#[test]
fn an_unknown_key_without_a_likeness_lists_the_known_ones() {
    assert_eq!(
        faults("[log]\ncolour = true\n"),
        ["2: unknown key colour in [log]; known are level, format, target"]
    );
}

#[test]
fn later_protocols_are_refused_clearly() {
    let text =
        "[[listener]]\nprotocol = \"managesieve\"\naddress = \"0.0.0.0:4190\"\ntls = \"none\"\n";
    assert_eq!(
        faults(text),
        ["2: managesieve is not served yet; take this listener out"]
    );
}

#[test]
fn what_pop3_does_to_mailboxes_is_read_and_explained() {
    for (text, said) in [
        ("", "stays until it is deleted"),
        (
            "[pop3]\nexpire = \"retrieved\"\n",
            "deleted when it ends with QUIT",
        ),
        (
            "[pop3]\nexpire = \"30d\"\n",
            "retrieved 30 days ago or earlier",
        ),
        ("[pop3]\nlogin_delay = \"5m\"\n", "logs in once in 5m"),
    ] {
        let listener = "[[listener]]\nprotocol = \"pop3\"\naddress = \"127.0.0.1:110\"\n\
            tls = \"none\"\n";
        let head = "hostname = \"a.b\"\ndata = \"/d\"\n";
        let explained = parse(&format!("{head}{listener}{text}")).unwrap().explain();
        assert!(explained.contains(said), "{text}: {explained}");
    }
    let wrong = faults("[pop3]\nexpire = \"36h\"\n");
    assert!(wrong.len() == 1 && wrong[0].contains("expected never, retrieved, or days"));
}

#[test]
fn groups_have_names_and_members() {
    let head = "hostname = \"a.b\"\ndata = \"/d\"\n[[listener]]\nprotocol = \"pop3\"\n\
        address = \"127.0.0.1:110\"\ntls = \"none\"\n[[domain]]\nname = \"x.test\"\n\
        [[account]]\naddress = \"bob@x.test\"\npassword = \"$\"\n";
    let group = "[[group]]\nname = \"Sales\"\nmembers = [\"bob@x.test\"]\n";
    let config = parse(&format!("{head}{group}")).unwrap();
    let groups = |user| config.sharing.groups_of(user).collect::<Vec<_>>();
    assert_eq!(
        (groups("bob@x.test"), groups("eve@x.test")),
        (vec!["sales"], vec![])
    );
    let said = "what is shared with group:sales is shared with bob@x.test";
    assert!(config.explain().contains(said), "{}", config.explain());
    for (wrong, said) in [
        (
            "[[group]]\nname = \"a b\"\nmembers = [\"bob@x.test\"]\n",
            "expected up to 64 letters",
        ),
        ("[[group]]\nname = \"a\"\n", "[[group]] needs members"),
        (
            "[[group]]\nmembers = [\"bob@x.test\"]\n",
            "[[group]] needs name",
        ),
        (
            "[[group]]\nname = \"a\"\nmembers = [\"eve@x.test\"]\n",
            "there is no [[account]]",
        ),
        (&format!("{group}{group}"), "[[group]] sales: named twice"),
    ] {
        let faults = parse(&format!("{head}{wrong}")).unwrap_err().to_string();
        assert!(faults.contains(said), "{wrong}: {faults}");
    }
}

#[test]
fn tls_needs_a_certificate_and_http_has_no_starttls() {
    let text = "[[listener]]\nprotocol = \"http\"\naddress = \"0.0.0.0:80\"\ntls = \"starttls\"\n";
    assert_eq!(
        faults(text),
        [
            "3: tls = \"starttls\" needs a [[certificate]]; without one say tls = \"none\"",
            "4: http has no STARTTLS; expected tls = \"none\" or \"implicit\"",
        ]
    );
}

#[test]
fn two_listeners_cannot_share_an_address() {
    let listener = |address: &str| {
        format!("[[listener]]\nprotocol = \"smtp\"\naddress = \"{address}\"\ntls = \"none\"\n")
    };
    let text = [
        listener("0.0.0.0:25"),
        listener("10.0.0.1:25"),
        listener("[::]:25"),
    ]
    .concat();
    assert_eq!(
        faults(&text),
        ["7: address 10.0.0.1:25 is taken by the listener in line 5"]
    );
}

#[test]
fn a_socket_file_is_for_lmtp() {
    let listener = |more: &str| {
        let text = format!("[[listener]]\naddress = \"unix:lmtp\"\n{more}\n");
        faults(&text)
    };
    let imap = listener("protocol = \"imap\"\ntls = \"none\"");
    assert_eq!(
        imap,
        ["2: imap needs \"IP:PORT\"; only lmtp is served on unix:FILE"]
    );
    let tls = listener("protocol = \"lmtp\"\ntls = \"starttls\"");
    assert!(
        tls.iter()
            .any(|what| what.starts_with("4: lmtp on a socket file needs no TLS"))
    );
    let mode = listener("protocol = \"lmtp\"\nmode = \"rw\"");
    assert_eq!(mode, ["4: mode: expected e.g. \"0660\", not \"rw\""]);
    let twice = "[[listener]]\nprotocol = \"lmtp\"\naddress = \"unix:lmtp\"\n".repeat(2);
    let taken = "6: address unix:/etc/ringpost/lmtp is taken by the listener in line 5";
    assert_eq!(faults(&twice), [taken]);
    let long = format!(
        "[[listener]]\nprotocol = \"lmtp\"\naddress = \"unix:/{}\"\n",
        "x".repeat(107)
    );
    assert!(faults(&long)[0].starts_with("3: address: expected \"unix:FILE\" with a path"));
    let tcp = "[[listener]]\nprotocol = \"lmtp\"\naddress = \"127.0.0.1:24\"\nmode = \"0600\"\n";
    assert_eq!(faults(tcp), ["4: mode is for address = \"unix:FILE\""]);
}

#[test]
fn unreadable_files_are_named() {
    let text = "[[certificate]]\nnames = \"a.b\"\ncert = \"missing.pem\"\nkey = \"/k\"\n";
    let told = faults(text);
    assert_eq!(told.len(), 1);
    assert!(
        told[0].starts_with("3: cannot read /etc/ringpost/missing.pem: "),
        "{told:?}"
    );
}

const DOMAIN: &str = "[[domain]]\nname = \"x.org\"\n";

fn account(address: &str) -> String {
    format!("[[account]]\naddress = \"{address}\"\npassword = \"$\"\n")
}

fn alias(from: &str, to: &str) -> String {
    format!("[[alias]]\nfrom = \"{from}\"\nto = \"{to}\"\n")
}

#[test]
fn doubles_are_found_whatever_their_spelling() {
    let text = [DOMAIN, DOMAIN, &account("a@x.org"), &account("A@X.org")].concat();
    assert_eq!(
        faults(&text),
        [
            "4: domain x.org stands in line 4 already",
            "9: account a@x.org stands in line 8 already",
        ]
    );
}

#[test]
fn accounts_need_their_domain_and_a_password() {
    let plain = "[[account]]\naddress = \"b@x.org\"\npassword = \"secret\"\n";
    let text = [DOMAIN, &account("a@y.org"), plain].concat();
    assert_eq!(
        faults(&text),
        [
            "4: account a@y.org: there is no [[domain]] with name = \"y.org\"",
            "8: password: expected a hash",
        ]
    );
}

const NOWHERE: &str = "no such account or alias in this file; where ringpostctl makes accounts, \
                       its [[domain]] says accounts_elsewhere = true";

#[test]
fn aliases_that_lead_nowhere_or_in_a_circle_are_found() {
    let text = [
        DOMAIN,
        &alias("a@x.org", "nobody@x.org"),
        &alias("b@x.org", "c+detail@x.org"),
        &alias("c@x.org", "b@x.org"),
        &alias("d@x.org", "e@other.org"),
    ]
    .concat();
    assert_eq!(
        faults(&text),
        [
            format!("3: alias to nobody@x.org leads nowhere: {NOWHERE}"),
            "6: aliases in a loop: b@x.org → c@x.org → b@x.org".to_owned(),
            "12: alias to e@other.org: there is no [[domain]] of that name, and mail for other \
             hosts needs a [[route]]"
                .to_owned(),
        ]
    );
}

const ROUTE: &str = "[[route]]\ndomains = \"*.org\"\nvia = \"mx\"\n";

#[test]
fn aliases_may_lead_to_other_hosts_that_have_a_route() {
    let head = "hostname = \"a.b\"\ndata = \"/d\"\n";
    let away = alias("a@x.org", "e@other.org") + "owner = \"b@x.org\"\n";
    let all = alias("*@x.org", "e@other.org");
    let srs = "[forward]\nsrs = \"x.org\"\nsecrets = \"0123456789abcdef\"\n";
    let text = [head, DOMAIN, &account("b@x.org"), &away, &all, ROUTE, srs].concat();
    let config = parse(&text).unwrap();
    assert_eq!(config.aliases[0].owner, Some(Address::new("b", "x.org")));
    assert_eq!(config.forwarding.srs.as_ref().unwrap().days, 14);
    let told = config.explain();
    for wanted in [
        "alias a@x.org: 0 here, 1 at other hosts, a list of b@x.org",
        "rewritten (SRS) to x.org for 14 days",
    ] {
        assert!(told.contains(wanted), "{told}");
    }
    assert!(!format!("{config:?}").contains("0123456789abcdef"));
}

#[test]
fn what_is_wrong_with_forwarding_is_named() {
    let elsewhere = [DOMAIN, &alias("a@x.org", "e@other.net"), ROUTE].concat();
    assert_eq!(
        faults(&elsewhere),
        [
            "3: alias to e@other.net: there is no [[domain]] of that name, and there is no \
          [[route]] to its domain"
        ]
    );
    let owner = [DOMAIN, &account("b@x.org"), &alias("a@x.org", "b@x.org")].concat();
    let own = owner.clone() + "owner = \"a@x.org\"\n";
    assert_eq!(faults(&own), ["9: owner: a@x.org is the list itself"]);
    let twice = owner + "[[alias]]\nfrom = \"*@x.org\"\nto = \"b@x.org\"\n";
    let twice = twice.replacen(
        "name = \"x.org\"",
        "name = \"x.org\"\ncatch_all = \"b@x.org\"",
        1,
    );
    assert_eq!(
        faults(&twice),
        ["10: alias *@x.org: its [[domain]] has a catch_all already"]
    );
    let forward = "[forward]\nsrs = \"y.org\"\nsecrets = \"short\"\n";
    assert_eq!(
        faults(forward),
        [
            "2: srs: there is no [[domain]] with name = \"y.org\"",
            "3: secrets: expected at least 16 characters",
        ]
    );
    assert_eq!(
        faults("[forward]\nsrs = \"y.org\"\n"),
        [
            "2: srs needs secrets = [\"…\"], long and random, that only this host knows",
            "2: srs: there is no [[domain]] with name = \"y.org\"",
        ]
    );
}

#[test]
fn an_alias_may_keep_a_copy_for_its_own_account() {
    let head = "hostname = \"a.b\"\ndata = \"/d\"\n";
    let keep = alias("a@x.org", "a@x.org");
    let text = [head, DOMAIN, &account("a@x.org"), &keep].concat();
    assert!(parse(&text).is_ok());
}

#[test]
fn long_chains_of_aliases_are_walked_once() {
    let names = 3_000;
    let chain: String = (0..names)
        .map(|n| {
            alias(
                &format!("n{n}@x.org"),
                &format!("n{}@x.org", (n + 1) % names),
            )
        })
        .collect();
    let told = faults(&[DOMAIN, &chain].concat());
    assert_eq!(told.len(), 1);
    assert!(
        told[0].starts_with("3: aliases in a loop: n0@x.org → n1@x.org → "),
        "{}",
        told[0]
    );
}

#[test]
fn accounts_of_the_control_socket_may_be_named() {
    let head = "hostname = \"a.b\"\ndata = \"/d\"\npostmaster = \"root@x.org\"\n";
    let domain =
        "[[domain]]\nname = \"x.org\"\naccounts_elsewhere = true\ncatch_all = \"c@x.org\"\n";
    let text = [head, domain, &alias("a@x.org", "made-later@x.org")].concat();
    assert!(parse(&text).is_ok());
}

#[test]
fn catch_all_and_postmaster_must_exist() {
    let text =
        "postmaster = \"nobody@x.org\"\n[[domain]]\nname = \"x.org\"\ncatch_all = \"no@x.org\"\n";
    assert_eq!(
        faults(text),
        [format!("3: catch_all no@x.org leads nowhere: {NOWHERE}")]
    );
    let text = "postmaster = \"nobody@x.org\"\n[[domain]]\nname = \"x.org\"\n";
    assert_eq!(
        faults(text),
        [format!(
            "1: postmaster nobody@x.org leads nowhere: {NOWHERE}"
        )]
    );
}

#[test]
fn what_is_risky_is_a_warning() {
    let text = "hostname = \"a.b\"\ndata = \"/d\"\n[[listener]]\nprotocol = \"imap\"\n\
                address = \"0.0.0.0:143\"\ntls = \"none\"\nlogin_without_tls = true\n";
    let config = parse(text).unwrap();
    assert_eq!(
        config.warnings,
        [Problem::new(
            5,
            "imap on 0.0.0.0:143 takes passwords in clear"
        )]
    );
    let explained = config.explain();
    assert!(
        explained.contains("warning: line 5: imap on 0.0.0.0:143"),
        "{explained}"
    );
}

#[test]
fn the_demo_stays_on_loopback_and_is_explained() {
    let demo = Config::demo(Path::new("./ringpost-data"), "secret");
    assert!(demo.listeners.iter().all(|l| l.address.is_local()));
    let explained = demo.explain();
    for part in [
        "127.0.0.1:2525 for smtp",
        "alice@example.test",
        "50 MiB",
        "self-signed",
    ] {
        assert!(explained.contains(part), "{part} in {explained}");
    }
    assert!(!explained.contains("secret"));
    assert!(!format!("{demo:?}").contains("secret"));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Config::read(Path::new("/nonexistent/ringpost.toml"), &|_| Ok(())).unwrap_err();
    let shown = error.to_string();
    assert!(
        shown.starts_with("/nonexistent/ringpost.toml: cannot be read: "),
        "{shown}"
    );
}

proptest! {
    /// A wrong file is refused with words; it never takes the server down.
    #[test]
    fn no_text_panics(
        at in 0..WHOLE.len(),
        cut in 0usize..40,
        insert in "[\\[\\]=\"{}a-z0-9.@#\n\u{e9}\u{0}-]{0,12}",
    ) {
        let end = (at + cut).min(WHOLE.len());
        if WHOLE.is_char_boundary(at) && WHOLE.is_char_boundary(end) {
            let text = format!("{}{insert}{}", &WHOLE[..at], &WHOLE[end..]);
            if let Err(problems) = parse(&text) {
                prop_assert!(!problems.list.is_empty());
                prop_assert!(problems.list.iter().all(|p| p.line <= text.lines().count() + 1));
            }
        }
    }
}

fn dkim(domain: &str, selector: &str, more: &str) -> String {
    format!("[[dkim]]\ndomain = \"{domain}\"\nselector = \"{selector}\"\nkey = \"k.pem\"\n{more}")
}

#[test]
fn signing_keys_mean_what_they_say() {
    let head = "hostname = \"a.b\"\ndata = \"/d\"\n";
    let dated = "not_before = \"2026-12-01\"\nnot_after = \"2026-12-31\"\nsignature_days = 0\n";
    let ed25519 = "algorithm = \"ed25519\"\ncanonicalization = \"relaxed/simple\"\n";
    let text = [
        head,
        &dkim("X.org", "A1", ""),
        &dkim("x.org", "a2", dated),
        &dkim("x.org", "a3", ed25519),
    ]
    .concat();
    let config = parse(&text).unwrap();
    let first = &config.dkim[0];
    assert_eq!(first.record_name(), "a1._domainkey.x.org");
    assert_eq!(first.key, Path::new("/etc/ringpost/k.pem"));
    assert_eq!((first.line, first.signature_days), (3, 14));
    let dated = &config.dkim[1];
    let (from, to) = (1_796_083_200, 1_798_761_600);
    assert_eq!(
        (dated.not_before_secs, dated.not_after_secs),
        (Some(from), Some(to))
    );
    assert!(!dated.signs_at(from - 1) && dated.signs_at(from));
    assert!(dated.signs_at(to - 1) && !dated.signs_at(to));
    let third = &config.dkim[2];
    assert_eq!(third.algorithm, DkimAlgorithm::Ed25519);
    assert_eq!(
        (third.header_canon, third.body_canon),
        (DkimCanon::Relaxed, DkimCanon::Simple)
    );
    assert_eq!(
        config.warnings.len(),
        1,
        "no listener is a warning, keys are none"
    );
    assert!(
        config
            .explain()
            .contains("signs mail of x.org with rsa key a1._domainkey.x.org")
    );
}

#[test]
fn wrong_signing_keys_are_named() {
    let text = [
        dkim("x.org", "a1", ""),
        dkim("x.org", "A1", "not_before = \"2026-12-01\"\n"),
        dkim("x.org", "a2", ""),
        dkim("x.org", "a_3", ""),
        dkim("x", "a4", "algorithm = \"dsa\"\n"),
        dkim(
            "y.org",
            "a5",
            "canonicalization = \"nofws\"\nnot_before = \"soon\"\n",
        ),
        dkim(
            "z.org",
            "a6",
            "not_before = \"2026-12-02\"\nnot_after = \"2026-12-01\"\n",
        ),
        "[[dkim]]\nkey = \"missing.pem\"\nsignature_days = 9999\n".to_owned(),
    ]
    .concat();
    let told = faults(&text);
    let lines: Vec<&str> = told
        .iter()
        .map(|told| told.split_once(": ").unwrap().0)
        .collect();
    assert_eq!(
        lines,
        ["5", "10", "15", "22", "27", "28", "34", "35", "35", "37"],
        "{told:#?}"
    );
    for (at, what) in [
        (0, "the key of a1._domainkey.x.org stands in line 3 already"),
        (1, "domain x.org has another rsa key in line 3"),
        (2, "selector: \"a_3\" is none"),
        (3, "algorithm: expected rsa or ed25519, not \"dsa\""),
        (4, "canonicalization: expected \"relaxed/relaxed\""),
        (5, "not_before: expected a day \"YYYY-MM-DD\", not \"soon\""),
        (6, "not_after lies before not_before"),
        (7, "[[dkim]] needs domain ="),
        (9, "signature_days: expected a whole number from 0 to 3650"),
    ] {
        assert!(told[at].contains(what), "{what} is not in {}", told[at]);
    }
}

#[test]
fn a_domain_that_signs_with_ed25519_alone_is_warned_about() {
    let head = "hostname = \"a.b\"\ndata = \"/d\"\n";
    let text = [head, &dkim("x.org", "a1", "algorithm = \"ed25519\"\n")].concat();
    let warnings = parse(&text).unwrap().warnings;
    assert!(
        warnings[0].what.starts_with("domain x.org has no RSA key"),
        "{warnings:?}"
    );
}
