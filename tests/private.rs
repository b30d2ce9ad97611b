//! Private modules and submodules: the `git` that go or git starts is told the deployment's own
//! credentials for the deployment's own host, and for no other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::remotes::Way;
use crate::support::program::{Files, module, server, server_source};
use crate::support::{Access, Authority, FIRST, GitHttp, Host, Origin, Run, listing};
use crate::token::each_file;

const LOGIN: (&str, &str) = ("ada", "t0ken-of-a-test");

/// A library of its own, and a program that answers what it holds, from a server with a login.
struct Private {
    host: Host,
    origin: Origin,
    library: Origin,
    git: GitHttp,
    authority: Authority,
}

impl Private {
    fn new(files: &Files) -> Private {
        let host = Host::new();
        let origin = host.origin(files);
        let library = host.origin_in(
            "library",
            &vec![
                file("go.mod", "module git.invalid/team/lib.git\n\ngo 1.19\n"),
                file("lib.go", "package lib\n\nconst Answer = \"private\"\n"),
            ],
        );
        library.tag("v0.1.0");
        let authority = host.authority();
        let git = origin.over_http(Access {
            login: Some(LOGIN),
            authority: Some(&authority),
        });
        Private {
            host,
            origin,
            library,
            git,
            authority,
        }
    }

    /// Puts a copy of the library beside the repository, where its server finds it.
    fn publish(&self) {
        let target = self.origin.path().with_file_name("lib.git");
        let [from, to] = [self.library.path(), &target].map(|path| path.to_str().unwrap());
        self.origin.git(&["clone", "--quiet", "--bare", from, to]);
    }

    /// The token is in no file that anybody has written.
    fn keeps_no_token(&self) {
        let folders = ["srv", "go", "tmp"].map(|folder| self.host.path(folder));
        for folder in folders.iter().filter(|folder| folder.exists()) {
            each_file(folder, &mut |path| {
                let text = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
                assert!(!text.contains(LOGIN.1), "{}", path.display());
            });
        }
    }

    /// A deployment whose modules come from `server`.
    fn deploy(&self, server: &GitHttp) -> Run {
        self.deploy_with(server, "")
    }

    /// The same with more of git's configuration.
    fn deploy_with(&self, server: &GitHttp, config: &str) -> Run {
        let config = format!(
            "{config}[http]\n\tsslCAInfo = {}\n[url \"{}/\"]\n\tinsteadOf = https://git.invalid/team/\n",
            self.authority.file(),
            server.base()
        );
        let build = [
            "GOPRIVATE=git.invalid",
            "GOPROXY=direct",
            "GOFLAGS=-mod=mod -modcacherw",
        ];
        let way = Way::to(self.git.url())
            .git_config(&self.host, &config)
            .variable("SDP_GIT_USER", LOGIN.0)
            .variable("SDP_GIT_TOKEN", LOGIN.1);
        let way = build.iter().fold(way, |way, variable| {
            way.argument("--build-env").argument(*variable)
        });
        way.argument("--submodules").deploy(&self.host).run()
    }
}

fn file(path: &str, content: &str) -> (String, String) {
    (path.to_owned(), content.to_owned())
}

/// A program that needs the library.
fn needs_library() -> Files {
    let source = server_source("?", ":8080", "")
        .replace("\"?\"", "lib.Answer")
        .replace("import (", "import (\n\t\"git.invalid/team/lib.git\"");
    let mut files = module(&[("main.go", &source)]);
    files[0].1 += "\nrequire git.invalid/team/lib.git v0.1.0\n";
    files
}

#[test]
fn module_of_the_same_host() {
    let private = Private::new(&needs_library());
    private.publish();

    let run = private.deploy(&private.git).deployed(FIRST);

    assert_eq!(private.host.answer(), "private");
    let modules = listing(&private.host.path("go/pkg/mod/git.invalid/team"));
    assert_eq!(modules.into_iter().collect::<Vec<_>>(), ["lib.git@v0.1.0"]);
    assert!(!run.story().contains(LOGIN.1), "{}", run.story());
    private.keeps_no_token();
}

#[test]
fn module_of_another_host() {
    let private = Private::new(&needs_library());
    let other = private.library.over_http(Access {
        login: Some(LOGIN),
        authority: Some(&private.authority),
    });

    let run = private
        .deploy(&other)
        .failed(5, "build_failed", &FIRST[..5]);

    let hint = run.problem().hint.clone().unwrap_or_default();
    assert!(
        hint.contains("GOPRIVATE") || hint.contains("netrc"),
        "{}",
        run.story()
    );
    assert_eq!(
        other.logins().iter().flatten().count(),
        0,
        "{:?}",
        other.logins()
    );
}

#[test]
fn submodule_of_the_same_host() {
    let private = Private::new(&server("one"));
    private.publish();
    let url = format!("{}/lib.git", private.git.base());
    let modules = format!("[submodule \"lib\"]\n\tpath = lib\n\turl = {url}\n");
    let id = private.library.git(&["rev-parse", "HEAD"]);
    let link = format!("160000,{id},lib");
    private
        .origin
        .git(&["update-index", "--add", "--cacheinfo", &link]);
    std::fs::write(private.origin.work().join(".gitmodules"), modules).unwrap();
    private.origin.git(&["add", ".gitmodules"]);
    private
        .origin
        .git(&["commit", "--quiet", "-m", "Use the library"]);
    private.origin.push("main");

    let run = private.deploy(&private.git).deployed(FIRST);

    assert!(private.host.release(&run).join("lib/lib.go").exists());
    private.keeps_no_token();
}

/// A helper that writes down what works would write down the token.
#[test]
fn helper_is_not_told_the_token() {
    let private = Private::new(&needs_library());
    private.publish();
    let store = private.host.at_home("credentials", "");
    private.host.at_home(
        "helper",
        &format!("[credential]\n\thelper = store --file {store}\n"),
    );

    private
        .deploy_with(&private.git, "[include]\n\tpath = helper\n")
        .deployed(FIRST);

    assert_eq!(std::fs::read_to_string(store).unwrap(), "");
}

/// As actions/checkout leaves a checkout.
#[test]
fn header_for_one_url() {
    let private = Private::new(&server("one"));
    let login = BASE64.encode(format!("{}:{}", LOGIN.0, LOGIN.1));
    let config = format!(
        "[http]\n\tsslCAInfo = {}\n[http \"{}/\"]\n\textraHeader = AUTHORIZATION: basic {login}\n",
        private.authority.file(),
        private.git.base()
    );

    let way = Way::to(private.git.url()).git_config(&private.host, &config);
    way.deploy(&private.host).run().deployed(FIRST);

    assert_eq!(private.host.answer(), "one");
}

#[test]
fn user_of_the_url_goes_with_the_token() {
    let private = Private::new(&server("one"));
    let way = Way::to(private.git.url_as(LOGIN.0))
        .variable("SSL_CERT_FILE", private.authority.file())
        .variable("SDP_GIT_TOKEN", LOGIN.1)
        // Set to nothing: not set.
        .variable("SDP_SSH_KEY", "")
        .variable("SDP_DEPTH", "")
        .variable("SDP_TAG", "");

    way.deploy(&private.host).run().deployed(FIRST);

    assert_eq!(private.host.answer(), "one");
}
