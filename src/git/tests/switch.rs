//! The work tree: what is written, what is left alone, what is refused.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::SystemTime;

use super::super::place;
use super::*;

#[test]
fn a_clone_is_filled_by_a_checkout() {
    let world = World::with(&[("main.go", "package main\n"), ("ü/日本", "x")]);
    make_executable(&world.origin().join("main.go"));
    link("main.go", &world.origin().join("link"));
    world.commit_all();
    let checkout = world.clone();
    assert!(!world.path().join("main.go").exists());
    assert_eq!(checkout.current_branch().unwrap().as_deref(), Some("main"));

    let upstream = fetch(&checkout, "main").unwrap();
    let done = check_out(&checkout, "main", upstream, false).unwrap();
    assert!(done.created);
    assert_eq!(done.changes.written, 3);
    world.assert_clean();
    let config = |key| git(&world.path(), &["config", key]).trim().to_owned();
    assert_eq!(config("branch.main.remote"), "origin");
    assert_eq!(config("branch.main.merge"), "refs/heads/main");
    let mode = world.path().join("main.go").metadata().unwrap().mode();
    assert_eq!(mode & 0o111, 0o111);
    let head = checkout.head().unwrap();
    assert_eq!((head.id, head.subject.as_str()), (world.tip(), "a change"));
}

#[test]
fn tracked_files_are_told_apart() {
    let world = World::with(&[("file", ""), ("run", "")]);
    make_executable(&world.origin().join("run"));
    link("nowhere", &world.origin().join("link"));
    world.commit_all();
    let files = world.deployed().tracked_files().unwrap();
    let kinds: Vec<_> = files
        .iter()
        .map(|f| (f.path.to_str().unwrap(), f.kind))
        .collect();
    assert_eq!(
        kinds,
        [
            ("file", Kind::File),
            ("link", Kind::Symlink),
            ("run", Kind::Executable)
        ]
    );
}

#[test]
fn nothing_new_touches_nothing() {
    let world = World::with(&[("a", "1")]);
    let checkout = world.deployed();
    // Writes the index once more at most, with what it knows about files as old as itself.
    deploy(&checkout, "main", false).unwrap();
    let file = identity(&world.path().join("a"));
    assert_eq!(deploy(&checkout, "main", false).unwrap(), Pull::UpToDate);
    assert_eq!(identity(&world.path().join("a")), file);
    assert!(!world.path().join(".sdp").exists());
    world.assert_clean();
}

#[test]
fn directories_that_git_would_remove_are_removed() {
    let world = World::with(&[("a/b/c", "1"), ("keep/x", "1")]);
    let checkout = world.deployed();
    fs::remove_dir_all(world.origin().join("a")).unwrap();
    write(&world.origin(), "a", "now a file");
    world.commit_all();
    deploy(&checkout, "main", false).unwrap();
    assert_eq!(read(&world.path(), "a"), "now a file");

    fs::remove_file(world.origin().join("a")).unwrap();
    write(&world.origin(), "a/b", "a directory again");
    world.commit_all();
    deploy(&checkout, "main", false).unwrap();
    assert_eq!(read(&world.path(), "a/b"), "a directory again");
    world.assert_clean();
}

#[test]
fn any_local_change_is_refused_and_named() {
    let world = World::with(&[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")]);
    let checkout = world.deployed();
    let path = world.path();
    write(&path, "a", "mine");
    fs::remove_file(path.join("b")).unwrap();
    make_executable(&path.join("c"));
    write(&path, "new", "staged");
    git(&path, &["add", "new"]);

    for file in ["a", "z"] {
        // With something to fetch and without, in a file that changed here and elsewhere.
        let failure = deploy(&checkout, "main", false).unwrap_err();
        assert_eq!(failure.code, Code::CheckoutDirty);
        assert_eq!(failure.detail, ["a", "b", "c", "new"]);
        let hint = failure.hint.unwrap();
        assert!(hint.starts_with("`git stash`") && hint.contains("`--force`"));
        assert_eq!(read(&path, "a"), "mine");
        world.commit(&[(file, "2")]);
    }
    deploy(&checkout, "main", true).unwrap();
    world.assert_clean();
    assert_eq!(read(&path, "a"), "2");
    assert_eq!(git(&path, &["rev-parse", "HEAD"]).trim(), world.tip());
}

#[test]
fn many_local_changes_are_not_all_named() {
    let names: Vec<String> = (10..25).map(|n| format!("f{n}")).collect();
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
    let world = World::with(&files);
    let checkout = world.deployed();
    for name in &names {
        write(&world.path(), name, "22");
    }
    let failure = deploy(&checkout, "main", false).unwrap_err();
    assert_eq!(failure.detail.len(), 11);
    assert_eq!(failure.detail[10], "and 5 more");
}

#[test]
fn a_change_behind_gits_back_is_found() {
    let world = World::with(&[("a", "1")]);
    let checkout = world.deployed();
    git(&world.path(), &["update-index", "--assume-unchanged", "a"]);
    write(&world.path(), "a", "2");
    assert_eq!(code(deploy(&checkout, "main", false)), Code::CheckoutDirty);
}

#[test]
fn a_touched_file_is_not_a_changed_file() {
    let world = World::with(&[("a", "1")]);
    let checkout = world.deployed();
    let copy = world.path().join("copy");
    fs::copy(world.path().join("a"), &copy).unwrap();
    fs::rename(&copy, world.path().join("a")).unwrap();
    assert_eq!(deploy(&checkout, "main", false).unwrap(), Pull::UpToDate);
}

#[test]
fn untracked_files_are_never_touched() {
    let world = World::with(&[("a", "1")]);
    let checkout = world.deployed();
    let path = world.path();
    write(&path, "notes", "mine");
    write(&path, "dir/notes", "mine");
    world.commit(&[("notes", "theirs"), ("dir", "a file"), ("b", "2")]);
    for force in [false, true] {
        let failure = deploy(&checkout, "main", force).unwrap_err();
        assert_eq!(failure.code, Code::UntrackedInTheWay);
        assert_eq!(failure.detail, ["dir/notes", "notes"]);
        assert_eq!(read(&path, "notes"), "mine");
        assert!(!path.join("b").exists());
    }
    fs::remove_file(path.join("notes")).unwrap();
    fs::remove_file(path.join("dir/notes")).unwrap();
    write(&path, "elsewhere", "mine");
    deploy(&checkout, "main", false).unwrap();
    assert_eq!(read(&path, "dir"), "a file");
    assert_eq!(read(&path, "elsewhere"), "mine");
}

#[test]
fn ignored_files_give_way() {
    let world = World::with(&[(".gitignore", "*.log\n")]);
    let checkout = world.deployed();
    write(&world.path(), "x.log", "mine");
    write(&world.path(), "y/z.log", "mine");
    world.commit(&[(".gitignore", "")]);
    world.commit(&[("x.log", "theirs"), ("y", "a file")]);
    deploy(&checkout, "main", false).unwrap();
    assert_eq!(read(&world.path(), "x.log"), "theirs");
    assert_eq!(read(&world.path(), "y"), "a file");
}

#[test]
fn nothing_is_written_or_deleted_through_a_link() {
    let world = World::with(&[("a/x", "1"), ("b", "1")]);
    let checkout = world.deployed();
    let (path, outside) = (world.path(), world.dir.path().join("outside"));
    write(&outside, "x", "not git's");
    fs::remove_dir_all(path.join("a")).unwrap();
    link(outside.to_str().unwrap(), &path.join("a"));
    world.commit(&[("a/x", "2"), ("a/y", "2")]);
    assert_eq!(code(deploy(&checkout, "main", false)), Code::CheckoutDirty);
    assert_eq!(
        code(deploy(&checkout, "main", true)),
        Code::UntrackedInTheWay
    );
    git(&world.origin(), &["checkout", "-q", "-b", "without-a"]);
    fs::remove_dir_all(world.origin().join("a")).unwrap();
    world.commit_all();
    deploy(&checkout, "without-a", true).unwrap();
    assert_eq!(read(&outside, "x"), "not git's");
    assert!(!outside.join("y").exists());
}

/// A commit of a tree that the git program would not make.
fn forge(world: &World, entries: &str) {
    let origin = world.origin();
    let blob = git(&origin, &["rev-parse", "HEAD:a"]);
    let lines = entries.replace("BLOB", blob.trim());
    fs::write(origin.join("lines"), lines).unwrap();
    let script = "git mktree <lines >tree && git update-ref refs/heads/main \
                  $(git commit-tree -p HEAD -m forged $(cat tree))";
    let ok = Command::new("sh")
        .args(["-c", script])
        .current_dir(&origin)
        .envs([
            ("GIT_AUTHOR_NAME", "Eve"),
            ("GIT_AUTHOR_EMAIL", "eve@example.com"),
            ("GIT_COMMITTER_NAME", "Eve"),
            ("GIT_COMMITTER_EMAIL", "eve@example.com"),
        ])
        .status()
        .unwrap();
    assert!(ok.success());
}

#[test]
fn trees_that_lead_out_of_the_checkout_are_refused() {
    for name in ["..", ".git", ".GIT", ".sdp"] {
        let world = World::with(&[("a", "1")]);
        let checkout = world.deployed();
        forge(
            &world,
            &format!("100644 blob BLOB\ta\n100644 blob BLOB\t{name}\n"),
        );
        assert_eq!(
            code(deploy(&checkout, "main", false)),
            Code::GitFailed,
            "{name}"
        );
        assert_eq!(read(&world.path(), "a"), "1");
        assert!(!world.path().join(".sdp").exists());
    }
}

#[test]
fn a_missing_object_is_found_before_anything_is_touched() {
    let world = World::with(&[("a", "1"), ("gone", "1")]);
    let checkout = world.deployed();
    world.commit(&[("a", "2"), ("b", "unique to b")]);
    fs::remove_file(world.origin().join("gone")).unwrap();
    world.commit_all();
    let upstream = fetch(&checkout, "main").unwrap();
    let blob = git(&world.path(), &["rev-parse", &format!("{upstream}:b")]);
    // Loose objects, so that one of them can go.
    let pack = world.path().join(".git/objects/pack");
    let kept = world.dir.path().join("kept");
    fs::rename(&pack, &kept).unwrap();
    for file in fs::read_dir(&kept).unwrap().flatten() {
        if file.path().extension().is_some_and(|e| e == "pack") {
            let script = format!("git unpack-objects -q <'{}'", file.path().display());
            let mut shell = Command::new("sh");
            shell.args(["-c", &script]).current_dir(world.path());
            assert!(shell.status().unwrap().success());
        }
    }
    let (fan, rest) = blob.trim().split_at(2);
    fs::remove_file(world.path().join(".git/objects").join(fan).join(rest)).unwrap();

    // Without what the former handle has in memory.
    let checkout = Git::open(&world.path()).unwrap();
    let done = check_out(&checkout, "main", upstream, false).unwrap();
    let pulled = checkout.pull("main", upstream, false, done.clean, &Meter::default());
    let failure = pulled.unwrap_err();
    assert!(shown(&failure).contains("`b`"), "{}", shown(&failure));
    assert_eq!(read(&world.path(), "a"), "1");
    assert_eq!(read(&world.path(), "gone"), "1");
    assert_eq!(git(&world.path(), &["status", "--porcelain"]), "");
}

#[test]
fn another_gits_lock_is_respected() {
    let world = World::with(&[("a", "1")]);
    let checkout = world.deployed();
    world.commit(&[("a", "2")]);
    for lock in [
        ".git/index.lock",
        ".git/HEAD.lock",
        ".git/refs/heads/main.lock",
    ] {
        write(&world.path(), lock, "");
        let failure = deploy(&checkout, "main", false).unwrap_err();
        assert_eq!(failure.code, Code::GitLocked);
        assert!(failure.message.contains(lock), "{}", failure.message);
        assert!(failure.hint.unwrap().starts_with("`rm "));
        assert_eq!(read(&world.path(), "a"), "1");
        fs::remove_file(world.path().join(lock)).unwrap();
    }
    deploy(&checkout, "main", false).unwrap();
    world.assert_clean();
}

fn world_of_a_killed_switch() -> (World, Git) {
    let world = World::with(&[
        ("same", "0"),
        ("changed", "1"),
        ("gone", "1"),
        ("swap", "1"),
    ]);
    let checkout = world.deployed();
    fs::remove_file(world.origin().join("gone")).unwrap();
    fs::remove_file(world.origin().join("swap")).unwrap();
    world.commit(&[
        ("changed", "22"),
        ("new", "2"),
        ("late", "2"),
        ("swap/x", "2"),
    ]);
    (world, checkout)
}

fn half_done(path: &Path) {
    fs::remove_file(path.join("gone")).unwrap();
    fs::remove_file(path.join("swap")).unwrap();
    write(path, "changed", "22");
    write(path, "new", "2");
    write(path, "swap/x", "2");
}

#[test]
fn a_killed_switch_is_finished() {
    let (world, checkout) = world_of_a_killed_switch();
    killed_switch(&checkout, &world.tip(), half_done);
    deploy(&checkout, "main", false).unwrap();
    world.assert_clean();
    assert_eq!(read(&world.path(), "late"), "2");
    assert!(!world.path().join(".sdp").exists());
}

#[test]
fn a_killed_switch_can_be_left_for_another_commit() {
    let (world, checkout) = world_of_a_killed_switch();
    killed_switch(&checkout, &world.tip(), half_done);
    fs::remove_dir_all(world.origin().join("swap")).unwrap();
    fs::remove_file(world.origin().join("new")).unwrap();
    world.commit(&[("changed", "333"), ("other", "3")]);
    deploy(&checkout, "main", false).unwrap();
    world.assert_clean();
    assert!(!world.path().join("new").exists());
    assert_eq!(read(&world.path(), "changed"), "333");
}

#[test]
fn a_switch_killed_before_its_refs_were_moved_is_finished() {
    let (world, checkout) = world_of_a_killed_switch();
    let path = world.path();
    fetch(&checkout, "main").unwrap();
    killed_switch(&checkout, &world.tip(), |_| {});
    fs::remove_file(path.join(".git/index.lock")).unwrap();
    git(&path, &["read-tree", "-u", "-m", "HEAD", "origin/main"]);
    assert!(git(&path, &["status", "--porcelain"]).contains("M  changed"));
    deploy(&checkout, "main", false).unwrap();
    world.assert_clean();
}

#[test]
fn a_change_made_after_a_killed_switch_is_not_lost() {
    let (world, checkout) = world_of_a_killed_switch();
    killed_switch(&checkout, &world.tip(), |path| {
        half_done(path);
        write(path, "same", "mine");
    });
    let failure = deploy(&checkout, "main", false).unwrap_err();
    assert_eq!(failure.code, Code::CheckoutDirty);
    assert_eq!(failure.detail, ["same"]);
    assert_eq!(read(&world.path(), "same"), "mine");
    write(&world.path(), "same", "0");
    deploy(&checkout, "main", false).unwrap();
    world.assert_clean();
}

#[test]
fn a_lock_that_came_after_a_killed_switch_is_not_ours() {
    let (world, checkout) = world_of_a_killed_switch();
    killed_switch(&checkout, &world.tip(), half_done);
    let lock = world.path().join(".git/index.lock");
    fs::remove_file(&lock).unwrap();
    fs::write(&lock, "").unwrap();
    assert_eq!(code(deploy(&checkout, "main", false)), Code::GitLocked);
    assert!(lock.exists());
}

#[test]
fn files_are_moved_into_place_but_never_over_others() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    write(&from, "a/new", "2");
    write(&from, "a/tracked", "2");
    write(&from, "a/other", "2");
    write(&to, "a/tracked", "1");
    write(&to, "a/other", "1");
    let replaceable = HashSet::from(["a/tracked".into()]);
    let error = place::merge(&from, &to, &replaceable).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(read(&to, "a/other"), "1");
    fs::remove_file(to.join("a/other")).unwrap();
    place::merge(&from, &to, &replaceable).unwrap();
    assert_eq!(
        (read(&to, "a/new"), read(&to, "a/tracked")),
        ("2".into(), "2".into())
    );
}

#[test]
fn submodules_are_left_empty() {
    let world = World::with(&[("a", "1")]);
    let checkout = world.deployed();
    let id = world.tip();
    let entry = format!("160000,{id},sub");
    git(
        &world.origin(),
        &["update-index", "--add", "--cacheinfo", &entry],
    );
    git(&world.origin(), &["commit", "-q", "-m", "a submodule"]);
    deploy(&checkout, "main", false).unwrap();
    assert!(world.path().join("sub").is_dir());
    assert_eq!(git(&world.path(), &["status", "--porcelain"]), "");
    assert_eq!(deploy(&checkout, "main", false).unwrap(), Pull::UpToDate);
    git(&world.origin(), &["rm", "-q", "--cached", "sub"]);
    git(&world.origin(), &["commit", "-q", "-m", "no submodule"]);
    deploy(&checkout, "main", false).unwrap();
    assert!(!world.path().join("sub").exists());
}

#[test]
fn a_sparse_checkout_stays_sparse() {
    let world = World::with(&[("in/a", "1"), ("out/b", "1"), ("top", "1")]);
    world.deployed();
    git(
        &world.path(),
        &["sparse-checkout", "set", "--no-sparse-index", "in"],
    );
    assert!(!world.path().join("out").exists());
    let checkout = Git::open(&world.path()).unwrap();
    world.commit(&[("in/a", "2"), ("out/b", "2"), ("out/c", "2")]);
    deploy(&checkout, "main", false).unwrap();
    assert_eq!(read(&world.path(), "in/a"), "2");
    assert!(!world.path().join("out").exists());
    assert_eq!(git(&world.path(), &["status", "--porcelain"]), "");
    assert_eq!(checkout.tracked_files().unwrap().len(), 2);
}

#[test]
fn a_branch_of_another_work_tree_is_left_to_it() {
    let world = World::with(&[("a", "1")]);
    world.deployed();
    let linked = world.dir.path().join("linked");
    let add = ["worktree", "add", "-q", "-b", "other", "../linked"];
    git(&world.path(), &add);
    world.commit(&[("a", "2")]);
    let checkout = Git::open(&linked).unwrap();

    let failure = deploy(&checkout, "main", false).unwrap_err();
    assert_eq!(failure.code, Code::GitFailed);
    let at = world.path().display().to_string();
    assert!(failure.message.contains(&at), "{}", failure.message);
    assert_eq!(read(&world.path(), "a"), "1");
    assert_eq!(git(&world.path(), &["status", "--porcelain"]), "");

    let hint = failure.hint.unwrap();
    let typed = hint.split('`').nth(1).unwrap();
    let words: Vec<&str> = typed.split(' ').skip(1).collect();
    git(&linked, &words);
    deploy(&checkout, "main", false).unwrap();
    assert_eq!(read(&linked, "a"), "2");
}

/// Each with the content as it lies in a work tree, and as git wrote it there.
#[test]
fn files_are_written_as_their_attributes_say() {
    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }
    fn utf32(text: &str, bytes: fn(u32) -> [u8; 4]) -> Vec<u8> {
        text.chars().map(u32::from).flat_map(bytes).collect()
    }
    const TEXT: &str = "größer\n日本 𝄞\n";
    let marked = format!("\u{feff}{TEXT}");
    let rows: [(&str, Vec<u8>); 17] = [
        ("text eol=crlf", b"a\r\nb\r\n".to_vec()),
        ("text eol=lf", b"a\nb\n".to_vec()),
        ("text=auto eol=crlf", b"a\0b\n".to_vec()),
        ("-text", b"a\r\nb\n".to_vec()),
        ("binary", b"a\r\nb\n".to_vec()),
        (
            "export-ignore",
            b"in an archive never, here always\n".to_vec(),
        ),
        ("ident", b"one $Id$ and $Id$, no $Identity$\n".to_vec()),
        ("ident eol=crlf", b"$Id$\r\nnext\r\n".to_vec()),
        (
            "working-tree-encoding=ISO-8859-1",
            b"gr\xf6\xdfer\n".to_vec(),
        ),
        (
            "working-tree-encoding=UTF-16LE",
            utf16(TEXT, u16::to_le_bytes),
        ),
        (
            "working-tree-encoding=utf-16be",
            utf16(TEXT, u16::to_be_bytes),
        ),
        (
            "working-tree-encoding=UTF-16",
            utf16(&marked, u16::to_le_bytes),
        ),
        (
            "working-tree-encoding=UTF-16LE-BOM",
            utf16(&marked, u16::to_le_bytes),
        ),
        (
            "text eol=crlf working-tree-encoding=UTF-16LE",
            utf16(&TEXT.replace('\n', "\r\n"), u16::to_le_bytes),
        ),
        (
            "ident working-tree-encoding=UTF-16LE",
            utf16("$Id$\n", u16::to_le_bytes),
        ),
        (
            "working-tree-encoding=UTF-32LE",
            utf32(TEXT, u32::to_le_bytes),
        ),
        (
            "working-tree-encoding=UTF-32",
            utf32(&marked, u32::to_le_bytes),
        ),
    ];
    let world = World::new();
    let mut attributes = String::new();
    for (at, (attribute, content)) in rows.iter().enumerate() {
        writeln!(attributes, "f{at} {attribute}").unwrap();
        fs::write(world.origin().join(format!("f{at}")), content).unwrap();
    }
    write(&world.origin(), ".gitattributes", &attributes);
    world.commit_all();
    let checkout = world.deployed();
    git(world.dir.path(), &["clone", "-q", "origin", "reference"]);
    for (at, (attribute, _)) in rows.iter().enumerate() {
        let content = |dir: &str| fs::read(world.dir.path().join(dir).join(format!("f{at}")));
        let (ours, gits) = (content("checkout").unwrap(), content("reference").unwrap());
        assert_eq!(ours, gits, "{attribute}");
    }
    world.assert_clean();
    // Read once more, as nothing is known of them.
    for at in 0..rows.len() {
        let file = fs::File::open(world.path().join(format!("f{at}"))).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }
    deploy(&checkout, "main", false).unwrap();
}

#[test]
fn what_is_not_a_checkout_is_said_to_be_none() {
    let world = World::with(&[("a", "1")]);
    let dir = world.dir.path();
    assert!(!Git::exists(dir));
    assert_eq!(code(Git::open(dir)), Code::NotACheckout);
    git(dir, &["clone", "-q", "--bare", "origin", "bare.git"]);
    assert_eq!(code(Git::open(&dir.join("bare.git"))), Code::NotACheckout);
    fs::create_dir_all(dir.join("broken/.git")).unwrap();
    assert_eq!(code(Git::open(&dir.join("broken"))), Code::NotACheckout);
    // A file of git's that says where the repository is, as in a linked work tree.
    git(
        dir,
        &[
            "clone",
            "-q",
            "--separate-git-dir",
            "apart",
            "origin",
            "linked",
        ],
    );
    assert!(Git::exists(&dir.join("linked")));
    let linked = Git::open(&dir.join("linked")).unwrap();
    world.commit(&[("a", "2")]);
    deploy(&linked, "main", false).unwrap();
    assert_eq!(read(&dir.join("linked"), "a"), "2");
}
