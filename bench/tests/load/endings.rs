//! Runs that end badly: they say what happened and what to do, keep what they have, and exit so.

use crate::tool::{ACCOUNTS, bench, command, ended, server};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use tests::ports::Ports;

#[test]
fn a_target_that_refuses_is_told_with_what_to_do() {
    let nobody = Ports::take().port().to_string();
    let run = bench(&["smtp", &nobody]);
    assert_eq!(run.code, Some(1));
    assert!(run.said.contains("is the server running"), "{}", run.said);
}

#[test]
fn a_wrong_command_line_is_told_by_exit_code_2() {
    for words in [
        &["nothing"][..],
        &["smtp"],
        &["smtp", "192.0.2.1:25"],
        &["smtp", "127.0.0.1:1", "--size", "10"],
        &["smtp", "127.0.0.1:1", "--accounts", "nobody"],
        &["smtp", "127.0.0.1:1", "--audit"],
        &["smtp", "127.0.0.1:1", "-c", "1", "--threads", "2"],
        &["submission", "127.0.0.1:1"],
        &["smtp", "127.0.0.1:1", "--rate", "nan"],
        &["sink", "--lose", "101"],
        &["sink", "--for", "-1"],
    ] {
        let run = bench(words);
        assert_eq!(run.code, Some(2), "{words:?}\n{}", run.said);
        assert!(!run.said.is_empty());
    }
}

#[test]
fn a_server_that_never_answers_ends_the_run() {
    let sink = Ports::take().port().to_string();
    let words = [
        "-c",
        "4",
        "--for",
        "60",
        "--stall",
        "100",
        "--timeout",
        "1",
        "--settle",
        "0.1",
    ];
    let run = bench(&[&["relay", &sink, "--sink", &sink], &words[..]].concat());
    assert_eq!(run.code, Some(1), "{}", run.said);
    assert!(run.said.contains("stopped answering"), "{}", run.said);
    assert!(run.count("unanswered") >= 4, "{}", run.said);
    assert_eq!(run.count("acknowledged"), 0, "{}", run.said);
}

#[test]
fn a_server_that_dies_leaves_what_was_measured_until_then() {
    let server = server();
    let pid = server.pid().to_string();
    let words = ["-c", "4", "--for", "60", "--kill-after", "1", "--pid", &pid];
    let words = [&words[..], &["--timeout", "1"]].concat();
    let target = server.addresses().smtp.to_string();
    let run = bench(&[&["smtp", &target, "--accounts", ACCOUNTS], &words[..]].concat());
    assert_eq!(run.code, Some(1), "{}", run.said);
    assert!(run.said.contains("stopped answering"), "{}", run.said);
    assert!(run.count("acknowledged") > 0, "{}", run.said);
    assert!(
        run.phase("whole") == run.count("acknowledged"),
        "{}",
        run.said
    );
    assert!(run.json["answers"]["connection refused"].as_u64() > Some(0));
}

#[test]
fn a_report_that_cannot_be_written_leaves_the_summary() {
    let sink = Ports::take().port().to_string();
    let output = command(&["relay", &sink, "--sink", &sink, "-m", "10"])
        .args(["--json", "/nowhere/at/all.json"])
        .output()
        .unwrap();
    let run = ended(&output, Value::Null);
    assert_eq!(run.code, Some(1), "{}", run.said);
    assert!(run.said.contains("10 acknowledged"), "{}", run.said);
    assert!(run.said.contains("/nowhere/at/all.json"), "{}", run.said);
}

/// Answers one connection after the other; calls `at_message` when the second one has brought a
/// message.
fn serve(listener: &TcpListener, mut at_message: impl FnMut()) {
    for (number, stream) in listener.incoming().enumerate().take(2) {
        // The tool may leave without a word.
        let _ = converse(&stream.unwrap(), || {
            if number == 1 {
                at_message();
            }
        });
    }
}

fn converse(stream: &TcpStream, mut at_message: impl FnMut()) -> std::io::Result<()> {
    let mut answer = stream;
    answer.write_all(b"220 hello\r\n")?;
    let mut is_data = false;
    for line in BufReader::new(stream).lines() {
        let line = line?;
        let reply: &[u8] = match (is_data, line.split(' ').next().unwrap_or_default()) {
            (true, ".") => {
                is_data = false;
                at_message();
                b"250 ok\r\n"
            }
            (true, _) => continue,
            (_, "DATA") => {
                is_data = true;
                b"354 go on\r\n"
            }
            (_, "QUIT") => return answer.write_all(b"221 bye\r\n"),
            _ => b"250 ok\r\n",
        };
        answer.write_all(reply)?;
    }
    Ok(())
}

#[test]
fn an_interrupted_run_still_says_what_it_measured() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let tool = command(&["smtp", &target, "-c", "1", "--for", "600"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = Pid::from_raw(i32::try_from(tool.id()).unwrap()).unwrap();
    let mut messages = 0;
    serve(&listener, || {
        messages += 1;
        if messages == 50 {
            kill_process(pid, Signal::INT).unwrap();
        }
    });
    let run = ended(&tool.wait_with_output().unwrap(), Value::Null);
    assert_eq!(run.code, Some(0), "{}", run.said);
    assert!(
        messages >= 50 && run.said.contains("acknowledged"),
        "{}",
        run.said
    );
}
