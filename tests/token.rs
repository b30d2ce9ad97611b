//! A token is looked for wherever it has no business, all along the run and afterwards.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::remotes::Way;
use crate::support::program::{Files, broken, crash, server};
use crate::support::{Access, GitFault, GitHttp, Host, Lookout};

const USER: &str = "ada";
const MODES: [&str; 3] = ["--json", "lines", "--verbose"];

/// A run that has this end.
struct Case {
    program: fn() -> Files,
    branch: &'static str,
    is_right: bool,
    /// Where the token comes from, for each mode: a variable, a file, or the URL.
    sources: [&'static str; 3],
    code: i32,
}

/// In each mode, with the token from another source each time.
fn stays_secret(case: &Case) {
    for (mode, source) in MODES.into_iter().zip(case.sources) {
        let host = Host::new();
        // Nobody else's.
        let token = format!("sentinel-{}", host.name());
        let origin = host.origin(&(case.program)());
        let right = if case.is_right { &token } else { "another" };
        let git = origin.over_http(Access {
            login: Some((USER, right)),
            ..Access::default()
        });
        let both = BASE64.encode(format!("{USER}:{token}"));
        look_for(&[token, both], &host, &git, case, (mode, source));
    }
}

fn look_for(words: &[String; 2], host: &Host, git: &GitHttp, case: &Case, row: (&str, &str)) {
    let (mode, source) = row;
    let row = format!("{mode}, {source}");
    let token = &words[0];
    let way = match source {
        "variable" => Way::to(git.url())
            .variable("SDP_GIT_USER", USER)
            .variable("SDP_GIT_TOKEN", token),
        "file" => Way::to(git.url())
            .variable("SDP_GIT_USER", USER)
            .argument("--git-token-file")
            .argument(host.at_home("token", token)),
        _ => Way::to(git.url_as(&format!("{USER}:{token}"))),
    };
    let way = way.argument("--branch").argument(case.branch);
    let way = if mode == "lines" {
        way
    } else {
        way.argument(mode)
    };
    git.break_with(GitFault::Hold);

    let lookout = Lookout::new(words.to_vec());
    let live = way.deploy_as_told(host).spawn();
    // The token is on its way now.
    git.wait_until_it_waits();
    lookout.look_around();
    let own = live.command_line();
    git.mend();
    let run = live.finish();

    assert_eq!(run.code, case.code, "{row}: {}", run.story());
    assert_eq!(lookout.finish(&own), [].into(), "{row}: command lines");
    let has_token = |text: &[u8]| {
        let has = |word: &String| text.windows(word.len()).any(|part| part == word.as_bytes());
        words.iter().any(has)
    };
    assert!(!has_token(run.story().as_bytes()), "{row}: {}", run.story());
    for container in host.containers() {
        let inspect = serde_json::to_vec(&container.inspect).unwrap();
        assert!(!has_token(&inspect), "{row}: {}", container.name);
        let log = host.logs(&container.name);
        assert!(!has_token(log.as_bytes()), "{row}: {log}");
    }
    for folder in ["srv", "sdp-home", "tmp"] {
        each_file(&host.path(folder), &mut |path| {
            let content = fs::read(path).unwrap();
            assert!(!has_token(&content), "{row}: {}", path.display());
        });
    }
    // It was used, or nothing is proven.
    let login = format!("{USER}:{token}");
    assert!(git.logins().contains(&Some(login)), "{row}");
}

/// Shows every file below a folder.
pub fn each_file(folder: &Path, look: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            each_file(&entry.path(), look);
        } else if kind.is_file() {
            look(&entry.path());
        }
    }
}

#[test]
fn token_of_a_deployment() {
    for sources in [
        ["variable", "file", "URL"],
        ["URL", "variable", "file"],
        ["file", "URL", "variable"],
    ] {
        stays_secret(&Case {
            program: || server("one"),
            branch: "main",
            is_right: true,
            sources,
            code: 0,
        });
    }
}

#[test]
fn token_that_is_wrong() {
    stays_secret(&Case {
        program: || server("one"),
        branch: "main",
        is_right: false,
        sources: ["URL", "variable", "file"],
        code: 4,
    });
}

#[test]
fn token_where_a_branch_is_missing() {
    stays_secret(&Case {
        program: || server("one"),
        branch: "nowhere",
        is_right: true,
        sources: ["file", "URL", "variable"],
        code: 4,
    });
}

#[test]
fn token_where_the_build_fails() {
    stays_secret(&Case {
        program: broken,
        branch: "main",
        is_right: true,
        sources: ["variable", "file", "URL"],
        code: 5,
    });
}

#[test]
fn token_where_the_program_crashes() {
    stays_secret(&Case {
        program: crash,
        branch: "main",
        is_right: true,
        sources: ["URL", "variable", "file"],
        code: 6,
    });
}
