//! A certificate authority of a test's own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection};

use super::serve::Port;

/// Trusted by nobody who is not told of its file.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    /// Its certificate is in `folder`, as PEM.
    pub(super) fn new(folder: &Path) -> Authority {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = &mut parameters.distinguished_name;
        name.push(DnType::CommonName, "the authority of a test");
        let key = KeyPair::generate().expect("make a key");
        let issuer = CertifiedIssuer::self_signed(parameters, key).expect("sign itself");
        let file = folder.join("authority.pem");
        std::fs::write(&file, issuer.pem()).expect("write a certificate");
        Authority { issuer, file }
    }

    pub fn file(&self) -> &str {
        self.file.to_str().expect("a path of text")
    }

    /// Writes `NAME.pem` and `NAME-key.pem` into a folder: a certificate for these hosts, valid or not any
    /// more, and its key.
    pub fn issue(&self, folder: &Path, name: &str, hosts: &[&str], is_valid: bool) {
        let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
        let mut parameters = CertificateParams::new(hosts).expect("names");
        if !is_valid {
            parameters.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate().expect("make a key");
        let signed = parameters.signed_by(&key, &self.issuer);
        let certificate = signed.expect("sign a certificate").pem();
        std::fs::write(folder.join(format!("{name}.pem")), certificate).expect("write");
        std::fs::write(folder.join(format!("{name}-key.pem")), key.serialize_pem()).expect("write");
    }

    /// Somebody on loopback who proves himself, with a certificate that is valid or not any more, and
    /// then has nothing to say.
    pub fn listen(&self, is_valid: bool) -> Port {
        let config = self.server_until(is_valid);
        Port::new(move |mut stream| {
            let connection = ServerConnection::new(Arc::clone(&config));
            let mut connection = connection.expect("a connection");
            connection.complete_io(&mut stream).ok();
        })
    }

    /// What a server on loopback proves itself with.
    pub(super) fn server(&self) -> Arc<ServerConfig> {
        self.server_until(true)
    }

    fn server_until(&self, is_valid: bool) -> Arc<ServerConfig> {
        let names = ["127.0.0.1", "localhost"].map(str::to_owned);
        let mut parameters = CertificateParams::new(names).expect("names");
        if !is_valid {
            parameters.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate().expect("make a key");
        let certificate = parameters
            .signed_by(&key, &self.issuer)
            .expect("sign a certificate");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("protocols that ring knows")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a certificate and its key");
        Arc::new(config)
    }
}
