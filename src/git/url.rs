//! URLs of remotes: what of them is secret, and whether two name the same repository.

use gix::bstr::ByteSlice;

use crate::failure::{Code, Failure, Result};

/// What stands alone before the `@` of `https://TOKEN@host/` is a token if it is that long, or begins
/// as those of the big hosting services do.
const TOKEN_LENGTH: usize = 32;
const TOKEN_BEGINS: [&str; 6] = ["ghp_", "gho_", "ghs_", "ghu_", "github_pat_", "glpat-"];

/// User and password out of a URL.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    pub password: String,
}

/// # Errors
/// `usage`. The URL is not quoted: it may hold a password.
pub fn parse(url: &str) -> Result<gix::Url> {
    gix::url::parse(url.as_bytes().as_bstr()).map_err(|error| {
        Failure::new(
            Code::Usage,
            "the repository's URL is not one that git knows",
        )
        .hint("`https://HOST/PATH`, `ssh://USER@HOST/PATH`, `USER@HOST:PATH` or a path")
        .source(anyhow::anyhow!(error.to_string()))
    })
}

/// Takes the secret out of an http URL, if there is one.
///
/// # Errors
/// Those of [`parse`].
pub fn split_login(url: &str) -> Result<(String, Option<Login>)> {
    let mut parsed = parse(url)?;
    if !is_http(&parsed) {
        return Ok((url.to_owned(), None));
    }
    let login = match (parsed.user(), parsed.password()) {
        (Some(user), Some(password)) => Login {
            user: user.to_owned(),
            password: password.to_owned(),
        },
        (Some(token), None) if is_token(token) => Login {
            user: token.to_owned(),
            password: String::new(),
        },
        _ => return Ok((url.to_owned(), None)),
    };
    parsed.set_user(None);
    parsed.set_password(None);
    Ok((parsed.to_bstring().to_string(), Some(login)))
}

fn is_token(user: &str) -> bool {
    user.len() >= TOKEN_LENGTH || TOKEN_BEGINS.iter().any(|begin| user.starts_with(begin))
}

/// Scheme, host and port, as git puts them into its questions: `https://git.example.com:8443`.
/// `None` for what is not http.
pub fn origin(url: &gix::Url) -> Option<String> {
    let usual = if url.scheme == gix::url::Scheme::Https {
        443
    } else {
        80
    };
    let port = url.port.filter(|port| *port != usual);
    let port = port.map_or_else(String::new, |port| format!(":{port}"));
    let host = url.host().filter(|_| is_http(url))?.to_ascii_lowercase();
    Some(format!("{}://{host}{port}", url.scheme))
}

/// Whether both URLs name the same repository, whoever asks for it.
pub fn is_same(a: &str, b: &str) -> bool {
    let essence = |url: &str| {
        let url = parse(url).ok()?;
        let path = url.path.to_str_lossy().into_owned();
        let path = path.trim_end_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        // `host:path` and `ssh://host/path`.
        let path = if url.scheme == gix::url::Scheme::Ssh {
            path.trim_start_matches('/')
        } else {
            path
        };
        Some((
            url.scheme.to_string(),
            url.host().map(str::to_ascii_lowercase),
            url.port_or_default(),
            path.to_owned(),
        ))
    };
    a == b || essence(a).is_some_and(|a| Some(a) == essence(b))
}

fn is_http(url: &gix::Url) -> bool {
    matches!(url.scheme, gix::url::Scheme::Http | gix::url::Scheme::Https)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn split(url: &str) -> (String, Option<(String, String)>) {
        let (url, login) = split_login(url).unwrap();
        (url, login.map(|login| (login.user, login.password)))
    }

    #[test]
    fn the_secret_is_taken_out_of_a_url() {
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(
            split("https://me:p%40ss@h:8443/x.git"),
            ("https://h:8443/x.git".to_owned(), pair("me", "p@ss"))
        );
        assert_eq!(
            split("https://ghp_0123456789abcdef@h/x"),
            ("https://h/x".to_owned(), pair("ghp_0123456789abcdef", ""))
        );
        for plain in [
            "https://h/x@y",
            "https://me@h/x",
            "https://a-large-organisation@h/x",
            "ssh://git@h/x",
            "git@h:x",
            "/srv/x",
        ] {
            assert_eq!(split(plain), (plain.to_owned(), None));
        }
    }

    #[test]
    fn the_origin_is_what_git_asks_about() {
        let origin = |url| origin(&parse(url).unwrap());
        assert_eq!(
            origin("https://me@h:8443/x").as_deref(),
            Some("https://h:8443")
        );
        assert_eq!(origin("http://h/x").as_deref(), Some("http://h"));
        assert_eq!(origin("git@h:x"), None);
    }

    #[test]
    fn the_same_repository_has_several_urls() {
        assert!(is_same("https://me:pw@h/x.git", "https://h:443/x/"));
        assert!(is_same("git@h:team/x.git", "ssh://git@h/team/x"));
        assert!(!is_same("https://h/x", "https://h/y"));
        assert!(!is_same("https://h/x", "http://h/x"));
    }
}
