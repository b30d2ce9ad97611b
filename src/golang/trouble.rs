//! What go prints when it fails, as failures with a way out. The sentences are those of Go 1.19 to 1.27.

use std::path::{Component, Path, PathBuf};

use crate::event::Place;
use crate::failure::{Code, Failure};
use crate::shell::quoted;

/// How many of the last lines explain a failure.
const SHOWN: usize = 20;

/// A go command that failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt<'a> {
    /// Such as `go build ./cmd/shop`.
    pub what: &'a str,
    /// Where it ran.
    pub directory: &'a Path,
    /// The repository's root.
    pub root: &'a Path,
    /// Such as `go1.27.3`.
    pub version: &'a str,
}

/// What is known of a kind of failure.
struct Known {
    code: Code,
    /// Any of these in a line tells it.
    signs: &'static [&'static str],
    /// What happened, after the command that failed; `{}` is what stands between `before` and a blank.
    message: &'static str,
    before: &'static str,
    hint: &'static str,
}

/// The first that fits counts: a refusal, say, comes with attempts over the network that failed.
const KNOWN: &[Known] = &[
    Known {
        code: Code::DiskFull,
        signs: &[
            "no space left on device",
            "Out of diskspace",
            "disk quota exceeded",
        ],
        message: "the disk is full",
        before: "",
        hint: "`df -h` shows which disk is full; `go clean -cache` empties Go's build cache",
    },
    Known {
        code: Code::BuildFailed,
        signs: &[
            "no required module provides package",
            "cannot find module providing package",
        ],
        message: "no module in go.mod has the package `{}`",
        before: "providing package |provides package ",
        hint: "`go get {}` adds its module; commit go.mod and go.sum, push, and deploy again",
    },
    Known {
        code: Code::BuildFailed,
        signs: &[
            "missing go.sum entry",
            "updates to go.mod needed",
            "updates to go.sum needed",
        ],
        message: "go.mod and go.sum are not complete",
        before: "",
        hint: "`go mod tidy` completes them; commit go.mod and go.sum, push, and deploy again",
    },
    Known {
        code: Code::BuildFailed,
        signs: &["\tgo work vendor"],
        message: "`vendor/` does not match the workspace's modules",
        before: "",
        hint: "`go work vendor` brings it in line; commit `vendor/`, push, and deploy again",
    },
    Known {
        code: Code::BuildFailed,
        signs: &["inconsistent vendoring"],
        message: "`vendor/` does not match go.mod",
        before: "",
        hint: "`go mod vendor` brings it in line; commit `vendor/`, push, and deploy again",
    },
    Known {
        code: Code::BuildFailed,
        signs: &["SECURITY ERROR", "checksum mismatch"],
        message: "what was downloaded as `{}` is not what go.sum or the checksum database knows",
        before: "verifying ",
        hint: "`go clean -modcache && go mod verify` on another machine shows whether go.sum or the download is \
               wrong; a version that was changed after its release needs a new number",
    },
    Known {
        code: Code::BuildFailed,
        signs: &["/lookup/", "sum.golang.org"],
        message: "the checksum database does not vouch for a module",
        before: "",
        hint: "`--build-env GONOSUMDB=HOST/*` leaves it out for modules that it cannot know; `go mod tidy` \
               writes their sums to go.sum",
    },
    Known {
        code: Code::BuildFailed,
        signs: &[
            "terminal prompts disabled",
            "could not read Username",
            "Authentication failed",
            "Permission denied (publickey",
            "Host key verification failed",
            ": 401 Unauthorized",
            ": 403 Forbidden",
            ": 404 Not Found",
            ": 410 Gone",
            "no secure protocol found for repository",
        ],
        message: "a module was refused, or is private",
        before: "",
        hint: "`--build-env GOPRIVATE=HOST/*` has it fetched from HOST itself and not from a proxy; \
               credentials for HOST come from `~/.netrc` or SDP_GIT_TOKEN",
    },
    Known {
        code: Code::BuildFailed,
        signs: &[
            "module lookup disabled by GOPROXY=off",
            "dial tcp",
            "no such host",
            "Could not resolve host",
            "connection refused",
            "network is unreachable",
            "i/o timeout",
            "TLS handshake timeout",
        ],
        message: "a module could not be downloaded",
        before: "",
        hint: "`go mod vendor` puts all modules into the repository; or `--build-env GOPROXY=URL` names a proxy \
               that this host reaches",
    },
    Known {
        code: Code::BuildFailed,
        signs: &["C compiler \"", "exec: \"gcc\"", "exec: \"clang\""],
        message: "there is no C compiler `{}`, which cgo needs",
        before: "C compiler \"|exec: \"",
        hint: "`sudo apt install gcc libc6-dev` installs one, `--build-env CC=PATH` names another; many programs \
               build without `--cgo`",
    },
    Known {
        code: Code::BuildFailed,
        signs: &["error obtaining VCS status"],
        message: "git does not tell go which commit this is",
        before: "",
        hint: "`git config --global --add safe.directory {root}` if another user owns the checkout; \
               `--build-env GOFLAGS=-buildvcs=false` builds without the commit's id",
    },
];

/// The failure of `attempt`, which printed these lines.
pub(super) fn failure(attempt: Attempt<'_>, mut lines: Vec<String>) -> Failure {
    let what = attempt.what;
    let places = places(attempt, &lines);
    let mut failure = too_old(attempt, &lines)
        .or_else(|| known(attempt, &lines))
        .unwrap_or_else(|| {
            let hint = format!(
                "`cd {} && {what}` shows the same; fix it, push, and deploy again",
                quoted(attempt.directory)
            );
            Failure::new(Code::BuildFailed, format!("`{what}` failed")).hint(hint)
        });
    failure.places = places;
    let skipped = lines.len().saturating_sub(SHOWN);
    failure.detail(lines.split_off(skipped))
}

/// The failure of a `go build` that says it is well and has written no program.
pub(super) fn nothing_built(what: &str) -> Failure {
    Failure::new(Code::BuildFailed, format!("`{what}` wrote no program")).hint(
        "`go env GOFLAGS` shows flags that keep go from it, such as `-n`; leave them out, in `--build-env` too, and \
         deploy again",
    )
}

fn known(attempt: Attempt<'_>, lines: &[String]) -> Option<Failure> {
    let says = |sign: &&str| lines.iter().any(|line| line.contains(sign));
    let known = KNOWN.iter().find(|known| known.signs.iter().any(says))?;
    let name = known
        .before
        .split('|')
        .filter(|before| !before.is_empty())
        .find_map(|before| lines.iter().find_map(|line| line.split_once(before)))
        .and_then(|(_, rest)| rest.split([' ', ';', '"']).next())
        .map_or("", |name| name.trim_end_matches(':'));
    let message = format!(
        "`{}` failed: {}",
        attempt.what,
        known.message.replace("{}", name)
    );
    let hint = known
        .hint
        .replace("{root}", &quoted(attempt.root))
        .replace("{}", &quoted(name));
    Some(Failure::new(known.code, message).hint(hint))
}

/// The module asks for a newer Go.
fn too_old(attempt: Attempt<'_>, lines: &[String]) -> Option<Failure> {
    let word = |line: &str, before: &str| {
        let (_, rest) = line.split_once(before)?;
        let word = rest.split([' ', ':', '\'', ';', ',']).next()?;
        word.starts_with(|c: char| c.is_ascii_digit())
            .then(|| word.to_owned())
    };
    let selects = minor(attempt.version).is_none_or(|minor| minor >= 21);
    let asked = |line: &String| {
        word(line, "requires go >= ")
            .or_else(|| word(line, "go: download go"))
            .or_else(|| word(line, "note: module requires Go "))
            // Before Go 1.21 there were no `toolchain` and no third number.
            .or_else(|| word(line, "invalid go version '").filter(|_| !selects))
            .or_else(|| {
                let (file, _) = line.split_once(": unknown directive")?;
                asked_in(attempt.directory, file).filter(|_| !selects)
            })
    };
    let asked = lines.iter().find_map(asked).or_else(|| {
        let no_workspaces = lines
            .iter()
            .any(|line| line.contains("go work: unknown command"));
        no_workspaces.then(|| "1.18".to_owned())
    })?;
    let message = format!(
        "`{}` failed: Go {asked} or newer is asked for, and this is {}",
        attempt.what, attempt.version
    );
    let hint = if lines.iter().any(|line| line.contains("go: download go")) {
        "`--go PATH` names a newer go; GOTOOLCHAIN=auto had this one look for it, but GOPROXY has it not or is out of \
         reach"
    } else if selects {
        "`--go PATH` names a newer go, or `--build-env GOTOOLCHAIN=auto` has this one download it"
    } else {
        "`--go PATH` names a newer go; from Go 1.21 on, it downloads what a module asks for (GOTOOLCHAIN=auto)"
    };
    Some(Failure::new(Code::GoTooOld, message).hint(hint))
}

/// 19 of `go1.19.8`.
fn minor(version: &str) -> Option<u32> {
    let numbers = version.strip_prefix("go1.")?;
    let digits = numbers.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// The Go version that the file of `FILE:LINE` asks for, which this go cannot read.
fn asked_in(directory: &Path, place: &str) -> Option<String> {
    let (file, _) = place.rsplit_once(':')?;
    let text = std::fs::read_to_string(directory.join(file)).ok()?;
    let line = |start: &str| {
        let version = text
            .lines()
            .find_map(|line| line.trim().strip_prefix(start))?;
        Some(version.split_whitespace().next()?.to_owned())
    };
    line("toolchain go").or_else(|| line("go "))
}

/// The places that compiler and go name, so far as they are in the repository.
fn places(attempt: Attempt<'_>, lines: &[String]) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    let mut open = false;
    for line in lines {
        if line.starts_with('\t') {
            if let Some(place) = places.last_mut().filter(|_| open) {
                place.message.push('\n');
                place.message.push_str(line.trim());
            }
            continue;
        }
        let place = place(attempt, line);
        open = place.is_some();
        places.extend(place);
    }
    places
}

/// `FILE:LINE: MESSAGE` or `FILE:LINE:COLUMN: MESSAGE`.
fn place(attempt: Attempt<'_>, text: &str) -> Option<Place> {
    let (position, message) = text.split_once(": ")?;
    let (rest, last) = position.rsplit_once(':')?;
    let last: u32 = last.parse().ok()?;
    let before = rest.rsplit_once(':');
    let before = before.and_then(|(file, line)| Some((file, line.parse::<u32>().ok()?)));
    let (file, line, column) = match before {
        Some((file, line)) => (file, line, Some(last)),
        None => (rest, last, None),
    };
    let path = lexically(&attempt.directory.join(file));
    let inside = path.strip_prefix(attempt.root).ok()?;
    path.is_file().then(|| Place {
        file: inside.to_string_lossy().into_owned(),
        line,
        column,
        message: message.to_owned(),
    })
}

/// The path without `.` and `..`.
fn lexically(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(clean.pop()),
            other => clean.push(other),
        }
    }
    clean
}
