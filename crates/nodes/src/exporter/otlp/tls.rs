//! The TLS side of a client, for both transports.

use super::{OtlpConfigError, TlsConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::path::Path;
use std::sync::Arc;

/// For `https` endpoints. The provider is named here, so that none need be installed for the
/// whole process.
pub(super) fn client_config(
    config: &TlsConfig,
    alpn: &[&[u8]],
) -> Result<ClientConfig, OtlpConfigError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = if config.insecure_skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AcceptAny(provider)))
    } else {
        builder.with_root_certificates(roots(config.ca_file.as_deref())?)
    };
    let mut client = match (&config.cert_file, &config.key_file) {
        (Some(cert), Some(key)) => {
            let error = |e: rustls::pki_types::pem::Error| unusable(key, &e);
            let private_key = PrivateKeyDer::from_pem_file(key).map_err(error)?;
            builder
                .with_client_auth_cert(certificates(cert)?, private_key)
                .map_err(|e| unusable(cert, &e))?
        }
        (None, None) => builder.with_no_client_auth(),
        _ => return Err(OtlpConfigError::HalfIdentity),
    };
    client.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(client)
}

/// For plain `http`: a client that would trust nobody, made without reading any file.
pub(super) fn unused() -> Result<ClientConfig, OtlpConfigError> {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, OtlpConfigError> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|e| unusable(path, &e))?;
            }
        }
        None => {
            let system = rustls_native_certs::load_native_certs();
            let (added, _) = roots.add_parsable_certificates(system.certs);
            if added == 0 {
                tracing::warn!(
                    "otlp: this system has no certificate authorities; install \
                     ca-certificates or name a CA file"
                );
            }
        }
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, OtlpConfigError> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(path, &error))?;
    if certificates.is_empty() {
        return Err(unusable(path, &"there is no certificate in it; it must be PEM"));
    }
    Ok(certificates)
}

fn unusable(path: &Path, reason: &dyn std::fmt::Display) -> OtlpConfigError {
    OtlpConfigError::File { path: path.to_owned(), reason: reason.to_string() }
}

/// [`TlsConfig::insecure_skip_verify`]: checks that the server holds the key of the
/// certificate that it shows, and nothing else about it.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
