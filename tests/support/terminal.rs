//! A terminal: a pseudo-terminal with an emulated screen behind it, and hands to press its keys.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::{Sdp, eventually};

const ROWS: u16 = 40;

pub struct Terminal {
    keys: Option<OwnedFd>,
    screen: Arc<Mutex<vt100::Parser>>,
    child: Child,
}

impl Terminal {
    /// Opens a terminal of so many columns, and runs sdp in it.
    pub fn run(columns: u16, sdp: Sdp) -> Terminal {
        let command = sdp.into_command();
        Terminal::start(columns, &["setsid", "--ctty"], &command)
    }

    /// The same under a shell with job control, so that Ctrl-Z stops sdp; Enter continues it.
    pub fn run_in_shell(columns: u16, sdp: Sdp) -> Terminal {
        let command = sdp.into_command();
        let script = r#""$0" "$@"; read -r _; fg; exit $?"#;
        let shell = ["setsid", "--ctty", "bash", "--norc", "-mc", script];
        Terminal::start(columns, &shell, &command)
    }

    fn start(columns: u16, wrapper: &[&str], sdp: &Command) -> Terminal {
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("open a terminal");
        grantpt(&keys).expect("own the terminal");
        unlockpt(&keys).expect("unlock the terminal");
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        let inside = ioctl_tiocgptpeer(&keys, flags).expect("the other side of the terminal");
        let stdio = || Stdio::from(inside.try_clone().expect("a handle of the terminal"));

        let mut command = Command::new(wrapper[0]);
        command
            .args(&wrapper[1..])
            .arg(sdp.get_program())
            .args(sdp.get_args())
            .env_clear()
            .envs(
                sdp.get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .env("TERM", "xterm-256color")
            .current_dir(sdp.get_current_dir().expect("a folder to run in"))
            .stdin(stdio())
            .stdout(stdio())
            .stderr(stdio());
        let screen = Arc::new(Mutex::new(vt100::Parser::new(
            positive(ROWS),
            positive(columns),
            0,
        )));
        let terminal = Terminal {
            child: {
                set_size(&keys, columns);
                command.spawn().expect("start sdp in a terminal")
            },
            keys: Some(keys.try_clone().expect("a handle of the terminal")),
            screen: Arc::clone(&screen),
        };
        std::thread::spawn(move || {
            let mut output = File::from(keys);
            let mut bytes = [0; 4096];
            // Ends with an error when nobody has the other side open any more.
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                screen.lock().expect("the screen").process(&bytes[..count]);
            }
        });
        terminal
    }

    /// What is on the screen, without the blanks at the ends of lines.
    pub fn screen(&self) -> String {
        let screen = self.screen.lock().expect("the screen");
        let lines = screen.screen().contents();
        let lines: Vec<&str> = lines.lines().map(str::trim_end).collect();
        lines.join("\n").trim_end().to_owned()
    }

    /// The lines that did not fit and went on in the next row.
    pub fn wrapped(&self) -> Vec<u16> {
        let parser = self.screen.lock().expect("the screen");
        (0..ROWS)
            .filter(|row| parser.screen().row_wrapped(*row))
            .collect()
    }

    /// Waits until this is on the screen.
    pub fn shows(&self, text: &str) {
        eventually(
            &format!("`{text}` on the screen:\n{}", self.screen()),
            || self.screen().contains(text).then_some(()),
        );
    }

    pub fn press(&self, key: &[u8]) {
        let keys = self.keys.as_ref().expect("the terminal is open");
        let mut keys = File::from(keys.try_clone().expect("a handle of the terminal"));
        keys.write_all(key).expect("press a key");
    }

    /// Makes the window narrower or wider.
    pub fn resize(&self, columns: u16) {
        set_size(self.keys.as_ref().expect("the terminal is open"), columns);
        let mut screen = self.screen.lock().expect("the screen");
        screen
            .screen_mut()
            .set_size(positive(ROWS), positive(columns));
    }

    /// Waits for the end, and returns the exit code.
    pub fn code(&mut self) -> Option<i32> {
        let status = eventually("the end of sdp", || self.child.try_wait().expect("wait"));
        status.code()
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

fn positive(size: u16) -> NonZeroU16 {
    NonZeroU16::new(size).expect("a size")
}

fn set_size(keys: &OwnedFd, columns: u16) {
    let size = Winsize {
        ws_row: ROWS,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(keys, size).expect("set the size of the terminal");
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            kill_process(self.pid(), Signal::KILL).ok();
            self.child.wait().ok();
        }
    }
}
