//! What to build: the module, and the main package in it.

use std::path::{Component, Path, PathBuf};

use crate::failure::{Code, Failure, Result};
use crate::golang::{Target, Toolchain};
use crate::interrupt::Interrupt;
use crate::plan::{Build, Repository};
use crate::shell::quoted;

/// The directory to run go in, and the main package to build there.
///
/// # Errors
/// `no_module`, `no_main_package`, `several_main_packages`, `go_too_old`, `build_failed`, or the
/// interruption.
pub async fn find(
    toolchain: &Toolchain,
    target: Target<'_>,
    plan: &Build,
    repository: &Repository,
    interrupt: &Interrupt,
) -> Result<(PathBuf, String)> {
    let (directory, pattern) = module(target.root, plan)?;
    // Without the slash at its end that joining nothing leaves.
    let directory: PathBuf = directory.components().collect();
    let target = Target {
        directory: &directory,
        ..target
    };
    let below = pattern
        .strip_suffix("...")
        .filter(|_| pattern.starts_with('.'));
    let (patterns, homes) = match below {
        // go looks into the modules of a workspace only if it is told which.
        Some(below) if !directory.join("go.mod").is_file() => {
            let mut modules = toolchain.modules(target, plan, interrupt).await?;
            modules.retain(|module| {
                clean(module).starts_with(clean(below))
                    && !leaves(target.root, &directory.join(module))
            });
            if modules.is_empty() {
                return Err(no_main(&pattern));
            }
            let homes = modules.iter().map(|module| directory.join(clean(module)));
            let patterns = modules
                .iter()
                .map(|module| format!("{}/...", module.trim_end_matches('/')));
            (patterns.collect(), homes.collect())
        }
        _ => (vec![pattern], vec![directory.clone()]),
    };
    let mains = toolchain
        .main_packages(target, plan, &patterns, interrupt)
        .await?;
    if mains.is_empty() && !plan.cgo {
        let with_cgo = Build {
            cgo: true,
            ..plan.clone()
        };
        let mains = toolchain
            .main_packages(target, &with_cgo, &patterns, interrupt)
            .await?;
        if !mains.is_empty() {
            return Err(needs_cgo(&patterns.join(" ")));
        }
    }
    let package = choose(
        &mains,
        &directory,
        &homes,
        &repository.name,
        &patterns.join(" "),
    )?;
    Ok((directory, package))
}

fn clean(path: &str) -> PathBuf {
    let parts = Path::new(path).components();
    parts.filter(|part| *part != Component::CurDir).collect()
}

/// The directory to build in, which no symbolic link leads out of the repository.
///
/// # Errors
/// `no_module`, if there is none.
pub fn workdir(root: &Path, plan: &Build) -> Result<PathBuf> {
    let base = root.join(&plan.workdir);
    let inside = base
        .canonicalize()
        .is_ok_and(|base| base.starts_with(root) && base.is_dir());
    if inside {
        // Without the slash at its end that joining nothing leaves.
        return Ok(base.components().collect());
    }
    Err(Failure::new(
        Code::NoModule,
        format!(
            "there is no directory `{}` in the repository",
            plan.workdir.display()
        ),
    )
    .hint("`--workdir DIR` is relative to the repository's root"))
}

/// The directory to run go in, and the pattern to look for a main package with.
///
/// # Errors
/// `no_module`, or `usage` for a package outside the repository.
///
/// A module need not be at the root of its repository: the one nearest to the package counts.
pub fn module(root: &Path, plan: &Build) -> Result<(PathBuf, String)> {
    let base = workdir(root, plan)?;
    let pattern = plan.package.as_deref().unwrap_or("./...");
    let relative = pattern.strip_suffix("...").unwrap_or(pattern);
    if relative.starts_with('.') {
        let mut package = PathBuf::new();
        for component in Path::new(relative).components() {
            match component {
                Component::CurDir => {}
                Component::Normal(part) => package.push(part),
                _ => {
                    return Err(outside(pattern));
                }
            }
        }
        if leaves(root, &base.join(&package)) {
            return Err(outside(pattern));
        }
        for module in package.ancestors() {
            let directory = base.join(module);
            if directory.join("go.mod").is_file() {
                let rest = package.strip_prefix(module).unwrap_or(&package);
                let dots = if pattern.ends_with("...") { "..." } else { "" };
                let slash = if rest.as_os_str().is_empty() || dots.is_empty() {
                    ""
                } else {
                    "/"
                };
                return Ok((directory, format!("./{}{slash}{dots}", rest.display())));
            }
        }
    }
    if base.join("go.mod").is_file() || base.join("go.work").is_file() {
        return Ok((base, pattern.to_owned()));
    }
    Err(no_module(root, &base))
}

/// Whether a symbolic link leads out of the repository: who can push must not choose what of this host
/// is built. What is not there leads nowhere.
fn leaves(root: &Path, path: &Path) -> bool {
    path.canonicalize()
        .is_ok_and(|real| !real.starts_with(root))
}

fn outside(pattern: &str) -> Failure {
    let message = format!("`--package {pattern}` leaves the repository");
    Failure::new(Code::Usage, message)
        .hint("`--package ./cmd/NAME`, relative to the repository's root or to `--workdir`")
}

fn no_module(root: &Path, base: &Path) -> Failure {
    let mut modules = Vec::new();
    find_modules(base, 3, &mut modules);
    let shown = base
        .strip_prefix(root)
        .unwrap_or(base)
        .display()
        .to_string();
    let place = if shown.is_empty() {
        "the repository's root".to_owned()
    } else {
        format!("`{shown}`")
    };
    let failure = Failure::new(Code::NoModule, format!("there is no go.mod at {place}"));
    match modules
        .first()
        .and_then(|module| module.strip_prefix(root).ok())
    {
        Some(first) => {
            let hint = format!(
                "`--workdir {}` builds the module that is there",
                quoted(first)
            );
            let found = modules
                .iter()
                .filter_map(|module| module.strip_prefix(root).ok());
            failure.hint(hint).detail(
                found
                    .map(|module| format!("{}/go.mod", module.display()))
                    .take(10),
            )
        }
        None => failure.hint("`go mod init MODULE` makes one; commit it and deploy again"),
    }
}

fn find_modules(directory: &Path, depth: usize, modules: &mut Vec<PathBuf>) {
    if directory.join("go.mod").is_file() {
        modules.push(directory.to_owned());
    }
    if depth == 0 {
        return;
    }
    let mut entries: Vec<PathBuf> = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with(['.', '_']))
        .map(|entry| entry.path())
        .collect();
    entries.sort();
    for entry in entries {
        find_modules(&entry, depth - 1, modules);
    }
}

fn no_main(pattern: &str) -> Failure {
    let message = if pattern.ends_with("...") {
        format!("`{pattern}` has no main package, so there is no program to run")
    } else {
        format!("`{pattern}` is no main package, so there is no program to run")
    };
    Failure::new(Code::NoMainPackage, message)
        .hint("`--package ./cmd/NAME` names one; it begins with `package main`")
}

fn needs_cgo(pattern: &str) -> Failure {
    let message =
        format!("`{pattern}` has no main package without C, and programs are built without it");
    Failure::new(Code::NoMainPackage, message).hint(
        "`--cgo --ldflags '-linkmode external -extldflags -static'` builds it with a C compiler, for any image",
    )
}

/// The one main package, or the one of `homes` that is named like the repository.
fn choose(
    mains: &[PathBuf],
    directory: &Path,
    homes: &[PathBuf],
    repository: &str,
    pattern: &str,
) -> Result<String> {
    let directory = directory
        .canonicalize()
        .unwrap_or_else(|_| directory.to_owned());
    let relative = |main: &Path| match main.strip_prefix(&directory) {
        Ok(rest) if rest.as_os_str().is_empty() => ".".to_owned(),
        Ok(rest) => format!("./{}", rest.display()),
        Err(_) => main.display().to_string(),
    };
    let mut preferred = homes.iter().map(|home| {
        let home = home.canonicalize().unwrap_or_else(|_| home.clone());
        home.join("cmd").join(repository)
    });
    match mains {
        [] => Err(no_main(pattern)),
        [main] => Ok(relative(main)),
        [first, ..] => match preferred.find(|main| mains.contains(main)) {
            Some(main) => Ok(relative(&main)),
            None => Err(Failure::new(
                Code::SeveralMainPackages,
                format!("{} main packages match `{pattern}`", mains.len()),
            )
            .hint(format!(
                "`--package {}` builds the first",
                quoted(relative(first))
            ))
            .detail(mains.iter().map(|main| relative(main)).take(20))),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn plan(package: Option<&str>, workdir: &str) -> Build {
        Build {
            package: package.map(str::to_owned),
            workdir: workdir.into(),
            tags: None,
            ldflags: None,
            cgo: false,
            env: Vec::new(),
            go: None,
        }
    }

    #[test]
    fn the_module_nearest_to_the_package_counts() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("sub/cmd/x")).unwrap();
        std::fs::write(root.join("sub/go.mod"), "module m\n").unwrap();
        let found = |package, workdir| module(&root, &plan(package, workdir)).map_err(|f| f.code);
        assert_eq!(
            found(Some("./sub/..."), ""),
            Ok((root.join("sub"), "./...".into()))
        );
        assert_eq!(
            found(Some("./sub/cmd/x"), ""),
            Ok((root.join("sub"), "./cmd/x".into()))
        );
        assert_eq!(
            found(Some("./sub/cmd/..."), ""),
            Ok((root.join("sub"), "./cmd/...".into()))
        );
        assert_eq!(
            found(Some("./sub"), ""),
            Ok((root.join("sub"), "./".into()))
        );
        assert_eq!(found(None, "sub"), Ok((root.join("sub"), "./...".into())));
        assert_eq!(found(None, ""), Err(Code::NoModule));
        assert_eq!(found(Some("./../x"), ""), Err(Code::Usage));
        assert_eq!(found(None, "none"), Err(Code::NoModule));
    }

    #[test]
    fn the_only_main_package_or_the_one_named_like_the_repository_is_built() {
        let choose = |mains: &[&str]| {
            let mains: Vec<PathBuf> = mains.iter().map(PathBuf::from).collect();
            let root = PathBuf::from("/none");
            let homes = [root.clone(), root.join("sub")];
            choose(&mains, &root, &homes, "shop", "./...").map_err(|f| f.code)
        };
        assert_eq!(choose(&["/none"]), Ok(".".into()));
        assert_eq!(
            choose(&["/none/cmd/a", "/none/cmd/shop"]),
            Ok("./cmd/shop".into())
        );
        assert_eq!(
            choose(&["/none/cmd/a", "/none/sub/cmd/shop"]),
            Ok("./sub/cmd/shop".into())
        );
        assert_eq!(
            choose(&["/none/cmd/a", "/none/cmd/b"]),
            Err(Code::SeveralMainPackages)
        );
        assert_eq!(choose(&[]), Err(Code::NoMainPackage));
    }
}
