//! Many deployments at once, and many in a row.

use std::collections::BTreeSet;

use crate::support::program::server;
use crate::support::{FIRST, Host, Live, NEXT, Run, listing};

const MANY: usize = 8;

#[test]
fn eight_of_one_repository() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    host.deploy(&origin).run().deployed(FIRST);
    origin.commit(&server("two"), "Second");
    let live: Vec<Live> = (0..MANY).map(|_| host.deploy(&origin).spawn()).collect();

    let runs: Vec<Run> = live.into_iter().map(Live::finish).collect();

    // Those that begin when another has ended find the lock free.
    let (deployed, locked): (Vec<Run>, Vec<Run>) = runs.into_iter().partition(|run| run.code == 0);
    assert!(!deployed.is_empty());
    for run in locked {
        assert_eq!(run.code, 8, "{}", run.story());
        assert_eq!(run.status().outcome.as_deref(), Some("locked"));
        assert_eq!(run.problem().code, "locked");
        assert!(run.stages().is_empty(), "{}", run.story());
    }
    let last = the_one_that_runs(&host, deployed);
    host.is_settled(&last);
    assert_eq!(host.answer(), "two");
}

#[test]
fn eight_of_one_repository_that_wait() {
    let host = Host::new();
    let origin = host.origin(&server("one"));
    let wait = |_| {
        let deploy = host.deploy(&origin);
        deploy.args(&["--lock-wait", "5m", "--keep", "2"]).spawn()
    };
    let live: Vec<Live> = (0..MANY).map(wait).collect();

    let runs: Vec<Run> = live.into_iter().map(Live::finish).collect();

    for run in &runs {
        assert_eq!(run.code, 0, "{}", run.story());
    }
    let first = runs.iter().filter(|run| run.stages() == FIRST).count();
    let next = runs.iter().filter(|run| run.stages() == NEXT).count();
    assert_eq!((first, next), (1, MANY - 1));
    let ids: BTreeSet<&str> = runs.iter().map(Run::deployment).collect();
    assert_eq!(ids.len(), MANY, "each has an id of its own");
    let last = the_one_that_runs(&host, runs);
    host.is_settled(&last);
    assert_eq!(host.containers().len(), 2);
}

/// The run whose container is the one that runs.
fn the_one_that_runs(host: &Host, runs: Vec<Run>) -> Run {
    let name = host.running().name;
    runs.into_iter()
        .find(|run| run.container() == name)
        .expect("one of those that deployed runs")
}

#[test]
fn eight_repositories() {
    let hosts: Vec<Host> = (0..MANY).map(|_| Host::new()).collect();
    let origins: Vec<_> = hosts
        .iter()
        .map(|host| host.origin(&server(host.name())))
        .collect();
    let live: Vec<Live> = hosts
        .iter()
        .zip(&origins)
        .map(|(host, origin)| host.deploy(origin).spawn())
        .collect();

    let runs: Vec<Run> = live.into_iter().map(Live::finish).collect();

    for (host, run) in hosts.iter().zip(runs) {
        let run = run.deployed(FIRST);
        assert_eq!(host.answer(), host.name());
        host.holds(&[&run], &[]);
    }
}

/// What there is in the end is what `--keep` releases need. `SDP_TEST_ROUNDS=50` for a longer row.
#[test]
fn twenty_in_a_row() {
    const KEEP: &str = "3";
    let rounds = std::env::var("SDP_TEST_ROUNDS").map_or(20, |rounds| rounds.parse().unwrap());
    let host = Host::new();
    let origin = host.origin(&server("0"));
    let deploy = || host.deploy(&origin).args(&["--keep", KEEP]).run();
    let mut runs = vec![deploy().deployed(FIRST)];
    let mut used = Vec::new();
    for round in 1..rounds {
        origin.commit(&server(&round.to_string()), "Next");
        runs.push(deploy().deployed(NEXT));
        used.push(disk_use(&host));
    }

    assert_eq!(host.answer(), (rounds - 1).to_string());
    let [.., a, b, last] = runs.as_slice() else {
        panic!("too few rounds");
    };
    host.holds(&[last], &[a, b]);
    // From the third on nothing grows but git's own objects and the history.
    let (third, end) = (used[2], used[used.len() - 1]);
    assert!(end < third + third / 10, "KiB in .sdp: {used:?}");
    assert_eq!(
        listing(&host.checkout().join(".sdp")),
        [
            ".gitignore",
            "build",
            "engines",
            "history.jsonl",
            "lock",
            "releases"
        ]
        .map(str::to_owned)
        .into()
    );
}

/// KiB on disk below `.sdp`, each file once however many links it has.
fn disk_use(host: &Host) -> u64 {
    let output = std::process::Command::new("du")
        .args(["--summarize", "--block-size=1K"])
        .arg(host.checkout().join(".sdp"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split('\t').next().unwrap().parse().unwrap()
}
