//! Clone, fetch, pull: what comes from elsewhere.

use std::net::TcpListener;
use std::time::{Duration, SystemTime};

use super::*;

#[test]
fn a_fetch_tells_what_came() {
    let world = World::with(&[("a", "1")]);
    let checkout = world.deployed();
    let meter = Meter::default();
    assert_eq!(
        checkout
            .fetch(&branch("main"), None, false, &meter, &NEVER)
            .unwrap()
            .received,
        None
    );
    let tip = world.commit(&[("a", "2")]);
    let fetched = checkout
        .fetch(&branch("main"), None, false, &meter, &NEVER)
        .unwrap();
    assert_eq!(fetched.upstream.to_string(), tip);
    let received = fetched.received.unwrap();
    assert_eq!(received.objects, 3);
    assert!(received.bytes > 0);
    for file in fs::read_dir(world.path().join(".git/objects/pack")).unwrap() {
        let mode = file.unwrap().metadata().unwrap().mode();
        assert_eq!(mode & 0o777, 0o444);
    }
}

#[test]
fn a_pull_goes_forward() {
    let world = World::with(&[("a", "1"), ("b", "1")]);
    let checkout = world.deployed();
    world.commit(&[("a", "2")]);
    world.commit(&[("a", "3")]);
    let b = identity(&world.path().join("b"));
    let pulled = deploy(&checkout, "main", false).unwrap();
    assert!(
        matches!(pulled, Pull::FastForward { commits: 2, changes, .. } if changes.written == 1),
        "{pulled:?}"
    );
    assert_eq!(identity(&world.path().join("b")), b);
    world.assert_clean();
    let log = git(&world.path(), &["reflog"]);
    assert!(
        log.lines().next().unwrap().contains("pull: Fast-forward"),
        "{log}"
    );
}

#[test]
fn local_commits_are_kept() {
    let world = World::with(&[("a", "1")]);
    let checkout = world.deployed();
    write(&world.path(), "a", "mine");
    git(&world.path(), &["commit", "-q", "-am", "mine"]);
    let pulled = deploy(&checkout, "main", false).unwrap();
    assert_eq!(pulled, Pull::Ahead { commits: 1 });
    assert_eq!(read(&world.path(), "a"), "mine");
}

#[test]
fn a_diverged_branch_is_refused_and_followed_with_force() {
    let world = World::with(&[("a", "1"), ("b", "1")]);
    let checkout = world.deployed();
    write(&world.path(), "b", "mine");
    git(&world.path(), &["commit", "-q", "-am", "mine"]);
    write(&world.path(), "untracked", "mine");
    world.commit(&[("a", "2")]);
    world.commit(&[("a", "3")]);
    let failure = deploy(&checkout, "main", false).unwrap_err();
    assert_eq!(failure.code, Code::BranchDiverged);
    assert!(
        failure.message.contains("1 commit here, 2 commits there"),
        "{}",
        failure.message
    );
    assert!(failure.hint.unwrap().starts_with("`--force`"));
    assert_eq!(read(&world.path(), "b"), "mine");

    let pulled = deploy(&checkout, "main", true).unwrap();
    assert!(
        matches!(pulled, Pull::Reset { dropped: 1, .. }),
        "{pulled:?}"
    );
    assert_eq!(read(&world.path(), "b"), "1");
    assert_eq!(read(&world.path(), "untracked"), "mine");
    assert_eq!(
        git(&world.path(), &["rev-parse", "HEAD"]).trim(),
        world.tip()
    );
}

#[test]
fn a_rewritten_branch_is_refused_and_followed_with_force() {
    let world = World::with(&[("a", "1")]);
    world.commit(&[("a", "2")]);
    let checkout = world.deployed();
    git(
        &world.origin(),
        &["commit", "-q", "--amend", "-m", "another message"],
    );
    assert_eq!(code(deploy(&checkout, "main", false)), Code::BranchDiverged);
    deploy(&checkout, "main", true).unwrap();
    assert_eq!(
        git(&world.path(), &["rev-parse", "HEAD"]).trim(),
        world.tip()
    );

    // Taken back: what was deployed last is not to stay deployed in silence.
    git(&world.origin(), &["reset", "-q", "--hard", "HEAD~"]);
    for _ in 0..2 {
        let failure = deploy(&checkout, "main", false).unwrap_err();
        assert_eq!(failure.code, Code::BranchDiverged);
        assert!(
            failure.message.contains("gone back by 1 commit"),
            "{}",
            failure.message
        );
    }
    deploy(&checkout, "main", true).unwrap();
    assert_eq!(read(&world.path(), "a"), "1");

    git(&world.origin(), &["checkout", "-q", "--orphan", "other"]);
    git(&world.origin(), &["commit", "-q", "-m", "unrelated"]);
    git(&world.origin(), &["branch", "-qM", "main"]);
    let failure = deploy(&checkout, "main", false).unwrap_err();
    assert!(
        failure.message.contains("no commit in common"),
        "{}",
        failure.message
    );
    deploy(&checkout, "main", true).unwrap();
    world.assert_clean();
}

#[test]
fn a_shallow_clone_is_pulled() {
    let world = World::with(&[("a", "1")]);
    world.commit(&[("a", "2")]);
    let url = format!("file://{}", world.origin().display());
    git(
        world.dir.path(),
        &["clone", "-q", "--depth", "1", &url, "checkout"],
    );
    world.commit(&[("a", "3")]);
    let checkout = Git::open(&world.path()).unwrap();
    let pulled = deploy(&checkout, "main", false).unwrap();
    assert!(
        matches!(pulled, Pull::FastForward { commits: 1, .. }),
        "{pulled:?}"
    );
    world.assert_clean();
}

#[test]
fn branches_are_switched_with_a_reflog_as_gits() {
    let world = World::with(&[("a", "1")]);
    let checkout = world.deployed();
    git(&world.origin(), &["checkout", "-q", "-b", "feature/x"]);
    world.commit(&[("b", "2")]);
    let upstream = fetch(&checkout, "feature/x").unwrap();
    let done = check_out(&checkout, "feature/x", upstream, false).unwrap();
    assert_eq!((done.left.as_deref(), done.created), (Some("main"), true));
    assert_eq!(
        checkout.current_branch().unwrap().as_deref(),
        Some("feature/x")
    );
    let log = git(&world.path(), &["reflog"]);
    assert!(
        log.contains("checkout: moving from main to feature/x"),
        "{log}"
    );
    assert_eq!(
        git(&world.path(), &["rev-parse", "--abbrev-ref", "@{-1}"]).trim(),
        "main"
    );
    let merge = git(&world.path(), &["config", "branch.feature/x.merge"]);
    assert_eq!(merge.trim(), "refs/heads/feature/x");

    git(&world.path(), &["checkout", "-q", "--detach"]);
    assert_eq!(checkout.current_branch().unwrap(), None);
    deploy(&checkout, "main", false).unwrap();
    assert!(!world.path().join("b").exists());
    world.assert_clean();
}

#[test]
fn a_missing_branch_is_told_with_what_there_is() {
    let world = World::with(&[("a", "1")]);
    let checkout = world.deployed();
    let failure = fetch(&checkout, "master").unwrap_err();
    assert_eq!(failure.code, Code::BranchNotFound);
    assert!(
        failure.message.ends_with("has no branch `master`"),
        "{}",
        failure.message
    );
    assert!(failure.hint.as_deref().unwrap().contains("`--branch main`"));

    git(&world.origin(), &["branch", "release-2"]);
    git(&world.origin(), &["branch", "x"]);
    let failure = fetch(&checkout, "release").unwrap_err();
    assert!(failure.hint.unwrap().contains("`--branch release-2`"));
    assert_eq!(failure.detail, ["branches: main, release-2, x"]);

    assert_eq!(code(fetch(&checkout, "no good")), Code::Usage);

    let meter = Meter::default();
    let url = world.origin();
    let into = world.dir.path().join("other");
    let cloned = clone_from(url.to_str().unwrap(), &into, Some("nope"), &meter);
    assert_eq!(code(cloned), Code::BranchNotFound);
    assert!(!into.exists());
}

#[test]
fn an_empty_repository_is_said_to_be_empty() {
    let world = World::new();
    let url = world.origin();
    for branch in [Some("main"), None] {
        let meter = Meter::default();
        let cloned = clone_from(url.to_str().unwrap(), &world.path(), branch, &meter);
        let failure = cloned.unwrap_err();
        assert_eq!(failure.code, Code::BranchNotFound);
        assert!(
            failure.message.ends_with("has no commits yet"),
            "{}",
            failure.message
        );
        assert!(!world.path().exists());
    }
}

#[test]
fn a_clone_without_a_branch_takes_the_remotes_own() {
    let world = World::with(&[("a", "1")]);
    git(&world.origin(), &["checkout", "-q", "-b", "trunk"]);
    let url = world.origin();
    let meter = Meter::default();
    let checkout = clone_from(url.to_str().unwrap(), &world.path(), None, &meter).unwrap();
    assert_eq!(checkout.current_branch().unwrap().as_deref(), Some("trunk"));
    assert_eq!(checkout.origin().as_deref(), url.to_str());
    deploy(&checkout, "main", false).unwrap();
    world.assert_clean();
}

#[test]
fn a_clone_goes_where_only_sdps_own_directory_is() {
    let world = World::with(&[("a", "1")]);
    let path = world.path();
    write(&path, ".sdp/lock", "");
    write(&path, ".sdp/.gitignore", "*\n");
    // What a killed clone leaves.
    write(&path, ".sdp/clone-tmp/.git/HEAD", "ref: refs/heads/x\n");
    assert!(!Git::exists(&path));
    world.deployed();
    assert!(path.join(".sdp/lock").exists());
    assert!(!path.join(".sdp/clone-tmp").exists());
    assert_eq!(git(&path, &["status", "--porcelain"]), "");

    let taken = world.dir.path().join("taken");
    write(&taken, "something", "");
    let url = world.origin();
    let meter = Meter::default();
    let cloned = clone_from(url.to_str().unwrap(), &taken, None, &meter);
    assert_eq!(code(cloned), Code::NotACheckout);
    assert_eq!(fs::read_dir(&taken).unwrap().count(), 1);
}

#[test]
fn files_of_dead_fetches_are_swept_and_those_of_live_ones_are_not() {
    let world = World::with(&[("a", "1")]);
    let checkout = world.deployed();
    let pack = world.path().join(".git/objects/pack");
    let long_ago = SystemTime::now() - Duration::from_hours(2);
    for (name, age) in [
        (".tmpDead", Some(long_ago)),
        ("tmp_pack_Dead", Some(long_ago)),
        (".tmpLive", None),
        ("../../sdp-ssh-1", Some(long_ago)),
        ("../../sdp-ssh-2", None),
    ] {
        let file = fs::File::create(pack.join(name)).unwrap();
        if let Some(age) = age {
            file.set_modified(age).unwrap();
        }
    }
    fetch(&checkout, "main").unwrap();
    let exists = |name| pack.join(name).exists();
    assert!(exists(".tmpLive") && !exists(".tmpDead") && !exists("tmp_pack_Dead"));
    assert!(exists("../../sdp-ssh-2") && !exists("../../sdp-ssh-1"));
}

/// A checkout whose origin is `url`.
fn checkout_of(url: &str) -> (World, Git) {
    let world = World::with(&[("a", "1")]);
    let checkout = world.deployed();
    git(&world.path(), &["remote", "set-url", "origin", url]);
    drop(checkout);
    let checkout = Git::open(&world.path()).unwrap();
    (world, checkout)
}

/// Answers each request with `status` and closes; gives the port.
fn http_server(status: &'static str) -> u16 {
    use std::io::{BufRead, BufReader, Write};
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = BufReader::new(stream.try_clone().unwrap()).lines();
            // An empty line ends a request without a body.
            while !request.next().unwrap().unwrap().is_empty() {}
            let answer =
                format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).ok();
        }
    });
    port
}

#[test]
fn remotes_fail_in_different_ways() {
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let closed = free.local_addr().unwrap().port();
    drop(free);
    let cases = [
        ("/nowhere/x.git".to_owned(), Code::RemoteNotFound),
        (
            format!("http://127.0.0.1:{closed}/x.git"),
            Code::RemoteUnreachable,
        ),
        (
            format!("git://127.0.0.1:{closed}/x.git"),
            Code::RemoteUnreachable,
        ),
        (
            format!("http://127.0.0.1:{}/x.git", http_server("404 Not Found")),
            Code::RemoteNotFound,
        ),
        (
            format!("http://127.0.0.1:{}/x.git", http_server("403 Forbidden")),
            Code::RemoteDenied,
        ),
        (
            format!("http://127.0.0.1:{}/x.git", http_server("401 Unauthorized")),
            Code::RemoteDenied,
        ),
        (
            format!("http://127.0.0.1:{}/x.git", http_server("502 Bad Gateway")),
            Code::RemoteUnreachable,
        ),
    ];
    for (url, expected) in cases {
        let (_world, checkout) = checkout_of(&url);
        let failure = fetch(&checkout, "main").unwrap_err();
        assert_eq!(failure.code, expected, "{url}: {}", shown(&failure));
        assert!(
            failure
                .hint
                .as_deref()
                .is_some_and(|hint| hint.starts_with('`')),
            "{url}"
        );
    }
}

#[test]
fn a_password_in_a_url_is_not_shown() {
    let url = format!(
        "http://ada:s3cr3t-pw@127.0.0.1:{}/x.git",
        http_server("502 Bad Gateway")
    );
    let (_world, checkout) = checkout_of(&url);
    let failure = fetch(&checkout, "main").unwrap_err();
    assert!(!shown(&failure).contains("s3cr3t"), "{}", shown(&failure));
}

#[test]
fn what_ssh_says_is_part_of_the_failure() {
    let (world, checkout) = checkout_of("ssh://git@example.invalid/x.git");
    let script = world.dir.path().join("ssh");
    let says = "#!/bin/sh\necho \"$@\" >&2\necho 'git@example.invalid: Permission denied (publickey).' >&2\nexit 255\n";
    fs::write(&script, says).unwrap();
    make_executable(&script);
    git(
        &world.path(),
        &["config", "core.sshCommand", script.to_str().unwrap()],
    );
    drop(checkout);
    let checkout = Git::open(&world.path()).unwrap();
    let failure = fetch(&checkout, "main").unwrap_err();
    assert_eq!(failure.code, Code::RemoteDenied, "{}", shown(&failure));
    assert!(
        failure.detail[0].contains("BatchMode=yes"),
        "{:?}",
        failure.detail
    );
    assert!(
        failure.detail[1].contains("Permission denied"),
        "{:?}",
        failure.detail
    );
    let left = fs::read_dir(world.path().join(".git")).unwrap().flatten();
    assert!(
        !left
            .map(|e| e.file_name())
            .any(|n| n.to_string_lossy().starts_with("sdp-"))
    );
}

#[test]
fn ssh_fetches() {
    let (world, checkout) = checkout_of("ssh://example.invalid/x.git");
    let script = world.dir.path().join("ssh");
    let origin = world.origin();
    let serves = format!("#!/bin/sh\nexec git-upload-pack '{}'\n", origin.display());
    fs::write(&script, serves).unwrap();
    make_executable(&script);
    git(
        &world.path(),
        &["config", "core.sshCommand", script.to_str().unwrap()],
    );
    drop(checkout);
    let checkout = Git::open(&world.path()).unwrap();
    world.commit(&[("a", "2")]);
    deploy(&checkout, "main", false).unwrap();
    world.assert_clean();
}

#[test]
fn a_checkout_without_an_origin_is_told_so() {
    let world = World::with(&[("a", "1")]);
    let checkout = Git::open(&world.origin()).unwrap();
    assert_eq!(checkout.origin(), None);
    assert_eq!(code(fetch(&checkout, "main")), Code::Usage);
}

#[test]
fn a_fetch_that_is_not_wanted_any_more_leaves_nothing() {
    let world = World::with(&[("a", "1")]);
    let checkout = world.deployed();
    world.commit(&[("a", "2")]);
    let stop = AtomicBool::new(true);
    assert!(
        checkout
            .fetch(&branch("main"), None, false, &Meter::default(), &stop)
            .is_err()
    );
    let packs = fs::read_dir(world.path().join(".git/objects/pack"))
        .unwrap()
        .flatten();
    let unfinished = packs.filter(|file| file.file_name().to_string_lossy().starts_with(".tmp"));
    assert_eq!(unfinished.count(), 0);
    deploy(&checkout, "main", false).unwrap();
    world.assert_clean();
}
