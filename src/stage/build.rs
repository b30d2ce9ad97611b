//! `go build`: a commit becomes a program.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Component, Path, PathBuf};

use anyhow::Context as _;
use elf::ElfStream;
use elf::endian::AnyEndian;

use super::Context;
use super::pull::Pulled;
use crate::engine::Platform;
use crate::failure::{Code, Failure, Result};
use crate::golang::{Target, Toolchain};
use crate::interrupt::Interrupt;
use crate::plan::{Build, Plan, Repository, Stamp};
use crate::units;

/// A program for the engine's platform.
#[derive(Debug)]
pub struct Binary {
    pub path: PathBuf,
    /// The loader that it asks for; a static program asks for none.
    pub interpreter: Option<String>,
}

/// Finds the main package and builds it to `output`.
///
/// # Errors
/// `no_module`, `no_main_package`, `several_main_packages`, `go_too_old`, `build_failed`,
/// `wrong_binary`, or the interruption.
pub async fn build(
    cx: &Context,
    toolchain: &Toolchain,
    platform: &Platform,
    plan: &Plan,
    pulled: &Pulled,
    output: &Path,
) -> Result<Binary> {
    let stamped = plan.build.stamped(Stamp {
        id: &plan.id,
        branch: pulled.revision.stamp(),
        commit: &pulled.commit.id,
    })?;
    let scratch = output.with_file_name("tmp");
    std::fs::create_dir_all(&scratch).map_err(|error| {
        Failure::io(
            Code::BuildFailed,
            format_args!("create `{}`", scratch.display()),
            error,
        )
    })?;
    let root = &plan.repository.path;
    let environment = pulled.git.environment();
    let target = target(root, platform, &scratch, &environment);
    let built = async {
        let (directory, package) =
            find(toolchain, target, &stamped, &plan.repository, &cx.interrupt).await?;
        let target = Target {
            directory: &directory,
            ..target
        };
        toolchain
            .build(
                target,
                &stamped,
                &package,
                output,
                &cx.events,
                &cx.interrupt,
            )
            .await?;
        Ok(package)
    };
    let built: Result<String> = built.await;
    std::fs::remove_dir_all(&scratch).ok();
    let package = built?;
    let interpreter = examine(output, &platform.arch)?;
    let size = std::fs::metadata(output).map_or(0, |file| file.len());
    cx.events.note(format!(
        "{package}, {}, {}",
        units::size(size),
        toolchain.version
    ));
    Ok(Binary {
        path: output.to_owned(),
        interpreter,
    })
}

/// Building for `platform` in the repository at `root`, with `scratch` for go to work in.
pub fn target<'a>(
    root: &'a Path,
    platform: &'a Platform,
    scratch: &'a Path,
    env: &'a [(OsString, OsString)],
) -> Target<'a> {
    Target {
        root,
        directory: root,
        scratch,
        os: &platform.os,
        arch: &platform.arch,
        env,
    }
}

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
            modules.retain(|module| clean(module).starts_with(clean(below)));
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

/// The directory to run go in, and the pattern to look for a main package with.
///
/// A module need not be at the root of its repository: the one nearest to the package counts.
fn module(root: &Path, plan: &Build) -> Result<(PathBuf, String)> {
    let base = root.join(&plan.workdir);
    let inside = base
        .canonicalize()
        .is_ok_and(|base| base.starts_with(root) && base.is_dir());
    if !inside {
        return Err(Failure::new(
            Code::NoModule,
            format!(
                "there is no directory `{}` in the repository",
                plan.workdir.display()
            ),
        )
        .hint("`--workdir DIR` is relative to the repository's root"));
    }
    let pattern = plan.package.as_deref().unwrap_or("./...");
    let relative = pattern.strip_suffix("...").unwrap_or(pattern);
    if relative.starts_with('.') {
        let mut package = PathBuf::new();
        for component in Path::new(relative).components() {
            match component {
                Component::CurDir => {}
                Component::Normal(part) => package.push(part),
                _ => {
                    return Err(Failure::new(Code::Usage, format!("`--package {pattern}` leaves the repository"))
                        .hint("`--package ./cmd/NAME`, relative to the repository's root or to `--workdir`"));
                }
            }
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
                first.display()
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
        [] => {
            let message = if pattern.ends_with("...") {
                format!("`{pattern}` has no main package, so there is no program to run")
            } else {
                format!("`{pattern}` is no main package, so there is no program to run")
            };
            Err(Failure::new(Code::NoMainPackage, message)
                .hint("`--package ./cmd/NAME` names one; it begins with `package main`"))
        }
        [main] => Ok(relative(main)),
        [first, ..] => match preferred.find(|main| mains.contains(main)) {
            Some(main) => Ok(relative(&main)),
            None => Err(Failure::new(
                Code::SeveralMainPackages,
                format!("{} main packages match `{pattern}`", mains.len()),
            )
            .hint(format!("`--package {}` builds the first", relative(first)))
            .detail(mains.iter().map(|main| relative(main)).take(20))),
        },
    }
}

/// Reads the program's header: is it for the engine's architecture, and which loader does it ask for?
///
/// The numbers are those of the ELF specification, `e_machine`.
fn examine(path: &Path, arch: &str) -> Result<Option<String>> {
    let wrong = |message: String| {
        Failure::new(Code::WrongBinary, message).hint(
            "`go env GOFLAGS` shows flags that change what go builds; unset them and deploy again",
        )
    };
    let file = File::open(path).map_err(|error| {
        Failure::io(
            Code::BuildFailed,
            format_args!("read `{}`", path.display()),
            error,
        )
    })?;
    let Ok(mut program) = ElfStream::<AnyEndian, _>::open_stream(file) else {
        return Err(wrong(format!(
            "`{}` is no program for Linux",
            path.display()
        )));
    };
    let machine = match arch {
        "386" => Some(elf::abi::EM_386),
        "amd64" => Some(elf::abi::EM_X86_64),
        "arm" => Some(elf::abi::EM_ARM),
        "arm64" => Some(elf::abi::EM_AARCH64),
        "ppc64le" => Some(elf::abi::EM_PPC64),
        "riscv64" => Some(elf::abi::EM_RISCV),
        "s390x" => Some(elf::abi::EM_S390),
        _ => None,
    };
    if machine.is_some_and(|machine| machine != program.ehdr.e_machine) {
        return Err(wrong(format!(
            "`{}` is not built for {arch}, the engine's architecture",
            path.display()
        )));
    }
    let interpreter = program
        .segments()
        .iter()
        .find(|segment| segment.p_type == elf::abi::PT_INTERP)
        .copied();
    let Some(segment) = interpreter else {
        return Ok(None);
    };
    let data = program
        .segment_data(&segment)
        .context("read the program's interpreter")?;
    Ok(Some(
        String::from_utf8_lossy(data)
            .trim_end_matches('\0')
            .to_owned(),
    ))
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
