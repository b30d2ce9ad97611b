//! Random histories, walked by us and by git side by side.

use std::collections::BTreeMap;
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

const NAMES: &[&str] = &[
    "a",
    "b",
    "c",
    "dir",
    "Übung",
    "日本語",
    "e\u{301}",
    "sp ace",
    "x.txt",
    "y.bat",
    "z.bin",
    ".hidden",
    "-dash",
    "q\"uote",
    "tab\tname",
    "a.b",
    "a-b",
    "new\nline",
    "back\\slash",
];

const TARGETS: &[&str] = &["a", "../x", "dir", "nowhere/ü", "/tmp"];

fn random_path(random: &mut Random) -> PathBuf {
    let depth = *random.pick(&[1, 1, 2, 2, 3, 4]);
    (0..depth).map(|_| *random.pick(NAMES)).collect()
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

/// Changes a few things in the origin and commits them.
fn random_commit(world: &World, random: &mut Random) -> String {
    let origin = world.origin();
    for _ in 0..=random.below(12) {
        let known: Vec<PathBuf> = files(&origin)
            .into_iter()
            .filter(|path| !path.is_dir() || path.is_symlink())
            .filter(|path| !path.ends_with(".gitattributes"))
            .collect();
        match random.below(10) {
            0..6 => put(&origin, random),
            6..8 if !known.is_empty() => remove(random.pick::<PathBuf>(&known)),
            8..10 if !known.is_empty() => {
                let path = random.pick(&known);
                if !path.is_symlink() {
                    let mode = path.metadata().unwrap().mode() ^ 0o111;
                    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
                }
            }
            _ => {}
        }
    }
    world.commit_all()
}

fn put(origin: &Path, random: &mut Random) {
    let path = origin.join(random_path(random));
    let parent = path.parent().unwrap();
    let mut above = origin.to_owned();
    for part in parent.strip_prefix(origin).unwrap() {
        above.push(part);
        if above.symlink_metadata().is_ok_and(|meta| !meta.is_dir()) {
            remove(&above);
        }
    }
    fs::create_dir_all(parent).unwrap();
    remove(&path);
    if random.below(7) == 0 {
        link(random.pick::<&str>(TARGETS), &path);
        return;
    }
    let content = match random.below(4) {
        0 => Vec::new(),
        1 => b"hello\n".repeat(1 + random.below(50)),
        2 => format!("line 1\nline 2\n{}\n", random.below(10)).into_bytes(),
        // Text where attributes say text, so that line ends survive the round trip.
        _ if path.extension().is_some_and(|e| e == "txt" || e == "bat") => b"text\n".to_vec(),
        _ => (0..random.below(3000))
            .map(|_| random.next().to_le_bytes()[0])
            .collect(),
    };
    fs::write(&path, content).unwrap();
    if random.below(4) == 0 {
        make_executable(&path);
    }
}

fn tree(world: &World, commit: &str) -> BTreeMap<String, String> {
    git(&world.origin(), &["ls-tree", "-r", "-z", commit])
        .split_terminator('\0')
        .map(|line| line.split_once('\t').unwrap())
        .map(|(what, path)| (path.to_owned(), what.to_owned()))
        .collect()
}

/// Does a random part of what a switch does: deletes first, then what comes, in any order.
fn half_switch(
    random: &mut Random,
    ours: &Path,
    theirs: &Path,
    from: &BTreeMap<String, String>,
    to: &BTreeMap<String, String>,
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
        for parent in Path::new(path).ancestors().skip(1) {
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
            Ok(to) => symlink(to, target).unwrap(),
            Err(_) => drop(fs::copy(source, target).unwrap()),
        }
    }
}

fn walk(seed: u64, commits: usize, hops: usize) {
    let mut random = Random(seed);
    let world = World::with(&[(
        ".gitattributes",
        "*.txt text eol=crlf\n*.bat text eol=crlf\n*.bin -text\n",
    )]);
    let mut history = vec![world.tip()];
    for _ in 0..commits {
        history.push(random_commit(&world, &mut random));
    }
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
            .filter(|(path, what)| !is_interrupted && to.get(*path) == Some(*what))
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
            assert_eq!(identity(&ours.join(path)), former, "{context}: {path}");
        }
        here = there;
    }
    git(&ours, &["fsck", "--full", "--strict"]);
}

#[test]
fn random_histories_end_up_as_git_has_them() {
    for seed in 1..=4 {
        walk(seed, 12, 20);
    }
}
