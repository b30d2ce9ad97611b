//! Somebody who reads the command lines of all processes, as anybody on a machine can.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::eventually;

/// How long it rests between two rounds through all processes.
const REST: Duration = Duration::from_millis(2);

pub struct Lookout {
    rounds: Arc<AtomicUsize>,
    enough: Arc<AtomicBool>,
    thread: JoinHandle<BTreeSet<String>>,
}

impl Lookout {
    /// Looks for any of these words.
    pub fn new(words: Vec<String>) -> Lookout {
        let rounds = Arc::new(AtomicUsize::new(0));
        let enough = Arc::new(AtomicBool::new(false));
        let (count, stop) = (Arc::clone(&rounds), Arc::clone(&enough));
        let thread = std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while !stop.load(Ordering::Relaxed) {
                for process in fs::read_dir("/proc").expect("list processes").flatten() {
                    let line = command_line(&process.path());
                    let tells = words.iter().any(|word| line.contains(word));
                    seen.extend(tells.then_some(line));
                }
                count.fetch_add(1, Ordering::Relaxed);
                std::thread::park_timeout(REST);
            }
            seen
        });
        Lookout {
            rounds,
            enough,
            thread,
        }
    }

    /// Waits until it has been through all processes from the first to the last.
    pub fn look_around(&self) {
        // The first of them may have begun before.
        let wanted = self.rounds.load(Ordering::Relaxed) + 2;
        let done = || self.rounds.load(Ordering::Relaxed) >= wanted;
        eventually("a look at all processes", || done().then_some(()));
    }

    /// The command lines that told, but for one that is known to: a process's children have it, too,
    /// until they are another program.
    pub fn finish(self, known: &str) -> BTreeSet<String> {
        self.enough.store(true, Ordering::Relaxed);
        let mut seen = self.thread.join().expect("it ends");
        seen.remove(known);
        seen
    }
}

/// The command line of a process, by its folder in `/proc`.
pub fn command_line(process: &Path) -> String {
    let line = fs::read(process.join("cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}
