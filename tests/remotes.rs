//! The ways to a remote: each is gone, and the program that it led to is asked.

use std::fs;

use crate::support::program::server;
use crate::support::{Access, FIRST, GitHttp, Host, HttpProxy, NEXT, Origin, Run, Sdp};

const USER: &str = "ada";
const TOKEN: &str = "t0ken-of-a-test";

/// What leads to a remote: its URL, variables and arguments.
#[derive(Default)]
pub struct Way {
    pub url: String,
    pub variables: Vec<(&'static str, String)>,
    pub arguments: Vec<String>,
}

impl Way {
    pub fn to(url: impl Into<String>) -> Way {
        Way {
            url: url.into(),
            ..Way::default()
        }
    }

    pub fn variable(mut self, name: &'static str, value: impl Into<String>) -> Way {
        self.variables.push((name, value.into()));
        self
    }

    pub fn argument(mut self, argument: impl Into<String>) -> Way {
        self.arguments.push(argument.into());
        self
    }

    /// With a configuration of the user's for git.
    pub fn git_config(self, host: &Host, config: &str) -> Way {
        self.variable("GIT_CONFIG_GLOBAL", host.at_home("gitconfig", config))
    }

    /// A deployment of `main` this way, with events.
    pub fn deploy(&self, host: &Host) -> Sdp {
        self.deploy_as_told(host).args(&["--json"])
    }

    /// A deployment with these arguments and no other.
    pub fn deploy_as_told(&self, host: &Host) -> Sdp {
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let sdp = host.sdp(&["deploy", host.name(), "--url", &self.url]);
        let sdp = sdp.args(&arguments);
        let add = |sdp: Sdp, (name, value): &(&str, String)| sdp.env(name, value);
        self.variables.iter().fold(sdp, add)
    }
}

/// Deploys from a clone and again after a push, and asks the program each time.
fn deploys_twice(row: &str, host: &Host, origin: &Origin, way: &Way) -> Run {
    let deploy = || {
        let run = way.deploy(host).run();
        assert_eq!(run.code, 0, "{row}: {}", run.story());
        run
    };
    let first = deploy().deployed(FIRST);
    assert_eq!(host.answer(), "one", "{row}");
    origin.commit(&server("two"), "Say two");
    let second = deploy().deployed(NEXT);
    assert_eq!(host.answer(), "two", "{row}");
    host.holds(&[&second], &[&first]);
    second
}

type Arrange = fn(&Host, &GitHttp) -> Way;

fn from_variables(_: &Host, git: &GitHttp) -> Way {
    Way::to(git.url())
        .variable("SDP_GIT_USER", USER)
        .variable("SDP_GIT_TOKEN", TOKEN)
}

fn from_the_url(_: &Host, git: &GitHttp) -> Way {
    Way::to(git.url_as(&format!("{USER}:{TOKEN}")))
}

fn from_netrc(host: &Host, git: &GitHttp) -> Way {
    let netrc = format!("machine 127.0.0.1 login {USER} password {TOKEN}\n");
    host.at_home(".netrc", &netrc);
    Way::to(git.url())
}

const LOGINS: [(&str, Arrange); 6] = [
    ("variables", from_variables),
    ("a file", |host, git| {
        let file = host.at_home("token", &format!("{TOKEN}\n"));
        Way::to(git.url())
            .variable("SDP_GIT_USER", USER)
            .argument("--git-token-file")
            .argument(file)
    }),
    ("the URL", from_the_url),
    ("git's `store`", |host, git| {
        let kept = git.url_as(&format!("{USER}:{TOKEN}"));
        let store = host.at_home("credentials", &format!("{kept}\n"));
        let config = format!("[credential]\n\thelper = store --file {store}\n");
        Way::to(git.url()).git_config(host, &config)
    }),
    ("a helper in shell", |host, git| {
        let script = format!("!f() {{ echo username={USER}; echo password={TOKEN}; }}; f");
        let config = format!("[credential \"{}\"]\n\thelper = \"{script}\"\n", git.base());
        Way::to(git.url()).git_config(host, &config)
    }),
    ("~/.netrc", from_netrc),
];

#[test]
fn https_with_a_login() {
    for (row, arrange) in LOGINS {
        let host = Host::new();
        let origin = host.origin(&server("one"));
        let authority = host.authority();
        let git = origin.over_http(Access {
            login: Some((USER, TOKEN)),
            authority: Some(&authority),
        });
        let way = arrange(&host, &git).variable("SSL_CERT_FILE", authority.file());

        deploys_twice(row, &host, &origin, &way);

        let config = fs::read_to_string(host.checkout().join(".git/config")).unwrap();
        assert!(!config.contains(TOKEN), "{row}: {config}");
        assert!(config.contains(&git.url()), "{row}: {config}");
    }
}

#[test]
fn http_with_a_login() {
    let rows: [(&str, Arrange); 3] = [
        ("variables", from_variables),
        ("the URL", from_the_url),
        ("~/.netrc", from_netrc),
    ];
    for (row, arrange) in rows {
        let host = Host::new();
        let origin = host.origin(&server("one"));
        let git = origin.over_http(Access {
            login: Some((USER, TOKEN)),
            ..Access::default()
        });

        deploys_twice(row, &host, &origin, &arrange(&host, &git));
    }
}

/// What is given for this run beats what stands in the URL, and that beats what git knows.
#[test]
fn order_of_the_logins() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let git = origin.over_http(Access {
        login: Some((USER, TOKEN)),
        ..Access::default()
    });
    let netrc = "machine 127.0.0.1 login eve password of-netrc\n";
    host.at_home(".netrc", netrc);
    let file = host.at_home("token", TOKEN);

    let url_over_netrc = Way::to(git.url_as(&format!("{USER}:{TOKEN}")));
    url_over_netrc.deploy(&host).run().deployed(FIRST);
    let variable_over_url = Way::to(git.url_as(&format!("{USER}:of-url")));
    let variable_over_url = variable_over_url.variable("SDP_GIT_TOKEN", TOKEN);
    variable_over_url.deploy(&host).run().deployed(NEXT);
    let file_over_variable = Way::to(git.url())
        .variable("SDP_GIT_USER", USER)
        .variable("SDP_GIT_TOKEN", "of-variable")
        .variable("SDP_GIT_TOKEN_FILE", file);
    file_over_variable.deploy(&host).run().deployed(NEXT);

    let wrong = |login: &&String| **login != format!("{USER}:{TOKEN}");
    let told: Vec<String> = git.logins().into_iter().flatten().collect();
    assert_eq!(told.iter().find(wrong), None);
    assert!(told.len() >= 3, "{told:?}");
}

#[test]
fn authority_of_ones_own() {
    type Trust = fn(&Host, &GitHttp, &str) -> Way;
    let rows: [(&str, Trust); 3] = [
        ("SSL_CERT_FILE", |_, git, file| {
            Way::to(git.url()).variable("SSL_CERT_FILE", file)
        }),
        ("http.sslCAInfo", |host, git, file| {
            let config = format!("[http]\n\tsslCAInfo = {file}\n");
            Way::to(git.url()).git_config(host, &config)
        }),
        ("http.URL.sslCAInfo", |host, git, file| {
            let (here, elsewhere) = (git.base(), "https://git.invalid");
            let config = format!(
                "[http \"{here}\"]\n\tsslCAInfo = {file}\n[http \"{elsewhere}\"]\n\tsslCAInfo = /dev/null\n"
            );
            Way::to(git.url()).git_config(host, &config)
        }),
    ];
    for (row, arrange) in rows {
        let host = Host::new();
        let origin = host.origin(&server("one"));
        let authority = host.authority();
        let git = origin.over_http(Access {
            authority: Some(&authority),
            ..Access::default()
        });
        let way = arrange(&host, &git, authority.file());

        let run = way.deploy(&host).run();

        assert_eq!(run.code, 0, "{row}: {}", run.story());
        assert_eq!(host.answer(), "one", "{row}");
    }
}

#[test]
fn ssh() {
    for row in [
        "agent",
        "key",
        "scp-like",
        "core.sshCommand",
        "core.sshCommand and a key",
        "a program of one's own",
        "a path with a blank",
    ] {
        let host = Host::new();
        let origin = host.origin(&server("one"));
        let sshd = host.sshd();
        let agent = sshd.agent();
        let with_command = Way::default().variable("GIT_SSH_COMMAND", sshd.command());
        let url = sshd.url(origin.path());
        let way = match row {
            "agent" => Way {
                url,
                ..with_command
            }
            .variable("SSH_AUTH_SOCK", agent.socket()),
            "key" => Way {
                url,
                ..with_command
            }
            .argument("--ssh-key")
            .argument(sshd.key()),
            "scp-like" => {
                let url = sshd.short_url(origin.path());
                Way {
                    url,
                    ..with_command
                }
                .variable("SDP_SSH_KEY", sshd.key())
            }
            "core.sshCommand" => {
                let config = format!("[core]\n\tsshCommand = {}\n", sshd.command());
                Way::to(url)
                    .git_config(&host, &config)
                    .variable("SSH_AUTH_SOCK", agent.socket())
            }
            "core.sshCommand and a key" => {
                let (other, command) = (sshd.wrong_key(), sshd.command());
                let config = format!("[core]\n\tsshCommand = {command} -i {other}\n");
                Way::to(url)
                    .git_config(&host, &config)
                    .argument("--ssh-key")
                    .argument(sshd.key())
            }
            "a program of one's own" => {
                host.instead_of("my-ssh", &format!("exec {} \"$@\"", sshd.command()));
                let program = host.path("bin/my-ssh").display().to_string();
                Way::to(url)
                    .variable("GIT_SSH", program)
                    .argument("--ssh-key")
                    .argument(sshd.key())
            }
            _ => {
                let key = host.at_home("the key", &fs::read_to_string(sshd.key()).unwrap());
                Way {
                    url,
                    ..with_command
                }
                .argument("--ssh-key")
                .argument(key)
            }
        };

        deploys_twice(row, &host, &origin, &way);
    }
}

#[test]
fn without_a_login() {
    for row in ["git", "http", "file", "path"] {
        let host = Host::new();
        let origin = host.origin(&server("one"));
        let daemon = origin.over_git();
        let http = origin.over_http(Access::default());
        let way = match row {
            "git" => Way::to(daemon.url()),
            "http" => Way::to(http.url()),
            "file" => Way::to(origin.url()),
            _ => Way::to(origin.path().to_str().unwrap()),
        };

        deploys_twice(row, &host, &origin, &way);
    }
}

#[test]
fn url_that_git_rewrites() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let folder = origin.path().parent().unwrap().display();
    let public = "https://git.invalid/team/";
    let config = format!("[url \"file://{folder}/\"]\n\tinsteadOf = {public}\n");
    let url = format!("{public}{}.git", host.name());

    let way = Way::to(&url).git_config(&host, &config);

    deploys_twice("insteadOf", &host, &origin, &way);

    assert_eq!(host.git(&["config", "remote.origin.url"]), url);
}

/// It begins at the checkout, wherever sdp runs.
#[test]
fn origin_as_a_relative_path() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    host.clone_by_hand(&origin);
    let below = origin.path().strip_prefix(host.path("")).unwrap();
    let relative = format!("../../{}", below.display());
    host.git(&["remote", "set-url", "origin", &relative]);
    let deploy = || host.sdp(&["deploy", host.name(), "--json"]).run();
    deploy().deployed(NEXT);
    origin.commit(&server("two"), "Say two");
    deploy().deployed(NEXT);
    assert_eq!(host.answer(), "two");
}

#[test]
fn proxy() {
    // Variables, git's configuration, whether it is https, and whether the proxy is asked.
    let rows = [
        ("https_proxy", "", true, true),
        ("HTTPS_PROXY", "", true, true),
        ("http_proxy", "", false, true),
        ("http_proxy", "", true, false),
        ("https_proxy no_proxy", "", true, false),
        ("http_proxy no_proxy", "", false, false),
        ("", "http.proxy", true, true),
        ("", "http.proxy", false, true),
        ("no_proxy", "http.proxy", false, false),
    ];
    for row in rows {
        let (variables, config, is_https, is_asked) = row;
        let host = Host::new();
        let origin = host.origin(&server("one"));
        let authority = host.authority();
        let git = origin.over_http(Access {
            authority: is_https.then_some(&authority),
            ..Access::default()
        });
        let proxy = HttpProxy::new();
        let mut way = Way::to(git.url()).variable("SSL_CERT_FILE", authority.file());
        for variable in variables.split_whitespace() {
            way = match variable {
                "no_proxy" => way.variable("no_proxy", "127.0.0.1"),
                "http_proxy" => way.variable("http_proxy", proxy.url()),
                "HTTPS_PROXY" => way.variable("HTTPS_PROXY", proxy.url()),
                _ => way.variable("https_proxy", proxy.url()),
            };
        }
        if !config.is_empty() {
            let config = format!("[http]\n\tproxy = {}\n", proxy.url());
            way = way.git_config(&host, &config);
        }

        let run = way.deploy(&host).run();

        assert_eq!(run.code, 0, "{row:?}: {}", run.story());
        assert_eq!(host.answer(), "one", "{row:?}");
        let passed = proxy.passed();
        assert_eq!(!passed.is_empty(), is_asked, "{row:?}: {passed:?}");
        let tunnel = format!("CONNECT {}", git.authority());
        let plain = format!("GET {}", git.url());
        let begin = if is_https { tunnel } else { plain };
        let fits = |asked: &String| asked.starts_with(&begin);
        assert!(!is_asked || passed.iter().any(fits), "{row:?}: {passed:?}");
    }
}

/// Over https, as it is the remote's server that may refuse to tell what is not a branch's tip.
#[test]
fn tag_and_commit_over_https() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    origin.tag("v1");
    let second = origin.commit(&server("two"), "Say two");
    origin.commit(&server("three"), "Say three");
    let authority = host.authority();
    let git = origin.over_http(Access {
        login: Some((USER, TOKEN)),
        authority: Some(&authority),
    });
    let way = || from_variables(&host, &git).variable("SSL_CERT_FILE", authority.file());
    let full = way().argument("--commit").argument(&second);
    let short = way().argument("--commit").argument(&second[..9]);
    let tag = way().argument("--tag").argument("v1");

    let mut stages = FIRST;
    for (row, way, answer) in [
        ("full", full, "two"),
        ("tag", tag, "one"),
        ("short", short, "two"),
    ] {
        let run = way.deploy(&host).run();
        assert_eq!(run.code, 0, "{row}: {}", run.story());
        run.deployed(stages);
        assert_eq!(host.answer(), answer, "{row}");
        stages = NEXT;
    }
    let main = way().argument("--branch").argument("main");
    main.deploy(&host).run().deployed(NEXT);
    assert_eq!(host.answer(), "three");
}

/// A branch may have the same name.
#[test]
fn tag_is_told_from_a_branch() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    origin.tag("main");
    let tag = ["--tag", "main", "--if-changed"];
    for (what, told, outcome) in [
        (&tag[..], "tag main", "deployed"),
        (&tag[..], "tag main", "unchanged"),
        (&["--branch", "main", "--if-changed"], "main", "deployed"),
    ] {
        let run = host.deploy(&origin).args(what).run();
        assert_eq!(run.code, 0, "{what:?}: {}", run.story());
        assert_eq!(run.status().outcome.as_deref(), Some(outcome), "{what:?}");
        assert_eq!(run.status().branch.as_deref(), Some(told));
        assert_eq!(host.running().label("sdp.branch"), Some(told));
    }
}

#[test]
fn commit_by_the_id_of_its_tag() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = origin.git(&["rev-parse", "HEAD"]);
    let tag = origin.tag("v1");
    origin.commit(&server("two"), "Say two");
    for (id, stages) in [(&tag[..], FIRST), (&tag[..12], NEXT)] {
        let run = host.deploy(&origin).args(&["--commit", id]).run();
        let run = run.deployed(stages);
        assert_eq!(run.status().commit.as_ref(), Some(&first), "{id}");
    }
    assert_eq!(host.answer(), "one");
}

/// What is not here may well be at the remote.
#[test]
fn commit_that_a_shallow_history_lacks() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = origin.git(&["rev-parse", "HEAD"]);
    origin.commit(&server("two"), "Say two");
    host.git_in(
        "srv",
        &["clone", "-q", "--depth", "1", &origin.url(), host.name()],
    );

    let run = host.deploy(&origin).args(&["--commit", &first[..9]]).run();
    let run = run.failed(4, "commit_not_found", &NEXT[..1]);
    let problem = run.problem();
    assert!(problem.message.ends_with("which is cut off"), "{problem:?}");
    let hint = problem.hint.as_deref().unwrap();
    assert!(hint.starts_with("`--commit` with all 40 digits"), "{hint}");

    let run = host.deploy(&origin).args(&["--commit", &first]).run();
    run.deployed(NEXT);
    assert_eq!(host.answer(), "one");
}

#[test]
fn remote_with_tags_only() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    origin.tag("v1");
    let bare = ["--git-dir", origin.path().to_str().unwrap()];
    origin.git(&[&bare[..], &["update-ref", "-d", "refs/heads/main"]].concat());

    for what in [&["--branch", "main"][..], &[]] {
        let run = host.deploy(&origin).args(what).run().exited(4);
        let problem = run.problem();
        assert_eq!(problem.code, "branch_not_found");
        assert!(
            problem.message.ends_with("has tags, but no branches"),
            "{problem:?}"
        );
        assert_eq!(problem.detail, ["tags: v1"]);
        let hint = problem.hint.as_deref().unwrap();
        assert!(hint.starts_with("`--tag NAME`"), "{hint}");
    }
    let run = host.deploy(&origin).args(&["--tag", "v1"]).run();
    run.deployed(FIRST);
}

/// Found out before anything is asked or made.
#[test]
fn names_that_git_would_not_have() {
    let host = Host::new();
    for (flag, name) in [
        ("--branch", "a..b"),
        ("--branch", "a b"),
        ("--tag", "v1~"),
        ("--tag", "/v1"),
    ] {
        let run = host
            .deploy_from("file:///nowhere")
            .args(&[flag, name])
            .env("DOCKER_HOST", "unix:///nowhere")
            .run();
        let run = run.failed(2, "usage", &[]);
        let message = &run.problem().message;
        assert!(
            message.starts_with(&format!("`{name}` cannot be")),
            "{message}"
        );
    }
    host.is_untouched();
}

#[test]
fn shallow_clone_is_pulled() {
    let host = Host::new();
    let origin = host.origin(&server("zero"));
    origin.commit(&server("one"), "Say one");
    let git = origin.over_http(Access::default());
    let way = Way::to(git.url()).argument("--depth").argument("1");

    deploys_twice("shallow", &host, &origin, &way);

    assert_eq!(host.git(&["rev-parse", "--is-shallow-repository"]), "true");
    let log = host.git(&["log", "--format=%s"]);
    assert_eq!(log, "Say two\nSay one");
}

/// A token is for the host that it was given for.
#[test]
fn redirected_to_another_host() {
    for row in ["variables", "URL", "same host"] {
        let host = Host::new();
        let origin = host.origin(&server("one"));
        let login = Some((USER, TOKEN));
        let other = origin.over_http(Access::default());
        let git = origin.over_http(Access {
            login,
            ..Access::default()
        });
        let place = other.base().replace("127.0.0.1", "localhost");
        git.break_with(crate::support::GitFault::Redirect(match row {
            "same host" => other.base(),
            _ => place,
        }));
        let way = match row {
            "URL" => from_the_url(&host, &git),
            _ => from_variables(&host, &git),
        };

        let run = way.deploy(&host).run();

        // Whether it follows is another matter.
        assert!(matches!(run.code, 0 | 4), "{row}: {}", run.story());
        let logins = other.logins();
        assert!(!logins.is_empty(), "{row}: not followed: {}", run.story());
        assert!(logins.iter().all(Option::is_none), "{row}: {logins:?}");
    }
}
