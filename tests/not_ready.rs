//! A host that lacks something is told so before anything is touched.

use std::io::ErrorKind;
use std::os::unix::net::UnixListener;

use crate::support::program::server;
use crate::support::{FIRST, Host};

#[test]
fn no_engine() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let nowhere = format!("unix://{}", host.path("no.sock").display());

    let run = host
        .deploy(&origin)
        .env("DOCKER_HOST", &nowhere)
        .run()
        .exited(3);

    let problem = run.problem();
    assert_eq!(problem.code, "engine_unreachable");
    assert!(format!("{problem:?}").contains("no.sock"), "{problem:?}");
    assert!(problem.hint.is_some(), "{problem:?}");
    host.is_untouched();
}

/// What is wrong without it is told without an engine: it may be one that never answers.
#[test]
fn no_checkout_and_a_silent_engine() {
    let host = Host::new();
    let socket = host.path("silent.sock");
    let engine = UnixListener::bind(&socket).unwrap();
    engine.set_nonblocking(true).unwrap();
    let address = format!("unix://{}", socket.display());
    let folder = host.path("nothing");
    std::fs::create_dir(&folder).unwrap();
    for arguments in [&["deploy", "."][..], &["deploy", ".", "--dry-run"]] {
        let sdp = host.sdp(arguments).args(&["--json", "-H", &address]);

        let run = sdp.within(&folder).run();

        assert_eq!(run.problem().code, "not_a_checkout", "{}", run.story());
        let asked = engine.accept().map_err(|error| error.kind());
        assert_eq!(asked.err(), Some(ErrorKind::WouldBlock), "it was asked");
    }
}

/// What is nearly right is told what would be.
#[test]
fn slips() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let bare = origin.url();
    let bare = bare.strip_prefix("file://").unwrap();
    let toml = "[repos.shop]\npath = \"/srv/shop\"\n[repos.mail]\n";
    let file = host.at_home("sdp.toml", toml);
    for (arguments, words) in [
        (
            &["deploy", bare][..],
            ["bare repository", "sdp deploy file://"],
        ),
        (
            &["deploy", "shopp", "--config", &file],
            ["sdp.toml has no `shopp`", "it has `shop`"],
        ),
        (
            &["stop", "shopp", "--config", &file],
            ["nothing of `shopp` is deployed", "it has `shop`"],
        ),
        (&["rollback", "nope"], ["nothing of `nope`", "sdp status"]),
        (&["deploy", ".", "--port", "0"], ["--port <PORT>", "1..="]),
    ] {
        let run = host.sdp(arguments).run().exited(2);
        for words in words {
            assert!(run.stderr.contains(words), "{arguments:?}: {}", run.stderr);
        }
        assert!(!run.stderr.contains("any more"), "{}", run.stderr);
    }
    host.is_untouched();
}

#[test]
fn no_go() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let path = host.path_with_only(&["git", "git-upload-pack", "sh"]);

    let run = host.deploy(&origin).env("PATH", &path).run().exited(3);

    assert_eq!(run.problem().code, "go_missing", "{}", run.story());
    assert!(run.problem().hint.is_some());
    host.is_untouched();
}

#[test]
fn no_go_where_it_is_said_to_be() {
    let host = Host::new();
    let origin = host.origin(&server("one"));

    let run = host
        .deploy(&origin)
        .args(&["--go", "/no/such/go"])
        .run()
        .exited(3);

    assert_eq!(run.problem().code, "go_missing", "{}", run.story());
    assert!(
        run.problem().message.contains("/no/such/go"),
        "{}",
        run.story()
    );
    host.is_untouched();
}

#[test]
fn no_image() {
    let host = Host::new();
    let origin = host.origin(&server("one"));

    let run = host
        .deploy(&origin)
        .args(&["--image", "sdp-test/no-such-image:1", "--pull", "never"])
        .run()
        .exited(3);

    let problem = run.problem();
    assert_eq!(problem.code, "image_missing", "{}", run.story());
    assert!(
        problem.message.contains("sdp-test/no-such-image:1"),
        "{problem:?}"
    );
    assert!(
        problem.hint.as_ref().unwrap().contains("builtin"),
        "{problem:?}"
    );
    host.is_untouched();
}

/// Whether an image can be pulled is only known once it was tried: what served goes on.
#[test]
fn image_that_cannot_be_pulled() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);

    let run = host
        .deploy(&origin)
        .args(&["--image", "127.0.0.1:1/none:1"])
        .run()
        .exited(3);

    let problem = run.problem();
    assert_eq!(problem.code, "registry_unreachable", "{}", run.story());
    assert!(
        problem.message.contains("127.0.0.1:1/none:1"),
        "{problem:?}"
    );
    assert!(
        problem.hint.as_ref().unwrap().contains("builtin"),
        "{problem:?}"
    );
    assert_eq!(host.answer(), "one");
    host.holds(&[&first], &[]);
}

/// A host that became ready needs nothing but the same command again.
#[test]
fn ready_after_all() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let missing = ["--go", "/no/such/go"];
    host.deploy(&origin).args(&missing).run().exited(3);

    let run = host.deploy(&origin).run().deployed(FIRST);

    assert_eq!(host.answer(), "one");
    host.holds(&[&run], &[]);
}
