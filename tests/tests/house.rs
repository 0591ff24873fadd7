//! The tidy house: every rule of `tests::tidy`, held against the whole workspace.
#![allow(clippy::unwrap_used)]

use tests::binary::workspace;
use tests::tidy::{Offence, clients, floors, repository, rooms, shape, sources, spec};

fn none(offences: &[Offence]) {
    let lines: Vec<String> = offences.iter().map(Offence::to_string).collect();
    assert!(
        lines.is_empty(),
        "{} offences:\n{}",
        lines.len(),
        lines.join("\n")
    );
}

#[test]
fn rooms_import_only_lower_floors() {
    none(&floors::floors(&sources(workspace())));
}

#[test]
fn files_functions_and_names_keep_their_shape() {
    none(&shape::shape(&sources(workspace())));
}

#[test]
fn unsafe_files_sockets_clocks_and_runtimes_stay_in_their_rooms() {
    none(&rooms::rooms(&sources(workspace())));
}

#[test]
fn the_repository_holds_nothing_strange() {
    none(&repository::repository(workspace()));
}

#[test]
fn every_client_of_a_test_is_installed_by_tests_run() {
    let run = std::fs::read_to_string(workspace().join("tests/run")).unwrap();
    none(&clients::clients(&run, &sources(workspace())));
}

#[test]
fn every_dependency_says_why() {
    none(&repository::manifest(workspace()));
}

#[test]
fn no_second_cryptography_is_linked() {
    match repository::forbidden_crates(workspace()) {
        Ok(offences) => none(&offences),
        Err(why) => eprintln!("SKIPPED: cargo tree does not work offline here: {why}"),
    }
}

#[test]
fn every_rfc_is_cited_and_listed() {
    let path = workspace().join(spec::PATH);
    let table = std::fs::read_to_string(&path).unwrap();
    let sources = sources(workspace());
    if std::env::var_os("RINGPOST_SPEC").is_some_and(|value| value == "write") {
        std::fs::write(path, spec::rewritten(&table, &sources)).unwrap();
        return;
    }
    none(&spec::spec(&table, &sources));
}
