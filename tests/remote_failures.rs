//! Remotes that are not to be had: each way has a message and a hint of its own, is over without a
//! question, and leaves nothing behind.

use std::collections::BTreeSet;

use crate::remotes::Way;
use crate::support::program::server;
use crate::support::{Access, FIRST, GitFault, Host, NEXT, Run, Server, free_port, listing};

const LOGIN: (&str, &str) = ("ada", "t0ken-of-a-test");

/// The code, and a part of the message and of the hint.
type Told = (&'static str, &'static str, &'static str);

/// Deploys from a clone, which fails and is gone without a trace.
fn is_refused(row: &str, host: &Host, way: &Way, (code, message, hint): Told) -> Run {
    let run = way.deploy(host).run();
    assert_eq!(run.code, 4, "{row}: {}", run.story());
    let problem = run.problem().clone();
    assert_eq!(problem.code, code, "{row}: {problem:?}");
    assert!(problem.message.contains(message), "{row}: {problem:?}");
    assert!(!problem.message.contains('\n'), "{row}: {problem:?}");
    let told = problem.hint.clone().unwrap_or_default();
    assert!(told.starts_with('`'), "{row}: {problem:?}");
    assert!(told.contains(hint), "{row}: {problem:?}");
    let run = run.failed(4, code, &FIRST[..1]);
    host.is_untouched();
    run
}

fn short_of_patience(way: Way) -> Way {
    way.argument("--git-timeout").argument("1s")
}

#[test]
fn login_is_refused() {
    // What is given, and the hint.
    let rows = [
        ("nothing", "wants a user and a password", "SDP_GIT_TOKEN"),
        ("nothing", "git has none", "--git-token-file"),
        ("nothing", "git has none", "helper"),
        ("variable", "refuses the user or token", "SDP_GIT_TOKEN"),
        ("file", "refuses the user or token", "--git-token-file"),
        ("URL", "refuses", "SDP_GIT_TOKEN"),
        (
            "helper",
            "refuses what git has for it",
            "git credential reject",
        ),
        ("netrc", "refuses what git has for it", "SDP_GIT_TOKEN"),
    ];
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let git = origin.over_http(Access {
        login: Some(LOGIN),
        ..Access::default()
    });
    for (row, message, hint) in rows {
        let way = Way::to(git.url());
        let way = match row {
            "nothing" => way,
            "variable" => way.variable("SDP_GIT_TOKEN", "wrong-token"),
            "file" => {
                let file = host.at_home("token", "wrong-token\n");
                way.argument("--git-token-file").argument(file)
            }
            "URL" => Way::to(git.url_as("ada:wrong-token")),
            "helper" => {
                let script = "!f() { echo username=ada; echo password=wrong-token; }; f";
                let config = format!("[credential]\n\thelper = \"{script}\"\n");
                way.git_config(&host, &config)
            }
            _ => {
                let netrc = "machine 127.0.0.1 login ada password wrong-token\n";
                way.variable("NETRC", host.at_home("netrc", netrc))
            }
        };

        let run = is_refused(row, &host, &way, ("remote_denied", message, hint));

        assert!(!run.story().contains("wrong-token"), "{}", run.story());
    }
}

#[test]
fn answers_of_an_http_server() {
    let rows: [(u16, Told); 4] = [
        (401, ("remote_denied", "wants a user", "SDP_GIT_TOKEN")),
        (403, ("remote_denied", "refuses", "`")),
        (
            404,
            (
                "remote_not_found",
                "there is no git repository",
                "git ls-remote",
            ),
        ),
        (
            500,
            (
                "remote_unreachable",
                "answered with status 500",
                "git ls-remote",
            ),
        ),
    ];
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let git = origin.over_http(Access::default());
    for (status, told) in rows {
        git.break_with(GitFault::Status(status));

        let run = is_refused(&status.to_string(), &host, &Way::to(git.url()), told);

        let detail = run.problem().detail.join("\n");
        assert!(
            status == 401 || detail.contains(&status.to_string()),
            "{detail}"
        );
    }
}

#[test]
fn certificate_is_not_trusted() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let authority = host.authority();
    let git = origin.over_http(Access {
        authority: Some(&authority),
        ..Access::default()
    });
    let told = |hint| {
        (
            "remote_unreachable",
            "certificate of `127.0.0.1` is not trusted",
            hint,
        )
    };

    is_refused(
        "variable",
        &host,
        &Way::to(git.url()),
        told("SSL_CERT_FILE"),
    );
    is_refused("git", &host, &Way::to(git.url()), told("http.sslCAInfo"));
    // Nothing but the handshake came through.
    assert!(git.logins().is_empty());
}

/// Whose host key it is, is for people to find out: no command of ours fetches one.
#[test]
fn ssh_is_refused() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let sshd = host.sshd();
    let url = sshd.url(origin.path());
    let (ssh, key) = (sshd.command(), sshd.key());
    let newcomer = sshd.command_of_a_newcomer();
    let deceived = sshd.command_of_one_deceived();
    for (ssh, key, message, hint) in [
        (
            &newcomer,
            &key,
            "does not know the host key",
            "once by hand",
        ),
        (
            &deceived,
            &key,
            "not the one that ssh knows",
            "whether its key was changed; only then `ssh-keygen -R ",
        ),
        (&ssh, &String::new(), "refuses the keys", "--ssh-key"),
        (&ssh, &sshd.wrong_key(), "refuses the key `", "ssh -i"),
    ] {
        let way = Way::to(&url).variable("GIT_SSH_COMMAND", ssh);
        let way = match key.as_str() {
            "" => way,
            key => way.argument("--ssh-key").argument(key),
        };

        let run = is_refused(message, &host, &way, ("remote_denied", message, hint));

        assert!(!run.story().contains("ssh-keyscan"), "{}", run.story());
    }
}

#[test]
fn nobody_is_there() {
    let host = Host::new();
    let port = free_port();
    for scheme in ["https", "http", "git", "ssh"] {
        let nowhere = Way::to(format!("{scheme}://git.invalid/shop.git"));
        let told = (
            "remote_unreachable",
            "`git.invalid` cannot be resolved",
            "git.invalid",
        );
        is_refused(scheme, &host, &nowhere, told);

        let closed = Way::to(format!("{scheme}://127.0.0.1:{port}/shop.git"));
        let told = (
            "remote_unreachable",
            "the connection was refused",
            "git ls-remote",
        );
        is_refused(scheme, &host, &closed, told);
    }
}

#[test]
fn repository_is_missing() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let http = origin.over_http(Access::default());
    let daemon = origin.over_git();
    let sshd = host.sshd();
    let nowhere = host.path("nowhere.git");
    let file = format!("file://{}", nowhere.display());
    for (row, url) in [
        ("http", http.nowhere()),
        ("git", daemon.nowhere()),
        ("ssh", sshd.url(&nowhere)),
        ("file", file),
        ("path", nowhere.display().to_string()),
    ] {
        let way = Way::to(url)
            .variable("GIT_SSH_COMMAND", sshd.command())
            .variable("SDP_SSH_KEY", sshd.key());
        let told = (
            "remote_not_found",
            "there is no git repository",
            "git ls-remote",
        );

        is_refused(row, &host, &way, told);
    }
}

#[test]
fn branch_tag_or_commit_is_missing() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    origin.branch("release-2", &server("two"));
    origin.tag("v1.0.0");
    let git = origin.over_http(Access::default());
    let id = "0123456789012345678901234567890123456789";
    let rows: [(&str, &str, Told); 6] = [
        (
            "--branch",
            "master",
            ("branch_not_found", "`master`", "`--branch main`"),
        ),
        (
            "--branch",
            "release",
            ("branch_not_found", "`release`", "`--branch release-2`"),
        ),
        (
            "--branch",
            "zebra",
            ("branch_not_found", "`zebra`", "--branch"),
        ),
        (
            "--tag",
            "v1.0.1",
            ("tag_not_found", "`v1.0.1`", "`--tag v1.0.0`"),
        ),
        ("--commit", id, ("commit_not_found", &id[..9], "`")),
        ("--commit", &id[..9], ("commit_not_found", &id[..9], "`")),
    ];
    for (flag, name, told) in rows {
        let way = Way::to(git.url()).argument(flag).argument(name);

        is_refused(name, &host, &way, told);
    }
}

#[test]
fn repository_is_empty() {
    let host = Host::new();
    let origin = host.empty_origin();
    let git = origin.over_http(Access::default());
    for url in [origin.url(), git.url()] {
        let way = Way::to(&url).argument("--branch").argument("main");
        let told = ("branch_not_found", "has no commits yet", "git push");

        is_refused(&url, &host, &way, told);
    }
}

#[test]
fn tag_has_moved() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    origin.tag("v1");
    let git = origin.over_http(Access::default());
    let way = Way::to(git.url()).argument("--tag").argument("v1");
    way.deploy(&host).run().deployed(FIRST);
    origin.commit(&server("two"), "Say two");
    origin.tag("v1");

    let refused = way.deploy(&host).run().failed(4, "tag_moved", &NEXT[..1]);
    let hint = refused.problem().hint.clone().unwrap();
    assert!(hint.starts_with("`--force`"), "{hint}");
    assert_eq!(host.answer(), "one");

    let forced = way.argument("--force").deploy(&host).run();
    forced.deployed(NEXT);
    assert_eq!(host.answer(), "two");
}

#[test]
fn server_is_silent() {
    let host = Host::new();
    let silent = Server::silent();
    for scheme in ["https", "http", "git", "ssh"] {
        let way = short_of_patience(Way::to(silent.url(scheme)));
        let told = ("remote_timeout", "127.0.0.1", "`");

        is_refused(scheme, &host, &way, told);
    }
}

/// What is left of a pack that did not come to its end.
fn half_packs(host: &Host) -> BTreeSet<String> {
    let mut packs = listing(&host.checkout().join(".git/objects/pack"));
    packs.retain(|name| !name.starts_with("pack-"));
    packs
}

#[test]
fn transfer_stalls_while_cloning() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let git = origin.over_http(Access::default());
    let way = short_of_patience(Way::to(git.url()));
    for after in [0, 20, 200] {
        git.break_with(GitFault::StallInPack(after));
        let told = ("remote_timeout", "", "`");

        is_refused("stalled", &host, &way, told);
    }

    git.mend();
    let run = way.deploy(&host).run().deployed(FIRST);
    assert_eq!(host.answer(), "one");
    host.holds(&[&run], &[]);
}

#[test]
fn transfer_stalls_while_fetching() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let git = origin.over_http(Access::default());
    let way = short_of_patience(Way::to(git.url()));
    let first = way.deploy(&host).run().deployed(FIRST);
    let head = host.git(&["rev-parse", "HEAD", "origin/main"]);
    origin.commit(&server("two"), "Say two");
    git.break_with(GitFault::StallInPack(100));

    let stalled = way.deploy(&host).run();

    stalled.failed(4, "remote_timeout", &NEXT[..1]);
    assert_eq!(host.git(&["rev-parse", "HEAD", "origin/main"]), head);
    assert_eq!(half_packs(&host), BTreeSet::new());
    assert_eq!(host.answer(), "one");
    host.holds(&[&first], &[]);

    git.mend();
    let second = way.deploy(&host).run().deployed(NEXT);
    assert_eq!(host.answer(), "two");
    host.holds(&[&second], &[&first]);
}

#[test]
fn interrupted_while_stalled() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let git = origin.over_http(Access::default());
    git.break_with(GitFault::StallInPack(100));

    let run = Way::to(git.url()).deploy(&host).spawn();
    git.wait_until_it_waits();
    run.interrupt();
    let run = run.finish();

    assert_eq!(run.code, 130, "{}", run.story());
    host.is_untouched();
}

/// With a terminal at hand, nobody is asked: neither by sdp nor by git or ssh.
#[test]
fn no_question_on_a_terminal() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let git = origin.over_http(Access {
        login: Some(LOGIN),
        ..Access::default()
    });
    let sshd = host.sshd();
    let rows = [
        (git.url(), sshd.command(), "SDP_GIT_TOKEN"),
        (git.url_as("ada"), sshd.command(), "SDP_GIT_TOKEN"),
        (sshd.url(origin.path()), sshd.command(), "--ssh-key"),
        (
            sshd.url(origin.path()),
            sshd.command_of_a_newcomer(),
            "host key",
        ),
    ];
    for (url, ssh, said) in rows {
        let run = host
            .sdp_on_a_terminal(&["deploy", host.name(), "--url", &url])
            .env("GIT_SSH_COMMAND", &ssh)
            .run()
            .exited(4);
        let shown = &run.stdout;
        assert!(shown.contains(said), "{url}: {shown}");
        for question in ["Username", "Password for", "yes/no"] {
            assert!(!shown.contains(question), "{url}: {shown}");
        }
        host.is_untouched();
    }
}
