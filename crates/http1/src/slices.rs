//! Slicing that cannot panic.

/// The first `at` bytes and the rest; all and nothing when there are fewer.
#[inline]
pub(crate) fn split(bytes: &[u8], at: usize) -> (&[u8], &[u8]) {
    bytes.split_at_checked(at).unwrap_or((bytes, &[]))
}

/// Copies as much of `from` as fits behind the first `len` bytes of `to`, and
/// returns the new length.
#[inline]
pub(crate) fn append(to: &mut [u8], len: usize, from: &[u8]) -> usize {
    let Some(room) = to.get_mut(len..) else { return len };
    let count = room.len().min(from.len());
    if let (Some(target), Some(source)) = (room.get_mut(..count), from.get(..count)) {
        target.copy_from_slice(source);
    }
    len + count
}

/// Without spaces and tabs (OWS, RFC 9110 section 5.6.3) and line ends around it.
#[inline]
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t' | b'\r' | b'\n'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Without the one carriage return that may end a line (RFC 9112 section 2.2).
#[inline]
pub(crate) fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}
