//! A node that goes and comes back: nobody hangs, nobody storms, and requests find it again.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use quorate::{
    client::{Client, Outcome, TableKind},
    runtime::demo_cluster,
};
use tokio::{net::UdpSocket, task::JoinSet, time::Instant};

/// Carries datagrams between one client and a node that may have gone elsewhere, or be gone.
#[derive(Debug, Default)]
struct Way {
    node: Option<SocketAddr>,
    /// Connections that were begun while there was no node, by the ids that the client drew for them.
    begun: BTreeSet<Vec<u8>>,
}

/// Where the client is to go, and the task that carries, which ends when it is dropped.
async fn carry(way: Arc<Mutex<Way>>) -> (SocketAddr, JoinSet<()>) {
    let (front, back) = (bind().await, bind().await);
    let address = front.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (mut client, mut there, mut here) = (None, [0; 2048], [0; 2048]);
        loop {
            tokio::select! {
                Ok((length, from)) = front.recv_from(&mut there) => {
                    client = Some(from);
                    let node = way.lock().unwrap().heard(&there[..length]);
                    if let Some(node) = node {
                        back.send_to(&there[..length], node).await.unwrap();
                    }
                }
                Ok((length, _)) = back.recv_from(&mut here) => {
                    if let Some(client) = client {
                        front.send_to(&here[..length], client).await.unwrap();
                    }
                }
            }
        }
    });
    (address, tasks)
}

async fn bind() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

impl Way {
    /// Where a datagram of the client goes. A long header that names a version and an id begins a connection (RFC 8999).
    fn heard(&mut self, datagram: &[u8]) -> Option<SocketAddr> {
        if self.node.is_none() && datagram[0] & 0x80 != 0 {
            let length = usize::from(datagram[5]);
            self.begun.insert(datagram[6..6 + length].to_vec());
        }
        self.node
    }
}

#[tokio::test]
async fn a_node_that_went_is_found_again_without_hanging_or_storming() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = demo_cluster(1, Some(dir.path())).await.unwrap();
    let way = Arc::new(Mutex::new(Way { node: Some(cluster.addresses()[0]), ..Way::default() }));
    let (address, _carrying) = carry(way.clone()).await;
    let client = Client::builder().contact_points([address.to_string()]).tls(cluster.identity().clone());
    let client = client.build().await.unwrap();
    client.create_table("t").kind(TableKind::Register).await.unwrap();
    let table = client.table("t").await.unwrap();
    table.put("k", "v").await.unwrap();

    cluster.shutdown().await.unwrap();
    way.lock().unwrap().node = None;
    let (began, mut calls) = (Instant::now(), JoinSet::new());
    for n in 0..500 {
        let table = table.clone();
        let timeout = Duration::from_millis(500 + n);
        calls.spawn(async move {
            (table.get("k").timeout(timeout).await, table.put("k", "w").timeout(timeout).await)
        });
    }
    while let Some(done) = calls.join_next().await {
        let (read, written) = done.unwrap();
        assert!(read.is_err());
        assert_eq!(written.unwrap_err().outcome(), Outcome::NotApplied, "there was nobody to send it to");
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "a thousand calls of a second at most took {took:?}");
    let begun = way.lock().unwrap().begun.len();
    // One is given up after 2 s at the earliest.
    assert!((1..=4).contains(&begun), "{begun} connections were begun for a thousand calls in {took:?}");

    let cluster = demo_cluster(1, Some(dir.path())).await.unwrap();
    way.lock().unwrap().node = Some(cluster.addresses()[0]);
    let read = table.get("k").timeout(Duration::from_secs(20)).await.unwrap();
    assert_eq!(read.value(), Ok(Some(&"v".into())), "the same client, the same handle");
    table.put("k", "w").await.unwrap();
    cluster.shutdown().await.unwrap();
}
