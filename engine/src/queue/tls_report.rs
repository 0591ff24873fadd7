//! What came of TLS to other hosts, by policy domain and day in UTC (RFC 8460): counted at each
//! connection, kept as notes, shown as a report.
//!
//! Bounded in every direction: domains, failures of a domain that differ, and what each weighs as a
//! note. Failures that find no room are counted with others of their kind, so that sums hold.

use crate::post::{
    DateRange, FailureDetail, PolicyResult, PolicyShown, PolicyType, Summary, TlsReport,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use store::mail::calendar::date_of;

/// The counts of all shards.
#[derive(Default)]
pub struct TlsReports {
    tallies: Mutex<BTreeMap<Key, Tally>>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    /// Since 1970, in UTC.
    day: u32,
    domain: String,
    kind: PolicyType,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Tally {
    #[serde(rename = "p")]
    policy: Policed,
    #[serde(rename = "s")]
    successes: u64,
    #[serde(rename = "f")]
    failures: Vec<FailureDetail>,
    /// The note says something else.
    #[serde(skip)]
    is_new: bool,
}

/// What a session is held to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Policed {
    #[serde(rename = "t")]
    pub(super) kind: PolicyType,
    #[serde(rename = "l")]
    pub(super) lines: Vec<String>,
    #[serde(rename = "m")]
    pub(super) hosts: Vec<String>,
}

/// One tally, as it is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Kept {
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
    /// Seconds since 1970.
    pub(super) expiry_secs: i64,
}

/// Who reports.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reporter<'a> {
    pub(super) organization: &'a str,
    pub(super) contact: &'a str,
}

impl Policed {
    pub(super) fn nothing() -> Policed {
        Policed {
            kind: PolicyType::NoPolicyFound,
            lines: Vec::new(),
            hosts: Vec::new(),
        }
    }

    /// Records were published, and none of them can be used (RFC 7672 §2.2).
    pub(super) fn unusable() -> Policed {
        Policed::new(PolicyType::Tlsa, Vec::new(), Vec::new())
    }

    pub(super) fn is_unusable(&self) -> bool {
        self.kind == PolicyType::Tlsa && self.lines.is_empty()
    }

    /// Cut to what a note holds.
    pub(super) fn new(kind: PolicyType, lines: Vec<String>, hosts: Vec<String>) -> Policed {
        Policed {
            kind,
            lines: cut(lines),
            hosts: cut(hosts),
        }
    }
}

impl TlsReports {
    pub(super) fn succeeded(&self, day: u32, domain: &str, policy: &Policed) {
        self.count(day, domain, policy, |tally| tally.successes += 1);
    }

    /// `failure` counts as often as it says.
    pub(super) fn failed(&self, day: u32, domain: &str, policy: &Policed, failure: FailureDetail) {
        self.count(day, domain, policy, |tally| tally.add(failure));
    }

    fn count(&self, day: u32, domain: &str, policy: &Policed, change: impl FnOnce(&mut Tally)) {
        let key = Key {
            day,
            domain: domain.to_owned(),
            kind: policy.kind,
        };
        let mut tallies = self.tallies();
        if !tallies.contains_key(&key) && tallies.len() >= TALLIES_MAX {
            tallies.retain(|known, _| known.day.saturating_add(DAYS_KEPT) >= day);
            if tallies.len() >= TALLIES_MAX {
                return;
            }
        }
        let tally = tallies.entry(key).or_insert_with(|| Tally::new(policy));
        // The last policy of the day is the one that is shown.
        if tally.policy != *policy {
            tally.policy = policy.clone();
        }
        change(tally);
        tally.is_new = true;
    }

    /// The reports of a day, one for each policy domain.
    pub(super) fn of_day(
        &self,
        day: u32,
        domain: Option<&str>,
        reporter: Reporter<'_>,
    ) -> Vec<TlsReport> {
        let tallies = self.tallies();
        let first = Key {
            day,
            domain: String::new(),
            kind: PolicyType::Tlsa,
        };
        let of_day = tallies.range(first..).take_while(|(key, _)| key.day == day);
        let wanted = of_day.filter(|(key, _)| domain.is_none_or(|domain| key.domain == domain));
        let mut reports: Vec<TlsReport> = Vec::new();
        let mut last = None;
        for (key, tally) in wanted {
            if last != Some(&key.domain) {
                reports.push(empty(key, reporter));
                last = Some(&key.domain);
            }
            if let Some(report) = reports.last_mut() {
                report.policies.push(tally.result(&key.domain));
            }
        }
        reports
    }

    /// Up to `most` tallies that no note says.
    pub(super) fn take_new(&self, most: usize) -> Vec<Kept> {
        let mut tallies = self.tallies();
        let new = tallies.iter_mut().filter(|(_, tally)| tally.is_new);
        new.take(most)
            .map(|(key, tally)| {
                tally.is_new = false;
                Kept {
                    key: key.octets(),
                    value: tally.octets(),
                    expiry_secs: i64::from(key.day + DAYS_KEPT + 1) * DAY_SECS,
                }
            })
            .collect()
    }

    /// What a note says; at the start.
    pub(super) fn restore(&self, key: &[u8], value: &[u8]) {
        let tally = serde_json::from_slice::<Tally>(value);
        if let (Some(key), Ok(tally)) = (Key::read(key), tally) {
            self.tallies().insert(key, tally);
        }
    }

    fn tallies(&self) -> MutexGuard<'_, BTreeMap<Key, Tally>> {
        // Nothing here can be left half done by a thread that panics.
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Key {
    /// The day, then the kind, then the domain.
    fn octets(&self) -> Vec<u8> {
        let kind = match self.kind {
            PolicyType::Tlsa => b't',
            PolicyType::Sts => b's',
            PolicyType::NoPolicyFound => b'n',
        };
        let day = self.day.to_be_bytes();
        [&day[..], &[kind], self.domain.as_bytes()].concat()
    }

    fn read(octets: &[u8]) -> Option<Key> {
        let (day, rest) = octets.split_first_chunk::<4>()?;
        let (kind, domain) = rest.split_first()?;
        Some(Key {
            day: u32::from_be_bytes(*day),
            domain: String::from_utf8(domain.to_vec()).ok()?,
            kind: match kind {
                b't' => PolicyType::Tlsa,
                b's' => PolicyType::Sts,
                b'n' => PolicyType::NoPolicyFound,
                _ => return None,
            },
        })
    }
}

impl Tally {
    fn new(policy: &Policed) -> Tally {
        Tally {
            policy: policy.clone(),
            successes: 0,
            failures: Vec::new(),
            is_new: true,
        }
    }

    fn add(&mut self, mut failure: FailureDetail) {
        if let Some(reason) = &mut failure.failure_reason_code {
            let end = (0..=REASON_BYTES_MAX)
                .rev()
                .find(|end| reason.is_char_boundary(*end));
            reason.truncate(end.unwrap_or(0));
        }
        if self.count_with(&failure) {
            return;
        }
        if self.failures.len() >= FAILURES_MAX {
            failure = of_its_kind(failure);
            if self.count_with(&failure) {
                return;
            }
            self.fold();
        }
        self.failures.push(failure);
    }

    fn count_with(&mut self, failure: &FailureDetail) -> bool {
        let is_same = |known: &&mut FailureDetail| {
            known.result_type == failure.result_type
                && known.receiving_mx_hostname == failure.receiving_mx_hostname
                && known.receiving_ip == failure.receiving_ip
                && known.sending_mta_ip == failure.sending_mta_ip
        };
        let known = self.failures.iter_mut().find(is_same);
        let is_known = known.is_some();
        if let Some(known) = known {
            known.failed_session_count += failure.failed_session_count;
        }
        is_known
    }

    /// One row less: the last is counted with the others of its kind.
    fn fold(&mut self) {
        let Some(last) = self.failures.pop() else {
            return;
        };
        let folded = of_its_kind(last);
        if !self.count_with(&folded) {
            self.failures.push(folded);
        }
    }

    fn result(&self, domain: &str) -> PolicyResult {
        let failed = self.failures.iter().map(|one| one.failed_session_count);
        PolicyResult {
            policy: PolicyShown {
                policy_type: self.policy.kind,
                policy_string: self.policy.lines.clone(),
                policy_domain: domain.to_owned(),
                mx_host: self.policy.hosts.clone(),
            },
            summary: Summary {
                total_successful_session_count: self.successes,
                total_failure_session_count: failed.sum(),
            },
            failure_details: self.failures.clone(),
        }
    }

    /// As a note, which has a bound: details are given up before counts.
    fn octets(&mut self) -> Vec<u8> {
        loop {
            let octets = serde_json::to_vec(&*self).unwrap_or_default();
            if octets.len() <= NOTE_BYTES_MAX {
                return octets;
            }
            let named = self
                .failures
                .iter()
                .filter(|one| **one != of_its_kind((*one).clone()));
            match (named.count(), self.policy.lines.is_empty()) {
                (0, false) => (self.policy.lines, self.policy.hosts) = Default::default(),
                (0, true) => return Vec::new(),
                _ => self.fold_named(),
            }
        }
    }

    fn fold_named(&mut self) {
        let named = self
            .failures
            .iter()
            .rposition(|one| *one != of_its_kind(one.clone()));
        if let Some(at) = named {
            let folded = of_its_kind(self.failures.remove(at));
            if !self.count_with(&folded) {
                self.failures.push(folded);
            }
        }
    }
}

/// The same without what tells it from others of its kind.
fn of_its_kind(failure: FailureDetail) -> FailureDetail {
    FailureDetail {
        result_type: failure.result_type,
        failed_session_count: failure.failed_session_count,
        sending_mta_ip: None,
        receiving_mx_hostname: None,
        receiving_ip: None,
        failure_reason_code: None,
    }
}

fn empty(key: &Key, reporter: Reporter<'_>) -> TlsReport {
    let date = date(key.day);
    TlsReport {
        organization_name: reporter.organization.to_owned(),
        contact_info: reporter.contact.to_owned(),
        report_id: format!("{date}T00:00:00Z_{}@{}", key.domain, reporter.organization),
        date_range: DateRange {
            start_datetime: format!("{date}T00:00:00Z"),
            end_datetime: format!("{date}T23:59:59Z"),
        },
        policies: Vec::new(),
    }
}

/// As many of the first lines as a note has room for.
fn cut(mut lines: Vec<String>) -> Vec<String> {
    let mut left = LINES_BYTES_MAX;
    lines.retain(|line| {
        left = left.saturating_sub(line.len() + 3);
        left > 0
    });
    lines
}

/// `YYYY-MM-DD`.
fn date(day: u32) -> String {
    let (year, month, day) = date_of(i64::from(day));
    format!("{year:04}-{month:02}-{day:02}")
}

/// Policy domains of all days that are kept; further ones are not reported on.
const TALLIES_MAX: usize = 20_000;

/// A report is for yesterday; whoever sends it may try again for some days.
const DAYS_KEPT: u32 = 7;

/// Failures of one domain that differ.
const FAILURES_MAX: usize = 16;

const REASON_BYTES_MAX: usize = 120;

/// Of a policy, and of its hosts.
const LINES_BYTES_MAX: usize = 700;

/// `store`: what a note holds.
const NOTE_BYTES_MAX: usize = 4_096;

const DAY_SECS: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: &str, mx: &str) -> FailureDetail {
        FailureDetail {
            result_type: kind.to_owned(),
            sending_mta_ip: Some([192, 0, 2, 1].into()),
            receiving_mx_hostname: Some(mx.to_owned()),
            receiving_ip: Some([198, 51, 100, 1].into()),
            failed_session_count: 1,
            failure_reason_code: Some("é".repeat(400)),
        }
    }

    fn sts() -> Policed {
        let lines = [
            "version: STSv1",
            "mode: enforce",
            "mx: *.b.test",
            "max_age: 86400",
        ];
        let lines = lines.map(str::to_owned).into();
        Policed::new(PolicyType::Sts, lines, vec!["*.b.test".to_owned()])
    }

    const US: Reporter<'_> = Reporter {
        organization: "mx.us.test",
        contact: "postmaster@us.test",
    };

    /// The form of RFC 8460 appendix B.
    #[test]
    fn a_report_is_in_the_form_of_the_rfc() {
        let reports = TlsReports::default();
        let day = 20_779;
        for _ in 0..3 {
            reports.succeeded(day, "b.test", &sts());
        }
        reports.succeeded(day, "c.test", &Policed::nothing());
        reports.succeeded(day + 1, "b.test", &sts());
        for _ in 0..2 {
            reports.failed(
                day,
                "b.test",
                &sts(),
                failure("certificate-expired", "mx.b.test"),
            );
        }
        let all = reports.of_day(day, None, US);
        assert_eq!(all.len(), 2);
        let one = reports.of_day(day, Some("b.test"), US);
        let json = serde_json::to_value(&one[0]).unwrap();
        assert_eq!(json["date-range"]["start-datetime"], "2026-11-22T00:00:00Z");
        let result = &json["policies"][0];
        assert_eq!(result["policy"]["policy-type"], "sts");
        assert_eq!(result["policy"]["policy-domain"], "b.test");
        assert_eq!(result["policy"]["mx-host"][0], "*.b.test");
        assert_eq!(result["summary"]["total-successful-session-count"], 3);
        assert_eq!(result["summary"]["total-failure-session-count"], 2);
        let detail = &result["failure-details"][0];
        assert_eq!(detail["result-type"], "certificate-expired");
        assert_eq!(detail["receiving-mx-hostname"], "mx.b.test");
        assert_eq!(detail["sending-mta-ip"], "192.0.2.1");
        assert_eq!(detail["failed-session-count"], 2);
        assert_eq!(
            all[1].policies[0].policy.policy_type,
            PolicyType::NoPolicyFound
        );
        assert!(json["report-id"].as_str().unwrap().contains("b.test"));
    }

    #[test]
    fn details_are_bounded_and_sums_hold() {
        let reports = TlsReports::default();
        for n in 0..200 {
            let host = format!("{}{n}.b.test", "x".repeat(200));
            let kind = ["validation-failure", "certificate-expired"][n % 2];
            reports.failed(7, "b.test", &sts(), failure(kind, &host));
        }
        let count = |reports: &TlsReports| {
            let all = reports.of_day(7, None, US);
            let result = &all[0].policies[0];
            assert!(result.failure_details.len() <= FAILURES_MAX + 1);
            result.summary.total_failure_session_count
        };
        assert_eq!(count(&reports), 200);
        let kept = reports.take_new(10);
        assert!(kept.len() == 1 && kept[0].value.len() <= NOTE_BYTES_MAX);
        assert!(reports.take_new(10).is_empty());
        let again = TlsReports::default();
        again.restore(&kept[0].key, &kept[0].value);
        again.restore(b"nonsense", b"{}");
        assert_eq!(count(&again), 200);
    }
}
