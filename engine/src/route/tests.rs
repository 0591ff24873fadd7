//! Mail reaches whom it is meant for, and nobody sends as somebody else.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::auth::Secrets;
use crate::config::{Alias, Domain};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn at(text: &str) -> Address {
    Address::split(text).unwrap()
}

fn account(address: &str) -> PlannedAccount {
    PlannedAccount {
        address: at(address),
        secrets: Secrets::parse("{PLAIN}x").unwrap(),
        quota: None,
        disabled: false,
        origin: Origin::File,
    }
}

fn domain(name: &str) -> Domain {
    Domain {
        name: name.to_owned(),
        catch_all: None,
        delimiter: Some('+'),
        accounts_elsewhere: false,
    }
}

fn alias(from: &[&str], to: &[&str]) -> Alias {
    Alias {
        from: from.iter().map(|text| at(text)).collect(),
        to: to.iter().map(|text| at(text)).collect(),
        owner: None,
    }
}

fn plan() -> Plan {
    Plan {
        hostname: "mx.example.org".to_owned(),
        shards: 4,
        postmaster: None,
        domains: vec![domain("a.org"), domain("b.org")],
        accounts: ["alice@a.org", "bob@a.org", "carol@b.org"]
            .map(account)
            .into(),
        aliases: Vec::new(),
    }
}

fn built(plan: Plan) -> Directory {
    let (directory, left_out) = plan.build(None);
    assert_eq!(left_out, Vec::<String>::new());
    directory
}

/// `account/detail` of each target, or the refusal in words.
fn ways(directory: &Directory, address: &Address) -> Vec<String> {
    match resolve(directory, address) {
        Route::Local { targets, .. } => {
            assert!(!targets.is_empty());
            let shown = |target: &Target| match &target.detail {
                Some(detail) => format!("{}/{detail}", target.account.address),
                None => target.account.address.to_string(),
            };
            targets.iter().map(shown).collect()
        }
        Route::Forwarded(forwarded) => {
            let owner = |owner: &Option<Arc<Address>>| match owner {
                Some(owner) => format!(" by {owner}"),
                None => String::new(),
            };
            let targets = forwarded.targets.iter();
            let here = targets.map(|to| format!("{}{}", to.account.address, owner(&to.owner)));
            let there = forwarded.forwards.iter();
            let there = there.map(|to| format!("→{}{}", to.address, owner(&to.owner)));
            here.chain(there).collect()
        }
        Route::Refused(reason) => vec![reason.to_string()],
        Route::Foreign => vec!["foreign".to_owned()],
    }
}

fn way(directory: &Directory, address: &str) -> String {
    ways(directory, &at(address)).join(" ")
}

#[test]
fn an_account_is_found_in_any_case_and_with_a_detail() {
    let directory = built(plan());
    assert_eq!(way(&directory, "alice@a.org"), "alice@a.org");
    assert_eq!(way(&directory, "ALICE@A.org"), "alice@a.org");
    assert_eq!(way(&directory, "Alice+Lists@a.org"), "alice@a.org/Lists");
    assert_eq!(way(&directory, "alice+x+y@a.org"), "alice@a.org/x+y");
    assert_eq!(way(&directory, "alice+@a.org"), "alice@a.org");
    assert_eq!(way(&directory, "+alice@a.org"), "no-such-user");
    assert_eq!(way(&directory, "nobody@a.org"), "no-such-user");
    assert_eq!(way(&directory, "alice@c.org"), "foreign");
    let unqualified = resolve(&directory, &Address::new("alice", ""));
    assert!(matches!(unqualified, Route::Refused(Reason::NoSuchUser)));
}

#[test]
fn the_longest_user_wins() {
    let mut plan = plan();
    plan.domains[0].delimiter = Some('-');
    plan.accounts.push(account("mary@a.org"));
    plan.accounts.push(account("mary-ann@a.org"));
    let directory = built(plan);
    assert_eq!(way(&directory, "mary-ann-x@a.org"), "mary-ann@a.org/x");
    assert_eq!(way(&directory, "mary-x@a.org"), "mary@a.org/x");
}

#[test]
fn aliases_lead_to_many_once_each() {
    let mut plan = plan();
    plan.aliases = vec![
        alias(
            &["team@a.org", "all@b.org"],
            &["alice@a.org", "both@a.org", "carol+T@b.org"],
        ),
        alias(&["both@a.org"], &["alice@a.org", "bob@a.org"]),
    ];
    let directory = built(plan);
    assert_eq!(
        way(&directory, "team@a.org"),
        "alice@a.org bob@a.org carol@b.org/T"
    );
    assert_eq!(
        way(&directory, "All+x@b.org"),
        "alice@a.org/x bob@a.org/x carol@b.org/T"
    );
}

#[test]
fn an_alias_of_an_account_may_keep_a_copy() {
    let mut plan = plan();
    plan.aliases = vec![
        alias(&["alice@a.org"], &["alice@a.org", "bob@a.org"]),
        alias(&["carol@b.org"], &["bob@a.org"]),
    ];
    let directory = built(plan);
    assert_eq!(way(&directory, "alice@a.org"), "alice@a.org bob@a.org");
    assert_eq!(way(&directory, "carol@b.org"), "bob@a.org");
    let alice = directory.login("alice@a.org").unwrap();
    assert_eq!(alice.address, at("alice@a.org"));
}

#[test]
fn an_account_whose_mail_goes_elsewhere_still_logs_in() {
    let mut plan = plan();
    plan.aliases = vec![alias(&["carol@b.org"], &["bob@a.org"])];
    let directory = built(plan);
    assert_eq!(
        directory.login("carol@b.org").unwrap().address,
        at("carol@b.org")
    );
    assert_eq!(
        directory.account(&at("carol@b.org")).unwrap().address,
        at("carol@b.org")
    );
}

#[test]
fn loops_and_dead_ends_are_told_and_refused() {
    let mut plan = plan();
    plan.aliases = vec![
        alias(&["x@a.org"], &["y@a.org"]),
        alias(&["y@a.org"], &["x@a.org", "bob@a.org"]),
        alias(&["gone@a.org"], &["nobody@a.org"]),
        alias(&["half@a.org"], &["nobody@a.org", "bob@a.org"]),
    ];
    let (directory, left_out) = plan.build(None);
    assert_eq!(way(&directory, "x@a.org"), "alias-loop");
    assert_eq!(way(&directory, "gone@a.org"), "no-such-user");
    assert_eq!(way(&directory, "half@a.org"), "bob@a.org");
    assert!(
        left_out.contains(&"alias x@a.org: alias-loop".to_owned()),
        "{left_out:?}"
    );
    assert!(
        left_out.contains(&"alias half@a.org: nobody@a.org is no account or alias here".into())
    );
}

/// Members elsewhere are reached through any depth, once each; a list gives them its owner.
#[test]
fn aliases_lead_to_other_hosts() {
    let mut plan = plan();
    plan.aliases = vec![
        alias(&["alice@a.org"], &["alice@a.org", "alice@far.org"]),
        alias(&["away@a.org"], &["x@far.org"]),
        alias(
            &["all@a.org"],
            &["away@a.org", "list@a.org", "bob@a.org", "X@far.org"],
        ),
        Alias {
            owner: Some(at("owner@a.org")),
            ..alias(&["list@a.org"], &["y@far.org", "carol@b.org", "x@far.org"])
        },
    ];
    let directory = built(plan);
    assert_eq!(way(&directory, "alice@a.org"), "alice@a.org →alice@far.org");
    assert_eq!(way(&directory, "away+d@a.org"), "→x@far.org");
    assert_eq!(
        way(&directory, "list@a.org"),
        "carol@b.org by owner@a.org →y@far.org by owner@a.org →x@far.org by owner@a.org"
    );
    assert_eq!(
        way(&directory, "all@a.org"),
        "carol@b.org by owner@a.org bob@a.org →x@far.org →y@far.org by owner@a.org →X@far.org"
    );
}

/// A list may have as many members as one custody takes, and not one more.
#[test]
fn a_list_is_bounded() {
    let members = |count: usize| {
        let to: Vec<String> = (0..count)
            .map(|n| format!("m{n}@far{}.org", n % 7))
            .collect();
        let to: Vec<&str> = to.iter().map(String::as_str).collect();
        let mut plan = plan();
        plan.aliases = vec![alias(&["list@a.org"], &to)];
        let (directory, _) = plan.build(None);
        ways(&directory, &at("list@a.org"))
    };
    assert_eq!(members(ALIAS_TARGETS_MAX).len(), ALIAS_TARGETS_MAX);
    assert_eq!(members(ALIAS_TARGETS_MAX + 1), ["too-many-targets"]);
}

/// The alias `*` takes what nobody else takes, here and elsewhere, and no routes.
#[test]
fn an_alias_may_take_the_rest() {
    let mut plan = plan();
    plan.aliases = vec![alias(&["*@a.org"], &["bob@a.org", "rest@far.org"])];
    plan.domains[1].catch_all = Some(at("rest@far.org"));
    let directory = built(plan);
    assert_eq!(way(&directory, "whoever@a.org"), "bob@a.org →rest@far.org");
    assert_eq!(way(&directory, "alice@a.org"), "alice@a.org");
    assert_eq!(way(&directory, "whoever@b.org"), "→rest@far.org");
    let trick = Address::new("u%other.org", "a.org");
    assert_eq!(ways(&directory, &trick), ["no-such-user"]);
}

#[test]
fn long_chains_end() {
    let mut plan = plan();
    for n in 0..ALIAS_DEPTH_MAX + 4 {
        let (from, to) = (format!("c{n}@a.org"), format!("c{}@a.org", n + 1));
        plan.aliases.push(alias(&[&from], &[&to]));
    }
    let last = format!("c{}@a.org", ALIAS_DEPTH_MAX + 4);
    plan.aliases.push(alias(&[&last], &["alice@a.org"]));
    let (directory, _) = plan.build(None);
    assert_eq!(way(&directory, "c0@a.org"), "alias-loop");
    assert_eq!(
        way(&directory, &format!("c{ALIAS_DEPTH_MAX}@a.org")),
        "alice@a.org"
    );
}

#[test]
fn a_catch_all_takes_the_rest_but_no_routes() {
    let mut plan = plan();
    plan.domains[0].catch_all = Some(at("bob@a.org"));
    let directory = built(plan);
    assert_eq!(way(&directory, "whoever@a.org"), "bob@a.org");
    assert_eq!(way(&directory, "alice@a.org"), "alice@a.org");
    for trick in [
        "u%other.org",
        "other.org!u",
        "u@other.org",
        "@other.org:u",
        "a%b%c",
    ] {
        let address = Address::new(trick, "a.org");
        assert_eq!(ways(&directory, &address), ["no-such-user"], "{trick}");
    }
    let long = Address::new("x".repeat(65), "a.org");
    assert_eq!(ways(&directory, &long), ["no-such-user"]);
}

#[test]
fn postmaster_is_always_taken() {
    let bare = Address::new("PostMaster", "");
    let directory = built(plan());
    assert_eq!(ways(&directory, &bare), ["alice@a.org"]);
    assert_eq!(way(&directory, "postmaster@mx.example.org"), "alice@a.org");
    assert_eq!(way(&directory, "POSTMASTER@b.org"), "carol@b.org");
    assert_eq!(way(&directory, "postmaster@other.org"), "foreign");

    let mut configured = plan();
    configured.postmaster = Some(at("bob@a.org"));
    configured.aliases = vec![alias(&["postmaster@b.org"], &["carol@b.org"])];
    let directory = built(configured);
    assert_eq!(ways(&directory, &bare), ["bob@a.org"]);
    assert_eq!(way(&directory, "postmaster@a.org"), "bob@a.org");
    assert_eq!(way(&directory, "postmaster@b.org"), "carol@b.org");

    let mut empty = plan();
    empty.accounts.clear();
    assert_eq!(ways(&built(empty), &bare), ["no-postmaster"]);
}

#[test]
fn a_full_or_disabled_account_takes_nothing() {
    let mut plan = plan();
    plan.accounts[0].quota = Some(1000);
    plan.accounts[1].disabled = true;
    plan.aliases = vec![
        alias(&["all@a.org"], &["alice@a.org", "bob@a.org", "carol@b.org"]),
        alias(&["some@a.org"], &["bob@a.org", "alice@a.org"]),
    ];
    let directory = built(plan);
    let alice = directory.login("alice@a.org").unwrap();
    alice
        .usage_gauge()
        .store(999, std::sync::atomic::Ordering::Relaxed);
    assert!(alice.has_room(1) && !alice.has_room(2));
    assert_eq!(way(&directory, "alice@a.org"), "alice@a.org");
    alice
        .usage_gauge()
        .store(1000, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(way(&directory, "alice@a.org"), "over-quota");
    assert_eq!(way(&directory, "bob@a.org"), "disabled");
    assert_eq!(way(&directory, "some@a.org"), "over-quota");
    let Route::Local { targets, left_out } = resolve(&directory, &at("all@a.org")) else {
        panic!("carol takes mail");
    };
    assert_eq!(targets.len(), 1);
    assert_eq!(
        left_out,
        [
            (at("alice@a.org"), Reason::OverQuota),
            (at("bob@a.org"), Reason::Disabled),
        ]
    );
}

#[test]
fn usage_lives_through_a_reload() {
    let before = built(plan());
    let alice = before.login("alice@a.org").unwrap();
    alice
        .usage_gauge()
        .store(7, std::sync::atomic::Ordering::Relaxed);
    let (after, _) = plan().build(Some(&before));
    assert_eq!(after.login("alice@a.org").unwrap().usage(), 7);
    alice
        .usage_gauge()
        .store(8, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(after.login("alice@a.org").unwrap().usage(), 8);
}

#[test]
fn the_file_holds_where_the_store_says_the_same() {
    let mut plan = plan();
    let mut twice = account("ALICE@a.org");
    twice.origin = Origin::Store;
    plan.accounts.push(twice);
    plan.accounts.push(account("dave@elsewhere.org"));
    let (directory, left_out) = plan.build(None);
    assert_eq!(directory.login("alice@a.org").unwrap().origin, Origin::File);
    assert_eq!(
        left_out,
        [
            "account alice@a.org: it is there twice",
            "account dave@elsewhere.org: its domain is not ours",
        ]
    );
}

#[test]
fn login_names_may_be_short_in_the_first_domain() {
    let mut plan = plan();
    plan.domains.push(domain("xn--bcher-kva.example"));
    plan.accounts.push(account("eve@xn--bcher-kva.example"));
    let directory = built(plan);
    assert!(directory.login("Eve@B\u{fc}cher.Example").is_some());
    assert_eq!(directory.login("Alice").unwrap().address, at("alice@a.org"));
    assert_eq!(
        directory.login("carol@B.ORG").unwrap().address,
        at("carol@b.org")
    );
    for name in [
        "carol",
        "alice+x@a.org",
        "@a.org",
        "",
        "alice@",
        "alice@a.org\0",
        "../a.org",
    ] {
        assert!(directory.login(name).is_none(), "{name}");
    }
}

#[test]
fn senders_are_owned_by_those_whom_answers_reach() {
    let mut plan = plan();
    plan.domains[1].catch_all = Some(at("carol@b.org"));
    plan.aliases = vec![alias(&["team@a.org"], &["alice@a.org", "bob@a.org"])];
    let directory = built(plan);
    let alice = directory.login("alice").unwrap();
    let carol = directory.login("carol@b.org").unwrap();
    for own in [
        "alice@a.org",
        "ALICE+x@a.org",
        "team@a.org",
        "postmaster@a.org",
    ] {
        assert!(owns(&directory, alice, &at(own)), "{own}");
    }
    for other in [
        "bob@a.org",
        "nobody@a.org",
        "alice@c.org",
        "carol@b.org",
        "x@b.org",
    ] {
        assert!(!owns(&directory, alice, &at(other)), "{other}");
    }
    assert!(owns(&directory, carol, &at("anything@b.org")));
    assert!(!owns(&directory, carol, &at("team@a.org")));
    assert!(!owns(
        &directory,
        carol,
        &Address::new("alice%a.org", "b.org")
    ));
    assert!(!owns(&directory, alice, &Address::new("alice", "")));
}

/// The alias graph walked by hand for each question: slow, and simple enough to be believed.
fn reached(aliases: &[(u8, Vec<u8>)], from: u8) -> BTreeSet<u8> {
    let mut open = vec![from];
    let mut seen = BTreeSet::new();
    while let Some(here) = open.pop() {
        if seen.insert(here) {
            let of_here = aliases.iter().filter(|(name, _)| *name == here);
            open.extend(of_here.flat_map(|(_, to)| to.iter().copied()));
        }
    }
    seen.into_iter().filter(|name| *name < 4).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Names 0..4 are accounts, 4..10 aliases: an expansion reaches the accounts that a walk of the
    /// graph reaches, each once, or is refused as a loop or as nobody.
    #[test]
    fn aliases_reach_whom_the_graph_reaches(
        aliases in prop::collection::vec((4u8..10, prop::collection::vec(0u8..10, 1..4)), 0..8)
    ) {
        let name = |n: u8| at(&format!("n{n}@a.org"));
        let mut plan = plan();
        plan.accounts = (0..4).map(|n| account(&format!("n{n}@a.org"))).collect();
        plan.aliases = aliases
            .iter()
            .map(|(from, to)| Alias {
                from: vec![name(*from)],
                to: to.iter().map(|n| name(*n)).collect(),
                owner: None,
            })
            .collect();
        let (directory, _) = plan.build(None);
        for n in 0..10 {
            let expected: BTreeSet<String> =
                reached(&aliases, n).into_iter().map(|n| name(n).to_string()).collect();
            match resolve(&directory, &name(n)) {
                Route::Local { targets, .. } => {
                    let shown = targets.iter().map(|t| t.account.address.to_string());
                    let got: BTreeSet<String> = shown.collect();
                    prop_assert_eq!(got.len(), targets.len(), "one copy each");
                    prop_assert_eq!(got, expected);
                }
                Route::Refused(Reason::NoSuchUser) => prop_assert!(expected.is_empty()),
                Route::Refused(Reason::AliasLoop) => prop_assert!(n >= 4),
                other => return Err(TestCaseError::fail(format!("{other:?}"))),
            }
        }
    }

    /// Whatever a local-part is made of, mail for our domain stays here, and what reaches an
    /// account reaches the one whose name it begins with.
    #[test]
    fn no_local_part_leads_outside(local in "[a-cALICEalice+%!@:. \\\\\"\u{0}\u{e9}/-]{0,70}") {
        let directory = built(plan());
        let address = Address::new(local.clone(), "a.org");
        match resolve(&directory, &address) {
            Route::Foreign => return Err(TestCaseError::fail("led outside")),
            Route::Refused(_) => {}
            Route::Forwarded(_) => return Err(TestCaseError::fail("forwarded")),
            Route::Local { targets, .. } => {
                let user = &targets[0].account.address.local;
                prop_assert!(local.to_lowercase().starts_with(user.as_str()));
            }
        }
    }
}
