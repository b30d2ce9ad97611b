//! An origin over git's own protocol.

use super::Origin;
use super::serve::Inetd;

/// `git daemon` for the folder that an origin is in.
pub struct GitDaemon {
    server: Inetd,
    name: String,
}

impl GitDaemon {
    pub(super) fn new(origin: &Origin) -> GitDaemon {
        let (environment, root) = (origin.environment().clone(), origin.root().to_owned());
        let server = Inetd::new(move || {
            let mut git = environment.server("git", &root);
            let base = format!("--base-path={}", root.display());
            git.args(["daemon", "--inetd", "--export-all", &base]);
            git
        });
        GitDaemon {
            server,
            name: origin.name(),
        }
    }

    pub fn url(&self) -> String {
        format!("git://{}/{}", self.server.address(), self.name)
    }

    /// The URL of a repository that is not there.
    pub fn nowhere(&self) -> String {
        format!("git://{}/nowhere.git", self.server.address())
    }
}
