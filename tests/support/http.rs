//! As much of HTTP as the tests need: a client, and what servers read.

use std::io::{self, BufRead, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
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

/// What a `curl` in another network gets from a URL, if it answers with 2xx or 3xx.
pub fn get_with(mut curl: Command, url: &str) -> Option<String> {
    let output = curl
        .args(["--silent", "--fail", "--max-time", "5", url])
        .output()
        .expect("run curl");
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(answer)
}

/// A request as a server reads it.
#[derive(Debug)]
pub struct Request {
    pub method: String,
    /// A path with its query; a whole URL, or `host:port`, where a proxy is asked.
    pub target: String,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// The next request of a connection; `None` at its end.
    pub fn read(from: &mut impl BufRead) -> io::Result<Option<Request>> {
        let first = read_line(from)?;
        let mut words = first.split(' ').map(str::to_owned);
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Ok(None);
        };
        let mut request = Request {
            method,
            target,
            headers: Vec::new(),
            body: Vec::new(),
        };
        loop {
            let line = read_line(from)?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            let header = (name.to_owned(), value.trim().to_owned());
            request.headers.push(header);
        }
        if request.header("Transfer-Encoding").is_some() {
            request.body = read_chunks(from)?;
        } else if let Some(length) = request.header("Content-Length") {
            let length = length.parse().map_err(io::Error::other)?;
            request.body = vec![0; length];
            from.read_exact(&mut request.body)?;
        }
        Ok(Some(request))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let is_it = |header: &&(String, String)| header.0.eq_ignore_ascii_case(name);
        self.headers.iter().find(is_it).map(|(_, value)| &**value)
    }

    /// The same request, as a proxy puts it to the server itself: nothing follows it.
    pub fn passed_on(&self, path: &str) -> io::Result<Vec<u8>> {
        let hop = [
            "connection",
            "proxy-connection",
            "transfer-encoding",
            "content-length",
        ];
        let mut message = Vec::new();
        let length = self.body.len();
        write!(
            message,
            "{} {path} HTTP/1.1\r\nConnection: close\r\n",
            self.method
        )?;
        for (name, value) in &self.headers {
            if !hop.contains(&name.to_ascii_lowercase().as_str()) {
                write!(message, "{name}: {value}\r\n")?;
            }
        }
        write!(message, "Content-Length: {length}\r\n\r\n")?;
        message.extend(&self.body);
        Ok(message)
    }
}

/// A line without its end; empty at the end of what is sent.
fn read_line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

fn read_chunks(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = read_line(from)?;
        let size = size.split(';').next().unwrap_or_default();
        let size = u64::from_str_radix(size, 16).map_err(io::Error::other)?;
        from.take(size).read_to_end(&mut body)?;
        read_line(from)?;
        if size == 0 {
            return Ok(body);
        }
    }
}
