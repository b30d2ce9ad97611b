//! A forward proxy on loopback that remembers what it was asked for.

use std::io::{self, BufReader, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};

use super::http::Request;
use super::serve::Port;

/// Tunnels for CONNECT, and passes on plain HTTP.
pub struct HttpProxy {
    port: Port,
    passed: Arc<Mutex<Vec<String>>>,
}

impl HttpProxy {
    pub fn new() -> HttpProxy {
        let passed = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&passed);
        let port = Port::new(move |stream| drop(serve(&stream, &record)));
        HttpProxy { port, passed }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.port.address())
    }

    /// The requests so far, such as `CONNECT 127.0.0.1:443`.
    pub fn passed(&self) -> Vec<String> {
        self.passed.lock().unwrap().clone()
    }
}

fn serve(mut client: &TcpStream, record: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    while let Some(request) = Request::read(&mut reader)? {
        let asked = format!("{} {}", request.method, request.target);
        record.lock().unwrap().push(asked);
        if request.method == "CONNECT" {
            return tunnel(client, reader, &request.target);
        }
        let rest = request.target.strip_prefix("http://").unwrap_or_default();
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let mut server = TcpStream::connect(host)?;
        server.write_all(&request.passed_on(&format!("/{path}"))?)?;
        io::copy(&mut server, &mut client)?;
    }
    Ok(())
}

fn tunnel(
    mut client: &TcpStream,
    mut reader: BufReader<TcpStream>,
    target: &str,
) -> io::Result<()> {
    let server = TcpStream::connect(target)?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let (mut from, mut to) = (server.try_clone()?, client.try_clone()?);
    let back = std::thread::spawn(move || {
        io::copy(&mut from, &mut to).ok();
        to.shutdown(Shutdown::Both).ok();
    });
    io::copy(&mut reader, &mut &server).ok();
    server.shutdown(Shutdown::Both).ok();
    back.join().ok();
    Ok(())
}
