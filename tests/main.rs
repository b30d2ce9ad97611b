//! Drives the built binary against a real engine, a real git origin and a real `go`.
//!
//! One program, so that it links once. Each test has a [`support::Host`] of its own.
#![allow(clippy::unwrap_used)] // a test that finds nothing to unwrap has failed

mod cancel;
mod completions;
mod container;
mod deploy;
mod disk;
mod engine_faults;
mod engine_restart;
mod examples;
mod first_design;
mod gap;
mod git;
mod hostile;
mod kill;
mod killed;
mod logs;
mod logs_follow;
mod manage;
mod not_ready;
mod ports;
mod releases;
mod rollback;
mod support;
mod together;

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
