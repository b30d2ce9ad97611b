//! `kill -9` before each kind of change that a deployment or a rollback makes to the names of sdp's own files
//! and of git's: the next one needs no help, and leaves no trace of the killed one. strace counts them for each
//! thread by itself, so not each single one can be met.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::support::program::server;
use crate::support::{FIRST, Host, NEXT, Origin, Sdp};

/// The system calls that change names in a directory.
const CALLS: &str = "rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,linkat";

/// Stands for the id of a deployment in a path.
const ID: &str = "ID";

/// One of these calls.
#[derive(Debug, PartialEq, Eq)]
struct Edit {
    call: String,
    /// In the checkout.
    path: String,
    /// It is its thread's first one with this path, the second, …
    nth: usize,
}

impl Edit {
    /// That of a line that strace has written for a deployment with this id.
    fn parse(line: &str, checkout: &Path, id: &str) -> Option<Edit> {
        let (_, call) = line.split_once(' ')?;
        let (call, arguments) = call.split_once('(')?;
        // Absolute, or relative to a directory that is open. A new link is meant, not what it leads to.
        let mut names = arguments.split('"').skip(1).step_by(2);
        let name = names.nth(usize::from(call.trim() == "linkat"));
        let absolute = name.filter(|path| path.starts_with('/'));
        let opened = || Some(arguments.split_once('<')?.1.split_once('>')?.0);
        let path = Path::new(absolute.or_else(opened)?)
            .strip_prefix(checkout)
            .ok()?;
        Some(Edit {
            call: call.trim().to_owned(),
            path: path.to_str()?.replace(id, ID),
            nth: 1,
        })
    }
}

/// What is run and killed.
struct Command<'a> {
    host: &'a Host,
    /// Without a deployment's id, which [`ID`] stands for.
    arguments: Vec<String>,
    /// Its exit code if it is not killed.
    code: i32,
}

impl<'a> Command<'a> {
    fn deploy(host: &'a Host, origin: &Origin) -> Command<'a> {
        let url = origin.url();
        let arguments = ["deploy", host.name(), "--url", &url, "--id", ID, "--json"];
        Command {
            host,
            arguments: arguments.map(str::to_owned).to_vec(),
            code: 0,
        }
    }

    fn rollback(host: &'a Host) -> Command<'a> {
        let arguments = ["rollback", host.name(), "--to", ID, "--json"];
        Command {
            host,
            arguments: arguments.map(str::to_owned).to_vec(),
            code: 0,
        }
    }

    /// Under strace, which lets the programs alone that sdp starts.
    fn traced(&self, id: &str, options: &[&str]) -> Sdp {
        let log = self.host.path("edits");
        let log = log.to_str().unwrap();
        let strace = ["strace", "-f", "-b", "execve", "-qq", "-y", "-o", log];
        let arguments = self.arguments.iter();
        let arguments: Vec<&str> = arguments
            .map(|word| if word == ID { id } else { word })
            .collect();
        self.host
            .sdp_through(&[&strace, options].concat(), &arguments)
    }

    /// What it edits if it is not killed.
    fn edits(&self, id: &str) -> Vec<Edit> {
        let host = self.host;
        let trace = format!("trace={CALLS}");
        self.traced(id, &["-e", &trace]).run().exited(self.code);
        host.is_tidy();
        let text = fs::read_to_string(host.path("edits")).unwrap();
        let mut edits = Vec::new();
        let mut counts = HashMap::new();
        for line in text.lines() {
            let Some(mut edit) = Edit::parse(line, &host.checkout(), id) else {
                continue;
            };
            let thread = line.split(' ').next().unwrap();
            let key = (thread.to_owned(), edit.call.clone(), edit.path.clone());
            let count = counts.entry(key).or_insert(0);
            *count += 1;
            edit.nth = *count;
            // Packs, and the files that gix tries the file system with, have other names each time.
            let is_probe =
                edit.path.contains('\\') || edit.path.ends_with(|c: char| c.is_ascii_digit());
            if is_probe || edit.path.contains("/pack/") {
                continue;
            }
            if !line.contains(" = -1 ") && !edits.contains(&edit) {
                edits.push(edit);
            }
        }
        edits
    }

    /// Runs until this edit is due. Whether it came so far: which thread does what differs from run to run.
    fn killed_before(&self, edit: &Edit, id: &str) -> bool {
        let mut path = self.host.checkout();
        path.extend(Path::new(&edit.path.replace(ID, id)));
        let trace = format!("trace={}", edit.call);
        let inject = format!("inject={}:signal=KILL:when={}", edit.call, edit.nth);
        let options = ["-P", path.to_str().unwrap(), "-e", &trace, "-e", &inject];
        let run = self.traced(id, &options).spawn().ended();
        match run.code {
            -9 => true,
            // What was found out about unchanged files is written down only where there is something.
            code if code == self.code && (edit.nth > 1 || code != 0) => false,
            code => panic!("exit code {code} before {edit:?}: {}", run.story()),
        }
    }
}

/// Goes through the first, third, … or the second, fourth, … edit of a deployment over an existing one.
fn at_every_other_edit(first: usize) {
    let host = Host::new();
    let origin = host.origin(&server("0"));
    host.deploy(&origin).run().deployed(FIRST);
    // As a clone of git's has them.
    host.git(&["pack-refs", "--all"]);
    origin.commit(&server("whole"), "Say it");
    let deployment = Command::deploy(&host, &origin);
    let edits = deployment.edits("whole");
    let mut count = 0;
    for (at, edit) in edits.iter().enumerate().skip(first).step_by(2) {
        let answer = at.to_string();
        origin.commit(&server(&answer), &answer);
        count += usize::from(deployment.killed_before(edit, &format!("cut-{at}")));

        let run = host.deploy(&origin).args(&["--stop-timeout", "1s"]).run();

        let run = run.deployed(NEXT);
        assert_eq!(host.answer(), answer, "after {edit:?}");
        host.is_settled(&run);
    }
    assert!(count > 10, "{edits:#?}");
}

#[test]
fn sigkill_before_odd_edits() {
    at_every_other_edit(0);
}

#[test]
fn sigkill_before_even_edits() {
    at_every_other_edit(1);
}

/// What differs from the later ones: git's directory is made, and the branch.
#[test]
fn sigkill_before_edits_of_the_first_deployment() {
    let whole = Host::new();
    let origin = whole.origin(&server("0"));
    let mut edits = Command::deploy(&whole, &origin).edits("whole");
    // A clone's directory goes as one, whatever there is in it.
    let is_own = |edit: &Edit| {
        let is_other = ["clone-tmp", "switch/tree"]
            .iter()
            .any(|part| edit.path.contains(part));
        edit.path.starts_with(".sdp/") && !is_other
    };
    let is_within = |edit: &Edit| edit.call == "mkdir" && edit.path.contains(".git/");
    edits.retain(|edit| !is_own(edit) && !is_within(edit));
    for (at, edit) in edits.iter().enumerate() {
        let host = Host::new();
        let origin = host.origin(&server("0"));
        Command::deploy(&host, &origin).killed_before(edit, &format!("cut-{at}"));

        let run = host.deploy(&origin).run().exited(0);

        assert_eq!(host.answer(), "0", "after {edit:?}");
        let upstream = host.git(&["rev-parse", "--abbrev-ref", "main@{upstream}"]);
        assert_eq!(upstream, "origin/main", "after {edit:?}");
        host.is_settled(&run);
    }
}

#[test]
fn sigkill_before_edits_of_a_rollback() {
    let host = Host::new();
    let origin = host.origin(&server("old"));
    let old = host.deploy(&origin).run().deployed(FIRST);
    origin.commit(&server("new"), "Say new");
    let new = host.deploy(&origin).run().deployed(NEXT);
    let mut answers = [(old.deployment(), "old"), (new.deployment(), "new")];
    let rollback = Command::rollback(&host);
    let edits = rollback.edits(old.deployment());
    assert!(edits.len() > 2, "{edits:#?}");
    for edit in edits {
        answers.reverse();
        let [(to, answer), _] = answers;
        rollback.killed_before(&edit, to);

        let run = host.sdp(&["rollback", host.name(), "--to", to, "--json"]);

        let run = run.run().exited(0);
        assert_eq!(host.answer(), answer, "after {edit:?}");
        host.is_settled(&run);
    }
}

/// A deployment that fails takes back what it has begun.
#[test]
fn sigkill_before_edits_of_a_refused_deployment() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    let theirs = vec![("taken.txt".to_owned(), "theirs".to_owned())];
    origin.commit(&theirs, "Add a file");
    let mine = host.checkout().join("taken.txt");
    fs::write(&mine, "mine").unwrap();
    let deployment = Command {
        code: 4,
        ..Command::deploy(&host, &origin)
    };
    let mut count = 0;
    for (at, edit) in deployment.edits("whole").iter().enumerate() {
        origin.commit(&server(&at.to_string()), "Say it");
        count += usize::from(deployment.killed_before(edit, &format!("cut-{at}")));

        let run = host.deploy(&origin).run();

        run.failed(4, "untracked_in_the_way", &NEXT[..3]);
        assert_eq!(fs::read_to_string(&mine).unwrap(), "mine", "after {edit:?}");
        host.is_tidy();
    }
    assert!(count > 5, "{count} edits");
    host.holds(&[&first], &[]);
    fs::remove_file(mine).unwrap();
    let run = host.deploy(&origin).run().deployed(NEXT);
    host.is_settled(&run);
}

/// Whose a lock is cannot be told while somebody else's git is at work there; what was left is not forgotten.
#[test]
fn a_git_that_works_beside_what_a_kill_has_left() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    host.deploy(&origin).run().deployed(FIRST);
    origin.commit(&server("two"), "Say two");
    let edit = Edit {
        call: "renameat".to_owned(),
        path: ".git/refs/heads/main.lock".to_owned(),
        nth: 1,
    };
    assert!(Command::deploy(&host, &origin).killed_before(&edit, "cut"));
    let mut reader = host
        .command("git")
        .args(["cat-file", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();

    let run = host.deploy(&origin).run().exited(4);
    assert_eq!(run.problem().code, "git_locked");
    drop(reader.stdin.take());
    assert!(reader.wait().unwrap().success());

    let run = host.deploy(&origin).run().deployed(NEXT);
    host.is_settled(&run);
}
