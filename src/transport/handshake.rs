//! Who may talk to whom: the judgement on a first frame, and how it is said.

#![expect(clippy::disallowed_methods, reason = "a refusal has a bound in time")]

use quinn::{Connection, SendStream};
use quorate_ring::{Epoch, Instant, Ring};
use rustls::pki_types::CertificateDer;
use tokio::time::timeout;

use super::{CloseCode, identity::is_certificate_of};
use crate::wire::{
    self, Frame, HandshakeMessage, HandshakeRefusal, Header, PROTOCOL_VERSION, PeerHello, Refusal, RequestId,
};

/// The longest first frame of a peer or a client, in bytes.
pub(super) const HELLO_BYTES_MAX: usize = 4 * 1024;
/// How long a connection may take to say who it is.
pub(super) const HANDSHAKE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// Puts a handshake message into a frame; the header means nothing yet.
pub(super) fn frame(message: impl Into<HandshakeMessage>) -> Frame<HandshakeMessage> {
    let header = Header { id: RequestId(0), epoch: Epoch(0), deadline: Instant::ZERO };
    Frame { header, message: message.into() }
}

/// Whether a process that says `theirs` and shows `certificate` is a peer that this node may talk to.
///
/// # Errors
/// What to tell it, in the order in which mistakes are likely to explain each other.
pub(super) fn judge_peer(
    own: &PeerHello,
    ring: &Ring,
    theirs: &PeerHello,
    certificate: Option<&CertificateDer<'_>>,
) -> Result<(), HandshakeRefusal> {
    if theirs.protocol != PROTOCOL_VERSION {
        return refuse(Refusal::Protocol, protocol_message(theirs.protocol));
    }
    if theirs.cluster != own.cluster {
        return refuse(
            Refusal::Cluster,
            format!(
                "this node belongs to cluster {}, the other to {}: compare the cluster's name and the founders' \
                 names, racks and weights in both configurations",
                own.cluster, theirs.cluster
            ),
        );
    }
    let Some(member) = ring.member(theirs.node).filter(|member| member.id != own.node) else {
        return refuse(
            Refusal::NotAMember,
            format!("{} is no peer of {}: is an address in the founders' list wrong?", theirs.node, own.node),
        );
    };
    if !certificate.is_some_and(|certificate| is_certificate_of(certificate, &member.name)) {
        let name = &member.name;
        return refuse(
            Refusal::Identity,
            format!(
                "the certificate is not that of node '{name}': make it with `quorate certs node DIR {name}`"
            ),
        );
    }
    if theirs.settings != own.settings {
        return refuse(
            Refusal::Settings,
            "settings that must be equal on every node differ: compare `value_bytes_max` and `request_timeout_max` in \
             both configurations"
                .to_owned(),
        );
    }
    Ok(())
}

/// Whether a client speaks this version.
///
/// # Errors
/// What to tell it.
pub(super) fn judge_client(protocol: u16) -> Result<(), HandshakeRefusal> {
    if protocol == PROTOCOL_VERSION {
        return Ok(());
    }
    refuse(Refusal::Protocol, protocol_message(protocol))
}

/// Makes a refusal.
pub(super) fn refuse<T>(refusal: Refusal, message: String) -> Result<T, HandshakeRefusal> {
    Err(HandshakeRefusal { refusal, message })
}

/// Tells the other side why not, gives it a moment to read it, and closes the connection.
pub(super) async fn send_refusal(connection: &Connection, mut send: SendStream, refusal: HandshakeRefusal) {
    let mut out = bytes::BytesMut::new();
    wire::encode(&frame(refusal), Instant::ZERO, &mut out);
    let delivery = async {
        if send.write_chunk(out.freeze()).await.is_ok() && send.finish().is_ok() {
            let _ = send.stopped().await;
            // The other side closes as soon as it has read it.
            connection.closed().await;
        }
    };
    let _ = timeout(FAREWELL, delivery).await;
    connection.close(CloseCode::Refused.into(), b"handshake refused");
}

/// The certificate that the other side proved to be its own.
pub(super) fn certificate_of(connection: &Connection) -> Option<CertificateDer<'static>> {
    let chain = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    chain.into_iter().next()
}

fn protocol_message(theirs: u16) -> String {
    format!(
        "this side speaks protocol version {PROTOCOL_VERSION}, the other {theirs}: run the same release on both"
    )
}

/// How long a refused side may take to read why.
const FAREWELL: std::time::Duration = std::time::Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use quorate_ring::{Actor, Founder, Incarnation, NodeId, WallMicros};

    use super::*;
    use crate::certs::Authority;

    fn ring() -> Ring {
        let founders = ["a", "b", "c"].map(|name| Founder::new(name, format!("{name}:1")));
        Ring::found("shop", &founders).unwrap()
    }

    fn hello(node: u32) -> PeerHello {
        PeerHello {
            protocol: PROTOCOL_VERSION,
            cluster: ring().cluster_id(),
            node: NodeId(node),
            incarnation: Incarnation(1),
            starts: 1,
            actor: Actor(1),
            wall: WallMicros(0),
            settings: 7,
        }
    }

    fn judged(theirs: PeerHello, certificate: &crate::certs::Issued) -> Result<(), Refusal> {
        let der = certificate.der();
        judge_peer(&hello(1), &ring(), &theirs, Some(&der)).map_err(|refusal| refusal.refusal)
    }

    #[test]
    fn a_peer_must_be_who_it_says() {
        let authority = Authority::create().unwrap();
        let b = authority.node("b", &[]).unwrap();
        assert_eq!(judged(hello(2), &b), Ok(()));
        assert_eq!(judged(hello(3), &b), Err(Refusal::Identity), "one node as another");
        assert_eq!(
            judged(hello(2), &authority.client("b").unwrap()),
            Err(Refusal::Identity),
            "a client as a node"
        );
        let nobody = judge_peer(&hello(1), &ring(), &hello(2), None);
        assert_eq!(nobody.unwrap_err().refusal, Refusal::Identity);
    }

    #[test]
    fn a_peer_must_belong_here() {
        let authority = Authority::create().unwrap();
        let b = authority.node("b", &[]).unwrap();
        assert_eq!(judged(PeerHello { protocol: 99, ..hello(2) }, &b), Err(Refusal::Protocol));
        let cluster = quorate_ring::ClusterId(1);
        assert_eq!(judged(PeerHello { cluster, ..hello(2) }, &b), Err(Refusal::Cluster));
        assert_eq!(judged(hello(9), &b), Err(Refusal::NotAMember));
        assert_eq!(judged(hello(1), &authority.node("a", &[]).unwrap()), Err(Refusal::NotAMember), "itself");
        assert_eq!(judged(PeerHello { settings: 8, ..hello(2) }, &b), Err(Refusal::Settings));
    }
}
