//! Sinks that speak TLS: by STARTTLS and at once, resumed or not, verified by those who want to.

use crate::audits::into_sink;
use crate::tool::{command, ended};
use rustix::process::{Pid, Signal, kill_process};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use tests::certificate::trusting_client;
use tests::ports::Ports;

#[test]
fn mail_goes_under_tls_into_a_sink_and_out_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let cert = folder.path().join("sink.pem");
    let cert = cert.to_str().unwrap();
    for mode in ["starttls", "implicit"] {
        for more in [&[][..], &["--bdat"], &["--chain"], &["--drip", "1"]] {
            let mut words = vec!["--sink-tls", mode, "--tls", mode, "--verify", cert];
            words.extend(["--sink-cert", cert, "--per-connection", "50"]);
            words.extend(more);
            let run = into_sink(&words);
            run.assert_clean(500, 1_000);
            let (full, resumed) = (run.phase("tls"), run.phase("tls resumed"));
            assert!(full > 0 && resumed > 0, "{}", run.said);
            // One handshake more: the tool looks at the server before the load.
            let told = format!("{} full handshakes", full + 1);
            assert!(run.said.contains("TLS at the sink: "), "{}", run.said);
            assert!(
                run.said.contains(&told) && run.said.contains("0 failed"),
                "{told}\n{}",
                run.said
            );
        }
    }
}

#[test]
fn a_client_may_stay_in_clear_where_tls_is_offered_and_not_where_it_is_at_once() {
    into_sink(&["--sink-tls", "starttls"]).assert_clean(500, 1_000);
    let refused = into_sink(&["--tls", "starttls"]);
    assert_eq!(refused.code, Some(1), "{}", refused.said);
    assert!(refused.said.contains("does not offer STARTTLS"));
    let deaf = into_sink(&["--sink-tls", "implicit"]);
    assert_eq!(deaf.code, Some(1), "{}", deaf.said);
    let odd = into_sink(&["--sink-cert", "/tmp/x"]);
    assert_eq!(odd.code, Some(2), "{}", odd.said);
}

#[test]
fn a_sink_under_tls_still_misbehaves() {
    let words = ["--sink-tls", "implicit", "--tls", "implicit"];
    let run = into_sink(&[&words[..], &["--reset", "5", "--defer", "5"]].concat());
    assert_eq!(run.code, Some(0), "{}", run.said);
    assert!(run.count("unanswered") > 0 && run.count("deferred") > 0);
    assert!(
        run.json["answers"]["connection reset"].as_u64() > Some(0),
        "{}",
        run.said
    );
    assert_eq!(run.audit("found"), run.count("acknowledged") * 2);
}

/// RFC 3207 §4.2: what was said in clear counts for nothing, above all what was smuggled in.
#[test]
fn what_came_in_clear_behind_starttls_is_forgotten() {
    let (tool, address) = sink(&["--sink-tls", "starttls"]);
    let mut clear = BufReader::new(TcpStream::connect(&address).unwrap());
    assert!(line(&mut clear).starts_with("220 "));
    clear.get_mut().write_all(b"EHLO me\r\n").unwrap();
    assert!(reply(&mut clear).contains("250-STARTTLS"));
    let smuggled = b"STARTTLS\r\nMAIL FROM:<a@example.test>\r\n";
    clear.get_mut().write_all(smuggled).unwrap();
    assert!(line(&mut clear).starts_with("220 "));
    let name = ServerName::try_from("localhost").unwrap();
    let session = ClientConnection::new(trusting_client(), name).unwrap();
    let mut covered = BufReader::new(StreamOwned::new(session, clear.into_inner()));
    covered.get_mut().write_all(b"EHLO me\r\n").unwrap();
    let hello = reply(&mut covered);
    assert!(!hello.contains("STARTTLS"), "{hello}");
    // Without the smuggled MAIL there is no transaction.
    let rest = b"RCPT TO:<b@example.test>\r\nQUIT\r\n";
    covered.get_mut().write_all(rest).unwrap();
    assert!(line(&mut covered).starts_with("503 "));
    assert!(line(&mut covered).starts_with("221 "));
    // The end of the session is announced.
    assert_eq!(covered.read_to_end(&mut Vec::new()).unwrap(), 0);
    let said = stop(tool);
    assert!(said.contains("1 full handshakes, 0 resumed"), "{said}");
}

/// A sink on a port of its own, ready for connections.
fn sink(words: &[&str]) -> (Child, String) {
    let address = Ports::take().port().to_string();
    let mut tool = command(&["sink", &address])
        .args(words)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(tool.stderr.take().unwrap());
    assert!(line(&mut said).starts_with("listening on"));
    tool.stderr = Some(said.into_inner());
    (tool, address)
}

fn stop(tool: Child) -> String {
    let pid = Pid::from_raw(i32::try_from(tool.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    ended(&tool.wait_with_output().unwrap(), Value::Null).said
}

fn line(stream: &mut impl BufRead) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    line
}

/// All lines of a reply.
fn reply(stream: &mut impl BufRead) -> String {
    let mut all = String::new();
    loop {
        let line = line(stream);
        all.push_str(&line);
        if line.as_bytes().get(3) != Some(&b'-') {
            return all;
        }
    }
}
