//! sdp turns a git branch of a Go program into a running container on this machine's engine.
//!
//! The modules, from the edge to the middle; each names only those further down:
//!
//! - `cli`: the command line as clap sees it, `plan`: the same as a validated plan
//! - `report`: events as bars, lines or JSON
//! - `deploy`: the pipeline; `logs`, `status`, `stop`: the other commands
//! - `stage`: one function per stage, each taking what the former one made
//! - `handover`: from the former container to the new one, and back
//! - `release`: what lies in `.sdp/`
//! - `git`, `golang`, `engine`: the outside worlds; nobody else names gix, runs go or names bollard
//! - `interrupt`, `redact`, `event`, `failure`: what all of them speak
#![allow(dead_code)] // until the pipeline is wired

mod event;
mod failure;
mod git;
mod interrupt;
mod redact;
mod report;
mod stage;
