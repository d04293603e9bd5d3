//! A node's UDP socket.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
};

use socket2::{Domain, Protocol, Socket, Type};
use tracing::warn;

/// Bytes of socket buffer asked for, each way. With the usual 200 KiB loopback loses packets from about 256
/// requests in flight.
const BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// Binds a socket with large buffers, and says so if the kernel granted less.
///
/// # Errors
/// What the system says, as when the port is in use.
pub fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.bind(&address.into())?;
    enlarge(&socket)?;
    Ok(socket.into())
}

fn enlarge(socket: &Socket) -> io::Result<()> {
    // Where a size is refused outright, the check below still sees and tells what there is.
    let _ = socket.set_recv_buffer_size(BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(BUFFER_BYTES);
    let granted = socket.recv_buffer_size()?.min(socket.send_buffer_size()?);
    if granted < BUFFER_BYTES {
        warn!(
            granted,
            wanted = BUFFER_BYTES,
            "small socket buffers: raise net.core.rmem_max and net.core.wmem_max, or packets are lost under load"
        );
    }
    Ok(())
}
