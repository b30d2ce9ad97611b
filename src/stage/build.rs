//! `go build`: a commit becomes a program.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use elf::ElfStream;
use elf::endian::AnyEndian;

use super::pull::Pulled;
use super::{Context, package};
use crate::engine::Platform;
use crate::failure::{Code, Failure, Result};
use crate::golang::{Target, Toolchain};
use crate::plan::{Plan, Stamp};
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
            package::find(toolchain, target, &stamped, &plan.repository, &cx.interrupt).await?;
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
