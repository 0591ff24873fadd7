//! Authorities and certificates for single hosts, read once at the start and at each reload.

use super::client::{Identity, authorities_of};
use super::{CertificateError, CertificateFiles};
use rustls::RootCertStore;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the configuration names beside the authorities of all.
#[derive(Default, Debug)]
pub struct TlsFiles {
    authorities: HashMap<PathBuf, Arc<RootCertStore>>,
    /// By certificate and key.
    identities: HashMap<(PathBuf, PathBuf), Identity>,
}

impl TlsFiles {
    /// Reads the files. Blocking; gives the first fault.
    pub fn load<'a>(
        authorities: impl Iterator<Item = &'a Path>,
        identities: impl Iterator<Item = (&'a Path, &'a Path)>,
    ) -> Result<TlsFiles, CertificateError> {
        let mut files = TlsFiles::default();
        for file in authorities {
            let roots = authorities_of(file)?;
            files.authorities.insert(file.to_owned(), roots);
        }
        for (cert, key) in identities {
            let name = (cert.to_owned(), key.to_owned());
            let identity = Identity::load(&CertificateFiles {
                names: Vec::new(),
                cert: name.0.clone(),
                key: name.1.clone(),
            })?;
            files.identities.insert(name, identity);
        }
        Ok(files)
    }

    #[must_use]
    pub fn authorities(&self, file: &Path) -> Option<Arc<RootCertStore>> {
        self.authorities.get(file).map(Arc::clone)
    }

    #[must_use]
    pub fn identity(&self, cert: &Path, key: &Path) -> Option<Identity> {
        let name = (cert.to_owned(), key.to_owned());
        self.identities.get(&name).cloned()
    }
}
