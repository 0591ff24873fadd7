//! Who may vouch for other hosts: the certificate authorities of the system, or of a file.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::Path;

/// The roots in a PEM file; without one those of the system. Empty is no error: a host may have
/// none, and then no other host is proved by them.
pub fn trusted_roots(file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(file) = file else {
        // What cannot be read of the system's store is as if it were not there.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    let fault = |what: String| format!("{}: {what}", file.display());
    let certificates =
        CertificateDer::pem_file_iter(file).map_err(|error| fault(error.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| fault(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| fault(error.to_string()))?;
    }
    match roots.is_empty() {
        true => Err(fault("there is no certificate in it".to_owned())),
        false => Ok(roots),
    }
}
