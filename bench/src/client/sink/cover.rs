//! Whether a sink speaks TLS, and the certificate that it makes for that.

use anyhow::{Context, anyhow};
use engine::tls::{Certificates, TlsContext, demo};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// How TLS begins.
#[derive(Clone)]
pub(crate) enum Cover {
    None,
    /// Offered by STARTTLS; who does not want it goes on in clear.
    Start(TlsContext),
    Implicit(TlsContext),
}

/// A context with a fresh certificate, which is copied to `copy` for clients that verify it; of the
/// key nothing stays.
pub(crate) fn context(copy: Option<&Path>) -> anyhow::Result<TlsContext> {
    let folder = Folder::make().context("no place for a certificate")?;
    let files = demo::certificate(&folder.0, &NAMES.map(str::to_owned))?;
    if let Some(copy) = copy {
        let how = || format!("{} cannot be written", copy.display());
        fs::write(copy, fs::read(&files.cert)?).with_context(how)?;
    }
    // It was made just now: there is nothing to be warned of.
    let (certificates, _) = Certificates::load(&[files], 0)
        .map_err(|why| anyhow!("{}: {}", why.file.display(), why.reason))?;
    Ok(TlsContext::new(certificates)?)
}

/// A folder of our own, for as long as it is needed.
struct Folder(PathBuf);

impl Folder {
    fn make() -> std::io::Result<Folder> {
        let name = format!("ringpost-bench-sink-{:016x}", fastrand::u64(..));
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed now, the next start of the machine removes.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Whom it is for.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "sink.ringpost.invalid"];

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_certificate_is_copied_without_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("sink.pem");
        context(Some(&copy)).unwrap();
        let text = fs::read_to_string(&copy).unwrap();
        assert!(text.contains("BEGIN CERTIFICATE") && !text.contains("PRIVATE"));
        let why = context(Some(Path::new("/no/such/folder/x.pem"))).err();
        assert!(why.is_some_and(|why| why.to_string().contains("/no/such/folder")));
    }

    #[test]
    fn a_folder_is_ours_alone_and_goes() {
        let folder = Folder::make().unwrap();
        let path = folder.0.clone();
        fs::write(path.join("key"), "secret").unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        drop(folder);
        assert!(!path.exists());
    }
}
