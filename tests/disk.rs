//! A full disk in each stage, files that may not be written, and what people remove by hand.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::program::{Files, server};
use crate::support::{FIRST, Host, Mount, NEXT, Origin, Run};

const MEBIBYTE: u64 = 1 << 20;

/// A service whose checkout is on a disk of 64 MiB.
struct Service {
    // Dropped in this order.
    disk: Mount,
    origin: Origin,
    first: Run,
    host: Host,
}

impl Service {
    fn new() -> Service {
        let host = Host::new();
        let disk = Mount::small_disk(&host.path("srv"), 64);
        let origin = host.origin(&server("one"));
        let first = host.deploy(&origin).run().deployed(FIRST);
        Service {
            disk,
            origin,
            first,
            host,
        }
    }

    /// Deploys `second` with this much space left, which is too little in a stage; then with space again.
    fn full(&self, left: u64, second: &Files, branch: &str, stage: &str, exit_code: i32) {
        if branch == "main" {
            self.origin.commit(second, "Second");
        } else {
            self.origin.branch(branch, second);
        }
        let deploy = || {
            self.host
                .deploy(&self.origin)
                .args(&["--branch", branch])
                .run()
        };
        let filler = self.disk.fill(left);

        let run = deploy();

        let reached = 1 + NEXT.iter().position(|known| *known == stage).unwrap();
        let run = run.failed(exit_code, "disk_full", &NEXT[..reached]);
        let problem = run.problem();
        assert!(
            problem.hint.as_ref().is_some_and(|h| h.contains("df")),
            "{problem:?}"
        );
        assert_eq!(
            run.status().outcome.as_deref(),
            Some("failed_old_serving"),
            "{}",
            run.story()
        );
        assert_eq!(self.host.answer(), "one");
        drop(filler);
        self.host.holds(&[&self.first], &[]);

        let run = deploy().deployed(NEXT);

        assert_eq!(self.host.answer(), "two");
        self.host.holds(&[&run], &[&self.first]);
    }
}

/// A file that git packs into a few bytes.
fn with_blank(mebibytes: u64) -> Files {
    let blank = " ".repeat(usize::try_from(mebibytes * MEBIBYTE).unwrap());
    let mut files = server("two");
    files.push(("blank.txt".to_owned(), blank));
    files
}

/// A file that git cannot pack.
fn with_noise(bytes: usize) -> Files {
    let mut state = 1_u64;
    let noise: String = std::iter::repeat_with(|| {
        // xorshift
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'0' + u8::try_from(state % 75).unwrap())
    })
    .take(bytes)
    .collect();
    let mut files = server("two");
    files.push(("noise.txt".to_owned(), noise));
    files
}

#[test]
fn full_in_fetch() {
    let service = Service::new();
    service.full(MEBIBYTE / 2, &with_noise(3 << 20), "main", "git fetch", 4);
}

#[test]
fn full_in_checkout() {
    let service = Service::new();
    service.full(4 * MEBIBYTE, &with_blank(8), "other", "git checkout", 4);
}

#[test]
fn full_in_pull() {
    let service = Service::new();
    service.full(4 * MEBIBYTE, &with_blank(8), "main", "git pull", 4);
}

#[test]
fn full_in_build() {
    let service = Service::new();
    service.full(3 * MEBIBYTE, &server("two"), "main", "go build", 5);
}

/// The file is written, the program is linked; for the release's own copies there is no space.
#[test]
fn full_in_release() {
    let service = Service::new();
    service.full(24 * MEBIBYTE, &with_blank(12), "main", "start container", 6);
}

/// Not a page left: whatever comes first to need one says so.
#[test]
fn full_before_anything() {
    let service = Service::new();
    let filler = service.disk.fill(0);

    let run = service.host.deploy(&service.origin).run();

    assert_eq!(run.problem().code, "disk_full", "{}", run.story());
    assert!(matches!(run.code, 3..=6), "{}", run.story());
    assert!(run.problem().hint.is_some(), "{}", run.story());
    assert_eq!(service.host.answer(), "one");
    drop(filler);
    service.host.holds(&[&service.first], &[]);
    service.host.deploy(&service.origin).run().deployed(NEXT);
}

#[test]
fn sdp_directory_is_read_only() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    origin.commit(&server("two"), "Second");
    let mount = Mount::read_only(&host.checkout().join(".sdp"));

    let run = host.deploy(&origin).run();

    let run = run.failed(3, "permission_denied", &[]);
    assert!(run.problem().hint.is_some(), "{}", run.story());
    assert_eq!(host.answer(), "one");
    drop(mount);
    host.holds(&[&first], &[]);
    let second = host.deploy(&origin).run().deployed(NEXT);
    host.holds(&[&second], &[&first]);
}

/// Another user, who may talk to the engine: `.sdp` is not theirs.
#[test]
fn sdp_directory_of_another_user() {
    assert!(
        rustix::process::getuid().is_root(),
        "becoming another user needs root: run the tests as root"
    );
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    origin.commit(&server("two"), "Second");
    fs::set_permissions(host.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let sdp = host.path("bin/sdp");
    fs::copy(env!("CARGO_BIN_EXE_sdp"), &sdp).unwrap();
    let socket = "/var/run/docker.sock";
    let group = format!("--regid={}", fs::metadata(socket).unwrap().gid());
    let wrapper = ["setpriv", "--reuid=65534", &group, "--clear-groups"];
    let url = origin.url();
    let arguments = ["deploy", host.name(), "--url", &url, "--json"];

    let run = host.sdp_copied_to(&sdp, &wrapper, &arguments).run();

    let run = run.failed(3, "permission_denied", &[]);
    assert!(run.problem().message.contains(".sdp"), "{}", run.story());
    assert!(run.problem().hint.is_some(), "{}", run.story());
    assert_eq!(host.answer(), "one");
    host.holds(&[&first], &[]);
    let second = host.deploy(&origin).run().deployed(NEXT);
    host.holds(&[&second], &[&first]);
}

#[test]
fn release_removed_by_hand() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    origin.commit(&server("two"), "Second");
    let second = host.deploy(&origin).run().deployed(NEXT);
    let releases = host.checkout().join(".sdp/releases");
    fs::remove_dir_all(releases.join(first.deployment())).unwrap();

    let back = host.sdp(&["rollback", host.name(), "--json"]).run();

    let back = back.failed(2, "no_release", &[]);
    let problem = back.problem();
    assert!(problem.message.contains(first.deployment()), "{problem:?}");
    assert!(problem.hint.is_some(), "{problem:?}");
    assert_eq!(host.answer(), "two");
    // Even the one that serves: its program runs on, and the next deployment makes a whole one.
    fs::remove_dir_all(releases.join(second.deployment())).unwrap();
    origin.commit(&server("three"), "Third");
    host.deploy(&origin).run().deployed(NEXT);
    assert_eq!(host.answer(), "three");
}

#[test]
fn container_removed_by_hand() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    host.remove_by_hand(first.container());
    origin.commit(&server("two"), "Second");

    let second = host.deploy(&origin).run().deployed(NEXT);

    assert_eq!(host.answer(), "two");
    assert_eq!(second.status().replaced, None);
    // The release that nobody can go back to is gone as well.
    host.is_settled(&second);
}

/// Between the deployment's first look at it and the hand-over.
#[test]
fn container_removed_by_hand_in_the_build() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    origin.commit(&server("two"), "Second");
    let mut live = host.deploy(&origin).spawn();
    live.wait_for("the build", |event| event.starts("go build"));
    host.remove_by_hand(first.container());

    let second = live.finish().deployed(NEXT);

    assert_eq!(host.answer(), "two");
    host.is_settled(&second);
}
