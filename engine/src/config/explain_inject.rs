//! Mail by HTTP and what is told to programs, in words: their part of `ringpost check`.

use super::inject::{SenderPattern, Token, TokenMay};
use super::quantity::{show_seconds, show_size};
use super::{Config, Events, Inject};
use std::fmt::{self, Write};

/// Lists longer than this are cut and counted.
const SHOWN_MAX: usize = 20;

pub(super) fn explain(config: &Config, out: &mut String) -> fmt::Result {
    if config.listeners.iter().any(|listener| listener.inject) {
        injection(&config.inject, out)?;
    }
    if let Some(name) = &config.inject.campaign_header {
        writeln!(out, "submitted mail names its campaign by the field {name}")?;
    }
    match &config.events {
        Some(told) => events(told, out),
        None => Ok(()),
    }
}

fn injection(inject: &Inject, out: &mut String) -> fmt::Result {
    write!(
        out,
        "takes mail by http from accounts and {} tokens: {} recipients and {} a request",
        inject.tokens.len(),
        inject.recipients_max,
        show_size(inject.body_bytes_max),
    )?;
    match inject.per_minute_max {
        Some(most) => writeln!(out, ", {most} recipients a minute each")?,
        None => writeln!(out)?,
    }
    let kept = show_seconds(inject.keys_kept_secs);
    writeln!(out, "  an Idempotency-Key is known for {kept}")?;
    for token in inject.tokens.iter().take(SHOWN_MAX) {
        let (senders, tenants) = (senders(token), token.tenants.join(", "));
        writeln!(
            out,
            "  token {} sends as {senders}, for {tenants}",
            token.name
        )?;
    }
    let left_out = inject.tokens.len().saturating_sub(SHOWN_MAX);
    if left_out > 0 {
        writeln!(out, "  … and {left_out} more tokens")?;
    }
    Ok(())
}

fn senders(token: &Token) -> String {
    let named = |pattern: &SenderPattern| match pattern {
        SenderPattern::Address(address) => address.to_string(),
        SenderPattern::Domain(domain) => format!("@{domain}"),
    };
    match &token.may {
        TokenMay::Account(address) => format!("the account {address} may"),
        TokenMay::Senders(patterns) => {
            let named: Vec<String> = patterns.iter().map(named).collect();
            named.join(", ")
        }
    }
}

fn events(events: &Events, out: &mut String) -> fmt::Result {
    let kinds = events.kinds.names().join(", ");
    writeln!(out, "tells of mail that is {kinds}")?;
    writeln!(
        out,
        "  in {}, a new file after {} or {}, {} older ones kept{}",
        events.file.display(),
        show_size(events.rotate_bytes),
        show_seconds(events.rotate_secs),
        events.keep,
        if events.compresses {
            ", compressed"
        } else {
            ""
        },
    )?;
    let slow = match events.waits {
        true => "mail waits for it where the disk is slow or full",
        false => "what a slow or full disk does not take is left out and counted",
    };
    writeln!(out, "  {slow}")?;
    for hook in events.webhooks.iter().take(SHOWN_MAX) {
        let scheme = if hook.url.is_tls { "https" } else { "http" };
        let (authority, path) = (hook.url.authority(), &hook.url.path);
        let kinds = hook.kinds.names().join(", ");
        writeln!(
            out,
            "  webhook {} at {scheme}://{authority}{path}: {kinds}",
            hook.name
        )?;
    }
    Ok(())
}
