//! Datagrams of a slice that segmentation offload cannot join, because they differ in size or destination: many in one call.

use arrayvec::ArrayVec;
use rustix::net::addr::SocketAddrArg;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};
use std::io::{self, IoSlice};
use std::net::{SocketAddr, UdpSocket};

/// Datagrams of one call. The headers of one are about 230 bytes: 32 take 7 KiB of stack, and leave nothing to gain.
pub(crate) const RUN_MAX: usize = 32;

/// Single datagrams one after the other.
pub(crate) type Run<'a> = ArrayVec<(SocketAddr, &'a [u8]), RUN_MAX>;

/// Hands `run` to the kernel; how many it took before the first that it refused.
///
/// # Errors
/// Why it refused the first.
pub(crate) fn send_run(socket: &UdpSocket, run: &[(SocketAddr, &[u8])]) -> io::Result<usize> {
    let run = &run[..run.len().min(RUN_MAX)];
    let addrs: ArrayVec<SocketAddrAny, RUN_MAX> = run.iter().map(|(to, _)| to.as_any()).collect();
    let slices: ArrayVec<[IoSlice<'_>; 1], RUN_MAX> =
        run.iter().map(|(_, bytes)| [IoSlice::new(bytes)]).collect();
    let mut control: [SendAncillaryBuffer<'_, '_, '_>; RUN_MAX] =
        std::array::from_fn(|_| SendAncillaryBuffer::default());
    let mut messages: ArrayVec<MMsgHdr<'_>, RUN_MAX> = addrs
        .iter()
        .zip(&slices)
        .zip(&mut control)
        .map(|((to, slice), control)| MMsgHdr::new_with_addr(to, slice, control))
        .collect();
    Ok(sendmmsg(socket, &mut messages, SendFlags::DONTWAIT)?)
}
