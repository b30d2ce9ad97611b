//! Standard output, which tells when it takes no more.

use std::io::{self, ErrorKind, Write};

use tokio::sync::watch;

/// What a report writes to.
pub struct Out {
    to: Box<dyn Write + Send>,
    gone: watch::Sender<Option<ErrorKind>>,
}

impl Out {
    /// The stream, and where it is told why nothing can be written to it any more: a broken pipe is
    /// a reader that has what it wanted, anything else is a loss.
    pub fn new(to: Box<dyn Write + Send>) -> (Out, watch::Receiver<Option<ErrorKind>>) {
        let (gone, receiver) = watch::channel(None);
        (Out { to, gone }, receiver)
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes).inspect_err(|error| {
            let kind = error.kind();
            if !matches!(kind, ErrorKind::Interrupted | ErrorKind::WouldBlock) {
                self.gone.send_replace(Some(kind));
            }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
