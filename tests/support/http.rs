//! As much of an HTTP client as the tests need.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The body that `GET path` is answered with; an answer other than 200 is an error.
pub fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    get_within(address, path, Duration::from_secs(5))
}

/// The same with this much patience for each step of it.
pub fn get_within(address: SocketAddr, path: &str, patience: Duration) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.0 200 ") => Ok(body.to_owned()),
        _ => Err(io::Error::other(format!("not answered: {answer:?}"))),
    }
}
