//! Following what a service prints, whatever happens to it: each line once, and whose it is.

use std::cell::Cell;
use std::fs;

use crate::support::program::{self, server};
use crate::support::{
    Event, FIRST, Fault, Host, Kind, Live, NEXT, Proxy, Run, SecondEngine, eventually, free_port,
};

/// The events of `sdp logs --json`, which has no last status.
fn events(run: &Run) -> Vec<Event> {
    let events: Vec<Event> = run.stdout.lines().map(Event::parse).collect();
    for (seq, event) in (0..).zip(&events) {
        assert_eq!(event.seq, seq, "a hole in the sequence: {event:?}");
    }
    events
}

fn log<'a>(events: &'a [Event], stream: &str) -> Vec<&'a str> {
    let of = |event: &&Event| event.kind == Kind::Log && event.stream.as_deref() == Some(stream);
    let lines = events.iter().filter(of);
    lines.map(|event| event.line.as_str()).collect()
}

/// A host where a folder of its own is mounted at `/data`.
fn with_data() -> (Host, String) {
    let host = Host::new();
    let data = host.path("data");
    fs::create_dir(&data).unwrap();
    let mount = format!("{}:/data", data.display());
    (host, mount)
}

/// Lets the journal run through, and compares what was read with what it wrote.
fn reads_the_whole_journal(host: &Host, mut live: Live, events: impl FnOnce(Live) -> Vec<Event>) {
    live.wait_for("the first run", |event| event.line == "done 1");
    fs::write(host.path("data/go"), "").unwrap();
    let streams = Cell::new(0);
    live.wait_for("the last run on both streams", |event| {
        streams.set(streams.get() + u32::from(event.line == "done 4"));
        streams.get() == 2
    });
    live.interrupt();
    let events = events(live);
    for stream in ["stdout", "stderr"] {
        let written = eventually("the last run is written down", || {
            let text = fs::read_to_string(host.path("data").join(stream)).unwrap();
            text.ends_with("done 4\n").then_some(text)
        });
        let written: Vec<&str> = written.lines().collect();
        let read = log(&events, stream);
        if let Some(at) = written.iter().zip(&read).position(|(a, b)| a != b) {
            let shown = |lines: &[&str]| -> Vec<String> {
                let few = lines.iter().skip(at).take(3);
                few.map(|line| format!("{} bytes: {line:.100}", line.len()))
                    .collect()
            };
            let (written, read) = (shown(&written), shown(&read));
            panic!("line {at} of {stream} differs: {written:#?} were written, {read:#?} read");
        }
        assert_eq!(read.len(), written.len(), "{stream}");
    }
}

/// 100,000 lines over three restarts.
#[test]
fn restarts_under_logs() {
    let (host, data) = with_data();
    let origin = host.origin(&program::journal());
    let deployed = host.deploy(&origin).args(&["-v", &data]).run();
    deployed.exited(0);
    let live = host
        .sdp(&["logs", host.name(), "-f", "--json"])
        .raw()
        .spawn();
    reads_the_whole_journal(&host, live, |live| events(&live.finish().exited(0)));
}

#[test]
fn restarts_under_a_deployment_that_follows() {
    let (host, data) = with_data();
    let origin = host.origin(&program::journal());
    let live = host
        .deploy(&origin)
        .args(&["-v", &data, "--follow"])
        .spawn();
    reads_the_whole_journal(&host, live, |live| live.finish().deployed(FIRST).events);
}

/// Deployed again, rolled back, stopped: each release's lines, from the first on, with its name.
#[test]
fn next_deployments_under_logs() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    let mut live = host
        .sdp(&["logs", host.name(), "-f", "--json"])
        .raw()
        .spawn();
    let listens = |live: &mut Live, run: &Run| {
        live.wait_for("it listens", |event| {
            event.line.starts_with("listening") && event.deployment_id == run.deployment()
        });
    };
    listens(&mut live, &first);

    origin.commit(&server("two"), "Say two");
    let second = host.deploy(&origin).run().deployed(NEXT);
    listens(&mut live, &second);
    host.sdp(&["rollback", host.name()]).run().exited(0);
    listens(&mut live, &first);
    host.sdp(&["stop", host.name()]).run().exited(0);

    let events = events(&live.finish().exited(0));
    let told: Vec<(&str, &str)> = events
        .iter()
        .map(|event| (event.deployment_id.as_str(), event.line.as_str()))
        .collect();
    let (one, two) = (first.deployment(), second.deployment());
    let (begins, listens) = ("args [] true", "listening on :8080");
    let over = |run: &Run| format!("`{}` has taken over", run.container());
    let (to_second, to_first) = (over(&second), over(&first));
    assert_eq!(
        // The program's end and the last status follow.
        told[..told.len() - 2],
        [
            (one, begins),
            (one, listens),
            (two, &to_second),
            (two, begins),
            (two, listens),
            (one, &to_first),
            (one, begins),
            (one, listens),
        ]
    );
    let (_, last) = told[told.len() - 2];
    assert!(
        last.starts_with("the program ended with exit code "),
        "{last}"
    );
}

/// The same where the former one has to stop first, in plain mode: stdout is the programs' alone.
#[test]
fn next_deployment_on_the_same_port_under_logs() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let publish = format!("127.0.0.1:{}:8080", free_port());
    let deploy = || host.deploy(&origin).args(&["-p", &publish]).run();
    deploy().deployed(FIRST);
    let mut live = host.sdp(&["logs", host.name(), "-f"]).spawn();
    live.wait_for_line("it listens", |line| line.starts_with("listening"));
    origin.commit(&server("two"), "Say two");
    let second = deploy().deployed(NEXT);
    live.wait_for_line("the next one listens", |line| line.starts_with("listening"));
    live.interrupt();
    let run = live.finish().exited(0);
    let lines = "args [] true\nlistening on :8080\n";
    assert_eq!(run.stdout, [lines, lines].concat());
    let over = format!("warning: `{}` has taken over\n", second.container());
    assert_eq!(run.stderr, over);
}

#[test]
fn engine_restarted_under_logs() {
    let (host, data) = with_data();
    let origin = host.origin(&program::diary());
    let mut engine = SecondEngine::start();
    let wrapper = engine.wrapper();
    let wrapper = wrapper.each_ref().map(String::as_str);
    let address = engine.address();
    let sdp = |arguments: &[&str]| {
        let sdp = host.sdp_through(&wrapper, arguments);
        sdp.env("DOCKER_HOST", &address)
    };
    let url = origin.url();
    let deployed = sdp(&["deploy", host.name(), "--url", &url, "-v", &data]).run();
    deployed.exited(0);
    let mut live = sdp(&["logs", host.name(), "-f", "--json"]).raw().spawn();
    live.wait_for("lines", |event| event.line.ends_with(" line 20"));

    engine.down();
    live.wait_for("the engine is missed", |event| {
        event.kind == Kind::Warning && event.line.starts_with("waiting for the engine")
    });
    engine.up();
    live.wait_for("lines of the next run", |event| {
        event.line.ends_with(" line 20")
    });
    live.interrupt();

    let events = events(&live.finish().exited(0));
    let read = log(&events, "stdout");
    let written = fs::read_to_string(host.path("data/stdout")).unwrap();
    let mut written: Vec<&str> = written.lines().collect();
    // It may have been killed between writing a line down and printing it.
    let next_run = written
        .iter()
        .skip(1)
        .position(|line| line.ends_with(" line 1"))
        .unwrap();
    if written[next_run] != read[next_run] {
        written.remove(next_run);
    }
    assert_eq!(read, written[..read.len()]);
}

/// The engine repeats some lines when it rotates the log.
#[test]
fn log_rotated_under_logs() {
    let (host, data) = with_data();
    let origin = host.origin(&program::bursts());
    // As many files as it takes: what the engine throws away unread is lost.
    let rotated = ["--log-opt", "max-size=1m", "--log-opt", "max-file=50"];
    let deploy = host.deploy(&origin).args(&["-v", &data]).args(&rotated);
    deploy.run().deployed(FIRST);
    let mut live = host.sdp(&["logs", host.name(), "-f"]).spawn();
    live.wait_for_line("it is ready", |line| line == "ready\n");

    fs::write(host.path("data/go"), "").unwrap();
    live.wait_for_line("the end", |line| line == "done\n");
    live.interrupt();

    let run = live.finish().exited(0);
    let numbers: Vec<usize> = run
        .stdout
        .lines()
        .filter_map(|line| line.split_once(' ')?.0.parse().ok())
        .collect();
    let differs = numbers.iter().enumerate().find(|(i, number)| i != *number);
    assert_eq!(differs, None, "the first line that is not the next");
    assert_eq!(numbers.len(), 6000);
}

/// The engine can lose track of a log that it rotates, and tells nothing more of it.
#[test]
fn log_that_comes_to_a_standstill_under_logs() {
    let host = Host::new();
    let origin = host.origin(&program::worker());
    host.deploy(&origin).run().deployed(FIRST);
    let proxy = Proxy::new(&host.path("engine.sock"));
    proxy.arm(("logs", 0), Fault::Standstill);
    let follow = host.sdp(&["logs", host.name(), "-f", "--stream", "stdout"]);
    let mut live = follow.env("DOCKER_HOST", proxy.address()).spawn();
    proxy.wait_until_struck();
    live.wait_for_line("much of the rest", |line| line == "round 100\n");
    live.interrupt();
    let run = live.finish().exited(0);
    for (number, line) in (1..).zip(run.stdout.lines()) {
        assert_eq!(line, format!("round {number}"));
    }
}

/// The reader's pace is sdp's: what has not been read waits at the engine.
#[test]
fn reader_that_stops_reading() {
    let host = Host::new();
    let origin = host.origin(&program::flood());
    host.deploy(&origin).run().deployed(FIRST);
    for follow in [&["--tail", "all"][..], &["-f"], &["--json"]] {
        let live = host.sdp(&["logs", host.name()]).args(follow).spawn_unread();
        // Nothing more is done when the pipe and all queues are full.
        let (last, quiet) = (Cell::new(0), Cell::new(0));
        eventually("it waits for its reader", || {
            let same = live.ticks() == last.replace(live.ticks()) && live.ticks() > 0;
            quiet.set(if same { quiet.get() + 1 } else { 0 });
            (quiet.get() > 20).then_some(())
        });
        // Beside it stand the pages of the program itself, which here is one that is made for debugging.
        let own = live.memory("RssAnon");
        assert!(own < 8 * 1024, "{own} KiB with {follow:?}");
        live.terminate();
        live.code();
    }
}

#[test]
fn begins_and_ends_where_it_is_told() {
    let host = Host::new();
    let origin = host.origin(&program::worker());
    host.deploy(&origin).run().deployed(FIRST);
    let logs = |arguments: &[&str]| host.sdp(&["logs", host.name()]).args(arguments).run();
    let stamped = logs(&["-t", "--stream", "stdout"]).exited(0);
    let fifth = stamped.stdout.lines().nth(4).unwrap();
    let (moment, _) = fifth.split_once(' ').unwrap();

    let until = logs(&["--until", moment, "--stream", "stdout"]).exited(0);
    assert_eq!(
        until.stdout,
        "round 1\nround 2\nround 3\nround 4\nround 5\n"
    );
    let since = logs(&["--since", moment, "--tail", "all"]).exited(0);
    assert!(since.stdout.starts_with("round 5\n"), "{since:?}");
    let other = logs(&["--stream", "stderr", "--until", moment]).exited(0);
    assert_eq!(other.stdout, "");
    assert!(other.stderr.starts_with("trouble 1\n"), "{other:?}");
    let bad = logs(&["--since", "yesterday"]).exited(2);
    assert!(
        bad.stderr.contains("`--since yesterday` is neither"),
        "{bad:?}"
    );

    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(1);
    let soon = soon.to_string();
    let run = logs(&[
        "-f", "-n", "0", "--until", &soon, "-t", "--stream", "stdout",
    ])
    .exited(0);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert!(lines.len() >= 10, "{run:?}");
    let end: jiff::Timestamp = soon.parse().unwrap();
    for line in lines {
        let (time, _) = line.split_once(' ').unwrap();
        assert!(time.parse::<jiff::Timestamp>().unwrap() <= end, "{line}");
    }
}

#[test]
fn container_with_a_terminal() {
    let host = Host::new();
    let script = "printf '\\001\\000\\000\\000\\000\\000\\000\\005hello\\nplain\\n'; \
        head -c 40000 /dev/zero | tr '\\0' x; echo; sleep 3600";
    host.printer(true, "json-file", script);
    let long = "x".repeat(40_000);
    let odd = "\u{1}\0\0\0\0\0\0\u{5}hello";
    // Only the first waits for what is still to be printed.
    for arguments in [&["-f"][..], &[], &["-t"]] {
        let sdp = host.sdp(&["logs", host.name(), "--json"]).args(arguments);
        let mut live = sdp.raw().spawn();
        live.wait_for("the long line", |event| event.line.starts_with('x'));
        live.interrupt();
        let events = events(&live.finish().exited(0));
        assert_eq!(
            log(&events, "stdout"),
            [odd, "plain", &long],
            "{arguments:?}"
        );
    }
}

#[test]
fn log_that_cannot_be_read() {
    let host = Host::new();
    host.printer(false, "none", "sleep 3600");
    for arguments in [&[][..], &["-f"]] {
        let sdp = host.sdp(&["logs", host.name(), "--json"]).args(arguments);
        let events = events(&sdp.raw().run().exited(3));
        let error = events[0].error.as_ref().unwrap();
        assert_eq!(error.code, "log_unreadable");
        assert!(error.hint.is_some());
    }
}
