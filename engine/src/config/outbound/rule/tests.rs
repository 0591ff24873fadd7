//! A wrong rule is named with its line and remedy; a right one holds where it says.

use super::super::super::{Config, Outside};
use super::*;
use proptest::prelude::*;
use std::path::Path;
use std::sync::LazyLock;

fn parse(text: &str) -> Result<Rules, Vec<String>> {
    let outside = Outside {
        readable: &|_| Ok(()),
        secret: &|_| Ok(()),
    };
    let head = "hostname = \"mx.example.org\"\ndata = \"/d\"\n[queue]\ndefault_rules = false\n";
    match Config::parse(Path::new("r.toml"), &format!("{head}{text}"), outside) {
        Ok(config) => Ok(config.outbound.rules),
        Err(problems) => Err(problems
            .list
            .into_iter()
            .map(|problem| format!("{}: {}", problem.line - 4, problem.what))
            .collect()),
    }
}

fn heard<'a>(reply: &'a str, site: &'a str) -> Heard<'a> {
    Heard {
        reply,
        site,
        host: "mx1.far.test",
        domain: "far.test",
        phase: Phase::Rcpt,
    }
}

fn holding(rules: &Rules, heard: &Heard<'_>) -> String {
    rules
        .find(heard)
        .map_or_else(String::new, |rule| rule.name.clone())
}

#[test]
fn every_key_is_read() {
    let rules = parse(
        "[[rule]]\nname = \"all\"\nsite = [\"google\", \"*.FAR.test\"]\nhost = \"mx*\"\n\
         domain = \"*.test\"\nphase = [\"mail\", \"rcpt\"]\nreply = '^421'\nthreshold = \"3/1h\"\n\
         action = [\"suspend\", \"slow\", \"defer\", \"drop\", \"switch\", \"suppress\"]\n\
         whose = \"tenant\"\nfor = \"30m\"\ndelay = \"1h\"\nconnections = 2\n\
         messages_per_minute_max = 60\npool = \"default\"\n",
    )
    .unwrap();
    let rule = &rules.list()[0];
    assert_eq!(rule.threshold.to_string(), "3/1h");
    let shown: Vec<String> = rule.actions.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "suspend the tenant at the site for 30m",
            "slow to 2 connections and 60 messages a minute for 30m",
            "defer, next attempt after 1h",
            "drop the connection",
            "switch to pool default for 30m",
            "suppress the recipient",
        ]
    );
    assert_eq!(
        (rule.line, rule.whose(), rule.is_shipped),
        (5, Whose::Tenant, false)
    );
}

#[test]
fn the_first_rule_that_fits_holds() {
    let rules = parse(
        "[[rule]]\nname = \"mail\"\nphase = \"mail\"\nreply = 'busy'\naction = \"defer\"\n\
         [[rule]]\nname = \"google\"\nsite = \"google\"\nreply = 'busy'\naction = \"defer\"\n\
         [[rule]]\nname = \"host\"\nhost = \"mx1.*\"\nreply = 'BUSY$'\naction = \"defer\"\n\
         [[rule]]\nname = \"near\"\ndomain = \"near.test\"\nreply = ''\naction = \"defer\"\n",
    )
    .unwrap();
    let said = heard("421 4.3.2 Too busy", "far");
    assert_eq!(holding(&rules, &said), "host");
    assert_eq!(holding(&rules, &heard("421 busy, sorry", "far")), "");
    assert_eq!(
        holding(&rules, &heard("421 busy, sorry", "google")),
        "google"
    );
    let at_mail = Heard {
        phase: Phase::Mail,
        ..heard("421 busy", "google")
    };
    assert_eq!(holding(&rules, &at_mail), "mail");
    let near = Heard {
        domain: "near.test",
        ..heard("550 no", "far")
    };
    assert_eq!(holding(&rules, &near), "near");
}

#[test]
fn a_rule_of_the_file_comes_first_and_replaces_a_shipped_one() {
    let text = "[[route]]\ndomains = \"*\"\nvia = \"mx\"\n\
        [[rule]]\nname = \"greylisted\"\nreply = 'greylist'\naction = \"defer\"\ndelay = \"1m\"\n";
    let outside = Outside {
        readable: &|_| Ok(()),
        secret: &|_| Ok(()),
    };
    let text = format!("hostname = \"mx.example.org\"\ndata = \"/d\"\n{text}");
    let config = Config::parse(Path::new("r.toml"), &text, outside).unwrap();
    let rules = &config.outbound.rules;
    assert_eq!(rules.list().len(), Rules::shipped().list().len());
    let found = rules.find(&heard("450 4.2.0 Greylisted", "far")).unwrap();
    assert_eq!(found.actions, [RuleAction::Defer { secs: Some(60) }]);
    assert!(!found.is_shipped);
    assert!(config.explain().contains("rule greylisted: defer"));
}

#[test]
fn wrong_rules_are_named() {
    let rule = |more: &str| format!("[[rule]]\nname = \"x\"\n{more}\n");
    for (text, said) in [
        (
            "[[rule]]\nreply = ''\naction = \"drop\"\n".to_owned(),
            "1: [[rule]] needs name",
        ),
        (rule("action = \"drop\""), "1: [[rule]] needs reply"),
        (rule("reply = ''"), "1: [[rule]] needs action"),
        (
            rule("reply = 'a(b'\naction = \"drop\""),
            "3: reply: character 2 of the pattern",
        ),
        (
            rule("reply = 'ab[z-a]'\naction = \"drop\""),
            "3: reply: character 4 of the pattern",
        ),
        (
            rule("reply = '(\\pL{1,99}){1,999}'\naction = \"drop\""),
            "3: reply: the pattern is too",
        ),
        (
            rule("reply = 'a\\1'\naction = \"drop\""),
            "3: reply: character 2 of the pattern",
        ),
        (
            rule("reply = ''\naction = \"explode\""),
            "4: action: \"explode\" is unknown",
        ),
        (
            rule("reply = ''\naction = \"suspend\""),
            "4: action = \"suspend\" needs for",
        ),
        (
            rule("reply = ''\naction = \"drop\"\ndelay = \"1m\""),
            "5: delay is for action",
        ),
        (
            rule("reply = ''\naction = [\"bounce\", \"defer\"]"),
            "cannot both bounce and defer",
        ),
    ] {
        let faults = parse(&text).expect_err(&text);
        let is_named = faults.iter().any(|fault| fault.contains(said));
        assert!(is_named, "{said}: {faults:#?}");
    }
}

#[test]
fn values_that_do_not_fit_are_named() {
    let rule = |more: &str| format!("[[rule]]\nname = \"x\"\n{more}\n");
    for (text, said) in [
        (
            rule("reply = ''\naction = \"drop\"\nthreshold = \"2/1m\""),
            "5: threshold is for action",
        ),
        (
            rule("reply = ''\naction = \"slow\"\nfor = \"1m\"\nthreshold = \"often\""),
            "6: threshold: \"often\" is no count",
        ),
        (
            rule("reply = ''\naction = \"switch\"\nfor = \"1m\"\npool = \"gone\""),
            "1: pool: there is no gone; there are default",
        ),
        (
            rule("reply = ''\naction = \"drop\"\nphase = \"later\""),
            "5: phase: expected connect",
        ),
        (
            rule("reply = ''\naction = \"drop\"\nsite = \"gogle\""),
            "1: site: there is no",
        ),
        (
            rule("reply = 'a'\naction = \"drop\"") + &rule("reply = 'b'\naction = \"drop\""),
            "5: rule x stands in line 5 already",
        ),
    ] {
        let faults = parse(&text).expect_err(&text);
        assert!(
            faults.iter().any(|fault| fault.contains(said)),
            "{said}: {faults:#?}"
        );
    }
}

#[test]
fn a_rule_that_never_holds_is_named() {
    let two = |first: &str, second: &str| {
        let rule = |name: &str, more: &str| {
            format!("[[rule]]\nname = \"{name}\"\naction = \"drop\"\n{more}\n")
        };
        parse(&(rule("a", first) + &rule("b", second)))
    };
    for (first, second) in [
        ("reply = ''", "reply = 'x'"),
        ("reply = 'x'", "reply = 'x'\nsite = \"google\""),
        (
            "reply = '.*'\nhost = \"*.far.test\"",
            "reply = 'x'\nhost = \"mx.far.test\"",
        ),
        (
            "reply = 'x'\nphase = [\"mail\", \"rcpt\"]",
            "reply = 'x'\nphase = \"rcpt\"",
        ),
    ] {
        let faults = two(first, second).expect_err(second);
        assert!(faults[0].contains("never holds"), "{faults:#?}");
    }
    for (first, second) in [
        ("reply = 'x'", "reply = 'y'"),
        ("reply = 'x'\nsite = \"google\"", "reply = 'x'"),
        (
            "reply = 'x'\nphase = \"mail\"",
            "reply = 'x'\nphase = \"rcpt\"",
        ),
        (
            "reply = ''\ndomain = \"a.test\"",
            "reply = ''\ndomain = \"*.test\"",
        ),
    ] {
        assert!(two(first, second).is_ok(), "{first} / {second}");
    }
}

#[test]
fn an_asterisk_stands_for_any_text() {
    let fits = |pattern: &str, name: &str| Pattern(pattern.to_owned()).fits(name);
    for (pattern, name) in [
        ("*", ""),
        ("google", "Google"),
        ("*.far.test", "a.b.far.test"),
        ("mx*.far.*", "mx1.far.test"),
        ("a*a", "aa"),
        ("*a*b*", "xaxbx"),
    ] {
        assert!(fits(pattern, name), "{pattern} {name}");
    }
    for (pattern, name) in [
        ("google", "google.com"),
        ("*.far.test", "far.test"),
        ("a*a", "a"),
        ("*a*b", "ba"),
    ] {
        assert!(!fits(pattern, name), "{pattern} {name}");
    }
}

static SHIPPED: LazyLock<Rules> = LazyLock::new(Rules::shipped);

proptest! {
    /// Whatever a host says, an answer is found, and found again.
    #[test]
    fn any_reply_is_judged(reply in "\\PC{0,300}", site in "[a-z.,]{0,40}") {
        let heard = heard(&reply, &site);
        prop_assert_eq!(holding(&SHIPPED, &heard), holding(&SHIPPED, &heard));
    }

    #[test]
    fn a_pattern_fits_what_it_was_cut_from(
        name in "[a-z.]{1,30}",
        from in 0usize..30,
        len in 0usize..30,
    ) {
        let from = from.min(name.len());
        let to = (from + len).min(name.len());
        let pattern = format!("{}*{}", &name[..from], &name[to..]);
        prop_assert!(Pattern(pattern).fits(&name));
    }
}
