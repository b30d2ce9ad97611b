//! Errors as people and scripts meet them: a stable code, an exit code, a sentence and a hint.

use std::fmt;

use crate::event::{Place, Problem, Stage};

/// Result of anything that can fail in front of a user.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// What went wrong, as a stable identifier. The names on the wire are part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// A fault in sdp itself.
    Internal,
    /// A flag, variable or argument that cannot be meant.
    Usage,
    /// The directory, or what is in it, cannot be used as a checkout.
    NotACheckout,
    /// A file or directory that sdp needs may not be read or written.
    PermissionDenied,
    /// No space, inodes or quota left.
    DiskFull,

    /// Nothing answers at the engine's address.
    EngineUnreachable,
    /// The engine is there, but not for this user.
    EngineDenied,
    /// The engine's certificate, or its host's key, is not one to be trusted.
    EngineUntrusted,
    /// The engine is older than any that sdp can talk to.
    EngineTooOld,
    /// The engine answered with an error that has no code of its own.
    EngineError,
    /// The container's log driver keeps nothing that could be read.
    LogUnreadable,
    /// The image is neither there nor to be had.
    ImageMissing,
    /// The image is for another platform than the engine's.
    WrongImage,
    /// The registry refuses these credentials, or any without.
    RegistryDenied,
    /// The image's registry cannot be reached.
    RegistryUnreachable,
    /// There is no `go` to run.
    GoMissing,
    /// The program asks for a newer Go than there is.
    GoTooOld,
    /// `sdp doctor` has found something that a deployment would fail for.
    HostNotReady,

    /// The remote cannot be reached.
    RemoteUnreachable,
    /// The remote has stopped answering.
    RemoteTimeout,
    /// The remote refuses these credentials, or any without, or ssh does not trust its host key.
    RemoteDenied,
    /// The remote has no such repository.
    RemoteNotFound,
    /// The remote has no such branch.
    BranchNotFound,
    /// The remote has no such tag.
    TagNotFound,
    /// The remote has no such commit.
    CommitNotFound,
    /// The tag is another one at the remote than here.
    TagMoved,
    /// Tracked files have local changes.
    CheckoutDirty,
    /// Untracked files stand where the commit has files of its own.
    UntrackedInTheWay,
    /// Local and remote branch have both moved.
    BranchDiverged,
    /// Another git process holds a lock file of git's, or died holding it.
    GitLocked,
    /// A merge, rebase or the like has been begun in the checkout and not finished.
    GitUnfinished,
    /// Files that Git LFS keeps elsewhere could not be fetched.
    LfsPointer,
    /// Anything else that git could not do.
    GitFailed,

    /// No main package to build.
    NoMainPackage,
    /// More than one main package, and none of them named.
    SeveralMainPackages,
    /// No `go.mod` to build from, or no such `--workdir`.
    NoModule,
    /// The compiler, or the go command, said no.
    BuildFailed,
    /// The program does not fit the engine's platform or the image.
    WrongBinary,
    /// A hook's command said no.
    HookFailed,

    /// The release could not be written, or the engine refused to create or start the container.
    StartFailed,
    /// A host port is held by another container or process.
    PortTaken,
    /// The program ended before it was proven.
    Crashed,
    /// The program runs but does not answer as it should.
    Unhealthy,
    /// The program listens on 127.0.0.1 inside its container, where nobody reaches it.
    ListensOnLocalhost,
    /// The former container could not be started again.
    FormerLost,

    /// Another deployment of this repository is under way, or one was cut at another engine.
    Locked,
    /// Nothing of this repository is deployed here.
    NotDeployed,
    /// The release to go back to is not there.
    NoRelease,
    /// Ctrl-C (SIGINT).
    Interrupted,
    /// SIGTERM, or a closed terminal (SIGHUP).
    Terminated,
}

impl Code {
    /// All there are, in the order of their definition.
    #[cfg(test)]
    pub const ALL: &[Code] = &[
        Code::Internal,
        Code::Usage,
        Code::NotACheckout,
        Code::PermissionDenied,
        Code::DiskFull,
        Code::EngineUnreachable,
        Code::EngineDenied,
        Code::EngineUntrusted,
        Code::EngineTooOld,
        Code::EngineError,
        Code::LogUnreadable,
        Code::ImageMissing,
        Code::WrongImage,
        Code::RegistryDenied,
        Code::RegistryUnreachable,
        Code::GoMissing,
        Code::GoTooOld,
        Code::HostNotReady,
        Code::RemoteUnreachable,
        Code::RemoteTimeout,
        Code::RemoteDenied,
        Code::RemoteNotFound,
        Code::BranchNotFound,
        Code::TagNotFound,
        Code::CommitNotFound,
        Code::TagMoved,
        Code::CheckoutDirty,
        Code::UntrackedInTheWay,
        Code::BranchDiverged,
        Code::GitLocked,
        Code::GitUnfinished,
        Code::LfsPointer,
        Code::GitFailed,
        Code::NoMainPackage,
        Code::SeveralMainPackages,
        Code::NoModule,
        Code::BuildFailed,
        Code::WrongBinary,
        Code::HookFailed,
        Code::StartFailed,
        Code::PortTaken,
        Code::Crashed,
        Code::Unhealthy,
        Code::ListensOnLocalhost,
        Code::FormerLost,
        Code::Locked,
        Code::NotDeployed,
        Code::NoRelease,
        Code::Interrupted,
        Code::Terminated,
    ];

    /// The identifier on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Code::Internal => "internal",
            Code::Usage => "usage",
            Code::NotACheckout => "not_a_checkout",
            Code::PermissionDenied => "permission_denied",
            Code::DiskFull => "disk_full",
            Code::EngineUnreachable => "engine_unreachable",
            Code::EngineDenied => "engine_denied",
            Code::EngineUntrusted => "engine_untrusted",
            Code::EngineTooOld => "engine_too_old",
            Code::EngineError => "engine_error",
            Code::LogUnreadable => "log_unreadable",
            Code::ImageMissing => "image_missing",
            Code::WrongImage => "wrong_image",
            Code::RegistryDenied => "registry_denied",
            Code::RegistryUnreachable => "registry_unreachable",
            Code::GoMissing => "go_missing",
            Code::GoTooOld => "go_too_old",
            Code::HostNotReady => "host_not_ready",
            Code::RemoteUnreachable => "remote_unreachable",
            Code::RemoteTimeout => "remote_timeout",
            Code::RemoteDenied => "remote_denied",
            Code::RemoteNotFound => "remote_not_found",
            Code::BranchNotFound => "branch_not_found",
            Code::TagNotFound => "tag_not_found",
            Code::CommitNotFound => "commit_not_found",
            Code::TagMoved => "tag_moved",
            Code::CheckoutDirty => "checkout_dirty",
            Code::UntrackedInTheWay => "untracked_in_the_way",
            Code::BranchDiverged => "branch_diverged",
            Code::GitLocked => "git_locked",
            Code::GitUnfinished => "git_unfinished",
            Code::LfsPointer => "lfs_pointer",
            Code::GitFailed => "git_failed",
            Code::NoMainPackage => "no_main_package",
            Code::SeveralMainPackages => "several_main_packages",
            Code::NoModule => "no_module",
            Code::BuildFailed => "build_failed",
            Code::WrongBinary => "wrong_binary",
            Code::HookFailed => "hook_failed",
            Code::StartFailed => "start_failed",
            Code::PortTaken => "port_taken",
            Code::Crashed => "crashed",
            Code::Unhealthy => "unhealthy",
            Code::ListensOnLocalhost => "listens_on_localhost",
            Code::FormerLost => "former_lost",
            Code::Locked => "locked",
            Code::NotDeployed => "not_deployed",
            Code::NoRelease => "no_release",
            Code::Interrupted => "interrupted",
            Code::Terminated => "terminated",
        }
    }

    /// The exit code, where it does not depend on the stage.
    const fn exit_code(self) -> Option<u8> {
        Some(match self {
            Code::Internal => 1,
            Code::Usage | Code::NotACheckout | Code::NotDeployed | Code::NoRelease => 2,
            Code::EngineUnreachable
            | Code::EngineDenied
            | Code::EngineUntrusted
            | Code::EngineTooOld
            | Code::LogUnreadable
            | Code::ImageMissing
            | Code::WrongImage
            | Code::RegistryDenied
            | Code::RegistryUnreachable
            | Code::GoMissing
            | Code::GoTooOld
            | Code::HostNotReady => 3,
            Code::RemoteUnreachable
            | Code::RemoteTimeout
            | Code::RemoteDenied
            | Code::RemoteNotFound
            | Code::BranchNotFound
            | Code::TagNotFound
            | Code::CommitNotFound
            | Code::TagMoved
            | Code::CheckoutDirty
            | Code::UntrackedInTheWay
            | Code::BranchDiverged
            | Code::GitLocked
            | Code::GitUnfinished
            | Code::LfsPointer
            | Code::GitFailed => 4,
            Code::NoMainPackage
            | Code::SeveralMainPackages
            | Code::NoModule
            | Code::BuildFailed
            | Code::WrongBinary => 5,
            Code::StartFailed
            | Code::PortTaken
            | Code::Crashed
            | Code::Unhealthy
            | Code::ListensOnLocalhost => 6,
            Code::FormerLost => 7,
            Code::Locked => 8,
            Code::Interrupted => 130,
            Code::Terminated => 143,
            Code::PermissionDenied | Code::DiskFull | Code::EngineError | Code::HookFailed => {
                return None;
            }
        })
    }
}

/// Why something was not done.
#[derive(Debug)]
pub struct Failure {
    pub code: Code,
    /// The stage in which it happened; set by the pipeline.
    pub stage: Option<Stage>,
    /// What happened, to what: lower case, one sentence, no full stop.
    pub message: String,
    /// What to do next, starting with what to type.
    pub hint: Option<String>,
    /// Lines that explain it: file names, the program's last output.
    pub detail: Vec<String>,
    /// Where in the repository's files the mistakes are.
    pub places: Vec<Place>,
    /// What lies beneath; its whole chain is shown after the message.
    pub source: Option<anyhow::Error>,
}

impl Failure {
    pub fn new(code: Code, message: impl Into<String>) -> Failure {
        Failure {
            code,
            stage: None,
            message: message.into(),
            hint: None,
            detail: Vec::new(),
            places: Vec::new(),
            source: None,
        }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn detail(mut self, lines: impl IntoIterator<Item = impl Into<String>>) -> Failure {
        self.detail.extend(lines.into_iter().map(Into::into));
        self
    }

    #[must_use]
    pub fn source(mut self, source: impl Into<anyhow::Error>) -> Failure {
        self.source = Some(source.into());
        self
    }

    /// An error of the operating system while doing `what` (such as "write `/srv/shop/.sdp/lock`").
    /// A full disk and missing permissions get codes of their own; anything else gets `otherwise`.
    pub fn io(otherwise: Code, what: impl fmt::Display, error: std::io::Error) -> Failure {
        use std::io::ErrorKind as Kind;
        let failure = match error.kind() {
            Kind::StorageFull => Failure::new(
                Code::DiskFull,
                format!("could not {what}: no space left on the disk"),
            )
            .hint(
                "`df -h` and `df -i` show what is full; `sdp prune REPO --keep 1` removes old releases",
            ),
            Kind::QuotaExceeded => Failure::new(
                Code::DiskFull,
                format!("could not {what}: the quota is used up"),
            )
            .hint("`quota -s` shows whose; `sdp prune REPO --keep 1` removes old releases"),
            Kind::ReadOnlyFilesystem => Failure::new(
                Code::PermissionDenied,
                format!("could not {what}: the file system is read-only"),
            )
            .hint("`findmnt -T PATH` and `dmesg | tail` show why"),
            Kind::PermissionDenied => Failure::new(
                Code::PermissionDenied,
                format!("could not {what}: permission denied"),
            )
            .hint("`ls -ld` the path; run sdp as the user that owns the checkout"),
            _ => return Failure::new(otherwise, format!("could not {what}")).source(error),
        };
        failure.source(error)
    }

    /// Nothing of a repository is deployed here.
    pub fn not_deployed(name: &str) -> Failure {
        Failure::new(
            Code::NotDeployed,
            format!("nothing of `{name}` is deployed here"),
        )
        .hint("`sdp status` lists what is")
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        self.code.exit_code().unwrap_or(match self.stage {
            Some(Stage::Clone | Stage::Fetch | Stage::Checkout | Stage::Pull) => 4,
            Some(Stage::BeforeBuild | Stage::Build) => 5,
            Some(Stage::BeforeStart | Stage::Start | Stage::Health | Stage::AfterDeploy) => 6,
            Some(Stage::Stop) | None => 3,
        })
    }

    /// What a reader of the events sees of it. A fault in sdp itself asks to be reported.
    pub fn problem(&self) -> Problem {
        let mut message = self.message.clone();
        if let Some(source) = &self.source {
            for cause in source.chain().map(ToString::to_string) {
                let cause = cause.trim();
                if !cause.is_empty() && !message.contains(cause) {
                    message.push_str(": ");
                    message.push_str(cause);
                }
            }
        }
        Problem {
            code: self.code.name(),
            message,
            hint: self.hint.clone().or_else(|| {
                let report =
                    "`sdp --version`, the command and this message make a report of the fault";
                (self.code == Code::Internal).then(|| report.to_owned())
            }),
            detail: self.detail.clone(),
            places: self.places.clone(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem().message)
    }
}

impl std::error::Error for Failure {}

impl From<anyhow::Error> for Failure {
    /// Whatever nobody foresaw is a fault in sdp itself.
    fn from(error: anyhow::Error) -> Failure {
        Failure::new(Code::Internal, "something went wrong inside sdp").source(error)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_the_disk_refuses_is_told_by_its_cause() {
        use std::io::ErrorKind as Kind;
        for (kind, code, says, hint) in [
            (
                Kind::StorageFull,
                Code::DiskFull,
                "no space left",
                "`df -h`",
            ),
            (
                Kind::QuotaExceeded,
                Code::DiskFull,
                "the quota is used up",
                "`quota -s`",
            ),
            (
                Kind::ReadOnlyFilesystem,
                Code::PermissionDenied,
                "the file system is read-only",
                "`findmnt -T PATH`",
            ),
            (
                Kind::PermissionDenied,
                Code::PermissionDenied,
                "permission denied",
                "`ls -ld` the path",
            ),
        ] {
            let failure = Failure::io(Code::GitFailed, "write `a`", kind.into());
            assert_eq!(failure.code, code, "{kind:?}");
            let message = format!("could not write `a`: {says}");
            assert!(failure.message.starts_with(&message), "{failure:?}");
            assert!(
                failure.hint.as_ref().unwrap().starts_with(hint),
                "{failure:?}"
            );
        }
    }

    /// The codes are an interface: the table in the README, the schema and the code list the same.
    #[test]
    fn every_code_is_in_the_readme_and_in_the_schema_and_no_other() {
        for (index, code) in Code::ALL.iter().enumerate() {
            assert_eq!(
                *code as usize, index,
                "{code:?} is missing in ALL, or out of order"
            );
        }
        assert_eq!(Code::ALL.last(), Some(&Code::Terminated), "the last one");
        let codes: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();

        let readme = include_str!("../README.md");
        let (_, table) = readme
            .split_once("| `error.code` | meaning |\n|---|---|\n")
            .unwrap();
        let rows = table.lines().take_while(|line| line.starts_with('|'));
        let listed: Vec<&str> = rows.map(|row| row.split('`').nth(1).unwrap()).collect();
        assert_eq!(listed, codes);

        let schema = include_str!("../examples/events.schema.json");
        let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
        assert_eq!(schema["$defs"]["code"]["enum"], serde_json::json!(codes));
    }
}
