//! A step of a GitHub Actions job: what its runner makes of the log, and the step's summary.

use std::fs;

use crate::support::program::{module, server};
use crate::support::{Host, Origin, Run};

fn job(host: &Host, origin: &Origin, arguments: &[&str]) -> (Run, String) {
    let summary = host.path("summary.md");
    let run = host
        .sdp(&["deploy", host.name(), "--url", &origin.url()])
        .args(arguments)
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", &summary.display().to_string())
        .run();
    let page = fs::read_to_string(&summary).unwrap();
    fs::remove_file(summary).unwrap();
    (run, page)
}

#[test]
fn a_step_has_a_summary_in_each_format() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    for arguments in [&[][..], &["--json"]] {
        origin.commit(&server(&format!("{arguments:?}")), "<b>bold</b> | `x`");
        let (run, page) = job(&host, &origin, arguments);
        assert_eq!(run.code, 0, "{}", run.story());
        assert!(page.starts_with("<h3>✅ deployed main <code>"), "{page}");
        assert!(page.contains("&lt;b&gt;bold&lt;/b&gt;"), "{page}");
        assert!(page.contains(&host.running().name), "{page}");
        assert!(page.contains("<tr><td>go build</td><td>"), "{page}");
    }
}

/// What the program says is not for the runner to obey.
#[test]
fn lines_of_others_command_nothing() {
    let host = Host::new();
    let source = r#"package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Println("::add-mask::a")
	fmt.Println("  ::error::not ours")
	os.Exit(3)
}
"#;
    let origin = host.origin(&module(&[("main.go", source)]));

    let (run, page) = job(&host, &origin, &[]);

    assert_eq!(run.code, 6, "{}", run.story());
    assert!(run.story().contains("::error::not ours"), "{}", run.story());
    let commands = |line: &&str| line.trim_start().starts_with("::");
    let lines = run.stdout.lines().chain(run.stderr.lines());
    assert_eq!(
        lines.filter(commands).collect::<Vec<_>>(),
        Vec::<&str>::new()
    );
    assert!(
        page.contains("❌ failed") && page.contains("::error::not ours"),
        "{page}"
    );
}

#[test]
fn what_the_compiler_says_is_folded_up_and_the_error_is_not() {
    let host = Host::new();
    let source = "package main\n\nfunc main() {\n\tundefinedName()\n}\n";
    let origin = host.origin(&module(&[("main.go", source)]));

    let (run, page) = job(&host, &origin, &[]);

    assert_eq!(run.code, 5, "{}", run.story());
    let groups: Vec<&str> = run
        .stdout
        .lines()
        .filter(|line| line.starts_with("::"))
        .collect();
    assert_eq!(
        groups,
        [
            "::group::go build",
            "::endgroup::",
            "::error file=main.go,line=4,col=2::undefined: undefinedName"
        ]
    );
    let error = &run.stderr[run.stderr.find("error: go build").unwrap()..];
    assert!(
        error.contains("./main.go:4:2: undefined"),
        "{}",
        run.story()
    );
    assert!(page.contains("<pre>"), "{page}");
}
