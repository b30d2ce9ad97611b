//! `sdp doctor` as clap sees it.
#![allow(clippy::doc_markdown)] // these comments are the help's text

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, ValueHint};

use super::Repo;
use super::deploy::{Deploy, Settings};

/// Say whether this host is ready to deploy: engine, go, git's remote, image, ports, disk, clock
///
/// Nothing is changed, and nothing fetched or built. It takes what `sdp deploy` takes, and looks at
/// what a deployment with that would meet. Without REPO only the host itself is looked at.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sdp doctor                       engine, go, disk, clock
  sdp doctor shop --branch main -p 8080:8080
  sdp doctor shop --json | jq -r 'select(.state == \"FAILED\").hint'

Exit codes:
  0 ready, perhaps with warnings      3 a deployment would fail")]
pub struct Doctor {
    /// What is to be deployed: a name in sdp.toml, a checkout, a git URL, or the name of a directory
    /// below $SDP_ROOT or of a clone of a URL
    #[arg(value_hint = ValueHint::AnyPath)]
    pub repo: Option<Repo>,

    #[command(flatten)]
    pub settings: Settings,
}

impl Doctor {
    /// The deployment that is asked about; `None` without a repository.
    pub fn into_deploy(self) -> Option<Deploy> {
        Some(Deploy {
            repo: Some(self.repo?),
            request: None,
            args: Vec::new(),
            settings: self.settings,
            follow: false,
            redact_logs: false,
            raw: false,
        })
    }
}

/// A flag on the command line that means nothing without a repository.
pub(super) fn of_a_repository(matches: &ArgMatches) -> Option<String> {
    let command = Settings::augment_args(clap::Command::new("doctor"));
    let mut flags = command
        .get_arguments()
        .filter_map(|flag| Some((flag.get_id().as_str(), flag.get_long()?)));
    let (_, flag) = flags.find(|(id, _)| {
        *id != "go" && matches.value_source(id) == Some(ValueSource::CommandLine)
    })?;
    Some(flag.to_owned())
}
