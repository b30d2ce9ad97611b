//! What people do to a tool at 3 a.m.: names that mean two things, terminals that close, readers
//! that stall.

use std::fs;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::program::{crash, module, server};
use crate::support::{FIRST, Host, NEXT, eventually, get};

/// The checkout counts, not the word that it was named by.
#[test]
fn one_checkout_with_two_names() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let elsewhere = format!("srv/elsewhere/{}-too", host.name());
    let path = host.path(&elsewhere);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let path = path.to_str().unwrap();
    let by_url = host
        .deploy(&origin)
        .args(&["--path", path])
        .run()
        .deployed(FIRST);

    let image = ["deploy", path, "--image", crate::support::BASE, "--json"];
    let by_path = host.sdp(&image).run().deployed(NEXT);

    assert_eq!(
        by_path.status().replaced.as_deref(),
        Some(by_url.container())
    );
    let back = host.sdp(&["rollback", path, "--json"]).run().exited(0);
    assert_eq!(back.container(), by_url.container());
    host.remove_by_hand(by_path.container());
}

/// A path that was never deployed from is no other checkout's of the same name.
#[test]
fn a_path_means_this_checkout() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    let twin = host.path("twin").join(host.name());
    fs::create_dir_all(&twin).unwrap();

    let stop = host
        .sdp(&["stop", twin.to_str().unwrap(), "--json"])
        .raw()
        .run();

    assert_eq!(stop.code, 2, "{}", stop.stdout);
    assert!(stop.stdout.contains("not_deployed"), "{}", stop.stdout);
    host.holds(&[&first], &[]);
}

/// The former program listens in the same place as the new one: it must not be what proves it.
#[test]
fn the_former_does_not_prove_the_new_one_on_the_hosts_network() {
    let host = Host::new();
    let port = crate::support::free_port().to_string();
    let data = host.path("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("key"), "").unwrap();
    let volume = format!("{}:/data:ro", data.display());
    let need = r#"if _, err := os.Stat("/data/key"); err != nil { fmt.Println(err); os.Exit(4) }"#;
    let source = |answer, first| {
        let source = crate::support::program::server_source(answer, &format!(":{port}"), first);
        module(&[("main.go", &source)])
    };
    let origin = host.origin(&source("needy", need));
    let network = ["--network", "host", "--port", &port, "-v", &volume];
    host.deploy(&origin).args(&network).run().deployed(FIRST);
    origin.commit(&source("one", ""), "Say one");
    let first = host.deploy(&origin).args(&network).run().deployed(NEXT);
    fs::remove_file(data.join("key")).unwrap();
    origin.commit(&crash(), "Crash");

    let failed = host
        .deploy(&origin)
        .args(&network)
        .run()
        .failed(6, "crashed", NEXT);

    assert_eq!(
        failed.status().container.as_deref(),
        Some(first.container())
    );
    let address = format!("127.0.0.1:{port}").parse().unwrap();
    assert_eq!(get(address, "/").unwrap(), "one");

    // Nor a kept one that is gone back to, and that ends at once.
    let back = host.sdp(&["rollback", host.name(), "--json"]).run();

    assert_eq!(back.code, 6, "{}", back.story());
    assert_eq!(back.problem().code, "crashed", "{}", back.story());
    assert_eq!(back.status().container.as_deref(), Some(first.container()));
    assert_eq!(get(address, "/").unwrap(), "one");
}

/// A terminal that is closed in the middle of a hand-over is no reason to leave nothing serving.
#[test]
fn a_terminal_that_closes() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    origin.commit(&server("two"), "Say two");
    let mut command = host
        .deploy(&origin)
        .args(&["--no-canary", "--settle", "30s"])
        .into_command();
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let former = first.container().to_owned();
    eventually("the former one stops", || {
        let containers = host.containers();
        let former = containers
            .iter()
            .find(|container| container.name == former)?;
        (!former.is_running()).then_some(())
    });

    kill_process(Pid::from_child(&child), Signal::HUP).unwrap();

    let code = child.wait().unwrap().code();
    assert!(matches!(code, Some(0 | 143)), "{code:?}");
    assert!(matches!(host.answer().as_str(), "one" | "two"));
}

/// A signal ends a command whose reader has stopped reading.
#[test]
fn a_reader_that_stalls() {
    let host = Host::new();
    let noisy = r#"package main

import (
	"fmt"
	"time"
)

func main() {
	for i := 0; i < 20000; i++ {
		fmt.Printf("%0100d\n", i)
	}
	time.Sleep(time.Hour)
}
"#;
    let origin = host.origin(&module(&[("main.go", noisy)]));
    let settle = ["--settle", "500ms"];
    let first = host.deploy(&origin).args(&settle).run().deployed(FIRST);
    eventually("it has printed", || {
        host.logs(first.container()).contains("19999").then_some(())
    });
    let mut command = host.sdp(&["logs", host.name()]).into_command();
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let pid = Pid::from_child(&child);
    eventually("it waits for its reader", || {
        let tasks = fs::read_dir(format!("/proc/{}/task", child.id())).ok()?;
        let stuck = tasks.flatten().any(|task| {
            fs::read_to_string(task.path().join("wchan")).is_ok_and(|at| at.contains("pipe"))
        });
        stuck.then_some(())
    });

    kill_process(pid, Signal::TERM).unwrap();

    eventually("it ends", || child.try_wait().unwrap());
}

/// The values of a kept container's variables are no more for display than a new one's.
#[test]
fn a_rollback_shows_no_secrets() {
    let host = Host::new();
    let flag = host.path("broken");
    let source = format!(
        r#"package main

import (
	"net/http"
	"os"
)

func main() {{
	if _, err := os.Stat("/flag/broken"); err == nil {{
		panic("cannot log in with " + os.Getenv("DB_PASSWORD"))
	}}
	http.ListenAndServe(":8080", http.NotFoundHandler())
}}
// {}
"#,
        flag.display()
    );
    let origin = host.origin(&module(&[("main.go", &source)]));
    fs::create_dir(&flag).unwrap();
    let volume = format!("{}:/flag", flag.display());
    let settings = ["-v", &volume, "-e", "DB_PASSWORD=hunter2hunter2"];
    host.deploy(&origin).args(&settings).run().deployed(FIRST);
    origin.commit(&server("two"), "Say two");
    host.deploy(&origin).run().deployed(NEXT);
    fs::write(flag.join("broken"), "").unwrap();

    let back = host
        .sdp(&["rollback", host.name(), "--json"])
        .run()
        .exited(6);

    assert!(
        back.stdout.contains("cannot log in with ***"),
        "{}",
        back.stdout
    );
    assert!(!back.stdout.contains("hunter2"), "{}", back.stdout);
    assert_eq!(host.answer(), "two");
}

/// A time that no clock can hold is refused, not a crash.
#[test]
fn a_time_beyond_all_clocks() {
    let host = Host::new();
    let origin = host.origin(&server("one"));

    let run = host
        .deploy(&origin)
        .args(&["--lock-wait", "9223372036854775807s"])
        .raw()
        .run();

    assert_eq!(run.code, 2, "{}", run.stdout);
}
