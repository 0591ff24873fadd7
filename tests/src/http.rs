//! One GET of HTTP/1.1, for `/metrics` and `/healthz`.

use crate::connection::Connection;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

/// The status and the body of a page.
pub fn page(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let mut connection = Connection::open(address)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    connection.send(request.as_bytes())?;
    let answer = String::from_utf8_lossy(&connection.rest()?).into_owned();
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| io::Error::other(format!("not an HTTP answer: {answer:?}")))?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("no status in {head:?}")))?;
    let chunked = head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked");
    Ok((
        status,
        if chunked {
            joined(body)
        } else {
            body.to_string()
        },
    ))
}

/// The samples of a metrics page, by name with labels. An unreadable line is an error, so that a
/// scraper's complaint is ours first.
pub fn samples(text: &str) -> Result<BTreeMap<String, f64>, String> {
    let mut samples = BTreeMap::new();
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let wrong = || format!("not a sample: {line:?}");
        let name_end = line
            .rfind('}')
            .map(|end| end + 1)
            .or_else(|| line.find(' '));
        let (name, rest) = line.split_at(name_end.ok_or_else(wrong)?);
        let value = rest
            .split_whitespace()
            .next()
            .and_then(|value| value.parse().ok());
        samples.insert(name.to_string(), value.ok_or_else(wrong)?);
    }
    Ok(samples)
}

/// The sum of all samples whose name starts so, whatever their labels.
pub fn total(samples: &BTreeMap<String, f64>, name: &str) -> f64 {
    let of_name = |key: &&String| key.split('{').next() == Some(name);
    samples.keys().filter(of_name).map(|key| samples[key]).sum()
}

/// The body out of its chunks; a cut chunk ends it.
fn joined(mut chunks: &str) -> String {
    let mut body = String::new();
    while let Some((size, rest)) = chunks.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        match rest.get(..size) {
            Some(piece) if size > 0 => body.push_str(piece),
            _ => break,
        }
        chunks = rest.get(size + 2..).unwrap_or("");
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_and_nonsense_is_not() {
        let text =
            "# HELP a b\na_total{shard=\"0\",x=\"} y\"} 3\na_total{shard=\"1\"} 4 17\nb 1e3\n";
        let samples = samples(text).unwrap();
        assert_eq!(samples["b"], 1000.0);
        assert_eq!(total(&samples, "a_total"), 7.0);
        assert!(super::samples("a b c").is_err());
    }

    #[test]
    fn chunks_are_joined() {
        assert_eq!(joined("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), "abcde");
    }
}
