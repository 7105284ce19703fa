//! What nodes show each other when they connect, and how they know with whom they speak: TLS 1.3, a certificate on both
//! sides.
//!
//! What counts is the key in the certificate, and that the other side signs the handshake with it. Names, dates and the
//! certificate's own signature are not looked at: nobody vouches for anybody, the control state says whose a key is. So
//! nothing expires, and a certificate is made anew at every start. No session is resumed, since resuming shows no key.

use super::roster::Roster;
use crate::clock::Clock;
use crate::identity::Identity;
use cluster::{NodeId, NodeKey};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ParsedCertificate};
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{ClientConfig, DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;

/// What both sides say they speak.
const HTTP_2: &[u8] = b"h2";
/// What stands before an Ed25519 key where X.509 keeps it (RFC 8410).
const ED25519_KEY: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A node's certificate, and how it speaks under it.
#[derive(Debug)]
pub struct Certificate {
    server: Arc<ServerConfig>,
    client: ClientConfig,
    algorithms: WebPkiSupportedAlgorithms,
}

/// Why there is no certificate. A fault of a library; report it.
#[derive(Debug, thiserror::Error)]
pub enum NoCertificate {
    /// None can be made of the node's key.
    #[error("no certificate can be made of the key")]
    Make(#[from] rcgen::Error),
    /// TLS does not take it.
    #[error("TLS does not take the certificate")]
    Use(#[from] rustls::Error),
}

/// Why a certificate is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    /// A node shows one certificate, and nobody who vouches for it.
    #[error("more than one certificate")]
    Chain,
    /// The key in it is of another kind.
    #[error("no Ed25519 key in the certificate")]
    Kind,
    /// It is the key of another node than was called.
    #[error("the key of node {theirs} where node {wanted} was called")]
    Node {
        /// Whom the caller wants.
        wanted: NodeId,
        /// Who answers.
        theirs: NodeId,
    },
}

impl Certificate {
    /// The certificate of a node.
    ///
    /// # Errors
    ///
    /// [`NoCertificate`].
    pub fn of(identity: &Identity, clock: &Arc<dyn Clock>) -> Result<Self, NoCertificate> {
        let provider = Arc::new(ring::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let key = PrivatePkcs8KeyDer::from(identity.pkcs8());
        let pair = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&key, &rcgen::PKCS_ED25519)?;
        let mut parameters = rcgen::CertificateParams::default();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, identity.name());
        let chain = vec![parameters.self_signed(&pair)?.der().clone()];
        let server = server(&provider, algorithms, clock, chain.clone(), key.clone_key().into())?;
        let client = client(provider, algorithms, clock, chain, key.into())?;
        Ok(Self { server: Arc::new(server), client, algorithms })
    }

    /// How connections are taken: from everybody who shows a key, which is found out then.
    pub(super) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    /// How node `to` is called, or whoever listens; `met` learns who that is.
    pub(super) fn client(
        &self,
        to: Option<NodeId>,
        roster: watch::Receiver<Arc<Roster>>,
        met: Met,
    ) -> Arc<ClientConfig> {
        let verifier = Callee { to, roster, met, algorithms: self.algorithms };
        let mut config = self.client.clone();
        config.dangerous().set_certificate_verifier(Arc::new(verifier));
        Arc::new(config)
    }
}

/// With whom a connection was made. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Met(Arc<OnceLock<NodeKey>>);

impl Met {
    /// The key that the other side showed, if it was asked for one.
    pub(super) fn key(&self) -> Option<NodeKey> {
        self.0.get().copied()
    }
}

/// The key of an Ed25519 certificate that stands alone.
pub(super) fn key_of(
    certificate: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
) -> Result<NodeKey, rustls::Error> {
    if !others.is_empty() {
        return Err(unfit(Unfit::Chain));
    }
    let key = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
    let key = key.strip_prefix(ED25519_KEY.as_slice()).and_then(|key| key.try_into().ok());
    key.map(NodeKey).ok_or_else(|| unfit(Unfit::Kind))
}

/// As a text: of an error about certificates the library would show no more than its inside.
fn unfit(why: Unfit) -> rustls::Error {
    rustls::Error::General(why.to_string())
}

fn server(
    provider: &Arc<CryptoProvider>,
    algorithms: WebPkiSupportedAlgorithms,
    clock: &Arc<dyn Clock>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    let config = ServerConfig::builder_with_details(Arc::clone(provider), now(clock));
    let config = config.with_protocol_versions(&[&TLS13])?.with_client_cert_verifier(Arc::new(Caller { algorithms }));
    let mut config = config.with_single_cert(chain, key)?;
    config.alpn_protocols = vec![HTTP_2.to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

/// For every call but for whom it is; see [`Certificate::client`].
fn client(
    provider: Arc<CryptoProvider>,
    algorithms: WebPkiSupportedAlgorithms,
    clock: &Arc<dyn Clock>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ClientConfig, rustls::Error> {
    let (_, roster) = watch::channel(Arc::default());
    let nobody = Callee { to: None, roster, met: Met::default(), algorithms };
    let config = ClientConfig::builder_with_details(provider, now(clock)).with_protocol_versions(&[&TLS13])?;
    let config = config.dangerous().with_custom_certificate_verifier(Arc::new(nobody));
    let mut config = config.with_client_auth_cert(chain, key)?;
    config.alpn_protocols = vec![HTTP_2.to_vec()];
    config.enable_sni = false;
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The node's clock, for TLS.
#[derive(Debug)]
struct Time(Arc<dyn Clock>);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(self.0.wall_ms())))
    }
}

fn now(clock: &Arc<dyn Clock>) -> Arc<dyn TimeProvider> {
    Arc::new(Time(Arc::clone(clock)))
}

/// Judges the certificate of whoever calls: any node's, since greetings are for strangers too. What it may ask is judged
/// call by call.
#[derive(Debug)]
struct Caller {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Caller {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        key_of(certificate, others).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(too_old())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// Judges the certificate of whoever is called.
#[derive(Debug)]
struct Callee {
    to: Option<NodeId>,
    roster: watch::Receiver<Arc<Roster>>,
    met: Met,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Callee {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _stapled: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let key = key_of(certificate, others)?;
        if let Some(wanted) = self.to
            && !self.roster.borrow().may_be(wanted, key)
        {
            return Err(unfit(Unfit::Node { wanted, theirs: key.node() }));
        }
        let met = *self.met.0.get_or_init(|| key);
        // A connection of one call is made once; one that is made again to a node that was called by its id meets it again.
        if met == key {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(unfit(Unfit::Node { wanted: met.node(), theirs: key.node() }))
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(too_old())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

fn too_old() -> rustls::Error {
    rustls::Error::General("only TLS 1.3 is spoken".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use std::path::Path;
    use storage::disk::MemoryDisk;

    fn of(
        parameters: &rcgen::CertificateParams,
        algorithm: &'static rcgen::SignatureAlgorithm,
    ) -> CertificateDer<'static> {
        let pair = rcgen::KeyPair::generate_for(algorithm).unwrap();
        parameters.self_signed(&pair).unwrap().der().clone()
    }

    /// The key of a node, and what it shows.
    fn node() -> (NodeKey, CertificateDer<'static>) {
        let data = Path::new("/data");
        let identity = Identity::load_or_create(&MemoryDisk::new(), data, &data.join("wal"), [5; 32]).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        let certificate = Certificate::of(&identity, &clock).unwrap();
        let shown = certificate.client.client_auth_cert_resolver.resolve(&[], &[SignatureScheme::ED25519]).unwrap();
        (identity.node_key(), shown.cert[0].clone())
    }

    #[test]
    fn a_certificate_shows_the_key_of_its_node() {
        let (key, shown) = node();
        assert_eq!(key_of(&shown, &[]), Ok(key));
    }

    #[test]
    fn what_is_not_one_certificate_of_an_ed25519_key_is_not_taken() {
        let parameters = rcgen::CertificateParams::default();
        let (first, second) = (of(&parameters, &rcgen::PKCS_ED25519), of(&parameters, &rcgen::PKCS_ED25519));
        let refused = |certificate, others: &[_]| key_of(certificate, others).unwrap_err().to_string();
        assert!(refused(&first, &[second]).contains("more than one certificate"));
        let other_kind = of(&parameters, &rcgen::PKCS_ECDSA_P256_SHA256);
        assert!(refused(&other_kind, &[]).contains("no Ed25519 key"));
        assert!(key_of(&CertificateDer::from(vec![0x30, 0]), &[]).is_err());
    }

    #[test]
    fn dates_and_names_do_not_count() {
        let mut parameters = rcgen::CertificateParams::new(["elsewhere.example".to_owned()]).unwrap();
        parameters.not_after = rcgen::date_time_ymd(1999, 12, 31);
        let expired = of(&parameters, &rcgen::PKCS_ED25519);
        let key = key_of(&expired, &[]).unwrap();
        assert!(callee(Some(key.node()), Roster::Nobody).judge(&expired).is_ok());
    }

    fn callee(to: Option<NodeId>, roster: Roster) -> Callee {
        let (_, roster) = watch::channel(Arc::new(roster));
        Callee {
            to,
            roster,
            met: Met::default(),
            algorithms: ring::default_provider().signature_verification_algorithms,
        }
    }

    impl Callee {
        fn judge(&self, certificate: &CertificateDer<'_>) -> Result<(), rustls::Error> {
            let name = ServerName::from(std::net::IpAddr::from([127, 0, 0, 1]));
            self.verify_server_cert(certificate, &[], &name, &[], UnixTime::since_unix_epoch(Duration::ZERO)).map(drop)
        }
    }

    #[test]
    fn whoever_was_called_must_show_its_own_key_and_whoever_was_met_shows_it_again() {
        let (key, shown) = node();
        let mut same_id = key;
        same_id.0[31] ^= 1;
        let known_as = |key| Roster::Members([(key, NodeKey::node(&key))].map(|(key, node)| (node, key)).into());
        for (to, roster, taken) in [
            (None, Roster::Nobody, true),
            (Some(key.node()), Roster::Nobody, true),
            (Some(key.node()), known_as(key), true),
            (Some(key.node()), known_as(same_id), false),
            (Some(NodeId(1)), Roster::Nobody, false),
        ] {
            let callee = callee(to, roster);
            assert_eq!(callee.judge(&shown).is_ok(), taken, "{callee:?}");
            assert_eq!(callee.met.key(), taken.then_some(key));
        }
        let callee = callee(None, Roster::Nobody);
        callee.judge(&shown).unwrap();
        assert!(callee.judge(&of(&rcgen::CertificateParams::default(), &rcgen::PKCS_ED25519)).is_err());
    }
}
