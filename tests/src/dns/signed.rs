//! A root zone that is signed here: everything in it is proven by its one key.

use super::{DnsServer, Kind};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hickory_resolver::proto::dnssec::crypto::Ed25519SigningKey;
use hickory_resolver::proto::dnssec::rdata::{DNSKEY, RRSIG};
use hickory_resolver::proto::dnssec::{DnssecSigner, SigningKey};
use hickory_resolver::proto::rr::{DNSClass, Name, RData, Record, RecordSet};
use hickory_resolver::proto::serialize::binary::BinEncodable;
use std::time::Duration;

/// A key of the root.
pub struct Root {
    signer: DnssecSigner,
    key: DNSKEY,
}

impl Root {
    /// Its signatures hold now.
    pub fn make() -> Root {
        Root::for_years(30)
    }

    /// Its signatures held in the year 2020 only.
    pub fn expired() -> Root {
        Root::for_years(1)
    }

    fn for_years(years: u64) -> Root {
        let pkcs8 = Ed25519SigningKey::generate_pkcs8().unwrap();
        let secret = Ed25519SigningKey::from_pkcs8(&pkcs8).unwrap();
        let key = DNSKEY::from_key(&secret.to_public_key().unwrap());
        let time = Duration::from_secs(years * 31_556_952);
        let signer = DnssecSigner::new(key.clone(), Box::new(secret), Name::root(), time);
        Root { signer, key }
    }

    /// As in a file of trust anchors.
    pub fn anchor(&self) -> String {
        let octets = self.key.to_bytes().unwrap();
        format!(
            ". 300 IN DNSKEY 257 3 15 {}\n",
            STANDARD.encode(&octets[4..])
        )
    }

    pub fn publish_key(&self, dns: &DnsServer) {
        let key = self.key.to_bytes().unwrap();
        let set = set(Name::root(), &RData::from(self.key.clone()));
        dns.add("", Kind::Other(48), key);
        dns.add("", Kind::Other(46), self.signature(&set));
    }

    /// A record, and its signature beside it.
    pub fn publish(&self, dns: &DnsServer, name: &str, data: &RData) {
        let set = set(Name::from_ascii(format!("{name}.")).unwrap(), data);
        dns.add(
            name,
            Kind::of(set.record_type().into()),
            data.to_bytes().unwrap(),
        );
        dns.add(name, Kind::Other(46), self.signature(&set));
    }

    fn signature(&self, set: &RecordSet) -> Vec<u8> {
        let begin = rcgen::date_time_ymd(2020, 1, 1);
        let signature = RRSIG::from_rrset(set, DNSClass::IN, begin, &self.signer);
        signature.unwrap().to_bytes().unwrap()
    }
}

fn set(name: Name, data: &RData) -> RecordSet {
    RecordSet::from(Record::from_rdata(name, 300, data.clone()))
}
