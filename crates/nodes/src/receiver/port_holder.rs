//! Which process listens on a port, as far as `/proc` tells.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// Characters of a command line that are worth showing.
const MAX_COMMAND_CHARS: usize = 120;

/// The `st` column of `/proc/net/tcp` for a listening socket.
const STATE_LISTEN: &str = "0A";

/// A process that listens on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// Its command line, shortened, without control characters.
    pub command: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} ({})", self.pid, self.command)
    }
}

/// The process whose listening socket covers `addr`. `None` where there is none, where it
/// belongs to another user (its descriptors cannot be read), or without `/proc`.
pub fn holder(addr: SocketAddr) -> Option<Holder> {
    let inodes: Vec<u64> = [("/proc/net/tcp", false), ("/proc/net/tcp6", true)]
        .into_iter()
        .filter_map(|(path, v6)| Some((fs::read_to_string(path).ok()?, v6)))
        .flat_map(|(table, v6)| listening_inodes(&table, v6, addr))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let sockets: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        owns(&entry.path(), &sockets).then(|| Holder { pid, command: command(&entry.path()) })
    })
}

/// Inodes of the listening sockets in a `/proc/net/tcp` table that cover `addr`.
fn listening_inodes(table: &str, v6: bool, addr: SocketAddr) -> Vec<u64> {
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut columns = line.split_ascii_whitespace();
            let local = columns.nth(1)?;
            let state = columns.nth(1)?;
            let inode = columns.nth(5)?.parse().ok()?;
            let (ip, port) = local.split_once(':')?;
            let port = u16::from_str_radix(port, 16).ok()?;
            let ip = if v6 { parse_v6(ip)? } else { parse_v4(ip)? };
            (state == STATE_LISTEN && port == addr.port() && covers(ip, addr.ip())).then_some(inode)
        })
        .collect()
}

/// Whether a socket on `listening` stands in the way of one on `wanted`.
fn covers(listening: IpAddr, wanted: IpAddr) -> bool {
    listening.to_canonical() == wanted.to_canonical()
        || listening.is_unspecified()
        || wanted.is_unspecified()
}

/// The kernel prints each 32-bit word of an address in the machine's byte order.
fn parse_v4(hex: &str) -> Option<IpAddr> {
    let word = u32::from_str_radix(hex, 16).ok()?;
    Some(IpAddr::V4(Ipv4Addr::from(word.to_ne_bytes())))
}

fn parse_v6(hex: &str) -> Option<IpAddr> {
    let mut octets = [0; 16];
    for (index, bytes) in octets.chunks_exact_mut(4).enumerate() {
        let word = u32::from_str_radix(hex.get(index * 8..index * 8 + 8)?, 16).ok()?;
        bytes.copy_from_slice(&word.to_ne_bytes());
    }
    Some(IpAddr::V6(Ipv6Addr::from(octets)))
}

fn owns(process: &Path, sockets: &[String]) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else { return false };
    descriptors.flatten().any(|descriptor| {
        fs::read_link(descriptor.path())
            .is_ok_and(|target| sockets.iter().any(|socket| Path::new(socket) == target))
    })
}

fn command(process: &Path) -> String {
    let line = fs::read(process.join("cmdline")).unwrap_or_default();
    let line = String::from_utf8_lossy(&line);
    let line = line.trim_end_matches('\0');
    let line = if line.is_empty() {
        fs::read_to_string(process.join("comm")).unwrap_or_default()
    } else {
        line.replace('\0', " ")
    };
    line.trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_COMMAND_CHARS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn finds_this_process() {
        for addr in ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0"] {
            let Ok(listener) = TcpListener::bind(addr) else { continue };
            let port = listener.local_addr().unwrap().port();
            let holder = holder(SocketAddr::from(([127, 0, 0, 1], port)));
            let sees = !addr.starts_with("[::1]");
            assert_eq!(holder.map(|h| h.pid), sees.then(std::process::id), "{addr}");
        }
    }

    #[test]
    fn reads_the_kernels_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   0: 0100007F:10DD 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1\n   1: 0100007F:10DD 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 77 1\nbroken line\n";
        let at = |addr: &str| listening_inodes(table, false, addr.parse().unwrap());
        if cfg!(target_endian = "little") {
            assert_eq!(at("127.0.0.1:4317"), [4242]);
            assert_eq!(at("0.0.0.0:4317"), [4242]);
            assert!(at("127.0.0.2:4317").is_empty());
            assert!(at("127.0.0.1:4318").is_empty());
        }
    }
}
