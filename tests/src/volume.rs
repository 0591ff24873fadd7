//! A small ext4 of its own on a loop device, to be filled and to fail.
//!
//! A device can be made to end early while the file system is mounted: what lies behind answers EIO
//! to reads and writes, as failing sectors do. Journal and metadata of so small a file system lie
//! at the front, so that only contents of files are hit.
//!
//! Root and loop devices are needed; without them there is no volume, and a line says so.

use crate::binary;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A mounted file system; unmounted when dropped. Whoever has files open on it must end before.
pub struct Volume {
    directory: tempfile::TempDir,
    device: String,
}

/// Octets that take up space until this is dropped.
pub struct Filler(PathBuf);

impl Volume {
    /// A file system of so many octets.
    pub fn mount(octets: u64) -> Option<Volume> {
        let made = Volume::make(octets);
        if let Err(why) = &made {
            eprintln!("SKIPPED: no file system on a loop device here: {why}");
        }
        made.ok()
    }

    fn make(octets: u64) -> io::Result<Volume> {
        let mut volume = Volume {
            directory: tempfile::tempdir()?,
            device: String::new(),
        };
        let image = volume.directory.path().join("image");
        File::create(&image)?.set_len(octets)?;
        let device = run("losetup", &["--find", "--show", text(&image)])?;
        volume.device = device.trim().to_string();
        let front = ["-J", "size=4,location=0"];
        let now = ["-E", "lazy_itable_init=0,lazy_journal_init=0"];
        let device = [volume.device.as_str()];
        let options = [&["-q", "-m", "0"][..], &front, &now, &device].concat();
        run("mkfs.ext4", &options)?;
        std::fs::create_dir(volume.path())?;
        run("mount", &[&volume.device, text(&volume.path())])?;
        Ok(volume)
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("volume")
    }

    /// Takes all space that is left.
    pub fn fill(&self) -> Filler {
        Filler::fill(self.path().join("filler"))
    }

    /// From now on the device fails behind its first `octets`.
    pub fn break_behind(&self, octets: u64) {
        let script = binary::workspace().join("tests/clients/loop_size.py");
        let arguments = [text(&script), &self.device, &octets.to_string()];
        run("python3", &arguments).expect("the end of a loop device can be set");
    }

    /// The device is whole again.
    pub fn mend(&self) {
        self.break_behind(0);
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // What never came to be is not there to be taken away.
        let _ = run("umount", &[text(&self.path())]);
        if !self.device.is_empty() {
            let _ = run("losetup", &["--detach", &self.device]);
        }
    }
}

impl Filler {
    fn fill(path: PathBuf) -> Filler {
        let mut file = File::create(&path).expect("an empty file has room");
        for size in [1 << 20, 4096] {
            let block = vec![0xf1; size];
            while file
                .write_all(&block)
                .and_then(|()| file.sync_data())
                .is_ok()
            {}
        }
        Filler(path)
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn run(program: &str, arguments: &[&str]) -> io::Result<String> {
    let file = crate::peer::find(program).ok_or(io::ErrorKind::NotFound)?;
    let mut command = Command::new(file);
    let output = command.args(arguments).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{program}: {}", said.trim())))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("scratch directories have plain names")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_filled_and_freed() {
        let Some(volume) = Volume::mount(16 << 20) else {
            return;
        };
        let file = volume.path().join("a");
        let filler = volume.fill();
        let full = std::fs::write(&file, [1; 100_000]).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        drop(filler);
        std::fs::write(&file, [1; 100_000]).unwrap();
    }

    #[test]
    fn a_broken_device_fails_behind_its_end() {
        let Some(volume) = Volume::mount(64 << 20) else {
            return;
        };
        volume.break_behind(16 << 20);
        let file = volume.path().join("a");
        let synced = |octets: &[u8]| {
            let mut file = File::create(&file)?;
            file.write_all(octets)?;
            file.sync_data()
        };
        assert!(synced(&[1; 32 << 20]).is_err(), "there is no such place");
        volume.mend();
        synced(&[1; 32 << 20]).unwrap();
    }
}
