//! What settings are read from beside sdp.toml and a request: files, pipes, a command.

use std::fs;
use std::process::Command;

use crate::requests::catches_interrupts;
use crate::support::program::server;
use crate::support::{Access, FIRST, Host, Live, NEXT, eventually};

/// Makes a named pipe that nobody writes to.
fn silent_pipe(host: &Host, name: &str) -> String {
    let path = host.path(name);
    let made = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    path.display().to_string()
}

/// What would be waited for is refused, where it is to be a file.
#[test]
fn what_must_be_a_file_is_not_waited_for() {
    let host = Host::new();
    let pipe = silent_pipe(&host, "pipe");
    let refused = |arguments: &[&str]| {
        let sdp = host.sdp(&["config", "shop", "--json"]).args(arguments);
        let run = sdp.run().exited(2);
        let said = format!("{:?}", run.problem());
        assert!(said.contains("a regular file"), "{arguments:?}: {said}");
    };
    let secret = format!("KEY={pipe}");
    refused(&["--config", &pipe]);
    refused(&["--config", "/dev/zero"]);
    refused(&["--secret", &secret]);
    refused(&["--ssh-key", &pipe]);
    fs::create_dir_all(host.path("home/.config/sdp")).unwrap();
    fs::rename(&pipe, host.path("home/.config/sdp/sdp.toml")).unwrap();
    refused(&[]);
}

/// `--env-file <(pass show shop)`: what comes out of a pipe comes once.
#[test]
fn a_pipe_is_read_once() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let git = origin.over_http(Access {
        login: Some(("ada", "t0ken-of-a-pipe")),
        ..Access::default()
    });
    let deploy = |flag: &str, text: &str| {
        let sdp = host.deploy_from(&git.url()).args(&[flag, "/dev/stdin"]);
        sdp.env("SDP_GIT_USER", "ada").with_input(text)
    };
    deploy("--git-token-file", "t0ken-of-a-pipe\n")
        .run()
        .deployed(FIRST);
    let with_variables = || {
        let sdp = deploy("--env-file", "FROM_A_PIPE=hunter2-of-a-pipe\n");
        sdp.env("SDP_GIT_TOKEN", "t0ken-of-a-pipe")
    };
    with_variables().run().deployed(NEXT);
    assert_eq!(host.ask("/env?FROM_A_PIPE"), "hunter2-of-a-pipe");
    // It is known also where there is no plan, and it is found what is to blame for that.
    let file = host.at_home(
        "sdp.toml",
        "[defaults]\nhealth-http = \"hunter2-of-a-pipe\"\n",
    );
    let run = with_variables().args(&["--config", &file]).run().exited(2);
    let place = format!("{file}:2:15: ");
    assert!(run.problem().message.starts_with(&place), "{}", run.story());
    assert!(!run.story().contains("hunter2"), "{}", run.story());
}

#[test]
fn a_pipe_without_end_can_be_given_up() {
    let host = Host::new();
    let pipe = silent_pipe(&host, "pipe");
    let interrupted = |live: Live| {
        eventually("sdp listens to signals", || {
            let mut found = host.processes("/pipe").into_keys();
            found.any(catches_interrupts).then_some(())
        });
        live.interrupt();
        let run = live.finish().exited(130);
        assert_eq!(run.problem().code, "interrupted", "{}", run.story());
    };
    for arguments in [
        &["deploy", "shop", "--env-file"][..],
        &["deploy", "shop", "--git-token-file"],
        &["doctor", "shop", "--env-file"],
        &["config", "shop", "--env-file"],
    ] {
        let sdp = host.sdp(arguments).args(&[&pipe, "--json"]);
        interrupted(sdp.spawn());
    }
    host.is_untouched();
}

#[test]
fn no_file_of_settings_is_large() {
    let host = Host::new();
    let large = host.at_home("large", &format!("A={}\n", "a".repeat(1024 * 1024)));
    let secret = format!("KEY={large}");
    for arguments in [
        ["--env-file", &large],
        ["--git-token-file", "/dev/zero"],
        ["--secret", &secret],
    ] {
        let sdp = host.sdp(&["config", "shop", "--json"]).args(&arguments);
        let run = sdp.run().exited(2);
        let said = format!("{:?}", run.problem());
        assert!(said.contains("1 MiB"), "{arguments:?}: {said}");
    }
}

/// What is named in sdp.toml is relative to it, whatever it is; nothing that is printed is guessed at.
#[test]
fn a_command_of_the_file_runs_where_that_is() {
    let host = Host::new();
    let file = host.at_home(
        "sdp.toml",
        "[defaults]\nenv-command = \"pwd >&2; exit 1\"\n",
    );
    let said = |arguments: &[&str]| {
        let sdp = host.sdp(&["deploy", "shop", "--url", "/nowhere.git", "--json"]);
        let run = sdp.args(arguments).run().exited(2);
        let problem = run.problem();
        (problem.message.clone(), problem.detail.clone())
    };
    let folder = |below: &str| vec![host.path(below).display().to_string()];
    assert_eq!(said(&["--config", &file]).1, folder("home"));
    let flag = ["--env-command", "pwd >&2; exit 1"];
    assert_eq!(said(&flag).1, folder("srv"));
    assert_eq!(
        said(&[&flag[..], &["--config", &file]].concat()).1,
        folder("srv")
    );

    for (command, wrong) in [
        (
            r"echo A=1; printf 'B=\377\n'",
            "line 2: it is no text in UTF-8",
        ),
        (r#"printf "A='a\r\nb'\n""#, "a carriage return"),
        ("echo A=1; echo 'B=${NOWHERE}'", "line 2: "),
    ] {
        let (message, _) = said(&["--env-command", command]);
        assert!(message.contains(wrong), "{command}: {message}");
    }
}

/// What is said nearer to the deployment counts more; in one place `env` more than `env-command`, and that
/// more than `env-file`.
#[test]
fn variables_of_all_places_meet_in_the_container() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    // The environment's name is the host's, whose containers are looked for.
    let (repository, environment) = host.name().rsplit_once('-').unwrap();
    let places = ["DEFAULTS", "REPOSITORY", "ENVIRONMENT", "REQUEST", "FLAG"];
    let kinds = ["FILE", "COMMAND", "ENV"];
    // A variable is named after the place and the kind that is to win, and set by all before them.
    let at = |place: usize, kind: usize| place * kinds.len() + kind;
    let name = |at: usize| format!("{}_{}", places[at / kinds.len()], kinds[at % kinds.len()]);
    let all = places.len() * kinds.len();
    let said = |place: usize, kind: usize| {
        let own = at(place, kind);
        let pairs = (own..all).map(|other| format!("{}={}", name(other), name(own)));
        pairs.collect::<Vec<_>>()
    };
    let of_file = |place: usize| host.at_home(&format!("{place}.env"), &said(place, 0).join("\n"));
    let of_command = |place: usize| format!("printf '%s\\n' {}", said(place, 1).join(" "));
    let settings = |place: usize| {
        let env = said(place, 2).into_iter().map(|pair| {
            let (name, value) = pair.split_once('=').unwrap();
            (name.to_owned(), value.into())
        });
        serde_json::json!({
            "env-file": of_file(place),
            "env-command": of_command(place),
            "env": env.collect::<serde_json::Map<String, serde_json::Value>>(),
        })
    };
    let table = |place: usize| {
        let settings = settings(place);
        let pairs = settings["env"].as_object().unwrap().iter();
        let pairs = pairs.map(|(name, value)| format!("{name} = {value}"));
        format!(
            "env-file = {}\nenv-command = {}\nenv = {{ {} }}\n",
            settings["env-file"],
            settings["env-command"],
            pairs.collect::<Vec<_>>().join(", ")
        )
    };
    let text = format!(
        "[defaults]\n{}[repos.{repository}]\nurl = {:?}\n{}[repos.{repository}.environments.{environment}]\n{}",
        table(0),
        origin.url(),
        table(1),
        table(2)
    );
    let file = host.at_home("sdp.toml", &text);
    let request = host.at_home("request.json", &settings(3).to_string());
    let deploy = |with_request: bool, with_flags: bool| {
        let sdp = host.sdp(&["deploy", repository, "--environment", environment]);
        let mut sdp = sdp.args(&["--json", "--config", &file]);
        if with_request {
            sdp = sdp.args(&["--request", &request]);
        }
        if with_flags {
            let (file, command) = (of_file(4), of_command(4));
            sdp = sdp.args(&["--env-file", &file, "--env-command", &command]);
            for pair in said(4, 2) {
                sdp = sdp.args(&["-e", &pair]);
            }
        }
        sdp.run().exited(0);
        let config = host.running().inspect.config.unwrap();
        let env = config.env.unwrap().into_iter();
        let env = env.filter(|pair| places.iter().any(|place| pair.starts_with(place)));
        let mut env: Vec<String> = env.collect();
        env.sort();
        env
    };
    // Of a file and of a command only the nearest one counts, of `env` all of them: what is only set
    // by another one is not there.
    let expected = |nearest: usize| {
        let counts = |at: usize| at % kinds.len() == 2 || at / kinds.len() == nearest;
        let winner = |variable: usize| {
            let is_said = |at: &usize| at / kinds.len() <= nearest && counts(*at);
            let said = (0..=variable).rev().find(is_said);
            said.map(|said| format!("{}={}", name(variable), name(said)))
        };
        let mut expected: Vec<String> = (0..all).filter_map(winner).collect();
        expected.sort();
        expected
    };
    assert_eq!(deploy(false, false), expected(2));
    assert_eq!(deploy(true, false), expected(3));
    assert_eq!(deploy(true, true), expected(4));
}

/// A variable that nobody has set is a slip, and no empty value.
#[test]
fn a_variable_that_there_is_not_is_told_with_its_line() {
    let host = Host::new();
    let file = host.at_home(
        "app.env",
        "A=1\nB=${A}-${OWN}\nC=\"x ${NOWHERE}\"\nNOWHERE=1\n",
    );
    let sdp = host.sdp(&["config", "shop", "--json", "--env-file", &file]);
    let run = sdp.env("OWN", "2").run().exited(2);
    let place = format!("`{file}` line 3: ");
    assert!(run.problem().message.starts_with(&place), "{}", run.story());
}

/// Flag, request, variable, file: whether the token itself is told, or a file with it.
#[test]
fn a_token_in_a_variable_counts_more_than_a_file_in_sdp_toml() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let git = origin.over_http(Access {
        login: Some(("git", "none-of-these")),
        ..Access::default()
    });
    let file = |name: &str| host.at_home(name, &format!("token-{name}\n"));
    let config = host.at_home(
        "sdp.toml",
        &format!("[defaults]\ngit-token-file = \"{}\"\n", file("file")),
    );
    let request = serde_json::json!({ "git-token-file": file("request") });
    let request = host.at_home("request.json", &request.to_string());
    let (flag, variable) = (file("flag"), "token-variable");
    let logged_in = |arguments: &[&str], variable: &str| {
        let sdp = host.deploy_from(&git.url()).args(&["--config", &config]);
        let sdp = sdp.args(arguments).env("SDP_GIT_TOKEN", variable);
        sdp.run().exited(4);
        let login = git.logins().into_iter().flatten().last();
        login.unwrap_or_default()
    };
    let request = ["--request", &request];
    let flag = ["--git-token-file", &flag];
    assert_eq!(logged_in(&[], ""), "git:token-file");
    assert_eq!(logged_in(&[], variable), "git:token-variable");
    assert_eq!(logged_in(&request, variable), "git:token-request");
    let both = [request, flag].concat();
    assert_eq!(logged_in(&both, variable), "git:token-flag");
}
