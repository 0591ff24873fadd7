//! `ringpostctl suppress`: add, remove, check, list, import, export.

use super::csv;
use crate::client::{Client, table};
use crate::progress;
use crate::usage::Usage;
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use engine::admin::wire::{
    Reply, Request, SUPPRESS_TOGETHER_MAX, SuppressEntry, SuppressReason, Suppressed,
};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Subcommand)]
pub(crate) enum Suppress {
    /// Send no mail to addresses any more
    Add {
        #[arg(required = true)]
        addresses: Vec<String>,
        #[command(flatten)]
        whose: Whose,
        /// For so many days only
        #[arg(long)]
        days: Option<u32>,
        /// Why: for whoever looks at the list later
        #[arg(long, default_value = "")]
        text: String,
    },
    /// Send mail to addresses again
    Remove {
        #[arg(required = true)]
        addresses: Vec<String>,
        #[command(flatten)]
        whose: Whose,
    },
    /// Say whether mail to an address is kept back, and why; exit code 1: it is not
    Check {
        address: String,
        #[command(flatten)]
        whose: Whose,
    },
    /// Show entries
    List {
        /// Of one domain
        #[arg(long)]
        domain: Option<String>,
        /// Also those that were refused, and not often enough
        #[arg(long)]
        watched: bool,
        /// Show at most so many
        #[arg(long, default_value_t = 100)]
        most: usize,
    },
    /// Take entries from a CSV file, - for standard input: addresses, one a line, or with the
    /// columns that export writes
    Import {
        file: PathBuf,
        #[command(flatten)]
        whose: Whose,
    },
    /// Write all entries as CSV, - for standard output
    Export { file: PathBuf },
}

#[derive(Args, Clone)]
pub(crate) struct Whose {
    /// Mail of this account only, or of @ and a domain that relays here; else everybody's
    #[arg(long)]
    tenant: Option<String>,
}

impl Suppress {
    pub(crate) fn run(self, client: &Client) -> anyhow::Result<bool> {
        match self {
            Suppress::Add {
                addresses,
                whose,
                days,
                text,
            } => add(client, addresses, &whose, days, &text).map(|()| true),
            Suppress::Remove { addresses, whose } => {
                remove(client, addresses, &whose).map(|()| true)
            }
            Suppress::Check { address, whose } => check(client, address, whose),
            Suppress::List {
                domain,
                watched,
                most,
            } => list(client, domain, watched, most).map(|()| true),
            Suppress::Import { file, whose } => import(client, &file, &whose).map(|()| true),
            Suppress::Export { file } => export(client, &file).map(|()| true),
        }
    }
}

fn add(
    client: &Client,
    addresses: Vec<String>,
    whose: &Whose,
    days: Option<u32>,
    text: &str,
) -> anyhow::Result<()> {
    let until = days.map_or(0, |days| now_secs() + i64::from(days) * 86_400);
    let entry = |address| SuppressEntry {
        address,
        tenant: whose.tenant.clone(),
        expiry_secs: until,
        text: text.to_owned(),
        ..SuppressEntry::default()
    };
    let entries: Vec<SuppressEntry> = addresses.into_iter().map(entry).collect();
    let count = ordered(client, &entries, |entries| Request::SuppressPut { entries })?;
    client.say(&format!("{count} addresses get no more mail"));
    Ok(())
}

fn remove(client: &Client, addresses: Vec<String>, whose: &Whose) -> anyhow::Result<()> {
    let entry = |address| SuppressEntry {
        address,
        tenant: whose.tenant.clone(),
        ..SuppressEntry::default()
    };
    let entries: Vec<SuppressEntry> = addresses.into_iter().map(entry).collect();
    match ordered(client, &entries, |entries| Request::SuppressRemove {
        entries,
    })? {
        0 => bail!("none of them was on the list; a tenant's entries need --tenant"),
        count => client.say(&format!("{count} addresses get mail again")),
    }
    Ok(())
}

/// Several requests where one has no room for all; how many entries were meant.
fn ordered(
    client: &Client,
    entries: &[SuppressEntry],
    request: impl Fn(Vec<SuppressEntry>) -> Request,
) -> anyhow::Result<u64> {
    let mut all = 0;
    for some in entries.chunks(SUPPRESS_TOGETHER_MAX) {
        let Reply::Count(count) = client.order(request(some.to_vec()))? else {
            bail!("the server answered something else")
        };
        all += count;
    }
    Ok(all)
}

fn check(client: &Client, address: String, whose: Whose) -> anyhow::Result<bool> {
    let request = Request::SuppressCheck {
        address: address.clone(),
        tenant: whose.tenant,
    };
    let (lines, _) = page(client, request)?;
    if client.is_json() {
        println!("{}", serde_json::to_string(&lines)?);
        return Ok(!lines.is_empty());
    }
    match lines.first() {
        None => println!("{address} gets mail"),
        Some(entry) => println!(
            "{address} gets no mail{}: {}, since {}, {}{}",
            entry
                .tenant
                .as_ref()
                .map_or_else(String::new, |tenant| format!(" of {tenant}")),
            entry.reason.name(),
            age(entry.since_secs),
            until(entry.expiry_secs),
            match entry.text.as_str() {
                "" => String::new(),
                text => format!(": {text}"),
            }
        ),
    }
    Ok(!lines.is_empty())
}

fn list(client: &Client, domain: Option<String>, watched: bool, most: usize) -> anyhow::Result<()> {
    let mut entries = Vec::new();
    each(client, domain, |entry| {
        if watched || entry.reason != SuppressReason::Watched {
            entries.push(entry);
        }
        Ok(entries.len() < most)
    })?;
    if client.is_json() {
        println!("{}", serde_json::to_string(&entries)?);
        return Ok(());
    }
    let rows = entries.into_iter().map(|entry| {
        [
            entry.address,
            entry.tenant.unwrap_or_else(|| "-".to_owned()),
            entry.reason.name().to_owned(),
            age(entry.since_secs),
            until(entry.expiry_secs),
            entry.text,
        ]
    });
    let head = ["ADDRESS", "TENANT", "WHY", "SINCE", "ENDS", "TEXT"];
    print!("{}", table(head, rows));
    Ok(())
}

fn import(client: &Client, file: &PathBuf, whose: &Whose) -> anyhow::Result<()> {
    let lines: Box<dyn BufRead> = match file.as_os_str() == "-" {
        true => Box::new(BufReader::new(io::stdin())),
        false => {
            let opened = File::open(file).with_context(|| file.display().to_string())?;
            Box::new(BufReader::new(opened))
        }
    };
    let entries = read_entries(lines, whose)?;
    let bar = progress::entries(entries.len() as u64);
    let mut all = 0;
    for some in entries.chunks(SUPPRESS_TOGETHER_MAX) {
        all += ordered(client, some, |entries| Request::SuppressPut { entries })
            .with_context(|| format!("{all} entries were taken before"))?;
        bar.inc(some.len() as u64);
    }
    bar.finish_and_clear();
    client.say(&format!("{all} addresses get no more mail"));
    Ok(())
}

/// Entries of a CSV file, all of them understood or none.
fn read_entries(lines: impl BufRead, whose: &Whose) -> anyhow::Result<Vec<SuppressEntry>> {
    let mut columns: Vec<String> = Vec::new();
    let mut entries = Vec::new();
    for (number, line) in lines.lines().enumerate() {
        let line = line.context("the file cannot be read as UTF-8")?;
        let fields = csv::fields(line.trim_end_matches('\r'))
            .ok_or_else(|| Usage::of(format!("line {}: a quote has no end", number + 1)))?;
        let is_empty = fields.iter().all(String::is_empty);
        if is_empty || line.starts_with('#') {
            continue;
        }
        let first = fields.first().map_or("", String::as_str);
        if columns.is_empty() {
            if first.eq_ignore_ascii_case("address") {
                columns = fields
                    .iter()
                    .map(|name| name.to_ascii_lowercase())
                    .collect();
                continue;
            }
            columns = COLUMNS.map(str::to_owned).to_vec();
        }
        let entry = entry(&columns, &fields, whose);
        let entry = entry.map_err(|why| Usage::of(format!("line {}: {why}", number + 1)))?;
        entries.push(entry);
    }
    Ok(entries)
}

fn entry(columns: &[String], fields: &[String], whose: &Whose) -> Result<SuppressEntry, String> {
    let field = |name: &str| {
        let at = columns.iter().position(|column| column == name)?;
        fields
            .get(at)
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    };
    let number = |name: &str| match field(name) {
        None => Ok(None),
        Some(text) => text
            .parse::<i64>()
            .map(Some)
            .map_err(|_| format!("{name}: {text} is no number of seconds since 1970")),
    };
    let address = field("address").ok_or("there is no address")?;
    engine::config::address(address)?;
    let reason = match field("reason") {
        None => None,
        Some(name) => {
            let found = SuppressReason::of_name(name);
            Some(found.ok_or_else(|| format!("reason: {name} is none that there is"))?)
        }
    };
    Ok(SuppressEntry {
        address: address.to_owned(),
        tenant: field("tenant")
            .map(str::to_owned)
            .or_else(|| whose.tenant.clone()),
        reason,
        since_secs: number("since")?,
        expiry_secs: number("expires")?.unwrap_or(0),
        text: field("text").unwrap_or_default().to_owned(),
    })
}

fn export(client: &Client, file: &PathBuf) -> anyhow::Result<()> {
    let mut out: Box<dyn Write> = match file.as_os_str() == "-" {
        true => Box::new(io::stdout().lock()),
        false => {
            let made = File::create(file).with_context(|| file.display().to_string())?;
            Box::new(io::BufWriter::new(made))
        }
    };
    writeln!(out, "{}", csv::line(COLUMNS))?;
    let mut count = 0u64;
    each(client, None, |entry| {
        let (since, expires) = (entry.since_secs.to_string(), entry.expiry_secs.to_string());
        let tenant = entry.tenant.as_deref().unwrap_or_default();
        let reason = entry.reason.name();
        let fields = [
            &entry.address,
            tenant,
            reason,
            &since,
            &expires,
            &entry.text,
        ];
        writeln!(out, "{}", csv::line(fields))?;
        count += 1;
        Ok(true)
    })?;
    out.flush()?;
    if file.as_os_str() != "-" {
        client.say(&format!("{count} entries"));
    }
    Ok(())
}

/// Every entry, page by page, until `take` wants no more.
fn each(
    client: &Client,
    domain: Option<String>,
    mut take: impl FnMut(Suppressed) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let mut after = None;
    loop {
        let request = Request::SuppressList {
            domain: domain.clone(),
            after: after.take(),
            most: PAGE,
        };
        let (lines, next) = page(client, request)?;
        for entry in lines {
            if !take(entry)? {
                return Ok(());
            }
        }
        match next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

fn page(client: &Client, request: Request) -> anyhow::Result<(Vec<Suppressed>, Option<String>)> {
    match client.order(request)? {
        Reply::Suppressed { lines, next } => Ok((lines, next)),
        _ => bail!("the server answered something else"),
    }
}

fn age(since_secs: i64) -> String {
    match (now_secs() - since_secs).max(0) {
        secs @ 0..7_200 => format!("{} min", secs / 60),
        secs @ 7_200..172_800 => format!("{} h", secs / 3_600),
        secs => format!("{} d", secs / 86_400),
    }
}

fn until(expiry_secs: i64) -> String {
    match expiry_secs {
        0 => "never ends".to_owned(),
        at => format!("ends in {} d", (at - now_secs()).max(0) / 86_400),
    }
}

fn now_secs() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() as i64)
}

const COLUMNS: [&str; 6] = ["address", "tenant", "reason", "since", "expires", "text"];

/// Entries that are asked for at once.
const PAGE: u32 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> anyhow::Result<Vec<SuppressEntry>> {
        read_entries(text.as_bytes(), &Whose { tenant: None })
    }

    #[test]
    fn a_list_of_addresses_is_read() {
        let entries = read("# old ones\ncarol@far.test\r\n\ndave@far.test,@tenant.test\n").unwrap();
        let tenants: Vec<_> = entries.iter().map(|one| one.tenant.as_deref()).collect();
        assert_eq!(tenants, [None, Some("@tenant.test")]);
        assert_eq!(entries[0].address, "carol@far.test");
    }

    #[test]
    fn what_is_exported_is_read_again() {
        let text = format!(
            "{}\n{}\n",
            csv::line(COLUMNS),
            csv::line(["a@b.test", "t", "complaint", "5", "9", "said \"no\", twice"])
        );
        let entry = read(&text).unwrap().remove(0);
        assert_eq!(entry.reason, Some(SuppressReason::Complaint));
        assert_eq!((entry.since_secs, entry.expiry_secs), (Some(5), 9));
        assert_eq!(entry.text, "said \"no\", twice");
        let other = read("text,address\nwhy,a@b.test\n").unwrap_or_default();
        assert!(other.is_empty(), "the first column names the address");
    }

    #[test]
    fn wrong_lines_are_named() {
        for (text, said) in [
            ("a@b.test\nnobody\n", "line 2: "),
            ("a@b.test,,sometimes\n", "line 1: reason"),
            ("a@b.test,,,soon\n", "line 1: since"),
            ("\"a@b.test\n", "line 1: a quote"),
            ("address,reason\n,manual\n", "line 2: there is no address"),
        ] {
            let why = read(text).unwrap_err().to_string();
            assert!(why.starts_with(said), "{why}");
        }
    }
}
