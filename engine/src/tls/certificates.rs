//! Certificates by name: loading them with errors an operator can act on, and choosing one by SNI.
//!
//! A name matches exactly, else by the wildcard for its parent (RFC 9525 §6.3: `*` is one whole
//! left-most label), else the first certificate of the configuration serves.

use super::validity;
use rustls::client::verify_server_name;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where one certificate comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertificateFiles {
    /// Host names it serves, also `*.example.org`.
    pub names: Vec<String>,
    /// PEM: the certificate and then the chain above it.
    pub cert: PathBuf,
    /// PEM: the private key, in PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
}

/// A checked set of certificates.
#[derive(Clone)]
pub struct Certificates {
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// By the part behind `*.`.
    wildcard: HashMap<String, Arc<CertifiedKey>>,
    default: Arc<CertifiedKey>,
}

/// A file and what is wrong with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertificateError {
    pub file: PathBuf,
    pub reason: String,
}

/// A certificate that expires within this time is warned about.
const EXPIRES_SOON_SECS: u64 = 14 * 86_400;

impl Certificates {
    /// Reads and checks all files; `unix_secs` is the time for the warnings, which are things that
    /// do not stop a server: expired or soon to, or not made for a name.
    pub fn load(
        files: &[CertificateFiles],
        unix_secs: u64,
    ) -> Result<(Certificates, Vec<CertificateError>), CertificateError> {
        let mut warnings = Vec::new();
        let mut loaded = Vec::new();
        for file in files {
            let certified = Arc::new(load_one(file)?);
            warnings.extend(doubts(file, &certified, unix_secs));
            loaded.push((file.names.as_slice(), certified));
        }
        match Certificates::new(loaded) {
            Some(certificates) => Ok((certificates, warnings)),
            None => Err(wrong(Path::new(""), "no certificate is configured")),
        }
    }

    /// `None` when there is no certificate at all. The first one is the default; where two have the
    /// same name the first one wins.
    fn new(loaded: Vec<(&[String], Arc<CertifiedKey>)>) -> Option<Certificates> {
        let default = loaded.first()?.1.clone();
        let (mut exact, mut wildcard) = (HashMap::new(), HashMap::new());
        for (names, certified) in loaded {
            for name in names {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                let (map, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut wildcard, parent.to_owned()),
                    None => (&mut exact, name),
                };
                map.entry(name).or_insert_with(|| certified.clone());
            }
        }
        Some(Certificates {
            exact,
            wildcard,
            default,
        })
    }

    /// The certificate for a name as the client sent it.
    pub(super) fn find(&self, name: Option<&str>) -> Arc<CertifiedKey> {
        let found = name.and_then(|name| {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let parent = name.split_once('.').map(|(_, parent)| parent);
            let by_parent = || self.wildcard.get(parent?);
            self.exact.get(&name).or_else(by_parent)
        });
        found.unwrap_or(&self.default).clone()
    }
}

pub(super) fn load_one(files: &CertificateFiles) -> Result<CertifiedKey, CertificateError> {
    let chain = load_chain(&files.cert)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| wrong(&files.key, explain_pem(&error, "private key")))?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(
        |error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => wrong(
                &files.key,
                format!(
                    "the key does not belong to the certificate {}",
                    files.cert.display()
                ),
            ),
            Error::InvalidCertificate(_) => {
                wrong(&files.cert, format!("not a certificate: {error}"))
            }
            _ => wrong(&files.key, format!("not a usable key: {error}")),
        },
    )
}

pub(super) fn load_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let explained = |error: pem::Error| wrong(path, explain_pem(&error, "certificate"));
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(explained)?
        .collect();
    let chain = chain.map_err(explained)?;
    if chain.is_empty() {
        return Err(wrong(
            path,
            explain_pem(&pem::Error::NoItemsFound, "certificate"),
        ));
    }
    Ok(chain)
}

fn explain_pem(error: &pem::Error, what: &str) -> String {
    match error {
        pem::Error::NoItemsFound => {
            format!("no PEM {what} in it (expected a line -----BEGIN …-----)")
        }
        pem::Error::Io(error) => error.to_string(),
        other => format!("not PEM: {other}"),
    }
}

fn doubts(
    files: &CertificateFiles,
    certified: &CertifiedKey,
    unix_secs: u64,
) -> Vec<CertificateError> {
    let Some(end_entity) = certified.cert.first() else {
        return Vec::new();
    };
    let mut doubts = Vec::new();
    match validity::not_after(end_entity) {
        Some(end) if end <= unix_secs => {
            let days = (unix_secs - end) / 86_400;
            doubts.push(format!("the certificate expired {days} days ago"));
        }
        Some(end) if end - unix_secs < EXPIRES_SOON_SECS => {
            let days = (end - unix_secs) / 86_400;
            doubts.push(format!("the certificate expires in {days} days"));
        }
        Some(_) => {}
        None => doubts.push(String::from(
            "the certificate's end of validity cannot be read",
        )),
    }
    let uncovered = files.names.iter().filter(|name| !covers(end_entity, name));
    doubts.extend(uncovered.map(|name| format!("the certificate is not made for {name}")));
    doubts
        .into_iter()
        .map(|reason| wrong(&files.cert, reason))
        .collect()
}

fn covers(end_entity: &CertificateDer<'_>, name: &str) -> bool {
    // A wildcard covers what a host below it would be checked for.
    let host = name.replacen("*.", "any-host.", 1);
    let (Ok(parsed), Ok(host)) = (
        ParsedCertificate::try_from(end_entity),
        ServerName::try_from(host),
    ) else {
        return false;
    };
    verify_server_name(&parsed, &host).is_ok()
}

pub(super) fn wrong(file: &Path, reason: impl Into<String>) -> CertificateError {
    CertificateError {
        file: file.to_path_buf(),
        reason: reason.into(),
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.file.as_os_str().is_empty() {
            return f.write_str(&self.reason);
        }
        write!(f, "{}: {}", self.file.display(), self.reason)
    }
}

impl std::error::Error for CertificateError {}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.exact.keys().chain(self.wildcard.keys());
        f.debug_set().entries(names).finish()
    }
}
