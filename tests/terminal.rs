//! What people see and press: a real terminal, whose screen is looked at.

use std::fs;
use std::path::PathBuf;

use rustix::process::{Signal, kill_process};

use crate::support::program::{broken, deaf_server, server};
use crate::support::{FIRST, Host, NEXT, Origin, Run, Terminal, eventually};

/// A `go` that builds only once a file is there.
struct Gate {
    path: String,
    file: PathBuf,
}

impl Gate {
    fn new(host: &Host) -> Gate {
        let file = host.path("open");
        let script = format!(
            "PATH=${{PATH#*:}}\ncase $1 in build) until [ -e {} ]; do sleep 0.02; done;; esac\nexec go \"$@\"",
            file.display()
        );
        Gate {
            path: host.instead_of("go", &script),
            file,
        }
    }

    fn open(&self) {
        fs::write(&self.file, "").unwrap();
    }
}

fn deploy(host: &Host, origin: &Origin) -> crate::support::Sdp {
    host.sdp(&["deploy", host.name(), "--url", &origin.url()])
}

/// One line per stage, in order, each at its end, and nothing left of the living line.
fn assert_sound(screen: &str, stages: &[&str]) {
    let ended: Vec<&str> = screen
        .lines()
        .filter_map(|line| line.strip_prefix("✓ "))
        .map(|line| line.get(..15).unwrap_or(line).trim_end())
        .collect();
    assert_eq!(ended, stages, "{screen}");
    assert!(
        !screen.contains(['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']),
        "{screen}"
    );
}

#[test]
fn a_deployment_fits_terminals_of_any_width() {
    let host = Host::new();
    let origin = host.origin(&server("0"));
    let mut stages = FIRST;
    for columns in [40, 60, 80, 120, 250] {
        let subject =
            format!("{columns} 日本語の長い件名日本語の長い件名日本語の長い件名 and so on");
        origin.commit(&server(&columns.to_string()), &subject);
        let mut terminal = Terminal::run(columns, deploy(&host, &origin));
        assert_eq!(terminal.code(), Some(0), "{}", terminal.screen());
        terminal.shows("  time ");
        let screen = terminal.screen();
        assert_sound(&screen, stages);
        assert!(screen.contains(&format!("\"{columns} 日本")), "{screen}");
        assert_eq!(terminal.wrapped(), [0_u16; 0], "{screen}");
        assert!(screen.lines().count() <= 24, "{screen}");
        stages = NEXT;
    }
}

/// Whoever waits for a program to end sees for what, and for how long at most.
#[test]
fn a_stop_that_takes_its_time() {
    let host = Host::new();
    let origin = host.origin(&deaf_server("one"));
    let flags = ["--stop-timeout", "2s"];
    let deployed = host.deploy(&origin).args(&flags).run().deployed(FIRST);
    let mut terminal = Terminal::run(250, host.sdp(&["stop", host.name()]));
    terminal.shows(&format!("stopping {}, up to 2s", deployed.container()));
    assert_eq!(terminal.code(), Some(0), "{}", terminal.screen());
    terminal.shows(&format!("stopped {}", deployed.container()));
    let screen = terminal.screen();
    assert_sound(&screen, &["stop container"]);
    assert!(screen.contains("killed: it ignored SIGTERM"), "{screen}");
}

#[test]
fn a_failure_fits_a_screen() {
    let host = Host::new();
    let origin = host.origin(&broken());
    let mut terminal = Terminal::run(60, deploy(&host, &origin));
    assert_eq!(terminal.code(), Some(5), "{}", terminal.screen());
    terminal.shows("nothing of it runs");
    let screen = terminal.screen();
    let at = |text: &str| {
        screen
            .find(text)
            .unwrap_or_else(|| panic!("no {text}: {screen}"))
    };
    let order = [
        "main.go:4:2: undefined",
        "✗ go build",
        "error: go build: ",
        "hint: `cd ",
        "nothing of it runs",
    ]
    .map(at);
    assert!(order.is_sorted(), "{screen}");
    assert!(screen.lines().count() <= 24, "{screen}");
}

#[test]
fn a_window_that_changes_leaves_no_rubbish() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let gate = Gate::new(&host);
    let sdp = deploy(&host, &origin).env("PATH", &gate.path);
    let mut terminal = Terminal::run(120, sdp);
    terminal.shows(" go build ");
    for columns in [45, 200, 60] {
        terminal.resize(columns);
        let before = terminal.screen();
        eventually("a new picture", || {
            (terminal.screen() != before).then_some(())
        });
    }
    gate.open();
    assert_eq!(terminal.code(), Some(0), "{}", terminal.screen());
    terminal.shows("  time ");
    assert_sound(&terminal.screen(), FIRST);
}

#[test]
fn ctrl_z_stops_and_fg_goes_on_where_it_was() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let gate = Gate::new(&host);
    let sdp = deploy(&host, &origin).env("PATH", &gate.path);
    let mut terminal = Terminal::run_in_shell(80, sdp);
    terminal.shows(" go build ");
    terminal.press(b"\x1a");
    terminal.shows("Stopped");
    terminal.press(b"\n");
    gate.open();
    assert_eq!(terminal.code(), Some(0), "{}", terminal.screen());
    terminal.shows("  time ");
    let screen = terminal.screen();
    let after = &screen[screen.rfind("Stopped").unwrap()..];
    assert!(after.contains("✓ go build"), "{screen}");
    assert_eq!(host.answer(), "one");
}

/// A child that is stopped as it starts would hold sdp up for ever.
#[test]
fn ctrl_z_at_any_moment_of_the_build_stops() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    host.deploy(&origin).run().deployed(FIRST);
    for _ in 0..15 {
        let mut terminal = Terminal::run_in_shell(80, deploy(&host, &origin));
        terminal.shows(" go build ");
        terminal.press(b"\x1a");
        terminal.shows("Stopped");
        terminal.press(b"\n");
        assert_eq!(terminal.code(), Some(0), "{}", terminal.screen());
    }
}

/// A deployment over an existing one, held in its build.
fn second_build() -> (Host, Run, Terminal) {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    origin.commit(&server("two"), "Second");
    let gate = Gate::new(&host);
    let sdp = deploy(&host, &origin).env("PATH", &gate.path);
    let terminal = Terminal::run(80, sdp);
    terminal.shows(" go build ");
    (host, first, terminal)
}

#[test]
fn ctrl_c_cancels_and_says_so() {
    let (host, first, mut terminal) = second_build();
    terminal.press(b"\x03");
    assert_eq!(terminal.code(), Some(130), "{}", terminal.screen());
    terminal.shows("cancelled during go build");
    terminal.shows("still serves");
    host.holds(&[&first], &[]);
}

/// Whatever sdp is just starting: a child that the terminal's signal reaches first does not make it a failure.
#[test]
fn ctrl_c_at_any_moment_of_the_build_is_no_failure() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let first = host.deploy(&origin).run().deployed(FIRST);
    for _ in 0..40 {
        let mut terminal = Terminal::run(80, deploy(&host, &origin));
        terminal.shows(" go build ");
        terminal.press(b"\x03");
        assert_eq!(terminal.code(), Some(130), "{}", terminal.screen());
    }
    host.holds(&[&first], &[]);
}

#[test]
fn a_terminal_that_is_closed_hands_the_deployment_back() {
    let (host, first, mut terminal) = second_build();
    // What the kernel does when the terminal's window goes.
    kill_process(terminal.pid(), Signal::HUP).unwrap();
    assert_eq!(terminal.code(), Some(143), "{}", terminal.screen());
    assert_eq!(host.answer(), "one");
    host.holds(&[&first], &[]);
}

#[test]
fn a_table_that_is_wider_than_the_terminal() {
    let host = Host::new();
    host.deploy(&host.origin(&server("one")))
        .run()
        .deployed(FIRST);
    let status = || host.sdp(&["status", host.name()]);
    let mut wide = Terminal::run(250, status());
    assert_eq!(wide.code(), Some(0));
    wide.shows("REPOSITORY ");
    assert!(wide.screen().lines().next().unwrap().contains(" STATE "));
    let mut narrow = Terminal::run(60, status());
    assert_eq!(narrow.code(), Some(0));
    narrow.shows("STATE       running");
    narrow.shows("BRANCH      main");
}
