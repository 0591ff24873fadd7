//! What an audit must see: a server that dies in the middle and loses nothing, and sinks that lose,
//! double and alter.

use crate::tool::{Run, audited, bench, server};
use tests::binary;
use tests::ports::Ports;

#[test]
fn a_server_that_is_killed_in_the_middle_has_lost_nothing() {
    let server = server();
    let folder = tempfile::tempdir().unwrap();
    let pid_file = folder.path().join("pid");
    let restart = format!(
        "echo $$ > {}; exec {} --config {} 2>/dev/null",
        pid_file.display(),
        binary::ringpost().display(),
        server.setup.config_file().display()
    );
    let pid = server.pid().to_string();
    let words = [
        "-c",
        "20",
        "--for",
        "4",
        "--kill-after",
        "1",
        "--pid",
        &pid,
        "--restart",
        &restart,
    ];
    let run = audited(&server, "smtp", server.addresses().smtp, &words);
    let successor = std::fs::read_to_string(&pid_file).unwrap();
    let ended = std::process::Command::new("kill")
        .arg(successor.trim())
        .status();
    assert!(ended.unwrap().success());
    assert_eq!(run.code, Some(0), "{}", run.said);
    assert!(run.said.contains("was killed"), "{}", run.said);
    assert!(run.count("unanswered") > 0, "{}", run.said);
    assert!(run.count("acknowledged") > 10, "{}", run.said);
    assert_eq!(
        run.audit("found"),
        run.count("acknowledged"),
        "{}",
        run.said
    );
    let refused = run.json["answers"]["connection refused"].as_u64();
    let seconds = run.json["seconds"].as_array().unwrap();
    let last = seconds[3]["done"].as_u64().unwrap();
    assert!(last > 0, "it answers again: {refused:?}\n{}", run.said);
}

/// 500 messages straight into a sink of the tool, with these words.
pub(crate) fn into_sink(words: &[&str]) -> Run {
    let mut ports = Ports::take();
    let sink = ports.port().to_string();
    let mut all = vec![
        "relay", &sink, "--sink", &sink, "-m", "500", "--settle", "1",
    ];
    all.extend([
        "--accounts",
        "user{1..5}@example.test",
        "--recipients",
        "2",
        "--timeout",
        "2",
    ]);
    all.extend(words);
    bench(&all)
}

#[test]
fn an_honest_sink_is_clean() {
    for words in [
        &[][..],
        &["--bdat"],
        &["--chain"],
        &["--sink-threads", "2"],
        &["--drip", "1"],
    ] {
        let run = into_sink(words);
        run.assert_clean(500, 1_000);
        assert_eq!(run.phase("inbox"), 500, "{}", run.said);
        assert_eq!(run.json["delivered"]["count"], 1_000);
    }
}

#[test]
fn a_sink_that_loses_doubles_or_alters_is_found_out() {
    for (fault, count, what) in [
        ("--lose", "missing_count", "missing"),
        ("--double", "doubled_count", "doubled"),
        ("--alter", "altered_count", "altered"),
    ] {
        let run = into_sink(&[fault, "2"]);
        assert_eq!(run.code, Some(3), "{}", run.said);
        let found = run.audit(count);
        // Two copies of some ten messages.
        assert!(
            found.is_multiple_of(2) && (4..=40).contains(&found),
            "{found}\n{}",
            run.said
        );
        let ids = run.json["audit"][what].as_array().unwrap();
        assert_eq!(ids.len() as u64, found, "{}", run.said);
        let first = ids[0].as_str().unwrap();
        assert!(run.said.contains(first), "{}", run.said);
        for other in ["missing_count", "doubled_count", "altered_count"] {
            assert!(other == count || run.audit(other) == 0, "{}", run.said);
        }
    }
}

#[test]
fn a_sink_that_declines_is_counted_and_not_blamed() {
    declines(&[]);
    // The next envelope is on its way when the connection breaks.
    declines(&["--chain"]);
    declines(&["--bdat"]);
}

fn declines(words: &[&str]) {
    let faults = ["--defer", "10", "--reject", "5", "--reset", "2"];
    let run = into_sink(&[&faults, words].concat());
    assert_eq!(run.code, Some(0), "{}", run.said);
    let (deferred, refused) = (run.count("deferred"), run.count("refused"));
    assert!((25..=80).contains(&deferred), "{}", run.said);
    assert!((8..=50).contains(&refused), "{}", run.said);
    assert!(run.count("unanswered") > 0, "{}", run.said);
    assert_eq!(run.json["answers"]["452 4.3.1"], deferred);
    assert_eq!(run.json["answers"]["550 5.7.1"], refused);
    assert_eq!(run.audit("found"), run.count("acknowledged") * 2);
    let sum = run.count("acknowledged") + deferred + refused + run.count("unanswered");
    assert_eq!((run.count("attempted"), sum), (500, 500), "{}", run.said);
}
