//! What is told of TLS to other hosts: each session counts for the report of its policy domain, and
//! a host whose STARTTLS is broken is remembered.

use super::dispatch::Dispatcher;
use super::hop::{Hop, NoHop, Reach};
use super::source::day;
use super::tls_report::{Policed, Reporter};
use crate::egress::{Connection, Failure, Stage, TlsUse};
use crate::post::{FailureDetail, PolicyType, TlsReport};
use crate::tls::TlsFault;
use std::net::{IpAddr, SocketAddr};

impl Dispatcher {
    /// Reports of one day in UTC, counted from 1970; `None`: today's.
    pub fn tls_reports(&self, of: Option<u32>, domain: Option<&str>) -> Vec<TlsReport> {
        let config = self.live.config.load();
        let contact = match &config.postmaster {
            Some(address) => address.to_string(),
            None => format!("postmaster@{}", config.hostname),
        };
        let reporter = Reporter {
            organization: &config.hostname,
            contact: &contact,
        };
        let of = of.unwrap_or_else(|| day(self.second()));
        self.reports.of_day(of, domain, reporter)
    }

    /// A connection came to be, with TLS or without.
    pub(super) fn report_session(
        &self,
        domain: &str,
        host: &Reach,
        address: SocketAddr,
        connection: &Connection,
    ) {
        let now = self.second();
        if let TlsUse::Failed(_) = connection.tls() {
            self.frail.borrow_mut().note(address, now);
        }
        let Some(policed) = &host.policed else {
            return;
        };
        let fault = match (connection.tls(), connection.doubt()) {
            (TlsUse::Unwanted, _) => return,
            // RFC 8460 §4.3.2.2: mail goes, and the domain is to know that nothing protects it.
            (TlsUse::Encrypted { .. }, None) if policed.is_unusable() => ("tlsa-invalid", None),
            (TlsUse::Encrypted { .. }, None) => {
                return self.reports.succeeded(day(now), domain, policed);
            }
            (TlsUse::Encrypted { .. }, Some(doubt)) => detail_of(doubt),
            (TlsUse::NotOffered, _) => ("starttls-not-supported", None),
            (TlsUse::Failed(fault), _) => detail_of(fault),
        };
        let detail = detail(fault, host, address.ip(), connection.local_ip());
        self.reports.failed(day(now), domain, policed, detail);
    }

    /// None came to be; it counts where TLS is to blame.
    pub(super) fn report_failure(
        &self,
        domain: &str,
        host: &Reach,
        address: SocketAddr,
        failure: &Failure,
    ) {
        let Some(policed) = &host.policed else {
            return;
        };
        let fault = match (failure.stage, &failure.tls) {
            (_, Some(fault)) => detail_of(fault),
            (Stage::StartTls, None) => ("starttls-not-supported", None),
            _ => return,
        };
        let detail = detail(fault, host, address.ip(), None);
        let today = day(self.second());
        self.reports.failed(today, domain, policed, detail);
    }

    /// Whatever was announced as a policy and is none.
    pub(super) fn report_sts_fault(&self, domain: &str, hop: &Hop) {
        if let Some(fault) = hop.tls.sts_fault {
            let policed = Policed::new(PolicyType::Sts, Vec::new(), Vec::new());
            self.report_policy_fault(domain, &policed, fault.name());
        }
    }

    /// RFC 8460 §4.3.2.2: the hosts, or what they must prove, are hidden by a broken signature.
    pub(super) fn report_no_hop(&self, domain: &str, why: &NoHop) {
        if why.is_bogus {
            self.report_policy_fault(domain, &Policed::unusable(), "dnssec-invalid");
        }
    }

    fn report_policy_fault(&self, domain: &str, policed: &Policed, fault: &str) {
        let detail = FailureDetail {
            result_type: fault.to_owned(),
            sending_mta_ip: None,
            receiving_mx_hostname: None,
            receiving_ip: None,
            failed_session_count: 1,
            failure_reason_code: None,
        };
        let today = day(self.second());
        self.reports.failed(today, domain, policed, detail);
    }
}

fn detail(
    (kind, reason): (&'static str, Option<String>),
    host: &Reach,
    to: IpAddr,
    from: Option<IpAddr>,
) -> FailureDetail {
    FailureDetail {
        result_type: kind.to_owned(),
        sending_mta_ip: from,
        receiving_mx_hostname: Some(host.name.to_string()),
        receiving_ip: Some(to),
        failed_session_count: 1,
        failure_reason_code: reason,
    }
}

/// The result type of RFC 8460 §4.3, and what it leaves out.
fn detail_of(fault: &TlsFault) -> (&'static str, Option<String>) {
    match fault {
        TlsFault::Expired => ("certificate-expired", None),
        TlsFault::HostMismatch => ("certificate-host-mismatch", None),
        TlsFault::NotTrusted => ("certificate-not-trusted", None),
        TlsFault::Judged(why) => ("validation-failure", Some(why.clone())),
        TlsFault::Handshake(why) => ("validation-failure", Some(why.clone())),
    }
}
