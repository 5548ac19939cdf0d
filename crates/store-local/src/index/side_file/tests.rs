use super::*;
use crate::files::MemoryFile;
use carafe_store::StoreErrorKind;
use proptest::prelude::*;

type Sections = BTreeMap<Section, Vec<u8>>;

fn write(sections: &Sections) -> Vec<u8> {
    let mut writer = SideFileWriter::new();
    sections.iter().for_each(|(&section, bytes)| writer.add(section, bytes.clone()));
    let mut file = Vec::new();
    let len = writer.finish(&mut file).unwrap();
    assert_eq!(len, file.len() as u64);
    file
}

fn open(bytes: Vec<u8>) -> Result<SideFile, StoreError> {
    SideFile::open(Arc::new(MemoryFile::new("w/a.idx", bytes)))
}

fn some_sections() -> impl Strategy<Value = Sections> {
    // Some shorter than a chunk, some longer.
    let bytes = (0..20_000_usize, any::<u8>())
        .prop_map(|(len, seed)| (0..len).map(|n| (n / 3) as u8 ^ seed).collect());
    prop::collection::btree_map(prop::sample::select(&Section::ALL[..]), bytes, 0..5)
}

fn content(file: &SideFile) -> Result<Sections, StoreError> {
    let mut sections = Sections::new();
    for section in Section::ALL {
        if let Some(bytes) = file.section(section)? {
            sections.insert(section, bytes.to_vec());
        }
    }
    Ok(sections)
}

proptest! {
    #[test]
    fn gives_back_what_was_added(sections in some_sections(), at: u16, len in 0..9_000_usize) {
        let file = open(write(&sections)).unwrap();
        file.verify().unwrap();
        prop_assert_eq!(content(&file).unwrap(), sections.clone());
        for (section, bytes) in sections {
            let from = usize::from(at) % (bytes.len() + 1);
            let read = file.read(section, from as u64, len);
            match bytes.get(from..from + len) {
                Some(part) => prop_assert_eq!(read.unwrap(), part),
                None => prop_assert_eq!(read.unwrap_err().kind, StoreErrorKind::Corrupt),
            }
        }
    }

    #[test]
    fn damage_is_an_error_that_names_the_file(
        sections in some_sections(),
        at: prop::sample::Index,
        flip in 1..=u8::MAX,
    ) {
        let mut bytes = write(&sections);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let error = open(bytes).and_then(|file| {
            content(&file)?;
            file.verify()
        });
        let error = error.unwrap_err();
        prop_assert_eq!(error.kind, StoreErrorKind::Corrupt);
        prop_assert!(error.to_string().contains("w/a.idx"), "{}", error);
    }

    #[test]
    fn a_torn_file_is_an_error(sections in some_sections(), at: prop::sample::Index) {
        let mut bytes = write(&sections);
        bytes.truncate(at.index(bytes.len()));
        prop_assert_eq!(open(bytes).unwrap_err().kind, StoreErrorKind::Corrupt);
    }

    #[test]
    fn foreign_bytes_are_an_error_or_a_file(
        bytes: Vec<u8>,
        directory in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        // With a footer that is right, so that the directory is looked at.
        let mut bytes = [bytes, directory.clone()].concat();
        bytes.extend((directory.len() as u32).to_le_bytes());
        bytes.extend(crc32c::crc32c(&directory).to_le_bytes());
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(MAGIC);
        if let Ok(file) = open(bytes) {
            let (verified, read) = (file.verify(), content(&file));
            prop_assert!(read.is_ok() || verified.is_err());
        }
    }
}

#[test]
fn damage_to_one_section_leaves_the_others() {
    let long = vec![1; 3 * CHUNK_BYTES];
    let sections = [(Section::TraceBlooms, long), (Section::Keys, vec![2; 10])];
    let mut bytes = write(&sections.into());
    bytes[CHUNK_BYTES + 5] ^= 1;
    let file = open(bytes).unwrap();
    assert_eq!(file.section(Section::Keys).unwrap().unwrap(), [2; 10].as_slice());
    assert!(file.section(Section::TraceBlooms).is_err());
    assert!(file.read(Section::TraceBlooms, 0, CHUNK_BYTES).is_ok());
    assert!(file.read(Section::TraceBlooms, CHUNK_BYTES as u64 - 1, 2).is_err());
    assert!(file.verify().is_err());
}

#[test]
fn a_directory_longer_than_what_is_read_first_is_read_whole() {
    let section = vec![7; TAIL_BYTES as usize / 4 * CHUNK_BYTES];
    let file = open(write(&[(Section::TagBlooms, section.clone())].into())).unwrap();
    assert_eq!(file.section_len(Section::TagBlooms), Some(section.len() as u64));
    assert_eq!(file.section(Section::TagBlooms).unwrap().unwrap(), section);
}

#[test]
fn a_newer_version_is_refused_by_its_number() {
    let mut bytes = write(&Sections::new());
    let at = bytes.len() - MAGIC.len() - 4;
    bytes[at] = 2;
    let error = open(bytes).unwrap_err();
    assert!(error.to_string().contains("version 2"), "{error}");
}

#[test]
fn the_sections_numbers_are_those_of_the_format() {
    assert_eq!(Section::ALL.map(|section| section as u16), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
}
