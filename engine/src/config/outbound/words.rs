//! What leaves this host, in words: the part of `ringpost check` about routes and the queue.

use super::super::quantity::{show_seconds, show_size};
use super::source::DEFAULT;
use super::{
    Copies, EgressSource, HopProtocol, Outbound, Pace, Pool, Proxy, Ramp, Route, TlsPolicy, Via,
};
use std::fmt::{self, Write};

/// Lists longer than this are cut and counted.
const SHOWN_MAX: usize = 20;

pub(in super::super) fn explain(outbound: &Outbound, out: &mut String) -> fmt::Result {
    if !outbound.is_on() {
        return writeln!(out, "sends no mail to other hosts: there is no [[route]]");
    }
    for route in outbound.routes.iter().take(SHOWN_MAX) {
        show_route(route, out)?;
    }
    if let Some(more) = outbound.routes.len().checked_sub(SHOWN_MAX + 1) {
        writeln!(out, "  … and {} more routes", more + 1)?;
    }
    let networks = &outbound.relay.networks;
    let named: Vec<String> = networks.iter().map(ToString::to_string).collect();
    match named.is_empty() {
        true => writeln!(out, "may send to other hosts: whoever has logged in")?,
        false => writeln!(
            out,
            "may send to other hosts: whoever has logged in, and {}",
            named.join(", ")
        )?,
    }
    for certificate in outbound.relay.certificates.iter().take(SHOWN_MAX) {
        writeln!(out, "  and who shows the certificate {certificate}")?;
    }
    if let Some(file) = &outbound.relay.client_authorities {
        let file = file.display();
        writeln!(
            out,
            "  and who shows a certificate signed by an authority in {file}"
        )?;
    }
    for source in outbound.sources.iter().take(SHOWN_MAX) {
        show_source(source, out)?;
    }
    let is_said = |pool: &&Pool| pool.name != DEFAULT || outbound.pools.len() > 1;
    for pool in outbound.pools.iter().filter(is_said).take(SHOWN_MAX) {
        show_pool(pool, &outbound.sources, out)?;
    }
    if let Some(file) = &outbound.tls.authorities {
        writeln!(out, "other hosts are vouched for by {}", file.display())?;
    }
    if let Some(own) = &outbound.tls.identity {
        writeln!(
            out,
            "shows other hosts the certificate {}",
            own.cert.display()
        )?;
    }
    for one in outbound.tls_policies.iter().take(SHOWN_MAX) {
        write!(out, "mail for {}", one.domains.join(", "))?;
        show_tls(&one.policy, out)?;
        writeln!(out)?;
    }
    queue(outbound, out)?;
    replies(outbound, out)
}

/// What replies and reports bring about.
fn replies(outbound: &Outbound, out: &mut String) -> fmt::Result {
    let rules = outbound.rules.list();
    let (shipped, own): (Vec<_>, Vec<_>) = rules.iter().partition(|rule| rule.is_shipped);
    writeln!(
        out,
        "obeys {} rules of this file and {} shipped ones about replies",
        own.len(),
        shipped.len()
    )?;
    for rule in own.iter().take(SHOWN_MAX) {
        let actions: Vec<String> = rule.actions.iter().map(ToString::to_string).collect();
        writeln!(out, "  rule {}: {}", rule.name, actions.join(", "))?;
    }
    let suppression = &outbound.suppression;
    if suppression.hard_bounces > 0 {
        writeln!(
            out,
            "sends nothing more to an address that was refused as unknown {} times within {}",
            suppression.hard_bounces,
            show_seconds(suppression.within_secs)
        )?;
    }
    for feedback in &outbound.feedback {
        write!(out, "reads reports to {}", feedback.address)?;
        let networks: Vec<String> = feedback.networks.iter().map(ToString::to_string).collect();
        match (networks.is_empty(), &feedback.token) {
            (true, None) => writeln!(out, ", and believes nobody")?,
            (true, Some(_)) => writeln!(out, ", and believes who knows its token")?,
            (false, None) => writeln!(out, ", and believes {}", networks.join(", "))?,
            (false, Some(_)) => {
                let networks = networks.join(", ");
                writeln!(out, ", and believes {networks}, and who knows its token")?;
            }
        }
    }
    Ok(())
}

fn show_route(route: &Route, out: &mut String) -> fmt::Result {
    write!(out, "mail for {} ", route.domains.join(", "))?;
    if !route.senders.is_empty() {
        write!(out, "from {} ", route.senders.join(", "))?;
    }
    if !route.tenants.is_empty() {
        write!(out, "submitted by {} ", route.tenants.join(", "))?;
    }
    match &route.via {
        Via::Mx => write!(out, "goes to its mail exchangers")?,
        Via::Host {
            host,
            login,
            protocol,
        } => {
            let how = match protocol {
                HopProtocol::Smtp => "SMTP",
                HopProtocol::Lmtp => "LMTP",
            };
            write!(out, "goes to {host} by {how}")?;
            if let Some(login) = login {
                write!(out, " as {}", login.user)?;
            }
        }
        Via::Discard => return writeln!(out, "is taken and thrown away"),
        Via::Reject { reason } => return writeln!(out, "is refused: {reason}"),
    }
    show_tls(&route.tls, out)?;
    writeln!(out)
}

fn show_tls(policy: &TlsPolicy, out: &mut String) -> fmt::Result {
    write!(out, ", tls {}", policy.demand.name())?;
    if policy.is_13_only {
        write!(out, " of version 1.3")?;
    }
    if !policy.fingerprints.is_empty() {
        write!(out, ", {} fingerprints", policy.fingerprints.len())?;
    }
    match &policy.authorities {
        Some(file) => write!(out, ", signed by {}", file.display()),
        None => Ok(()),
    }
}

fn show_source(source: &EgressSource, out: &mut String) -> fmt::Result {
    write!(out, "source {} sends as {}", source.name, source.hello)?;
    let addresses: Vec<String> = source.addresses.iter().map(ToString::to_string).collect();
    if !addresses.is_empty() {
        write!(out, " from {}", addresses.join(" and "))?;
    }
    match &source.proxy {
        Some(Proxy::HaProxy(host)) => write!(out, " by the PROXY protocol through {host}")?,
        Some(Proxy::Socks5(host, _)) => write!(out, " through SOCKS5 at {host}")?,
        None => {}
    }
    write!(out, ", weight {}", source.weight)?;
    if let Some(most) = source.connections_max {
        write!(out, ", at most {most} connections")?;
    }
    if let Some(most) = source.per_minute_max {
        write!(out, ", at most {most} messages a minute")?;
    }
    match source.warmup.as_ref().map(|warmup| &warmup.ramp) {
        Some(Ramp::Days(days)) => write!(out, ", warms up in {} days", days.len())?,
        Some(Ramp::Curve { first, target, .. }) => {
            write!(out, ", warms up from {first} to {target} messages a day")?;
        }
        None => {}
    }
    writeln!(out)
}

fn show_pool(pool: &Pool, sources: &[EgressSource], out: &mut String) -> fmt::Result {
    let named = |(at, weight): &(usize, u32)| {
        let source = sources.get(*at)?;
        Some(format!("{} (weight {weight})", source.name))
    };
    let members: Vec<String> = pool.members.iter().filter_map(named).collect();
    write!(out, "pool {} is {}", pool.name, members.join(", "))?;
    let parties: Vec<&str> = pool
        .tenants
        .iter()
        .chain(&pool.senders)
        .map(String::as_str)
        .collect();
    match parties.is_empty() {
        true => writeln!(out),
        false => writeln!(out, ", for {}", parties.join(", ")),
    }
}

fn queue(outbound: &Outbound, out: &mut String) -> fmt::Result {
    let queue = &outbound.queue;
    let Pace {
        retry_secs,
        expire_secs,
        warn_secs,
        ..
    } = &queue.pace;
    let retry: Vec<String> = retry_secs.iter().map(|secs| show_seconds(*secs)).collect();
    write!(
        out,
        "tries again after {}, gives up after {}",
        retry.join(", "),
        show_seconds(*expire_secs)
    )?;
    match warn_secs {
        Some(secs) => writeln!(out, ", tells the sender after {}", show_seconds(*secs))?,
        None => writeln!(out)?,
    }
    if queue.hold_secs_max > 0 {
        let most = show_seconds(queue.hold_secs_max);
        writeln!(
            out,
            "holds messages for up to {most} where a user asks for it"
        )?;
    }
    copies(queue.postmaster_copies, out)?;
    writeln!(
        out,
        "holds at most {} recipients a shard, {} of messages in memory",
        queue.items_max,
        show_size(queue.sending_bytes_max)
    )
}

fn copies(copies: Copies, out: &mut String) -> fmt::Result {
    match (copies.failed, copies.delayed) {
        (false, false) => Ok(()),
        (true, false) => writeln!(out, "tells postmaster, too, of mail that failed"),
        (false, true) => writeln!(out, "tells postmaster, too, of mail that is late"),
        (true, true) => writeln!(out, "tells postmaster, too, of mail that failed or is late"),
    }
}
