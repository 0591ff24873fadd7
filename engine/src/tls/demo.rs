//! The demo's certificate: self-signed, made once and kept in the data directory.

use super::certificates::CertificateFiles;
use rcgen::{CertificateParams, DnType, KeyPair};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The certificate for `names` in `directory`, made there if it is missing. Blocking.
pub fn certificate(directory: &Path, names: &[String]) -> io::Result<CertificateFiles> {
    let files = CertificateFiles {
        names: names.to_vec(),
        cert: directory.join("demo-cert.pem"),
        key: directory.join("demo-key.pem"),
    };
    if !files.cert.exists() || !files.key.exists() {
        make(&files).map_err(io::Error::other)?;
    }
    Ok(files)
}

fn make(files: &CertificateFiles) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut parameters = CertificateParams::new(files.names.clone())?;
    let title = "Ringpost demo, not for real use";
    parameters
        .distinguished_name
        .push(DnType::CommonName, title);
    let key = KeyPair::generate()?;
    let certificate = parameters.self_signed(&key)?;
    write_private(&files.key, &key.serialize_pem())?;
    write_private(&files.cert, &certificate.pem())?;
    Ok(())
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    // Under another name first: a killed process leaves no half file that looks whole.
    let draft = path.with_extension("new");
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)
}
