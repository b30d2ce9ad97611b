//! Drives the built binary against a real engine, a real git origin and a real `go`.
//!
//! One program, so that it links once. Each test has a [`support::Host`] of its own.
#![allow(clippy::unwrap_used)] // a test that finds nothing to unwrap has failed

mod cancel;
mod completions;
mod config;
mod container;
mod contents;
mod deploy;
mod disk;
mod doctor;
mod engine_faults;
mod engine_restart;
mod engines;
mod examples;
mod first_design;
mod gap;
mod git;
mod github;
mod go_builds;
mod go_programs;

mod hooks;
mod hostile;
mod images;
mod inputs;
mod kill;
mod kill_edits;
mod killed;
mod lfs;
mod limits;
mod logs;
mod logs_follow;
mod manage;
mod newer;
mod not_ready;
mod pipes;
mod ports;
mod private;
mod releases;
mod remote_failures;
mod remotes;
mod requests;
mod rollback;
mod secrets;
mod services;
mod settings;
mod stream;
mod support;
mod terminal;
mod together;
mod token;
mod work_trees;

/// A file that nobody compiles looks like tests and tests nothing.
#[test]
fn every_file_is_compiled() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let module = path.file_stem().unwrap().to_str().unwrap();
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        let named = include_str!("main.rs").contains(&format!("\nmod {module};\n"));
        assert!(!is_rust || module == "main" || named, "add `mod {module};`");
    }
}
