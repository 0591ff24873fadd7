//! A configuration in words: what `ringpost check` prints, so that an operator sees what is meant.

use super::quantity::show_size;
use super::{
    Alias, CertificateSource, Config, Direction, LogFormat, LogTarget, Network, Protocol, TlsMode,
    outbound,
};
use std::fmt::{self, Write};
use std::path::Path;
use store::mail::address::Address;

/// Lists longer than this are cut and counted.
const SHOWN_MAX: usize = 20;

impl Config {
    /// Some lines of text: what is served where, for whom, within which limits.
    #[must_use]
    pub fn explain(&self) -> String {
        let mut out = String::new();
        write_all(self, &mut out).expect("a String takes every text");
        out
    }
}

fn write_all(config: &Config, out: &mut String) -> fmt::Result {
    writeln!(
        out,
        "{} keeps its mail in {}",
        config.hostname,
        shown(&config.data)
    )?;
    match config.shards {
        Some(shards) => writeln!(out, "shards: {shards}")?,
        None => writeln!(out, "shards: one per core")?,
    }
    listeners(config, out)?;
    certificates(config, out)?;
    owners(config, out)?;
    super::auth::explain(config, out)?;
    aliases(config, out)?;
    rewrites(config, out)?;
    outbound::explain(&config.outbound, out)?;
    dkim(config, out)?;
    super::explain_inject::explain(config, out)?;
    if config
        .listeners
        .iter()
        .any(|one| one.protocol == Protocol::Pop3)
    {
        super::pop3::explain(&config.pop3, out)?;
    }
    super::imap::explain(&config.imap, out)?;
    super::converter::explain(&config.converters, out)?;
    super::sharing::explain(config, out)?;
    log(config, out)?;
    writeln!(out, "limits")?;
    for (name, value) in config.limits.each() {
        writeln!(out, "  {name} = {value}")?;
    }
    for warning in &config.warnings {
        match warning.line {
            0 => writeln!(out, "warning: {}", warning.what)?,
            line => writeln!(out, "warning: line {line}: {}", warning.what)?,
        }
    }
    Ok(())
}

fn listeners(config: &Config, out: &mut String) -> fmt::Result {
    for listener in &config.listeners {
        let tls = match listener.tls {
            TlsMode::None => "without TLS",
            TlsMode::StartTls => "with STARTTLS",
            TlsMode::Implicit => "in TLS from the start",
        };
        let what = match listener.inject {
            true => "mail by http",
            false => listener.protocol.name(),
        };
        writeln!(out, "listens on {} for {what} {tls}", listener.address)?;
        let named = |networks: &[Network]| {
            let named: Vec<String> = networks.iter().map(ToString::to_string).collect();
            named.join(", ")
        };
        if !listener.proxy.is_empty() {
            let from = named(&listener.proxy);
            writeln!(out, "  behind proxies only ({from}), with a PROXY header")?;
        }
        if !listener.trusted.is_empty() {
            let from = named(&listener.trusted);
            writeln!(out, "  {from} may name its clients (XCLIENT, ID)")?;
        }
    }
    Ok(())
}

fn certificates(config: &Config, out: &mut String) -> fmt::Result {
    for certificate in &config.certificates {
        let names = certificate.names.join(", ");
        match &certificate.source {
            CertificateSource::Files { chain, .. } => {
                writeln!(out, "certificate {} for {names}", shown(chain))?;
            }
            CertificateSource::SelfSigned => {
                writeln!(out, "certificate for {names}: self-signed at start")?;
            }
        }
    }
    Ok(())
}

fn owners(config: &Config, out: &mut String) -> fmt::Result {
    let (domains, accounts) = (config.domains.len(), config.accounts.len());
    let aliases = config.aliases.len();
    writeln!(
        out,
        "{domains} domains, {accounts} accounts, {aliases} aliases in this file"
    )?;
    for domain in config.domains.iter().take(SHOWN_MAX) {
        write!(out, "  domain {}", domain.name)?;
        if let Some(delimiter) = domain.delimiter {
            write!(out, ", user{delimiter}detail reaches user")?;
        }
        match &domain.catch_all {
            Some(address) => writeln!(out, ", everything else to {address}")?,
            None => writeln!(out)?,
        }
    }
    for account in config.accounts.iter().take(SHOWN_MAX) {
        match account.quota {
            Some(quota) => {
                let quota = show_size(quota);
                writeln!(out, "  account {}, quota {quota}", account.address)?;
            }
            None => writeln!(out, "  account {}, no quota", account.address)?,
        }
    }
    let left_out = domains.saturating_sub(SHOWN_MAX) + accounts.saturating_sub(SHOWN_MAX);
    if left_out > 0 {
        writeln!(out, "  … and {left_out} more")?;
    }
    if let Some(postmaster) = &config.postmaster {
        writeln!(out, "  postmaster is {postmaster}")?;
    }
    Ok(())
}

/// Lists, and what leads to other hosts; the others are plain names.
fn aliases(config: &Config, out: &mut String) -> fmt::Result {
    let is_ours = |domain: &str| config.domains.iter().any(|known| known.name == domain);
    let is_shown =
        |alias: &&Alias| alias.owner.is_some() || alias.to.iter().any(|to| !is_ours(&to.domain));
    for alias in config.aliases.iter().filter(is_shown).take(SHOWN_MAX) {
        let away = alias.to.iter().filter(|to| !is_ours(&to.domain)).count();
        let from: Vec<String> = alias
            .from
            .iter()
            .take(SHOWN_MAX)
            .map(Address::to_string)
            .collect();
        write!(
            out,
            "  alias {}: {} here, {away} at other hosts",
            from.join(", "),
            alias.to.len() - away
        )?;
        match &alias.owner {
            Some(owner) => writeln!(out, ", a list of {owner}")?,
            None => writeln!(out)?,
        }
    }
    if let Some(srs) = &config.forwarding.srs {
        let (domain, days) = (&srs.domain, srs.days);
        writeln!(
            out,
            "  senders of forwarded mail are rewritten (SRS) to {domain} for {days} days"
        )?;
    }
    Ok(())
}

fn rewrites(config: &Config, out: &mut String) -> fmt::Result {
    for table in config.rewrites.list.iter().take(SHOWN_MAX) {
        let whose = match (table.senders, table.recipients) {
            (true, false) => "senders",
            (false, true) => "recipients",
            _ => "senders and recipients",
        };
        let when = match table.direction {
            Direction::Outbound => "that leaves",
            Direction::Inbound => "that comes",
        };
        let headers = if table.headers {
            ", in the header, too"
        } else {
            ""
        };
        let from = table.from.join(", ");
        writeln!(
            out,
            "rewrites {whose} of mail {when}: {from} to {}{headers}",
            table.to
        )?;
    }
    let left_out = config.rewrites.list.len().saturating_sub(SHOWN_MAX);
    if left_out > 0 {
        writeln!(out, "  … and by {left_out} more tables")?;
    }
    Ok(())
}

fn dkim(config: &Config, out: &mut String) -> fmt::Result {
    for key in config.dkim.iter().take(SHOWN_MAX) {
        let (name, algorithm) = (key.record_name(), key.algorithm.name());
        writeln!(
            out,
            "signs mail of {} with {algorithm} key {name}",
            key.domain
        )?;
    }
    let left_out = config.dkim.len().saturating_sub(SHOWN_MAX);
    if left_out > 0 {
        writeln!(out, "  … and with {left_out} more")?;
    }
    Ok(())
}

fn log(config: &Config, out: &mut String) -> fmt::Result {
    let format = match config.log.format {
        LogFormat::Text => "text",
        LogFormat::Json => "JSON",
    };
    let target = match &config.log.target {
        LogTarget::Stderr => "standard error".to_owned(),
        LogTarget::File(file) => shown(file),
    };
    let level = config.log.level.name();
    writeln!(out, "logs {format} from level {level} to {target}")
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
