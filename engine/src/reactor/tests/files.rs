//! `RingDisk` on a real directory.

use super::super::{Pool, RingDisk, spawn};
use super::on_each_backend;
use std::io::ErrorKind;
use std::rc::Rc;
use store::disk::create::Creator;
use store::disk::{Block, Disk, File, Mode};
use store::limit::BLOCK_BYTES;

fn block(bytes: usize, seed: u8) -> Rc<Block> {
    let mut block = Block::zeroed(bytes);
    for (index, byte) in block.as_mut_slice().iter_mut().enumerate() {
        *byte = (index as u8).wrapping_mul(7) ^ seed;
    }
    Rc::new(block)
}

async fn disk(directory: &tempfile::TempDir) -> RingDisk {
    let pool = Pool::start("disk", 1, 16).unwrap();
    RingDisk::open(directory.path().to_path_buf(), pool)
        .await
        .unwrap()
}

#[test]
fn blocks_come_back_as_written_among_zeros() {
    on_each_backend(|_| async {
        let directory = tempfile::tempdir().unwrap();
        let disk = disk(&directory).await;
        disk.create_directory("log/0").await.unwrap();
        let file = disk.open("log/0/segment", Mode::Create).await.unwrap();
        file.zero(0, 3 << 20).await.unwrap();
        assert_eq!(file.len().await.unwrap(), 3 << 20);

        let written = block(64 * BLOCK_BYTES, 3);
        file.write_at(written.clone(), 50 * BLOCK_BYTES, 4096 * 10)
            .await
            .unwrap();
        let back = file.read_at(4096 * 10, 50 * BLOCK_BYTES).await.unwrap();
        assert!(back.as_slice() == &written.as_slice()[..50 * BLOCK_BYTES]);
        assert!(
            file.read_at(4096 * 60, 4096)
                .await
                .unwrap()
                .as_slice()
                .iter()
                .all(|byte| *byte == 0)
        );

        let tail = file.read_at((3 << 20) - 10, 4096).await.unwrap();
        assert_eq!(tail.as_slice(), &[0; 10], "shorter only at the end");
        assert_eq!(file.read_at(9 << 20, 1).await.unwrap().len(), 0);

        let again = disk.open("log/0/segment", Mode::Read).await.unwrap();
        assert_eq!(
            again.read_at(4096 * 10 + 5, 7).await.unwrap().as_slice(),
            &written.as_slice()[5..12]
        );
        let refused = again.write_at(written, 4096, 0).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    });
}

#[test]
fn a_created_file_is_mapped_whole() {
    on_each_backend(|_| async {
        let directory = tempfile::tempdir().unwrap();
        let disk = Rc::new(disk(&directory).await);
        let mut creator = Creator::new(disk.clone(), "run").await.unwrap();
        let bytes = vec![5; 3 << 19];
        creator.append(&bytes).await.unwrap();
        creator.append(b"end").await.unwrap();
        let length = creator.finish().await.unwrap();
        let map = disk.map("run").await.unwrap();
        assert_eq!(map.len() as u64, length);
        assert!(map.starts_with(&bytes) && map[bytes.len()..].starts_with(b"end\0"));
        let missing = disk.map("nowhere").await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        assert!(disk.map("../run").await.is_err());
    });
}

#[test]
fn zeroing_runs_beside_writes() {
    on_each_backend(|_| async {
        let directory = tempfile::tempdir().unwrap();
        let disk = disk(&directory).await;
        let file = Rc::new(disk.open("segment", Mode::Create).await.unwrap());
        file.zero(0, 1 << 20).await.unwrap();
        let (done, zeroed) = super::super::oneshot::oneshot();
        let other = file.clone();
        spawn(async move { done.send(other.zero(1 << 20, 8 << 20).await).unwrap() });
        for index in 0..64u64 {
            let written = block(BLOCK_BYTES, index as u8);
            file.write_at(written, BLOCK_BYTES, index * 4096)
                .await
                .unwrap();
        }
        zeroed.await.unwrap().unwrap();
        for index in 0..64u64 {
            let back = file.read_at(index * 4096, BLOCK_BYTES).await.unwrap();
            assert!(back.as_slice() == block(BLOCK_BYTES, index as u8).as_slice());
        }
        assert_eq!(file.len().await.unwrap(), 8 << 20);
    });
}

#[test]
fn what_is_reserved_reads_as_zeros_and_takes_writes() {
    on_each_backend(|_| async {
        let directory = tempfile::tempdir().unwrap();
        let disk = disk(&directory).await;
        let file = disk.open("segment", Mode::Create).await.unwrap();
        file.reserve(0, 4 << 20).await.unwrap();
        assert_eq!(file.len().await.unwrap(), 4 << 20);
        let at = 3 << 20;
        let written = block(BLOCK_BYTES, 9);
        file.write_at(written.clone(), BLOCK_BYTES, at)
            .await
            .unwrap();
        let back = file.read_at(at - 4096, 3 * BLOCK_BYTES).await.unwrap();
        let expected = [&[0; 4096], written.as_slice(), &[0; 4096]].concat();
        assert!(back.as_slice() == expected);
        let read_only = disk.open("segment", Mode::Read).await.unwrap();
        let refused = read_only.reserve(0, 8 << 20).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    });
}

#[test]
fn names_are_made_listed_renamed_removed_and_stay_inside() {
    on_each_backend(|_| async {
        let directory = tempfile::tempdir().unwrap();
        let disk = disk(&directory).await;
        assert_eq!(disk.list("nowhere").await.unwrap(), Vec::<String>::new());
        disk.create_directory("a/b").await.unwrap();
        disk.create_directory("a/b").await.unwrap();
        disk.open("a/b/one", Mode::Create).await.unwrap();
        let twice = disk.open("a/b/one", Mode::Create).await.err().unwrap();
        assert_eq!(twice.kind(), ErrorKind::AlreadyExists);
        let missing = disk.open("a/b/two", Mode::Write).await.err().unwrap();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        disk.rename("a/b/one", "a/three").await.unwrap();
        assert_eq!(disk.list("a/b").await.unwrap(), Vec::<String>::new());
        let mut names = disk.list("a").await.unwrap();
        names.sort();
        assert_eq!(names, ["b", "three"]);
        disk.remove("a/three").await.unwrap();
        assert_eq!(disk.list("a").await.unwrap(), ["b"]);
        for path in ["../x", "/etc/passwd", "a/../../x", "./a"] {
            let error = disk.open(path, Mode::Read).await.err().unwrap();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
        assert!(
            std::fs::read_dir(directory.path()).unwrap().count() == 1,
            "no probe left"
        );
    });
}
