//! The OpenSSLs in the process.
//!
//! Our hooks stand in front of all of them: the system's, one that a package brought along under
//! another name (psycopg2-binary), one that is linked into a library that exports it. Calling the
//! functions of one with an object of another ends badly, so the object tells: among its first
//! words is a pointer to its method table (`SSL_METHOD`), static data of the library that made it.
//! That holds for OpenSSL since 0.9.8, LibreSSL and BoringSSL.

use carafe_wire::lock::BoundedLock;
use std::ffi::{CStr, c_int, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Libraries that are remembered; functions of further ones are looked up at every call.
const LIBRARY_LIMIT: usize = 8;

/// Words at an object's start among which its method table is looked for. Objects are far larger.
const WORDS: usize = 4;

/// Longest path of a library that is looked at.
const PATH_LIMIT_BYTES: usize = 1_024;

/// A function that the engine calls.
#[derive(Clone, Copy)]
pub(crate) enum Function {
    Read,
    ReadEx,
    Write,
    WriteEx,
    Free,
    GetFd,
}

/// In the order of [`Function`].
const NAMES: [&CStr; 6] =
    [c"SSL_read", c"SSL_read_ex", c"SSL_write", c"SSL_write_ex", c"SSL_free", c"SSL_get_fd"];

/// A library whose functions are known.
struct Library {
    start: AtomicUsize,
    end: AtomicUsize,
    functions: [AtomicUsize; NAMES.len()],
}

static LIBRARIES: [Library; LIBRARY_LIMIT] = [const {
    Library {
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        functions: [const { AtomicUsize::new(0) }; NAMES.len()],
    }
}; LIBRARY_LIMIT];

/// How many of them are filled; they never change then.
static COUNT: AtomicUsize = AtomicUsize::new(0);
static FILLING: BoundedLock = BoundedLock::new();

/// The function of the library that made `object`; null when there is none.
pub(crate) fn original(function: Function, object: *mut c_void) -> *mut c_void {
    let words = first_words(object);
    let known = LIBRARIES.iter().take(COUNT.load(Ordering::Acquire)).find(|library| {
        let range = library.start.load(Ordering::Relaxed)..library.end.load(Ordering::Relaxed);
        words.iter().any(|word| range.contains(word))
    });
    match known.and_then(|library| library.functions.get(function as usize)) {
        Some(address) => std::ptr::with_exposed_provenance_mut(address.load(Ordering::Relaxed)),
        None => look_up(function, &words),
    }
}

fn first_words(object: *mut c_void) -> [usize; WORDS] {
    let mut words = [0; WORDS];
    if !object.is_null() {
        let start = object.cast::<usize>();
        for (index, word) in words.iter_mut().enumerate() {
            // SAFETY: the app passes a TLS object, which is far larger than this.
            *word = unsafe { start.add(index).read() };
        }
    }
    words
}

#[cold]
fn look_up(function: Function, words: &[usize; WORDS]) -> *mut c_void {
    let mut search = Search::new(Wanted::Owner(words));
    search.run();
    if let Some(library) = search.open() {
        let address = library.function(function);
        if !address.is_null() {
            // What is remembered stays loaded: the handle is never closed.
            if !remember(&search, &library) {
                library.close();
            }
            return address;
        }
        library.close();
    }
    fallback(function)
}

/// An object that names no library: the next OpenSSL in the program's order, else one that was
/// loaded privately, as CPython and the JVM do.
fn fallback(function: Function) -> *mut c_void {
    let name = NAMES.get(function as usize).copied().unwrap_or_default();
    // SAFETY: the name is a C string.
    let address = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
    if !address.is_null() {
        return address;
    }
    let mut search = Search::new(Wanted::Name(b"libssl"));
    search.run();
    // The handle keeps the library in memory while its function is used.
    search.open().map_or(std::ptr::null_mut(), |library| library.function(function))
}

fn remember(search: &Search<'_>, handle: &Handle) -> bool {
    let Some(_guard) = FILLING.try_lock() else { return false };
    let count = COUNT.load(Ordering::Relaxed);
    let Some(library) = LIBRARIES.get(count) else { return false };
    library.start.store(search.start, Ordering::Relaxed);
    library.end.store(search.end, Ordering::Relaxed);
    for (name, place) in NAMES.iter().zip(&library.functions) {
        place.store(handle.symbol(name).expose_provenance(), Ordering::Relaxed);
    }
    COUNT.store(count + 1, Ordering::Release);
    true
}

/// A library that is loaded, by dlopen.
struct Handle(*mut c_void);

impl Handle {
    fn function(&self, function: Function) -> *mut c_void {
        NAMES.get(function as usize).map_or(std::ptr::null_mut(), |name| self.symbol(name))
    }

    fn symbol(&self, name: &CStr) -> *mut c_void {
        // SAFETY: a valid handle and a C string.
        unsafe { libc::dlsym(self.0, name.as_ptr()) }
    }

    fn close(self) {
        // SAFETY: a valid handle, not used after this.
        unsafe { libc::dlclose(self.0) };
    }
}

/// Which library is looked for.
enum Wanted<'a> {
    /// The one in whose memory one of these words points.
    Owner(&'a [usize; WORDS]),
    /// The first whose file name begins so.
    Name(&'static [u8]),
}

struct Search<'a> {
    wanted: Wanted<'a>,
    start: usize,
    end: usize,
    /// The path with its null byte; empty: not found.
    path: [u8; PATH_LIMIT_BYTES],
}

impl<'a> Search<'a> {
    fn new(wanted: Wanted<'a>) -> Self {
        Self { wanted, start: 0, end: 0, path: [0; PATH_LIMIT_BYTES] }
    }

    fn run(&mut self) {
        // SAFETY: the callback has the required signature and the search outlives the call.
        unsafe { libc::dl_iterate_phdr(Some(look_at), std::ptr::from_mut(self).cast()) };
    }

    /// Not within [`Search::run`], which holds a lock of the dynamic linker that dlopen in another
    /// thread may wait for while it holds the one that this needs.
    fn open(&self) -> Option<Handle> {
        let path = CStr::from_bytes_until_nul(&self.path).ok().filter(|path| !path.is_empty())?;
        // SAFETY: NOLOAD only gives a handle to what is loaded.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
        (!handle.is_null()).then_some(Handle(handle))
    }

    fn is_wanted(&self, path: &CStr, start: usize, end: usize) -> bool {
        match self.wanted {
            Wanted::Owner(words) => words.iter().any(|word| (start..end).contains(word)),
            Wanted::Name(prefix) => {
                let file = path.to_bytes().rsplit(|byte| *byte == b'/').next().unwrap_or_default();
                file.starts_with(prefix)
            }
        }
    }
}

unsafe extern "C" fn look_at(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    search: *mut c_void,
) -> c_int {
    // SAFETY: dl_iterate_phdr passes a valid entry and our own pointer.
    let (info, search) = unsafe { (&*info, &mut *search.cast::<Search<'_>>()) };
    if info.dlpi_name.is_null() || info.dlpi_phdr.is_null() {
        return 0;
    }
    // SAFETY: the entry has as many program headers as it says.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    let (mut start, mut end) = (usize::MAX, 0);
    for header in headers.iter().filter(|header| header.p_type == libc::PT_LOAD) {
        let from = (info.dlpi_addr as usize).wrapping_add(header.p_vaddr as usize);
        start = start.min(from);
        end = end.max(from.wrapping_add(header.p_memsz as usize));
    }
    // SAFETY: the entry's name is a C string that lives as long as the library is loaded.
    let path = unsafe { CStr::from_ptr(info.dlpi_name) };
    let bytes = path.to_bytes_with_nul();
    if !search.is_wanted(path, start, end) {
        return 0;
    }
    let Some(place) = search.path.get_mut(..bytes.len()) else { return 0 };
    place.copy_from_slice(bytes);
    (search.start, search.end) = (start, end);
    1
}
