//! A certificate authority of a test's own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

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

    /// What a server on loopback proves itself with.
    pub(super) fn server(&self) -> Arc<ServerConfig> {
        let names = ["127.0.0.1", "localhost"].map(str::to_owned);
        let parameters = CertificateParams::new(names).expect("names");
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
