//! Random histories, walked by us and by git side by side.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::*;

/// `SplitMix64`: small, seeded, the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

const NAMES: &[&[u8]] = &[
    b"a",
    b"b",
    b"c",
    b"dir",
    "Übung".as_bytes(),
    "日本語".as_bytes(),
    "e\u{301}".as_bytes(),
    b"sp ace",
    b"x.txt",
    b"w.txt",
    b"v.c",
    b"y.bat",
    b"z.bin",
    b".hidden",
    b"-dash",
    b"q\"uote",
    b"tab\tname",
    b"a.b",
    b"a-b",
    b"new\nline",
    b"back\\slash",
    b"not utf-8 \xff",
];

/// What `.gitattributes` may say, each line for files of text but the last two.
const ATTRIBUTES: &[&str] = &[
    "*.txt text eol=crlf",
    "*.txt -text",
    "*.txt binary",
    "*.bat text eol=crlf",
    "*.bat text=auto eol=lf",
    "w.* text=auto",
    "*.c ident",
    "dir/*.txt eol=lf",
    "* export-ignore",
    "*.bin -text",
];

const TARGETS: &[&str] = &["a", "../x", "dir", "nowhere/ü", "/tmp"];

fn random_path(random: &mut Random) -> PathBuf {
    let depth = *random.pick(&[1, 1, 2, 2, 3, 4]);
    (0..depth)
        .map(|_| OsStr::from_bytes(random.pick::<&[u8]>(NAMES)))
        .collect()
}

fn remove(path: &Path) {
    match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path).unwrap(),
        Ok(_) => fs::remove_file(path).unwrap(),
        Err(_) => {}
    }
}

/// All that is below `dir` but for git's and sdp's own: bytes, modes, link targets.
fn snapshot(dir: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for path in files(dir) {
        let meta = path.symlink_metadata().unwrap();
        let content = if meta.is_symlink() {
            fs::read_link(&path)
                .unwrap()
                .as_os_str()
                .as_bytes()
                .to_vec()
        } else if meta.is_dir() {
            Vec::new()
        } else {
            fs::read(&path).unwrap()
        };
        let relative = path.strip_prefix(dir).unwrap().to_owned();
        found.insert(relative, (meta.mode(), content));
    }
    found
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name() == ".git" {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found
}

/// A history that grows at random. Between two changes of the attributes lies an epoch, in which no
/// file has a content of another epoch: how git writes a file then depends on the commit alone, not on
/// the way there.
struct History<'a> {
    world: &'a World,
    random: Random,
    epoch: usize,
}

impl History<'_> {
    /// Changes a few things in the origin and commits them.
    fn grow(&mut self) -> String {
        let origin = self.world.origin();
        if self.random.below(4) == 0 {
            self.change_attributes();
        }
        for _ in 0..=self.random.below(12) {
            let known = tracked(&origin);
            match self.random.below(12) {
                0..6 => self.put(),
                6..8 if !known.is_empty() => remove(self.random.pick::<PathBuf>(&known)),
                8..10 if !known.is_empty() => {
                    let path = self.random.pick(&known);
                    if !path.is_symlink() && path.is_file() {
                        let mode = path.metadata().unwrap().mode() ^ 0o111;
                        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
                    }
                }
                10 if !known.is_empty() => {
                    // Under its own name, so that it stays as much of a text as it was.
                    let from = self.random.pick::<PathBuf>(&known).clone();
                    let to = random_path(&mut self.random).join(from.file_name().unwrap());
                    let aside = origin.join(".moving");
                    fs::rename(from, &aside).unwrap();
                    fs::rename(aside, self.place(&to)).unwrap();
                }
                11 => {
                    // Git keeps the submodule as long as its empty directory is there.
                    let path = random_path(&mut self.random);
                    let directory = self.place(&path);
                    fs::create_dir(&directory).unwrap();
                    git(&origin, &["add", "-A"]);
                    let id = if self.random.below(2) == 0 { "1" } else { "2" }.repeat(40);
                    let mut entry = format!("160000,{id},").into_bytes();
                    entry.extend_from_slice(path.as_os_str().as_bytes());
                    let mut command = Command::new("git");
                    command.args(["update-index", "--add", "--replace", "--cacheinfo"]);
                    command.arg(OsStr::from_bytes(&entry)).current_dir(&origin);
                    assert!(command.status().unwrap().success());
                }
                _ => {}
            }
        }
        self.world.commit_all()
    }

    fn change_attributes(&mut self) {
        self.epoch += 1;
        let origin = self.world.origin();
        let mut lines = format!("# epoch {}\n", self.epoch);
        for line in ATTRIBUTES {
            if self.random.below(2) == 0 {
                lines += line;
                lines += "\n";
            }
        }
        write(&origin, ".gitattributes", &lines);
        for path in tracked(&origin) {
            if path.is_file() && !path.is_symlink() {
                let content = self.content(&path);
                fs::write(path, content).unwrap();
            }
        }
    }

    /// Makes room at `path` in the origin.
    fn place(&self, path: &Path) -> PathBuf {
        let mut above = self.world.origin();
        let parent = path.parent().unwrap();
        for part in parent {
            above.push(part);
            let is_submodule = above.is_dir() && fs::read_dir(&above).unwrap().next().is_none();
            if is_submodule || above.symlink_metadata().is_ok_and(|meta| !meta.is_dir()) {
                remove(&above);
            }
        }
        fs::create_dir_all(&above).unwrap();
        let path = self.world.origin().join(path);
        remove(&path);
        path
    }

    fn put(&mut self) {
        let path = random_path(&mut self.random);
        let path = self.place(&path);
        if self.random.below(7) == 0 {
            link(self.random.pick::<&str>(TARGETS), &path);
            return;
        }
        let content = self.content(&path);
        fs::write(&path, content).unwrap();
        if self.random.below(4) == 0 {
            make_executable(&path);
        }
    }

    fn content(&mut self, path: &Path) -> Vec<u8> {
        let random = &mut self.random;
        let is_text = path
            .extension()
            .is_some_and(|e| e == "txt" || e == "bat" || e == "c");
        let mut content = match random.below(4) {
            0 => return Vec::new(),
            1 => b"hello\n".repeat(1 + random.below(50)),
            2 => format!("line 1\n$Id$ line 2\n{}\n", random.below(10)).into_bytes(),
            // Text where attributes say text, so that line ends survive the round trip.
            _ if is_text => b"text\n".to_vec(),
            _ => (0..random.below(3000))
                .map(|_| random.next().to_le_bytes()[0])
                .collect(),
        };
        content.extend_from_slice(format!("epoch {}\n", self.epoch).as_bytes());
        content
    }
}

/// All that git tracks in the origin, but for the attributes: files, links and submodules.
fn tracked(origin: &Path) -> Vec<PathBuf> {
    let is_empty = |path: &Path| fs::read_dir(path).unwrap().next().is_none();
    files(origin)
        .into_iter()
        .filter(|path| path.is_symlink() || !path.is_dir() || is_empty(path))
        .filter(|path| !path.ends_with(".gitattributes"))
        .collect()
}

/// What a commit has: mode, kind and id, by path.
fn tree(world: &World, commit: &str) -> BTreeMap<PathBuf, String> {
    output(&world.origin(), &["ls-tree", "-r", "-z", commit])
        .stdout
        .split(|byte| *byte == 0)
        .filter(|line| !line.is_empty())
        .map(|line| {
            let tab = line.iter().position(|byte| *byte == b'\t').unwrap();
            let what = String::from_utf8_lossy(&line[..tab]).into_owned();
            (PathBuf::from(OsStr::from_bytes(&line[tab + 1..])), what)
        })
        .collect()
}

fn is_submodule(what: &str) -> bool {
    what.starts_with("160000")
}

/// Does a random part of what a switch does: deletes first, then what comes, in any order.
fn half_switch(
    random: &mut Random,
    ours: &Path,
    theirs: &Path,
    from: &BTreeMap<PathBuf, String>,
    to: &BTreeMap<PathBuf, String>,
) {
    let leaving: Vec<_> = from.keys().filter(|path| !to.contains_key(*path)).collect();
    let deleted = match random.below(2) {
        0 => leaving.len(),
        _ => random.below(leaving.len() + 1),
    };
    for path in &leaving[..deleted] {
        remove(&ours.join(path));
    }
    if deleted < leaving.len() {
        return;
    }
    for path in &leaving {
        for parent in path.ancestors().skip(1) {
            fs::remove_dir(ours.join(parent)).ok();
        }
    }
    for (path, what) in to {
        if from.get(path) == Some(what) || random.below(2) == 0 {
            continue;
        }
        let (source, target) = (theirs.join(path), ours.join(path));
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        remove(&target);
        match fs::read_link(&source) {
            _ if is_submodule(what) => fs::create_dir(target).unwrap(),
            Ok(to) => symlink(to, target).unwrap(),
            Err(_) => drop(fs::copy(source, target).unwrap()),
        }
    }
}

fn walk(seed: u64, commits: usize, hops: usize) {
    let first = "*.txt text eol=crlf\n*.bat text eol=crlf\n*.bin -text\n*.c ident\n";
    let world = World::with(&[(".gitattributes", first)]);
    let mut history = vec![world.tip()];
    let mut growing = History {
        world: &world,
        random: Random(seed),
        epoch: 0,
    };
    for _ in 0..commits {
        history.push(growing.grow());
    }
    let History { mut random, .. } = growing;
    for (at, commit) in history.iter().enumerate() {
        git(&world.origin(), &["branch", &format!("b{at}"), commit]);
    }
    let ours = world.path();
    let checkout = world.deployed();
    let reference = world.dir.path().join("reference");
    let origin = world.origin();
    git(
        world.dir.path(),
        &["clone", "-q", origin.to_str().unwrap(), "reference"],
    );
    // All of them at once, so that a hop costs no fetch.
    git(&ours, &["fetch", "-q", "origin"]);

    let mut here = history.len() - 1;
    for hop in 0..hops {
        let there = random.below(history.len());
        let branch = format!("b{there}");
        let context = format!("seed {seed}, hop {hop}, {here} to {there}");
        let (from, to) = (tree(&world, &history[here]), tree(&world, &history[there]));
        let is_interrupted = random.below(4) == 0;
        if is_interrupted {
            // A switch to somewhere else was killed on its way.
            let elsewhere = &history[random.below(history.len())];
            git(&reference, &["checkout", "-q", "--detach", elsewhere]);
            let goal = tree(&world, elsewhere);
            killed_switch(&checkout, elsewhere, |ours| {
                half_switch(&mut random, ours, &reference, &from, &goal);
            });
        }
        let before: Vec<_> = from
            .iter()
            .filter(|(_, what)| !is_interrupted && !is_submodule(what))
            .filter(|(path, what)| to.get(*path) == Some(*what))
            .map(|(path, _)| (path, identity(&ours.join(path))))
            .collect();

        let upstream = Id(history[there].parse().unwrap());
        check_out(&checkout, &branch, upstream, false)
            .unwrap_or_else(|failure| panic!("{context}: {}", shown(&failure)));
        git(&reference, &["checkout", "-q", "--detach", &history[there]]);

        assert_eq!(
            git(&ours, &["status", "--porcelain", "--ignored"]),
            "",
            "{context}"
        );
        assert_eq!(
            git(&ours, &["symbolic-ref", "--short", "HEAD"]).trim(),
            branch
        );
        assert_eq!(git(&ours, &["rev-parse", "HEAD"]).trim(), history[there]);
        let staged = ["ls-files", "-s", "-z"];
        assert_eq!(git(&ours, &staged), git(&reference, &staged), "{context}");
        let (a, b) = (snapshot(&ours), snapshot(&reference));
        for path in a.keys().chain(b.keys()) {
            assert_eq!(a.get(path), b.get(path), "{context}: {}", path.display());
        }
        for (path, former) in before {
            let now = identity(&ours.join(path));
            let path = path.display();
            assert_eq!(now, former, "{context}: {path}");
        }
        here = there;
    }
    git(&ours, &["fsck", "--full", "--strict"]);
}

/// `SDP_WALKS` walks, each with a seed of its own.
#[test]
fn random_histories_end_up_as_git_has_them() {
    let walks = std::env::var("SDP_WALKS").map_or(4, |walks| walks.parse().unwrap());
    for seed in 1..=walks {
        walk(seed, 12, 12);
    }
}
