//! Every kind of load into the real server, audited: figures that nobody checks are worth nothing.

use crate::tool::{audited, server};

#[test]
fn smtp_closed_and_open_in_all_its_forms() {
    let server = server();
    let smtp = server.addresses().smtp;
    for words in [
        &["-c", "10", "-m", "1000"][..],
        &["-c", "10", "-m", "500", "--threads", "2", "--chain"],
        &["-c", "5", "-m", "200", "--bdat", "--size", "1k"],
        &["-c", "5", "-m", "100", "--bdat", "--no-pipelining"],
        &["-c", "5", "-m", "100", "--no-pipelining"],
        &[
            "-c",
            "10",
            "-m",
            "200",
            "--per-connection",
            "1",
            "--sources",
            "4",
        ],
        &[
            "-c",
            "4",
            "-m",
            "100",
            "--per-connection",
            "7",
            "--size",
            "classic",
        ],
        &[
            "-c",
            "10",
            "-m",
            "300",
            "--tls",
            "starttls",
            "--per-connection",
            "20",
        ],
    ] {
        let messages = words[3].parse().unwrap();
        let run = audited(&server, "smtp", smtp, words);
        run.assert_clean(messages, messages);
        assert_eq!(run.phase("whole"), messages, "{words:?}\n{}", run.said);
        assert_eq!(run.phase("ack"), messages, "{words:?}\n{}", run.said);
        assert_eq!(run.json["answers"]["250"], messages);
        let elapsed = run.json["elapsed_micros"].as_u64().unwrap();
        assert!(elapsed > 1_000, "{elapsed}");
    }
}

#[test]
fn an_open_loop_keeps_its_rate_and_sees_messages_arrive() {
    let server = server();
    let words = [
        "-c",
        "20",
        "--rate",
        "300",
        "--poisson",
        "--for",
        "2",
        "--inbox",
        "8",
    ];
    let run = audited(&server, "smtp", server.addresses().smtp, &words);
    let attempted = run.count("attempted");
    // Four deviations of a Poisson count.
    assert!(
        (500..=700).contains(&attempted),
        "{attempted}\n{}",
        run.said
    );
    run.assert_clean(attempted, attempted);
    assert_eq!(run.phase("inbox"), attempted, "{}", run.said);
}

#[test]
fn lmtp_is_answered_for_each_recipient() {
    let server = server();
    let words = ["-c", "5", "-m", "200", "--recipients", "3"];
    let run = audited(&server, "lmtp", server.addresses().lmtp, &words);
    run.assert_clean(200, 600);
}

#[test]
fn what_it_costs_is_measured_behind_the_warm_up_too() {
    let server = server();
    let pid = server.pid().to_string();
    for warm_up in ["0", "0.5"] {
        let words = ["-c", "4", "--for", "2", "--pid", &pid, "--warm-up", warm_up];
        let run = audited(&server, "smtp", server.addresses().smtp, &words);
        let used = run.json["usage"]["cpu_micros"].as_u64();
        assert!(used.is_some_and(|used| used > 0), "{}", run.said);
    }
}

#[test]
fn submission_logs_in_and_resumes_tls() {
    let server = server();
    let at = server.addresses();
    for (target, tls) in [(at.submission, "starttls"), (at.submissions, "implicit")] {
        let words = ["-c", "4", "-m", "80", "--tls", tls, "--per-connection", "5"];
        let run = audited(&server, "submission", target, &words);
        run.assert_clean(80, 80);
        // Of five messages each; the last ones may carry fewer.
        assert!((16..=19).contains(&run.phase("auth")), "{}", run.said);
        assert!(run.phase("tls resumed") >= 8, "{}", run.said);
    }
    let words = [
        "-c",
        "2",
        "-m",
        "8",
        "--tls",
        "implicit",
        "--full-handshakes",
    ];
    let run = audited(&server, "submission", at.submissions, &words);
    assert_eq!((run.phase("tls"), run.phase("tls resumed")), (2, 0));
}

#[test]
fn a_search_ends_with_a_rate_that_was_held() {
    let server = server();
    let target = server.addresses().smtp.to_string();
    let run = crate::tool::bench(&[
        "smtp",
        &target,
        "--accounts",
        "user1@example.test",
        "--steps",
        "20",
        "--for",
        "0.5",
        "--bound",
        "0.001",
        "--timeout",
        "5",
    ]);
    // Nothing is as fast as that, and the search says so.
    assert_eq!(run.code, Some(1), "{}", run.said);
    assert!(run.said.contains("No rate was held"), "{}", run.said);
}
