//! A command line that clap does not understand: its words for people, the last status for scripts,
//! and neither quotes what may be a secret.

use std::io::Write as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::abort;
use crate::failure::{Code, Failure};
use crate::redact::Redactor;
use crate::report;

/// Tells what clap has to say, and returns the exit code.
pub fn misread(error: &clap::Error) -> u8 {
    if !error.use_stderr() {
        // The help. A reader that has gone has what it wanted.
        error.print().ok();
        return 0;
    }
    let arguments: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let secrets = suspects(error, &arguments);
    let redactor = || Redactor::new(secrets.iter().map(|secret| ("secret", secret.as_str())));
    let plain = error.render().to_string();
    let mut shown = plain.clone();
    redactor().scrub(&mut shown);
    if shown == plain {
        error.print().ok();
    } else {
        std::io::stderr().write_all(shown.as_bytes()).ok();
    }
    if wants_events(&arguments) {
        let json = report::Options {
            json: true,
            ..report::Options::default()
        };
        abort(json, redactor(), &failure(error, &plain));
    }
    2
}

fn wants_events(arguments: &[String]) -> bool {
    let before_program = arguments.iter().take_while(|argument| *argument != "--");
    before_program
        .into_iter()
        .any(|argument| argument == "--json")
}

fn failure(error: &clap::Error, plain: &str) -> Failure {
    let message = if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        "no command is given".to_owned()
    } else {
        let first = plain.split("\n\n").next().unwrap_or_default();
        let words: Vec<&str> = first.split_whitespace().collect();
        words.join(" ").trim_start_matches("error: ").to_owned()
    };
    Failure::new(Code::Usage, message).hint("`sdp COMMAND --help` lists what there is")
}

/// The words that clap quotes and does not know, unless they are nearly one that it knows; and the
/// values of variables, wherever they stand.
fn suspects(error: &clap::Error, arguments: &[String]) -> Vec<String> {
    let similar = [
        ContextKind::SuggestedArg,
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedValue,
    ];
    let is_typo = similar.iter().any(|kind| error.get(*kind).is_some());
    let quoted = [
        ContextKind::InvalidArg,
        ContextKind::InvalidSubcommand,
        ContextKind::InvalidValue,
    ];
    let quoted = quoted.iter().filter_map(|kind| match error.get(*kind) {
        Some(ContextValue::String(word)) if !is_typo => Some(word.clone()),
        _ => None,
    });
    // Names of clap's own tell nothing, such as `--port <PORT>`, `<SHELL>` and `sdp`.
    let quoted = quoted.filter(move |word| {
        let is_own_name = word.starts_with('-') || word.starts_with('<');
        !is_own_name && error.kind() != ErrorKind::MissingSubcommand
    });
    let values = arguments.iter().filter_map(|argument| {
        let pair = match argument.split_once('=') {
            Some((flag, rest)) if flag.starts_with("--") => rest,
            _ => argument,
        };
        Some(pair.split_once('=')?.1.to_owned())
    });
    quoted.chain(values).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    fn shown(arguments: &[&str]) -> String {
        let words = std::iter::once("sdp").chain(arguments.iter().copied());
        let error = Cli::command().try_get_matches_from(words).unwrap_err();
        let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
        let secrets = suspects(&error, &arguments);
        let mut text = error.render().to_string();
        Redactor::new(secrets.iter().map(|secret| ("secret", secret.as_str()))).scrub(&mut text);
        text
    }

    #[test]
    fn no_word_that_may_be_a_secret_is_quoted() {
        for arguments in [
            &["hunter2"][..],
            &["deploy", "shop", "hunter2"],
            &["deploy", "shop", "TOKEN=hunter2"],
            &["stop", "shop", "-e", "TOKEN=hunter2"],
            &["stop", "shop", "-eTOKEN=hunter2"],
            &["stop", "shop", "--env=TOKEN=hunter2"],
            &["stop", "shop", "--token=hunter2"],
            &["deploy", "shop", "--port", "hunter2"],
            &["deploy", "shop", "--port=hunter2"],
            &["deploy", "shop", "--pull", "hunter2"],
            &["deploy", "shop", "--keep", "hunter2"],
            &["deploy", "shop", "--json=hunter2"],
            &["deploy", "-e", "TOKEN=hunter2"],
            &["status", "--history=hunter2"],
        ] {
            let text = shown(arguments);
            assert!(!text.contains("hunter2"), "{arguments:?}: {text}");
            assert!(text.starts_with("error: "), "{text}");
        }
    }

    #[test]
    fn typos_are_quoted() {
        for (arguments, quoted) in [
            (&["deplyo"][..], "'deplyo'"),
            (&["deploy", "shop", "--brnach", "main"], "'--brnach'"),
            (&["deploy", "shop", "--no-such-flag"], "'--no-such-flag'"),
            (&["deploy", "shop", "--pull", "alwys"], "'alwys'"),
        ] {
            let text = shown(arguments);
            assert!(text.contains(quoted), "{text}");
        }
    }

    #[test]
    fn events_are_asked_for_before_the_program_s_own_arguments() {
        let wants =
            |line: &str| wants_events(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert!(wants("deploy shop --json"));
        assert!(!wants("deploy shop -- --json"));
    }
}
