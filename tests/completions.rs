use std::path::Path;
use std::process::Command;

/// What a user sources is what the binary would print today.
#[test]
fn completions_are_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions");
    for (shell, file) in [
        ("bash", "sdp.bash"),
        ("zsh", "_sdp"),
        ("fish", "sdp.fish"),
        ("powershell", "_sdp.ps1"),
        ("elvish", "sdp.elv"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_sdp"))
            .args(["completions", shell])
            .output()
            .unwrap();
        assert!(output.status.success() && !output.stdout.is_empty());
        let committed = std::fs::read(folder.join(file)).unwrap_or_default();
        assert!(
            committed == output.stdout,
            "completions/{file} is stale: `cargo run -- completions {shell} > completions/{file}`"
        );
    }
}
