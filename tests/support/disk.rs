//! Folders that are full or may not be written to.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Something mounted, until it is dropped.
pub struct Mount {
    path: PathBuf,
}

fn mount(arguments: &[&str], path: &Path) {
    assert!(
        rustix::process::getuid().is_root(),
        "mounting needs root: run the tests as root"
    );
    let status = Command::new("mount").args(arguments).arg(path).status();
    assert!(status.expect("run mount").success(), "mount {arguments:?}");
}

impl Mount {
    /// A disk of this many MiB.
    pub fn small_disk(path: &Path, mebibytes: u64) -> Mount {
        let options = format!("size={mebibytes}m,mode=755");
        mount(&["-t", "tmpfs", "-o", &options, "sdp-test"], path);
        Mount {
            path: path.to_owned(),
        }
    }

    /// A disk of 64 MiB that holds no more than so many files.
    pub fn few_files(path: &Path, files: u64) -> Mount {
        let options = format!("size=64m,nr_inodes={files},mode=755");
        mount(&["-t", "tmpfs", "-o", &options, "sdp-test"], path);
        Mount {
            path: path.to_owned(),
        }
    }

    /// The folder as it is, but read-only.
    pub fn read_only(path: &Path) -> Mount {
        let text = path.display().to_string();
        mount(&["--bind", &text], path);
        let mounted = Mount {
            path: path.to_owned(),
        };
        mount(&["-o", "remount,ro,bind"], path);
        mounted
    }

    /// Fills the disk with a file up to this many bytes that are left; dropping it frees them.
    pub fn fill(&self, left: u64) -> Filler {
        let path = self.path.join("filler");
        let mut file = File::create(&path).expect("create a file");
        let free = rustix::fs::statvfs(&self.path).expect("ask for the free space");
        let mut more = (free.f_bavail * free.f_frsize).saturating_sub(left);
        let piece = vec![0; 1 << 16];
        while more > 0 {
            let size = piece
                .len()
                .min(usize::try_from(more).unwrap_or(piece.len()));
            file.write_all(&piece[..size]).expect("fill the disk");
            more -= size as u64;
        }
        Filler { path }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        Command::new("umount")
            .arg("--lazy")
            .arg(&self.path)
            .status()
            .ok();
    }
}

/// A file that takes up the space.
pub struct Filler {
    path: PathBuf,
}

impl Drop for Filler {
    fn drop(&mut self) {
        fs::remove_file(&self.path).ok();
    }
}
